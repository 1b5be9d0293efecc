"""Identifiers: the only names that may stand in a topic, a tag or a database name.

Park and gateway ids have up to 32 characters, meter and group ids up to 63; lower-case letters, digits and
hyphens, neither first nor last a hyphen. Display names are free text and are in no message.
"""

import re

_SHORT = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")
_LONG = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_EPOCH = re.compile(r"[0-9a-f]{16}")

#: The same rules as patterns for configuration models and JSON Schema.
PARK_ID_PATTERN = f"^{_SHORT.pattern}$"
GATEWAY_ID_PATTERN = PARK_ID_PATTERN
METER_ID_PATTERN = f"^{_LONG.pattern}$"


def is_park_id(text: str) -> bool:
    """Tell whether the text may name a park or a gateway."""
    return _SHORT.fullmatch(text) is not None


is_gateway_id = is_park_id


def is_meter_id(text: str) -> bool:
    """Tell whether the text may name a meter or a group (zone, building, tenant)."""
    return _LONG.fullmatch(text) is not None


def is_epoch(text: str) -> bool:
    """Tell whether the text is an epoch: 16 lower-case hex digits."""
    return _EPOCH.fullmatch(text) is not None


def check_meter_id(text: str) -> str:
    """Return the meter id unchanged.

    Raises:
        ValueError: when it is not one.
    """
    if not is_meter_id(text):
        raise ValueError(f"{text!r} is not a meter id (lower-case letters, digits, hyphens; at most 63)")
    return text
