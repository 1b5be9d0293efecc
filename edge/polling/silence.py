"""Who on a line is silent, what that says of the line, and when a silent device is asked again. Pure.

Rules:
- A device that answered its last poll and then fails has one *free retry* soon, outside the share of
  probes: a lost frame is not a dead meter.
- A device that fails without a free retry while others answer is *mute*. It gets probes with a growing pause;
  all probes of a line together keep to `edge.polling.backoff.PROBE_SHARE`, those that failed fewer times
  first.
- Where several good devices fail without any answer in between, or nobody is left who answers, the cause is
  the line. The next answer, whoever gives it, *wakes* the devices that are not mute: they are asked at once
  and have a free retry. The same holds for the first answer after the line was opened again.
- Such a line is *silent* after `SILENT_AFTER_S`. Nearly all of its probes then go to devices that are not
  mute, so that one of them is asked every 25 s (time-outs of 1 s) and the power's return is noticed; mute
  ones share the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.polling.backoff import PROBE_SHARE, ProbeBudget, probe_pause_s, retry_pause_s

#: Seconds without any answer after which a line counts as silent.
SILENT_AFTER_S = 10.0
#: Part of a silent line's time for probes of mute devices; the rest of `PROBE_SHARE` is for the others.
_MUTE_SHARE = 0.01
# One silent device may be switched off; several in a row without an answer in between mean the line.
_ENOUGH = 3


@dataclass(slots=True)
class _Device:
    """What is known of one device.

    Attributes:
        failures: In a row; 0 = answered, or not asked yet.
        is_good: Whether it answered its last poll.
        has_free_retry: Whether a failure leaves it one request outside the share of probes.
        is_mute: Whether it kept silent while others answered.
    """

    failures: int = 0
    is_good: bool = False
    has_free_retry: bool = False
    is_mute: bool = False


class LineSilence:
    """The silence of the devices of one line, by their position in the list of devices."""

    def __init__(self, devices: int) -> None:
        self._devices = [_Device() for _ in range(devices)]
        self._budget = ProbeBudget()
        self._mute_budget = ProbeBudget()
        self._maybe_since_s: float | None = None
        self._good_lost = 0
        self._is_the_line = False
        self._wakes = False
        self._is_silent = False

    def failures(self, number: int) -> int:
        """Return how many times in a row a device has failed."""
        return self._devices[number].failures

    def allowed_s(self, number: int) -> float:
        """Return the instant from which a device may be asked."""
        device = self._devices[number]
        return self._budget_of(device).ready_s(device.failures) if _is_probed(device) else float("-inf")

    @property
    def maybe_since_s(self) -> float | None:
        """Since when nobody answers, where that is the line's doing."""
        return self._maybe_since_s if self._is_the_line else None

    def note_silent(self) -> None:
        """Note that nobody has answered for `SILENT_AFTER_S`: the line is silent until somebody does."""
        self._is_silent = True

    def answered(self, number: int) -> None:
        """Note that a device answered its poll, be it with a refusal."""
        self._devices[number] = _Device(is_good=True)

    def failed(self, number: int, *, asked_s: float, now_s: float, poll_s: float, jitter: float) -> float:
        """Note that a device did not answer; return the pause until it is asked again.

        Args:
            number: Which device.
            asked_s: When it was asked.
            now_s: When it was given up.
            poll_s: Its poll period.
            jitter: Random number in [0, 1).
        """
        device = self._devices[number]
        if _is_probed(device):
            self._budget_of(device).spend(started_s=asked_s, ended_s=now_s, share=self._share_of(device))
        self._note_failure(device, asked_s)
        pause_s = probe_pause_s if device.is_mute else retry_pause_s
        return pause_s(device.failures, poll_s=poll_s, jitter=jitter)

    def heard(self, asked: int) -> Sequence[int]:
        """Note that a device answered a request, if not its whole poll; return others to be asked now."""
        failing = [n for n, device in enumerate(self._devices) if device.failures and n != asked]
        is_waking = self._is_the_line or self._wakes
        woken = [number for number in failing if is_waking and not self._devices[number].is_mute]
        for number in woken:
            self._devices[number] = _Device(has_free_retry=True)
        for number in failing:
            device = self._devices[number]
            device.is_mute = device.is_mute or (not is_waking and not device.has_free_retry)
        self._maybe_since_s = None
        self._good_lost = 0
        self._is_the_line = self._wakes = self._is_silent = False
        return woken

    def reconnected(self) -> None:
        """Note that the line was opened: probes may start at once, and silence is counted anew."""
        self._budget, self._mute_budget = ProbeBudget(), ProbeBudget()
        self._maybe_since_s = None
        self._wakes = any(device.failures for device in self._devices)

    def _budget_of(self, device: _Device) -> ProbeBudget:
        return self._mute_budget if self._is_silent and device.is_mute else self._budget

    def _share_of(self, device: _Device) -> float:
        if not self._is_silent:
            return PROBE_SHARE
        return _MUTE_SHARE if device.is_mute else PROBE_SHARE - _MUTE_SHARE

    def _note_failure(self, device: _Device, asked_s: float) -> None:
        if device.is_good:
            if not self._good_lost:
                # The silence of mute devices before it tells nothing of the line.
                self._maybe_since_s = asked_s
            self._good_lost += 1
            device.has_free_retry = True
        elif device.failures:
            device.has_free_retry = False
        device.is_good = False
        device.failures += 1
        if self._maybe_since_s is None:
            self._maybe_since_s = asked_s
        is_nobody_left = all(one.failures for one in self._devices)
        self._is_the_line = self._is_the_line or self._good_lost >= _ENOUGH or is_nobody_left


def _is_probed(device: _Device) -> bool:
    """Return whether the next request to the device counts as a probe."""
    return device.failures > 0 and not device.has_free_retry
