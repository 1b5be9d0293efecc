"""Which driver reads which protocol; a driver is imported when a bus needs it."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from edge.drivers.contract import Driver
from edge.drivers.settings import DeviceConfig

#: Protocol, as models name it -> module with a `DRIVER`.
MODULES = {"modbus": "edge.drivers.modbus.driver"}
_DEFAULT = "modbus"

#: Returns the driver of a protocol.
LoadDriver = Callable[[str], Driver[Any]]


def load_driver(protocol: str) -> Driver[Any]:
    """Return a driver.

    Raises:
        KeyError: when there is none for this protocol.
    """
    driver: Driver[Any] = import_module(MODULES[protocol]).DRIVER
    return driver


def protocol_of(devices: Sequence[DeviceConfig]) -> str:
    """Return the protocol that the devices of one bus speak.

    Raises:
        ValueError: when they do not speak the same.
    """
    protocols = sorted({device.profile.protocol for device in devices})
    if len(protocols) > 1:
        raise ValueError(f"bus {devices[0].bus!r} has devices of {' and '.join(protocols)}")
    return protocols[0] if protocols else _DEFAULT
