"""What version 0.1 wrote must stay readable, to the letter."""

from pathlib import Path

import pytest

from metering.messages import ack, birth, status
from metering.messages import data as message
from metering.park.file import load_park
from metering.park.model import Place, Role

OLD = Path(__file__).parent / "0.1"
EPOCH = "00112233445566aa"


@pytest.mark.parametrize("name", ["data.json", "data.deflated"])
def test_data_of_0_1(name: str) -> None:
    envelope = message.decode((OLD / name).read_bytes())

    assert (envelope.gateway, envelope.id, envelope.row_count) == ("gw-1", message.MessageId(EPOCH, 7), 3)
    assert [(block.medium, block.quantities, list(block.rows)) for block in envelope.blocks] == [
        (
            "electricity",
            ("energy_import_wh", "active_power_w"),
            [
                ["z1-main", 1790000000123, 0, 123456780, 5321.5],
                ["z1-press", 1790000000456, 4, None, -12.25],
            ],
        ),
        ("water", ("volume_l",), [["z1-water", 1790000000789, 0, 4711]]),
    ]


def test_ack_of_0_1() -> None:
    assert ack.decode((OLD / "ack.json").read_bytes()) == ack.Ack(
        1790000001000,
        (ack.EpochAck(EPOCH, ((1, 5), (7, 7)), 41, (ack.Quarantined(3, 2, "foreign_meter"),)),),
    )


def test_birth_of_0_1() -> None:
    old = birth.decode((OLD / "birth.json").read_bytes())

    assert (old.gateway, old.epoch, old.time_ms, old.software) == ("gw-1", EPOCH, 1790000000000, "0.1.0")
    assert old.meters["z1-main"].model == "eastron-sdm630"
    assert old.meters["z1-main"].counters == {"energy_import_wh": birth.CounterFacts(10.0, None)}


def test_status_of_0_1() -> None:
    old = status.decode((OLD / "status.json").read_bytes())

    assert old.accounts == (status.EpochAccount(EPOCH, 50, 41, 2, 7, 0),)
    assert status.decode_ingest((OLD / "ingest-status.json").read_bytes())


def test_park_of_0_1() -> None:
    park = load_park(OLD / "park.yaml")

    assert park.meters["press"].place.values == (Place("north", "hall"), Place("south"))
    assert park.meters["pv"].role is Role.GENERATION
    assert park.meters["press"].gateway.values == ("gw-1", "gw-2")
