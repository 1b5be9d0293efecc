"""A line of simulated devices: which one answers a request, when, and with which faults; no wire yet.

`simulators.lines.tcp_line`, `simulators.lines.rtu_line` and `simulators.lines.serial_line` send what this
decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from simulators.lines.answer_log import AnswerLog
from simulators.meters.faults import FaultKind, Faults
from simulators.meters.frames import answer_pdu, exception_pdu
from simulators.meters.image import Image, Refused, Request


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a device.

    Attributes:
        pdu: Function and what follows, without address and checksum.
        delay_s: From the request's end to the answer's start.
        spoiled: Whether its checksum is to be wrong.
    """

    unit: int
    pdu: bytes
    delay_s: float
    spoiled: bool = False


@dataclass(frozen=True, slots=True)
class SharedResources:
    """What all lines of a park share."""

    faults: Faults
    log: AnswerLog
    wall_ms: Callable[[], int]


class Line:
    """Devices by unit id.

    Attributes:
        name: `<gateway>/<bus>`.
        answer_s: How long its devices take to answer; `None` = each as its table says.
    """

    def __init__(
        self,
        name: str,
        devices: Mapping[int, Image],
        around: SharedResources,
        *,
        answer_s: float | None = None,
    ) -> None:
        self.name = name
        self.devices = devices
        self.answer_s = answer_s
        self._around = around

    @property
    def is_cut(self) -> bool:
        """Whether the line is cut now."""
        return self._around.faults.maybe(FaultKind.CUT, self.name) is not None

    def maybe_answer(self, request: Request) -> Answer | None:
        """Return a device's answer; `None` = no answer, also for a unit that does not exist."""
        maybe_device = self.devices.get(request.unit)
        if maybe_device is None or self.is_cut:
            return None
        targets = tuple(meter.name for meter in maybe_device.meters)
        if self._around.faults.maybe(FaultKind.SILENCE, *targets):
            return None
        answer = self._faultless(maybe_device, request, targets)
        maybe_late = self._around.faults.maybe(FaultKind.LATE, *targets)
        if maybe_late is not None:
            answer = replace(answer, delay_s=maybe_late.value)
        if self._around.faults.maybe(FaultKind.WRONG_CRC, *targets):
            answer = replace(answer, spoiled=True)
        return answer

    def _faultless(self, device: Image, request: Request, targets: tuple[str, ...]) -> Answer:
        delay_s = device.profile.answer_delay_s if self.answer_s is None else self.answer_s
        now_ms = self._around.wall_ms()
        maybe_ordered = self._around.faults.maybe(FaultKind.EXCEPTION, *targets)
        if maybe_ordered is not None:
            return self._refuse(request, int(maybe_ordered.value), now_ms, delay_s)
        try:
            shown = device.read(request, now_ms)
        except Refused as refused:
            return self._refuse(request, refused.code, now_ms, delay_s)
        self._around.log.write(now_ms, self.name, request, outcome="answered", values=shown.values)
        return Answer(request.unit, answer_pdu(request, shown.data), delay_s)

    def _refuse(self, request: Request, code: int, now_ms: int, delay_s: float) -> Answer:
        self._around.log.write(now_ms, self.name, request, outcome=f"exception {code}", values={})
        return Answer(request.unit, exception_pdu(request, code), delay_s)
