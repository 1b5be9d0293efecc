"""A half-duplex RS-485 line in time: when its bytes pass, and what happens when two send at once.

Rules of the line:
- A request has passed after its bytes' time and the silence that ends a frame; then a device answers after
  its own delay, byte by byte at the baud rate.
- What is sent while another sends is lost, and spoils what the other sends.
- What does not become a whole request within a few frames' silence is noise and dropped.

The bytes come from and go to the owner of the wire: a pty or a TCP connection.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from simulators.lines.line import Answer, Line
from simulators.meters.frames import RTU_REQUEST_BYTES, maybe_rtu_request, rtu_frame

_SILENCE_CHARS = 3.5
_FAST_BAUD = 19200
_FAST_SILENCE_S = 0.00175
# Shorter sleeps are not more exact and cost processor time.
_STEP_S = 0.002
# A sender's bytes may come in pieces, later than on a real line.
_NOISE_S = 0.1


@dataclass(frozen=True, slots=True)
class RtuTiming:
    """How fast a line is.

    Attributes:
        baud: Bits per second; 0 = no time passes.
        bits_per_char: Start, data, parity and stop bits.
    """

    baud: int
    bits_per_char: int = 11

    @classmethod
    def of(cls, *, baud: int, parity: str, stop_bits: int) -> "RtuTiming":
        """Return the timing of a port's settings; parity is `N`, `E` or `O`."""
        return cls(baud, 1 + 8 + (parity != "N") + stop_bits)

    @property
    def char_s(self) -> float:
        """Seconds per character."""
        return self.bits_per_char / self.baud if self.baud else 0.0

    @property
    def silence_s(self) -> float:
        """Silence that ends a frame (MODBUS over Serial Line V1.02, 2.5.1.1)."""
        return _FAST_SILENCE_S if self.baud > _FAST_BAUD else _SILENCE_CHARS * self.char_s


class RtuLine:
    """A line's traffic; use it as `async with`."""

    def __init__(self, line: Line, timing: RtuTiming, send: Callable[[bytes], object]) -> None:
        self._line = line
        self._timing = timing
        self._send = send
        self._heard = bytearray()
        self._heard_at_s = 0.0
        self._is_sending = False
        self._is_spoiled = False
        self._exchanges: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _where: TracebackType | None
    ) -> None:
        for exchange in self._exchanges:
            exchange.cancel()
        await asyncio.gather(*self._exchanges, return_exceptions=True)

    def receive(self, data: bytes) -> None:
        """Take bytes that the master sends now."""
        now_s = asyncio.get_running_loop().time()
        if self._is_sending:
            self._is_spoiled = True
            return
        if now_s - self._heard_at_s > _NOISE_S:
            self._heard.clear()
        self._heard_at_s = now_s
        self._heard += data
        while len(self._heard) >= RTU_REQUEST_BYTES:
            frame = bytes(self._heard[:RTU_REQUEST_BYTES])
            del self._heard[:RTU_REQUEST_BYTES]
            self._begin(frame)

    def _begin(self, frame: bytes) -> None:
        exchange = asyncio.create_task(self._exchange(frame), name=f"exchange on {self._line.name}")
        self._exchanges.add(exchange)
        exchange.add_done_callback(self._exchanges.discard)

    async def _exchange(self, frame: bytes) -> None:
        """Answer one request; instants are counted from its arrival, so that delays do not add up."""
        passed_s = self._heard_at_s + len(frame) * self._timing.char_s + self._timing.silence_s
        await _sleep_until(passed_s)
        maybe_request = maybe_rtu_request(frame)
        maybe_answer = None if maybe_request is None else self._line.maybe_answer(maybe_request)
        if maybe_answer is not None:
            await _sleep_until(passed_s + maybe_answer.delay_s)
            await self._transmit(maybe_answer, passed_s + maybe_answer.delay_s)

    async def _transmit(self, answer: Answer, began_s: float) -> None:
        if self._is_sending:
            self._is_spoiled = True
            return
        self._is_sending, self._is_spoiled = True, False
        try:
            await self._pace(rtu_frame(answer.unit, answer.pdu, spoiled=answer.spoiled), began_s)
        finally:
            self._is_sending = False

    async def _pace(self, frame: bytes, began_s: float) -> None:
        """Send the bytes as the baud rate lets them pass; spoiled ones are turned over."""
        loop = asyncio.get_running_loop()
        ended_s = began_s + len(frame) * self._timing.char_s
        sent = 0
        while sent < len(frame):
            await _sleep_until(min(max(loop.time() + _STEP_S, began_s + self._timing.char_s), ended_s))
            is_over = loop.time() >= ended_s
            passed = len(frame) if is_over else int((loop.time() - began_s) / self._timing.char_s)
            part = frame[sent:passed]
            sent = max(sent, passed)
            self._send(bytes(byte ^ 0xFF for byte in part) if self._is_spoiled else part)


async def _sleep_until(instant_s: float) -> None:
    await asyncio.sleep(max(0.0, instant_s - asyncio.get_running_loop().time()))
