"""STAND-IN for meters: a Modbus TCP device whose import counter rises by one step per answer.

Every unit id answers every input register. An answer that covers register 0x48 of an Eastron SDM120 (import, a
float of kWh) carries that unit's next number, so a missing row shows as a missing number. It is no model of a
meter's electrics: all other registers say 0. Sources: Modbus Messaging on TCP/IP Implementation Guide V1.0b
(header), facts of the catalogue's `eastron-sdm120` table (register).
"""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

IMPORT_REGISTER = 0x48
#: Where the catalogue looks for the model, and what an SDM120 says there.
MODEL_REGISTER = 0xFC02
MODEL_CODE = 0x20
#: Wh that one answer adds.
STEP_WH = 1000


class CountingMeters(socketserver.ThreadingTCPServer):
    """The device; `counts` has the last number that each unit has answered."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.counts: dict[int, int] = {}
        self.mute = False
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    def registers(self, unit: int, address: int, count: int) -> bytes:
        """Return the bytes of an answer, and count it where it carries the counter."""
        image = bytearray(2 * count)
        if address <= MODEL_REGISTER < address + count:
            struct.pack_into(">H", image, 2 * (MODEL_REGISTER - address), MODEL_CODE)
        place = 2 * (IMPORT_REGISTER - address)
        if 0 <= place <= len(image) - 4:
            with self._lock:
                self.counts[unit] = self.counts.get(unit, 0) + 1
                struct.pack_into(">f", image, place, float(self.counts[unit]))
        return bytes(image)


class _Connection(socketserver.BaseRequestHandler):
    server: CountingMeters

    def handle(self) -> None:
        while header := self._exactly(7):
            transaction, _protocol, length, unit = struct.unpack(">HHHB", header)
            request = self._exactly(length - 1)
            if not request:
                return
            if self.server.mute:
                continue
            function, address, count = struct.unpack(">BHH", request[:5])
            data = self.server.registers(unit, address, count)
            answer = struct.pack(">BB", function, len(data)) + data
            self.request.sendall(struct.pack(">HHHB", transaction, 0, len(answer) + 1, unit) + answer)

    def _exactly(self, size: int) -> bytes:
        received = b""
        while len(received) < size:
            try:
                part = self.request.recv(size - len(received))
            except OSError:
                return b""
            if not part:
                return b""
            received += part
        return received


@contextmanager
def counting_meters() -> Iterator[CountingMeters]:
    """Run the device while the block runs."""
    with CountingMeters() as meters:
        thread = threading.Thread(target=meters.serve_forever, name="counting-meters", daemon=True)
        thread.start()
        try:
            yield meters
        finally:
            meters.shutdown()
            thread.join()
