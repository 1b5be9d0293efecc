"""Nothing is left behind: the journal rebuilds the databases, and an edit of the park duplicates no reading."""

import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.counting_meter import counting_meters
from tests.system.chain import PARK, Chain, chain, wait_until

METERS = ("m-1", "m-2", "m-3")
RAW = f"{PARK}_raw"


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Chain]:
    """A chain whose programs have stored some minutes' worth of rows and ended."""
    with counting_meters() as meters, chain(tmp_path) as park:
        write_park(park, moved=False)
        park.write_ingest()
        park.write_gateway(
            "gw-1",
            buses={"tcp": {"tcp": f"127.0.0.1:{meters.port}"}},
            meters=[
                {"id": meter, "model": "eastron-sdm120", "bus": "tcp", "address": unit, "poll_s": 0.2}
                for unit, meter in enumerate(METERS, 1)
            ],
        )
        park.start_ingest()
        park.start_gateway("gw-1")
        wait_until("rows are stored", lambda: len(park.rows("electricity")) > 50)
        assert park.programs["gw-1"].stop() == 0
        assert park.programs["ingest"].stop() == 0
        yield park


def write_park(park: Chain, *, moved: bool) -> None:
    """Describe the park; `moved` takes a meter to another zone, long ago."""
    place = [{"zone": "z1", "valid_to": "2021-01-01"}, {"zone": "z2", "valid_from": "2021-01-01"}]
    description: dict[str, Any] = {meter: {"medium": "electricity", "place": "z1"} for meter in METERS}
    if moved:
        description[METERS[0]]["place"] = place
    park.write_park(description)


def dump(park: Chain) -> dict[tuple[str, ...], list[list[object]]]:
    """Return every point of every raw measurement but `late`, by measurement and tags."""
    names = [row[0] for one in park.query(RAW, "SHOW MEASUREMENTS") for row in one["values"]]
    return {
        (name, *(f"{key}={value}" for key, value in sorted(one["tags"].items()))): one["values"]
        for name in names
        if name != "late"
        for one in park.query(RAW, f'SELECT * FROM "{name}" GROUP BY *')
    }


def drop_databases(park: Chain) -> None:
    """Delete the park's databases, as a person or a broken disk would."""
    for name in (RAW, f"{PARK}_rollup"):
        body = urllib.parse.urlencode({"q": f'DROP DATABASE "{name}"'}).encode()
        urllib.request.urlopen(f"{park.influx.url}/query", data=body, timeout=30).close()


@pytest.mark.servers
@pytest.mark.slow
def test_the_journal_rebuilds_the_databases_point_for_point(filled: Chain) -> None:
    before = dump(filled)
    assert {key[0] for key in before} == {"electricity", "meters"}
    config = str(filled.folder / "ingest.yaml")

    drop_databases(filled)
    filled.run("zonewise-ingest", "init", "--config", config)
    assert dump(filled) == {}
    filled.run("zonewise-ingest", "journal", "replay", "--config", config)

    assert dump(filled) == before


@pytest.mark.servers
@pytest.mark.slow
def test_a_park_edit_with_a_past_date_duplicates_no_reading(filled: Chain) -> None:
    before = dump(filled)

    write_park(filled, moved=True)
    filled.run("zonewise-ingest", "journal", "replay", "--config", str(filled.folder / "ingest.yaml"))

    assert dump(filled) == before
