"""docs/schema.md against the code: every name stands in it, every example is read by our own decoders."""

import re
from pathlib import Path

import pytest

from metering import series
from metering.messages import ack, birth, status, topics
from metering.messages import data as message
from metering.quantities import VOCABULARY, Medium, Quantity
from metering.readings import ReadingFlag
from metering.series import GroupField, IntervalQuality, Level, MemberLevel

PAGE = (Path(__file__).parents[2] / "docs/schema.md").read_text(encoding="utf-8")
MEASUREMENTS = {
    series.METERS,
    series.LATE,
    series.METER_15M,
    series.GROUP_15M,
    series.GROUP_LIVE,
    series.MEMBER,
    series.EVENT,
    series.PARK_EDITION,
    series.GATEWAY_STATUS,
    *Medium,
}
STATUS_FIELDS = {"online", "read", "stored", "quarantined", "held", "dropped", *status.COUNTERS}


def names_in_code() -> set[str]:
    """Public text constants of `metering.series`."""
    return {value for name, value in vars(series).items() if name.isupper() and isinstance(value, str)}


@pytest.mark.parametrize("name", sorted(MEASUREMENTS))
def test_every_measurement_has_a_heading(name: str) -> None:
    assert re.search(rf"^### .*`{name}`", PAGE, re.MULTILINE)


def test_no_constant_of_the_series_is_forgotten() -> None:
    suffixes = {series.RAW_SUFFIX, series.ROLLUP_SUFFIX, series.HISTORY_SUFFIX}

    assert [name for name in names_in_code() - suffixes if f"`{name}`" not in PAGE] == []
    assert [suffix for suffix in suffixes if suffix not in PAGE] == []


@pytest.mark.parametrize(
    "name", [*GroupField, *Level, *MemberLevel, *sorted(STATUS_FIELDS), series.LIVE_POWER, series.LIVE_FLOW]
)
def test_every_field_and_level_stands_in_it(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("quantity", VOCABULARY.values(), ids=lambda quantity: quantity.name)
def test_every_quantity_has_its_unit_and_kind(quantity: Quantity) -> None:
    media = ", ".join(sorted(quantity.media))

    assert f"| `{quantity.name}` | {quantity.unit} | {quantity.kind} | {media} |" in PAGE


def test_no_quantity_is_listed_that_does_not_exist() -> None:
    listed = re.findall(r"^\| `(\w+)` \| \S+ \| (?:gauge|counter) ", PAGE, re.MULTILINE)

    assert set(listed) == set(VOCABULARY)


@pytest.mark.parametrize("flag", ReadingFlag)
def test_every_bit_of_a_reading_is_explained(flag: ReadingFlag) -> None:
    assert f"| {flag.value} | `{flag.name}` |" in PAGE


@pytest.mark.parametrize("quality", IntervalQuality)
def test_every_interval_quality_is_explained(quality: IntervalQuality) -> None:
    assert f"| {quality.value} | `{quality.name}` |" in PAGE


@pytest.mark.parametrize("reason", message.REASONS)
def test_every_reason_is_named(reason: str) -> None:
    assert f"`{reason}`" in PAGE


@pytest.mark.parametrize("kind", topics.GATEWAY_KINDS)
def test_every_topic_of_a_gateway_is_listed(kind: str) -> None:
    assert f"`{topics.PREFIX}/<park>/<gateway>/{kind}`" in PAGE


@pytest.mark.parametrize("kind", topics.INGEST_KINDS)
def test_every_topic_of_ingest_is_listed(kind: str) -> None:
    assert f"`{topics.PREFIX}/<park>/_ingest/<instance>/{kind}`" in PAGE


def example(kind: str) -> bytes:
    found = re.search(rf"```json {kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1].encode()


def test_the_examples_are_valid_messages() -> None:
    assert message.decode(example("data")).row_count == 3
    assert set(birth.decode(example("birth")).meters) == {"hall-a-main"}
    assert [account.balance for account in status.decode(example("status")).accounts] == [0]
    assert ack.covers(ack.decode(example("ack")).acks[0], message.MessageId("9f86d081884c7d65", 43))


def test_properties_of_the_data_message_are_named() -> None:
    names = {value for name, value in vars(message).items() if name.startswith("PROPERTY_")}

    assert [name for name in names if f"`{name}`" not in PAGE] == []
