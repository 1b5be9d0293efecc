"""The demo's folder: emptied only when it is a demo's, held by one demo at a time, with configuration that fits."""

from pathlib import Path

import pytest

from edge.config.gateway import load_config
from metering.park.file import load_parks
from simulators.demo.site import PARKS, empty_folder, write_site
from simulators.errors import DemoFailed, DemoIsRunning
from simulators.wires import load_wires


def test_a_demos_folder_is_emptied(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with empty_folder(folder):
        (folder / "data").mkdir()
        (folder / "data" / "old").write_text("old")
        (folder / "line1").symlink_to("/dev/null")
    with empty_folder(folder):
        assert [entry.name for entry in folder.iterdir()] == [".zonewise-demo"]


def test_a_folder_with_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoFailed, match="not empty"), empty_folder(tmp_path):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_a_folder_is_held_by_one_demo(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with empty_folder(folder):
        with pytest.raises(DemoIsRunning), empty_folder(folder):
            pass
        (folder / "kept").touch()
        assert (folder / "kept").exists()
    with empty_folder(folder):
        pass


def test_the_written_configuration_is_valid_and_names_this_runs_places(tmp_path: Path) -> None:
    site = write_site(tmp_path, PARKS / "demo", broker_port=4711, store_url="http://127.0.0.1:4712")
    wires = load_wires(site.simulated)
    parks = load_parks(tmp_path / "parks")
    meters = {meter for gateway in wires.gateways for meter in gateway.meter_ids}
    assert set(parks) == {wires.park}
    assert meters == set(parks[wires.park].meters)
    models = {meter.model for gateway in wires.gateways for meter in gateway.meters}
    assert len(models) == 10
    for gateway in wires.gateways:
        config = load_config(site.gateway(gateway.gateway))
        assert config.broker.port == 4711
        for bus in gateway.buses.values():
            assert bus.serial is None or Path(bus.serial).parent == tmp_path
