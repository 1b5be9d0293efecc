"""New points in the place of old ones: what is written, deleted and kept as history."""

from ingest.rollup.series.replacement import Counts, Replacement
from ingest.store.contract import Series
from metering.series import SLOT_MS
from tests.peers.memory_store import MemoryStore

TAGS = (("meter", "m"),)
OLD = {"a": 5, "a_quality": 2, "a_coverage": 0, "b": 7, "b_quality": 0, "b_coverage": 1}


def store() -> MemoryStore:
    found = MemoryStore()
    found.ensure("p_rollup")
    found.write(
        "p_rollup", b"meter_15m,meter=m,park=p a=5,a_quality=2i,a_coverage=0,b=7,b_quality=0i,b_coverage=1 0"
    )
    return found


def replaced(into: MemoryStore, after: dict[str, float | int | str], *, settled_ms: int) -> Counts:
    changes = Replacement("meter_15m", "p")
    changes.add(TAGS, {0: OLD}, {0: after} if after else {}, settled_ms=settled_ms)
    return changes.make(into, reason="late", now_ms=99)


def history(of: MemoryStore) -> list[Series]:
    return of.query("p_rollup", 'SELECT * FROM "meter_15m_history" GROUP BY "version", "meter", "park"')


def test_a_changed_value_is_kept_with_its_quality_and_coverage_and_no_other() -> None:
    influx = store()

    assert replaced(influx, {**OLD, "a": 6.0, "b_quality": 3}, settled_ms=1) == Counts(1, 1, 0)

    (kept,) = history(influx)
    assert dict(zip(kept.columns, kept.rows[0], strict=True)) == {
        "time": 0, "a": 5, "a_quality": 2, "a_coverage": 0, "reason": "late", "revised_at": 99,
    }  # fmt: skip
    assert kept.tags == {"version": "1", "meter": "m", "park": "p"}
    # A field's type is that of the original: a quality is an integer, a value and a coverage are floats.
    ((fields,),) = (points.values() for points in influx.databases["p_rollup"]["meter_15m_history"].values())
    assert [type(fields[name]) for name in ("a", "a_quality", "a_coverage")] == [float, int, float]


def test_what_was_not_settled_or_only_changes_its_quality_leaves_no_history() -> None:
    influx = store()

    assert replaced(influx, {**OLD, "a": 6.0}, settled_ms=0) == Counts(1, 0, 0)
    assert replaced(influx, {**OLD, "a_quality": 3, "a_coverage": 1.0}, settled_ms=SLOT_MS) == Counts(1, 0, 0)

    assert history(influx) == []


def test_fields_and_points_that_are_no_more_are_deleted_and_kept() -> None:
    influx = store()
    without_b: dict[str, float | int | str] = {"a": 5.0, "a_quality": 2, "a_coverage": 0.0}

    assert replaced(influx, without_b, settled_ms=1) == Counts(1, 1, 1)
    (left,) = influx.query("p_rollup", 'SELECT * FROM "meter_15m" GROUP BY "meter", "park"')
    assert set(left.columns) == {"time", *without_b}
    assert {"b", "b_quality", "b_coverage"} <= set(history(influx)[0].columns)

    assert replaced(influx, {}, settled_ms=1) == Counts(0, 1, 1)
    assert influx.query("p_rollup", 'SELECT * FROM "meter_15m"') == []
    assert [one.tags["version"] for one in history(influx)] == ["1", "2"]


def test_what_is_the_same_is_left_alone() -> None:
    assert replaced(store(), dict(OLD), settled_ms=1) == Counts()
