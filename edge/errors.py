"""Errors of the gateway: whose fault, and will the same try ever work?

EdgeError
├── BusError                          one request to one meter failed
│   ├── LineDown           transient  the bus: port, cable or converter unusable; no meter is to blame
│   ├── NoAnswer           transient  the meter: silent within the timeout; the line itself works
│   │   └── GatewayNoAnswer  transient  a Modbus gateway in between says that the meter is silent
│   ├── GarbledAnswer      transient  the line: bytes that are no answer to this request (CRC, length, unit)
│   └── MeterRefused       by code    the meter: it answered "no" with a Modbus exception
├── DecodeError            permanent  our table: bytes whose shape does not fit the register
├── ImplausibleValue       transient  the meter or the table: an exponent or code that nothing can be made of
├── UnknownModel           permanent  the configuration: no such model in the catalogue
├── MessageTooLarge        permanent  us: the broker would drop a message over the limit
└── OutboxError            by cause   the gateway's disk
    ├── OutboxCorrupt      permanent  the file cannot be read; it is set aside
    └── OutboxUnavailable  transient  the disk refuses (full, read-only); memory takes over

`transient` on every error: whether the same try may work later without anybody changing anything.
"""

from enum import IntEnum


class EdgeError(Exception):
    """Root of the gateway's errors."""

    transient: bool = False


class BusError(EdgeError):
    """One request to one meter failed; other meters on the bus may still answer."""

    transient = True


class LineDown(BusError):
    """The port cannot be opened or the connection broke: nobody on this bus can be asked."""


class NoAnswer(BusError):
    """The meter said nothing within the timeout."""


class GatewayNoAnswer(NoAnswer):
    """A Modbus gateway in between answered for the meter: exception 0x0A or 0x0B.

    It counts as the meter's silence; the connection to the gateway works.

    Attributes:
        code: Exception code as received.
    """

    def __init__(self, code: int, detail: str = "") -> None:
        says = _GATEWAY_SAYS[code]
        where = f"{detail}: " if detail else ""
        super().__init__(f"{where}the Modbus gateway in between reports {says} (exception {code})")
        self.code = code


class GarbledAnswer(BusError):
    """Bytes arrived that are no answer to the request: wrong CRC, length, unit id or function."""


class ExceptionCode(IntEnum):
    """Modbus exception codes (MODBUS Application Protocol Specification V1.1b3, section 7)."""

    ILLEGAL_FUNCTION = 1
    ILLEGAL_DATA_ADDRESS = 2
    ILLEGAL_DATA_VALUE = 3
    SERVER_DEVICE_FAILURE = 4
    ACKNOWLEDGE = 5
    SERVER_DEVICE_BUSY = 6
    MEMORY_PARITY_ERROR = 8
    GATEWAY_PATH_UNAVAILABLE = 10
    GATEWAY_TARGET_FAILED_TO_RESPOND = 11


_NAMES = {int(code): code.name for code in ExceptionCode}

_GATEWAY_SAYS = {
    int(ExceptionCode.GATEWAY_PATH_UNAVAILABLE): "that it has no path to the meter",
    int(ExceptionCode.GATEWAY_TARGET_FAILED_TO_RESPOND): "that the meter does not answer it",
}
#: Codes of a gateway in between, which say nothing of the meter but that it is silent.
GATEWAY_CODES = frozenset(_GATEWAY_SAYS)

# The meter needs time, and the same request is good.
_BUSY = frozenset({ExceptionCode.ACKNOWLEDGE, ExceptionCode.SERVER_DEVICE_BUSY})
_PERMANENT = frozenset(
    {
        ExceptionCode.ILLEGAL_FUNCTION,
        ExceptionCode.ILLEGAL_DATA_ADDRESS,
        ExceptionCode.ILLEGAL_DATA_VALUE,
    }
)


class MeterRefused(BusError):
    """The meter answered with an exception.

    Attributes:
        code: Exception code as received; those outside `ExceptionCode` are a vendor's own.
        reason: Name and code.
        transient: False where the same request is refused for ever as a rule (function, address or count). A
            meter that is starting says so too: it is asked again all the same (`edge.drivers.missing`).
    """

    def __init__(self, code: int, detail: str = "") -> None:
        name = _NAMES.get(code, "exception of the vendor's own")
        self.reason = f"{name} ({code})"
        super().__init__(f"{self.reason}{': ' + detail if detail else ''}")
        self.code = code
        self.transient = code not in _PERMANENT

    @property
    def is_busy(self) -> bool:
        """Whether the meter only needs time; any other refusal may be due to one register of the block.

        Code 4 and a vendor's own are sent for single registers too, and 3 for a block that is too long.
        """
        return self.code in _BUSY


class DecodeError(EdgeError):
    """Bytes do not have the shape that the register's table says; the same bytes never decode."""


class ImplausibleValue(EdgeError):
    """A register that others depend on (exponent, unit code) holds what its table does not know.

    Reading it again later may give another value: a meter that has just started, for one.
    """

    transient = True


class UnknownModel(EdgeError):
    """The catalogue has no such model; the message names the nearest ones."""


class MessageTooLarge(EdgeError):
    """A message would exceed what the broker accepts; it is not built."""


class OutboxError(EdgeError):
    """The outbox's file cannot serve; polling goes on."""


class OutboxCorrupt(OutboxError):
    """The file is not a usable outbox."""


class OutboxUnavailable(OutboxError):
    """The disk refuses now: full, read-only, or gone."""

    transient = True
