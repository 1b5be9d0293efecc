"""Acknowledgements: what is safe, gathered per gateway and sent together. Pure.

An outcome enters when its message is safe, never before: fsynced in the journal, and each row in InfluxDB or
in the quarantine. A lost acknowledgement does no harm: the gateway sends the message again.
"""

from collections import defaultdict
from dataclasses import dataclass

from metering.messages.ack import Ack, EpochAck, Quarantined, to_ranges
from metering.messages.data import MessageId


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a message that is safe.

    Attributes:
        id: Its epoch and seq.
        rows_stored: Rows in InfluxDB.
        quarantined: Rows in the quarantine and why, one pair per reason.
    """

    id: MessageId
    rows_stored: int
    quarantined: tuple[tuple[int, str], ...] = ()


class PendingAcks:
    """Outcomes that are still to be acknowledged, by gateway."""

    def __init__(self) -> None:
        # By id, so that a message that came twice is acknowledged once.
        self._outcomes: dict[str, dict[MessageId, Outcome]] = defaultdict(dict)

    def add(self, gateway: str, outcome: Outcome) -> None:
        """Note that a message is safe."""
        self._outcomes[gateway][outcome.id] = outcome

    def __bool__(self) -> bool:
        return bool(self._outcomes)

    def take(self, now_ms: int) -> list[tuple[str, Ack]]:
        """Return one acknowledgement per gateway with everything noted since the last time."""
        taken, self._outcomes = self._outcomes, defaultdict(dict)
        return [(gateway, _ack(list(outcomes.values()), now_ms)) for gateway, outcomes in taken.items()]


def _ack(outcomes: list[Outcome], now_ms: int) -> Ack:
    by_epoch: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_epoch[outcome.id.epoch].append(outcome)
    return Ack(now_ms, tuple(_epoch_ack(epoch, some) for epoch, some in by_epoch.items()))


def _epoch_ack(epoch: str, outcomes: list[Outcome]) -> EpochAck:
    return EpochAck(
        epoch=epoch,
        seqs=to_ranges(one.id.seq for one in outcomes),
        rows_stored=sum(one.rows_stored for one in outcomes),
        quarantined=tuple(
            Quarantined(one.id.seq, rows, reason) for one in outcomes for rows, reason in one.quarantined
        ),
    )
