"""What to look at when a meter cannot be read by hand. Pure.

It says what is known and no more: a gateway's own word, an answer that came too late or from another address,
a busy meter. Only where nothing is known does it list what may be wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.drivers.settings import BusConfig, DeviceAddress, DeviceConfig, RtuOverTcp, Tcp
from edge.errors import BusError, GarbledAnswer, GatewayNoAnswer, LineDown, MeterRefused

# A time-out that has twice the time of the answer that was seen.
_ROOM = 2.0


@dataclass(frozen=True, slots=True)
class Stray:
    """An answer that nobody waited for any more.

    Attributes:
        address: Who answered.
        after_s: How long after the last request it came.
    """

    address: DeviceAddress
    after_s: float


def advice(
    bus: BusConfig, device: DeviceConfig, error: BusError, *, strays: Sequence[Stray], others: Sequence[str]
) -> str:
    """Return what happened and what to look at.

    Args:
        bus: The line.
        device: Whom `read` has asked.
        error: How that ended.
        strays: Answers that came late or from another unit.
        others: Names of the other devices on the line.
    """
    where = f"{device.place} ({bus.transport})"
    if isinstance(error, LineDown):
        return f"{bus.name} cannot be used: {error}\n{_line_advice(bus, error)}"
    if isinstance(error, MeterRefused):
        return f"{where} refuses: {error}\n{_refusal_advice(device, error)}"
    hint = f"\nOn the same bus: {', '.join(others)}. Does `read` get an answer from one of them?"
    return _no_answer(bus, device.address, where, error, strays) + (hint if others else "")


def _no_answer(
    bus: BusConfig, address: DeviceAddress, where: str, error: BusError, strays: Sequence[Stray]
) -> str:
    if isinstance(error, GatewayNoAnswer):
        return (
            f"no answer from {where}: {error}.\nThe gateway itself works. Check the meter's power, its"
            " address, the line behind the gateway and the baud rate and parity that are set in it."
        )
    foreign = sorted({one.address for one in strays if one.address != address}, key=_in_order)
    if foreign:
        return (
            f"no answer from {where}, but one from address {', '.join(map(str, foreign))}.\n"
            f"Is that the meter's address? Then write address: {foreign[0]}. Or two devices share the line's"
            " answers: read them one by one."
        )
    late_s = max((one.after_s for one in strays), default=0.0)
    if late_s > bus.timeout_s:
        return (
            f"the answer from {where} came after {late_s:.1f} s, and timeout_s is {bus.timeout_s:g}.\n"
            f"Set timeout_s of {bus.name} to {math.ceil(late_s * _ROOM)}."
        )
    if isinstance(error, GarbledAnswer):
        return f"what comes from {where} is no answer: {error}.\n{_garble_advice(bus)}"
    return f"no answer from {where}: {error}.\n{_silence_advice(bus)}"


def _silence_advice(bus: BusConfig) -> str:
    if bus.is_rtu:
        return "Check power, wires A and B (swapped?), baud rate, parity and the meter's address."
    return "Check power, network and the unit id; behind a gateway also the line from there to the meter."


def _garble_advice(bus: BusConfig) -> str:
    if isinstance(bus.transport, Tcp):
        return (
            "Is it Modbus TCP that is spoken at this port? A serial converter that passes frames on is"
            " rtu_over_tcp."
        )
    where = " in the converter" if isinstance(bus.transport, RtuOverTcp) else ""
    return (
        f"Check baud rate and parity{where}, termination and shield, and that no other meter has the same"
        " address."
    )


def _refusal_advice(device: DeviceConfig, error: MeterRefused) -> str:
    if error.is_busy:
        return "It needs time (it is starting, or serves another master): read it again in some seconds."
    if error.transient:
        return "It reports a fault of its own: look at its display; switch it off and on."
    return f"Is it a {device.profile.model}? Another model has other registers."


def _line_advice(bus: BusConfig, error: LineDown) -> str:
    if "lock" in str(error):
        return "Another program has the port open: stop zonewise-edge run while reading by hand."
    if bus.is_network:
        return "Check power and network of the device, its address and port, and how many clients it allows."
    return "Check the cable and the device name (ls /dev/serial/by-id)."


def _in_order(address: DeviceAddress) -> tuple[bool, int, str]:
    return (False, address, "") if isinstance(address, int) else (True, 0, address)
