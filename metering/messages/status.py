"""The status (gateway -> ingest, retained): is it online, and where are its rows.

Sent every 30 s and at a clean stop; the broker sends `offline(...)` as the last will. For each epoch of
which the gateway still holds rows, and always for the present one: read = stored + quarantined + held +
dropped. After an unclean stop `read` is what was sent or spilled, at least, and `read_is_known` is false.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from metering.errors import MalformedMessage
from metering.messages.data import SCHEMA
from metering.messages.json_body import check_schema, flag, parse_json, text, whole
from metering.names import is_epoch, is_gateway_id


@dataclass(frozen=True, slots=True)
class EpochAccount:
    """Rows of one epoch.

    Attributes:
        read: Rows that polls returned.
        stored: Rows that ingest has acknowledged as stored.
        quarantined: Rows that ingest has acknowledged as quarantined.
        held: Rows waiting here, in memory or on disk.
        dropped: Rows deleted here, because the outbox was full.
        read_is_known: False after an unclean stop.
    """

    epoch: str
    read: int
    stored: int
    quarantined: int
    held: int
    dropped: int
    read_is_known: bool = True

    def __post_init__(self) -> None:
        if not is_epoch(self.epoch):
            raise ValueError(f"epoch {self.epoch!r} is not 16 hex digits")
        if min(self.read, self.stored, self.quarantined, self.held, self.dropped) < 0:
            raise ValueError(f"an account of epoch {self.epoch} is negative")

    @property
    def balance(self) -> int:
        """Rows unaccounted for; 0 unless something is wrong."""
        return self.read - self.stored - self.quarantined - self.held - self.dropped


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a gateway.

    Attributes:
        time_ms: Gateway's clock; 0 in the last will, which is written long before it is sent.
        online: False in the last will and at a clean stop.
        clean_stop: Whether the previous run of the process ended cleanly; `None` = first run or unknown.
        counters: Totals since the process started, but for `GAUGES`.
        clock: Where the gateway has its time from: `system` (kept by NTP), `trusted`, `ingest` or `none`;
            empty where it is not reported.
    """

    gateway: str
    epoch: str
    time_ms: int
    online: bool
    software: str
    clean_stop: bool | None = None
    accounts: tuple[EpochAccount, ...] = ()
    counters: Mapping[str, int] = field(default_factory=dict)
    clock: str = ""

    def __post_init__(self) -> None:
        if not is_gateway_id(self.gateway) or not is_epoch(self.epoch):
            raise ValueError(f"status of {self.gateway!r}, epoch {self.epoch!r}: not ids")


#: State of an ingest instance that takes no messages until its clock is right.
HOLDING = "holding"

#: Numbers in every status, 0 where nothing happened, so that dashboards always have a series.
COUNTERS = (
    "polls",
    "timeouts",
    "garbled_answers",
    "exceptions",
    "late_answers",
    "line_failures",
    "meters_silent",
    "meters_counter_missing",
    "meters_unconfirmed",
    "messages_resent",
    "bytes_sent",
    "disk_failures",
    "oldest_held_s",
    "clock_steps",
)
#: Those of them that are not totals. Rows on their way are `held` for less than a second, so that a status
#: may see a poll's rows as held every time; `oldest_held_s` tells them from rows that wait.
GAUGES = frozenset({"meters_silent", "meters_counter_missing", "meters_unconfirmed", "oldest_held_s"})


def offline(*, gateway: str, epoch: str, software: str) -> Status:
    """Return the status to leave with the broker as the last will."""
    return Status(gateway=gateway, epoch=epoch, time_ms=0, online=False, software=software)


def encode(status: Status) -> bytes:
    """Return the JSON body."""
    return orjson.dumps(
        {
            "schema": SCHEMA,
            "gateway": status.gateway,
            "epoch": status.epoch,
            "time_ms": status.time_ms,
            "online": status.online,
            "software": status.software,
            "clean_stop": status.clean_stop,
            "accounts": [asdict(account) for account in status.accounts],
            "counters": dict(status.counters),
            "clock": status.clock,
        }
    )


def decode(body: bytes) -> Status:
    """Read the JSON body.

    Raises:
        MalformedMessage: when it is not a status of schema 1.
    """
    parsed = parse_json(body)
    check_schema(parsed, SCHEMA, "status")
    try:
        return Status(
            gateway=text(parsed["gateway"]),
            epoch=text(parsed["epoch"]),
            time_ms=whole(parsed["time_ms"]),
            online=flag(parsed["online"]),
            software=text(parsed["software"]),
            clean_stop=None if parsed["clean_stop"] is None else flag(parsed["clean_stop"]),
            accounts=tuple(_parse_account(account) for account in parsed["accounts"]),
            counters={name: whole(count) for name, count in parsed["counters"].items()},
            clock=text(parsed.get("clock", "")),
        )
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise MalformedMessage("bad_envelope", f"status: {error}") from error


def _parse_account(parsed: Mapping[str, Any]) -> EpochAccount:
    return EpochAccount(
        epoch=text(parsed["epoch"]),
        read=whole(parsed["read"]),
        stored=whole(parsed["stored"]),
        quarantined=whole(parsed["quarantined"]),
        held=whole(parsed["held"]),
        dropped=whole(parsed["dropped"]),
        read_is_known=flag(parsed["read_is_known"]),
    )


def encode_ingest(*, online: bool, time_ms: int) -> bytes:
    """Return the body of an ingest instance's own status (retained; its last will is offline)."""
    return orjson.dumps({"schema": SCHEMA, "online": online, "time_ms": time_ms})


def encode_holding() -> bytes:
    """Return the body of an ingest instance's own status while it takes no messages.

    Gateways of every version read it as offline and send a probe now and then. It carries no time, since the
    clock is in doubt.
    """
    return orjson.dumps({"schema": SCHEMA, "online": False, "time_ms": 0, "state": HOLDING})


def is_holding(body: bytes) -> bool:
    """Return whether an ingest instance is holding: it runs, and takes no messages.

    Raises:
        MalformedMessage: when it is not JSON.
    """
    return parse_json(body).get("state") == HOLDING


def decode_ingest(body: bytes) -> bool:
    """Return whether an ingest instance is online by its status.

    Raises:
        MalformedMessage: when it is not such a status.
    """
    online = parse_json(body).get("online")
    if not isinstance(online, bool):
        raise MalformedMessage("bad_envelope", "ingest status without online")
    return online
