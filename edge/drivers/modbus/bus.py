"""One physical line: a block in, its bytes out, or an error of the `BusError` tree.

The only module that knows pymodbus and pyserial. pymodbus carries bytes and codes; the decisions are here:

- At most one request is in flight, with no retries: the schedule above decides who is asked again, and when.
- Only a whole frame with the right unit, function, length and (TCP) transaction is taken for an answer
  (`edge.drivers.modbus.framing`); anything else on the line, before or behind it, is skipped and counted.
- **A late answer is never taken for the next one.** RTU frames carry no transaction id, so the answer to a
  request given up looks like the answer to the next one of equal length to the same unit. After a timeout
  (also a garbled answer, or a request cut short) the line is drained until it is silent, and that unit is not
  asked again before `late_window_s`; `read` waits out the rest of it. Other units go on: their frames are
  told apart by the unit id. This outlives a reconnect, since a converter may deliver old bytes later.
  *Limits*: an answer later than `timeout_s` + `late_window_s` is not recognised, nor is one to a request of
  a process that was killed; give slow converters a longer window. On TCP the transaction id settles it, but
  a TCP-to-RTU gateway may make the same mistake on its own line, out of our sight.
- RTU frames are kept apart by 3.5 characters (1.75 ms above 19200 Bd), or by the line's `pause_s`.
- A peer that closes the connection after its answer is no fault: `read` opens it again and asks, once more
  where the request was lost with it. Without an answer in between that is done only a few times; then the
  line is down, and the poller's growing pauses apply. A unit whose requests alone close the connection has
  not answered; the others go on.
- pymodbus neither retries a failed first connect nor says why it failed; `connect` is one try, gives the
  reason, and the loop around it is the poller's.
"""

import asyncio
import logging
import os
import struct
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Self

from pymodbus import ModbusException
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from edge.drivers.line_timing import LineTiming
from edge.drivers.modbus.framing import Frame, Framing, Request, is_under_way, rtu_frames, tcp_frames
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function, unit_id
from edge.drivers.settings import BusConfig, DeviceAddress, Serial
from edge.errors import (
    GATEWAY_CODES,
    GarbledAnswer,
    GatewayNoAnswer,
    LineDown,
    MeterRefused,
    NoAnswer,
)

# pymodbus calls each silent meter an error, at each poll; the poller says it once.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)

_Client = AsyncModbusTcpClient | AsyncModbusSerialClient
_CONNECT_TIMEOUT_S = 5.0
# Our own time-outs rule; pymodbus has one for everything, and counts it towards closing the connection.
_NEVER_S = 86_400.0
# Longer than USB adapters and converters hold bytes back; a line silent for so long is silent.
_QUIET_S = 0.03
_MAX_DRAIN_S = 1.0
# Several late answers and ours; pymodbus' default holds one frame.
_BUFFER_BYTES = 4096
# How often a connection that was closed is opened again within `read` before an answer must come.
_REOPENS = 5
# A peer that closes after each answer does so at once; later, a device may have been exchanged meanwhile.
_IDLE_S = 60.0


class Bus:
    """A line and who is asked on it.

    Args:
        config: Which line.
        on_late: Called with the unit whenever an answer comes that nobody waits for any more.
    """

    def __init__(self, config: BusConfig, *, on_late: Callable[[int], None] = lambda _unit: None) -> None:
        self._config = config
        self._line: LineTiming = config.timing
        self._on_late = on_late
        self._framing: Framing = rtu_frames if config.is_rtu else tcp_frames
        self._maybe_client: _Client | None = None
        self._one_at_a_time = asyncio.Lock()
        self._maybe_asked: Request | None = None
        self._wanted: tuple[int, Block] = (0, Block(Function.INPUT, 0, 1))
        self._strays = 0
        self._garbage_bytes = 0
        self._active_at_s = float("-inf")
        self._quarantine_s: dict[int, float] = {}
        self._failure = ""
        self._reopens_left = 0
        self._answered_at_s = self._heard_at_s = float("-inf")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def allowed_at_s(self, address: DeviceAddress) -> float:
        """Return the `time.monotonic` instant from which the unit may be asked; one in the past = now."""
        return self._quarantine_s.get(unit_id(address), float("-inf"))

    @property
    def answered_at_s(self) -> float:
        """The `time.monotonic` instant of the last answer of a meter; a gateway's own does not count."""
        return self._answered_at_s

    @property
    def heard_at_s(self) -> float:
        """The `time.monotonic` instant of the last byte that came."""
        return self._heard_at_s

    @property
    def was_closed_idle(self) -> bool:
        """Whether the peer closed a connection that worked, long after the last byte."""
        client = self._maybe_client
        is_closed = client is not None and not client.connected and self._reopens_left > 0
        return is_closed and time.monotonic() - self._heard_at_s > _IDLE_S

    async def connect(self) -> None:
        """Open the line anew; one try.

        Raises:
            LineDown: with the reason.
        """
        self._reopens_left = 0
        await self._open()

    async def _open(self) -> _Client:
        self.close()
        client = self._new_client()
        self._note_failures(client)
        self._failure = f"no connection within {_CONNECT_TIMEOUT_S:g} s"
        is_open = False
        with suppress(TimeoutError):
            async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                is_open = await client.connect()
        if not is_open:
            client.close()
            raise LineDown(f"{self._config.transport}: {self._failure}")
        client.ctx.max_buffer_size = _BUFFER_BYTES
        self._maybe_client = client
        if self._config.is_rtu:
            await self._drain(client)
        return client

    def close(self) -> None:
        """Close the line; it can be connected again."""
        maybe_client, self._maybe_client = self._maybe_client, None
        if maybe_client is not None:
            maybe_client.close()

    async def read(self, unit: int, block: Block) -> bytes:
        """Read a block's registers, in the order of the wire.

        Raises:
            LineDown: the connection is gone; `connect` again.
            NoAnswer: nothing came within the timeout, a gateway in between says so, or this unit's requests
                close the connection.
            GarbledAnswer: something came, but no answer to this.
            MeterRefused: the meter answered with an exception.
        """
        async with self._one_at_a_time:
            answer = await self._ask(unit, block)
        _heed_cancellation()
        return self._taken(answer, block)

    def _taken(self, answer: ModbusPDU, block: Block) -> bytes:
        before_s, self._answered_at_s = self._answered_at_s, self._heard_at_s
        try:
            return _registers(answer, block)
        except NoAnswer:
            # The word of a gateway in between is no answer of the meter.
            self._answered_at_s = before_s
            raise

    async def _ask(self, unit: int, block: Block) -> ModbusPDU:
        """Ask, and once more where the peer closed a connection that had worked."""
        maybe_lost: LineDown | None = None
        for _ in range(2):
            await self._wait_until_allowed(unit)
            client = await self._connected()
            try:
                answer = await self._exchange(client, unit, block)
            except LineDown as error:
                if not self._reopens_left:
                    raise
                maybe_lost = error
            else:
                self._reopens_left = _REOPENS if self._config.is_network else 0
                return answer
        raise NoAnswer(f"unit {unit}: the connection is closed instead of an answer") from maybe_lost

    async def _connected(self) -> _Client:
        """Return the open connection; one that had worked and was closed is opened again.

        Raises:
            LineDown: when it had not worked, or cannot be opened.
        """
        client = self._maybe_client
        if client is not None and client.connected:
            return client
        if not self._reopens_left:
            raise LineDown(f"{self._config.transport}: not connected")
        self._reopens_left -= 1
        return await self._open()

    async def _wait_until_allowed(self, unit: int) -> None:
        """Keep the late window, and the silence between frames."""
        silence_s = max(self._line.silence_s, self._config.pause_s)
        allowed_s = max(self._active_at_s + silence_s, self.allowed_at_s(unit))
        await asyncio.sleep(max(0.0, allowed_s - time.monotonic()))

    async def _exchange(self, client: _Client, unit: int, block: Block) -> ModbusPDU:
        self._wanted = (unit, block)
        ask = (
            client.read_holding_registers
            if block.function is Function.HOLDING
            else client.read_input_registers
        )
        try:
            with self._in_flight(client, unit):
                async with asyncio.timeout(
                    self._config.timeout_s + block.wire_characters * self._line.char_s
                ):
                    return await ask(block.address, count=block.count, device_id=unit)
        except TimeoutError:
            garbage_bytes = self._garbage_bytes
        except ModbusException as error:
            raise LineDown(f"{self._config.transport}: {error}") from error
        if self._config.is_rtu:
            await self._drain(client)
        what = f"unit {unit}, {block.count} registers at {block.address}"
        if garbage_bytes:
            raise GarbledAnswer(f"{what}: {garbage_bytes} bytes that are no answer")
        raise NoAnswer(f"{what}: silent for {self._config.timeout_s:g} s")

    @contextmanager
    def _in_flight(self, client: _Client, unit: int) -> Iterator[None]:
        """Whatever ends the request early, its answer may still come."""
        is_answered = False
        self._forget(client)
        try:
            yield
            is_answered = True
        finally:
            self._maybe_asked = None
            if is_answered:
                self._forget(client)
                self._quarantine_s.pop(unit, None)
            elif self._config.is_rtu:
                self._quarantine_s[unit] = time.monotonic() + self._config.late_window_s

    async def _drain(self, client: _Client) -> None:
        """Wait until the line is silent, for a while at most."""
        now_s = time.monotonic()
        deadline_s = now_s + _MAX_DRAIN_S
        quiet_s = now_s + self._line.silence_s + _QUIET_S
        while quiet_s > now_s and now_s < deadline_s and client.connected:
            await asyncio.sleep(quiet_s - now_s)
            now_s = time.monotonic()
            quiet_s = self._active_at_s + self._line.silence_s + _QUIET_S

    def _forget(self, client: _Client) -> None:
        client.ctx.recv_buffer = b""
        self._strays = self._garbage_bytes = 0

    def _new_client(self) -> _Client:
        way = self._config.transport
        if isinstance(way, Serial):
            return AsyncModbusSerialClient(
                str(way.path),
                baudrate=way.baud,
                parity=way.parity,
                stopbits=way.stop_bits,
                timeout=_NEVER_S,
                retries=0,
                reconnect_delay=0,
                trace_packet=self._on_bytes,
                trace_connect=self._on_connection,
            )
        return AsyncModbusTcpClient(
            way.host,
            port=way.port,
            framer=FramerType.RTU if self._config.is_rtu else FramerType.SOCKET,
            timeout=_NEVER_S,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._on_bytes,
            trace_connect=self._on_connection,
        )

    def _note_failures(self, client: _Client) -> None:
        """Keep the reason of a failed connect, which pymodbus only logs; a pty's termios error is one too."""
        create = client.ctx.call_create

        async def creating() -> object:
            try:
                return await create()
            except (OSError, termios.error) as error:
                self._failure = _reason(error)
                raise OSError(self._failure) from error

        client.ctx.call_create = creating

    def _on_connection(self, is_up: bool) -> None:  # noqa: FBT001 - pymodbus' signature
        """End a pending request at once when the connection breaks; pymodbus would wait for its timeout."""
        client = self._maybe_client
        if not is_up and client is not None and self._maybe_asked is not None:
            pending = client.ctx.response_future
            if not pending.done():
                pending.set_exception(LineDown(f"{self._config.transport}: connection lost"))

    def _on_bytes(self, is_sending: bool, data: bytes) -> bytes:  # noqa: FBT001 - pymodbus' signature
        """Pass a request on; of what was received so far, show pymodbus the answer and nothing else."""
        self._active_at_s = time.monotonic()
        if is_sending:
            unit, block = self._wanted
            transaction = 0 if self._config.is_rtu else int.from_bytes(data[:2], "big")
            self._maybe_asked = Request(unit, block, transaction)
            # The last byte leaves the wire this much later.
            self._active_at_s += len(data) * self._line.char_s
            return data
        self._heard_at_s = self._active_at_s
        self._garbage_bytes = len(data)
        asked = self._maybe_asked
        if asked is not None and self._config.is_rtu and is_under_way(data, asked):
            return b""
        strays: list[Frame] = []
        for frame in self._framing(data):
            if asked is not None and frame.answers(asked):
                self._maybe_asked = None
                self._count(strays)
                return frame.raw
            if asked is None or not frame.is_rival(asked):
                strays.append(frame)
        self._garbage_bytes -= sum(len(frame.raw) for frame in strays)
        self._count(strays)
        return b""

    def _count(self, strays: list[Frame]) -> None:
        """Count each frame once, though the buffer is seen again with every byte."""
        for frame in strays[self._strays :]:
            self._on_late(frame.unit)
        self._strays = max(self._strays, len(strays))


def _reason(error: Exception) -> str:
    """Return the system's word for it once, without numbers."""
    number, *text = error.args
    if not isinstance(number, int) or not text:
        return str(error)
    said, meaning = str(text[0]).replace(f"[Errno {number}] ", ""), os.strerror(number)
    return said if meaning in said else f"{said}: {meaning}"


def _heed_cancellation() -> None:
    """Let a cancelled task end: in Python 3.11 the `wait_for` in pymodbus may give the answer instead."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _registers(answer: ModbusPDU, block: Block) -> bytes:
    if isinstance(answer, ExceptionResponse):
        what = f"{block.count} registers at {block.address}"
        if answer.exception_code in GATEWAY_CODES:
            raise GatewayNoAnswer(answer.exception_code, what)
        raise MeterRefused(answer.exception_code, what)
    return struct.pack(f">{len(answer.registers)}H", *answer.registers)
