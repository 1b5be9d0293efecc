"""Configuration files that version 0.1 took must still be taken, and mean the same."""

from fractions import Fraction
from pathlib import Path

from edge.config.gateway import load_config as load_gateway
from edge.drivers.settings import RtuOverTcp, Serial, Tcp
from ingest.config import load_config as load_ingest
from ingest.store.settings import Flavour

OLD = Path(__file__).parent / "0.1"


def test_gateway_of_0_1() -> None:
    old = load_gateway(OLD / "gateway.yaml")

    assert (old.park, old.gateway, old.clock, str(old.http)) == ("demo", "gw-1", "ntp", "127.0.0.1:9101")
    assert [bus.transport for bus in old.buses] == [
        Tcp("10.0.0.5", 502),
        Serial(Path("/dev/serial/by-id/usb-rs485"), 19200, "N", 2),
        RtuOverTcp("10.0.0.6", 4001, 9600),
    ]
    assert [bus.late_window_s for bus in old.buses] == [3.0, 2.0, 3.0]
    assert old.meters == ("main", "press", "well", "cooling", "old")
    assert (old.outbox.always, old.outbox.max_mb, old.outbox.spill_after_s) == (True, 200, 5)
    assert old.warnings == ()


def test_wiring_and_overrides_of_0_1() -> None:
    main, press, _pulses, iskra = load_gateway(OLD / "gateway.yaml").devices

    assert (main.wiring.ct, main.wiring.vt, main.poll_s) == (Fraction(80), Fraction(200), 5)
    assert (press.profile.model, press.wiring.is_reversed) == ("eastron-sdm630", True)
    addresses = {spec.quantity: spec.register.address for spec in iskra.profile.channel()}
    assert addresses["energy_import_wh"] == 406
    assert "frequency_hz" not in addresses


def test_ingest_of_0_1() -> None:
    old = load_ingest(OLD / "ingest.yaml")

    assert (old.instance, old.share_group, str(old.http)) == ("2", "region", "127.0.0.1:9103")
    assert (old.store.flavour, old.store.org, old.store.token_file) == (
        Flavour.TWO,
        "zonewise",
        OLD.absolute() / "secrets/token",
    )
    assert (old.journal_folder, old.journal.keep_days) == (Path("/srv/journal"), 3650)
    assert (old.broker.host, old.broker.port, old.broker.username) == ("localhost", 8883, "ingest")
