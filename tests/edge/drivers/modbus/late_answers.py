"""Two units asked in turn on a line where one answers late: shared by the tests of serial lines and converters."""

from collections import Counter

from edge.drivers.modbus.bus import Bus
from edge.drivers.modbus.plan import Block
from edge.drivers.modbus.profile import Function
from edge.errors import BusError
from tests.peers.modbus_meters import content

#: Neighbouring blocks of equal length: an answer to one could be taken for an answer to the other.
LOW = Block(Function.HOLDING, 100, 10)
HIGH = Block(Function.HOLDING, 110, 10)


async def ask_in_turn(bus: Bus, *, slow: int, quick: int) -> Counter[str]:
    """Ask a slow and a quick unit, compare what comes, and count outcomes (`5 read`, `5 NoAnswer`).

    Raises:
        AssertionError: when an answer is not the one to its request.
    """
    outcomes: Counter[str] = Counter()
    await bus.connect()
    for unit, block in [(slow, LOW), (quick, HIGH), (slow, HIGH), (quick, LOW), (slow, LOW), (quick, HIGH)]:
        try:
            answer = await bus.read(unit, block)
        except BusError as error:
            outcomes[f"{unit} {type(error).__name__}"] += 1
        else:
            outcomes[f"{unit} read"] += 1
            assert answer == content(unit, block.address, block.count), "a late answer was taken for this one"
    return outcomes
