"""gateway.yaml: what it means, and every mistake with its place."""

import copy
import json
import time
from fractions import Fraction
from pathlib import Path

import jsonschema
import pytest
import yaml

from edge.config.gateway import ClockSource, load_config
from edge.drivers.settings import RtuOverTcp, Serial, Tcp
from edge.drivers.transformers import SECONDARY_A, SECONDARY_V, maybe_primary
from metering.errors import ConfigError
from metering.program.addresses import Address

SCHEMA = Path(__file__).parents[3] / "docs" / "schema" / "gateway.schema.json"

WHOLE = """\
park: demo
gateway: gw-1
broker:
  host: broker.example
  port: 8883
  username: gw-1
  password_file: secrets/gw-1
  tls: {ca_file: ca.pem, cert_file: gw.pem, key_file: /etc/gw.key}
clock: trusted
http: 127.0.0.1:0
outbox: {path: out.db, durability: always, max_mb: 100, max_days: 7, spill_after_s: 5}
buses:
  main: {tcp: 10.0.0.5:502, timeout_s: 0.8}
  line1: {serial: /dev/serial/by-id/usb-x, baud: 19200, parity: N, stop_bits: 2, late_window_s: 5, pause_ms: 20}
  conv: {rtu_over_tcp: 10.0.0.6:4001, baud: 2400}
  spare: {tcp: 10.0.0.7:502}
meters:
  - {id: z1-main, model: eastron-sdm630, bus: main, address: 1, ct: 250/5, vt: 20000/100, reversed: true}
  - {id: z1-direct, model: SDM120, bus: main, address: 255, poll_s: 2.5, ct: 40}
  - {model: wirenboard-wb-mwac-v2, bus: line1, address: 7, channels: {1: z2-water, 2: z3-water}}
  - id: z4-main
    model: eastron-sdm630
    bus: conv
    address: 7
    overrides:
      frequency_hz: null
      energy_import_wh: {scale: 1, step: 1, address: 0x0500}
"""


def load(folder: Path, text: str):  # noqa: ANN201 - as load_config
    path = folder / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path)


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text)
    return [str(problem).removeprefix(f"{folder}/") for problem in caught.value.problems]


def test_everything_arrives_where_it_is_used(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    assert (config.park, config.gateway, config.clock) == ("demo", "gw-1", ClockSource.TRUSTED)
    assert config.http == Address("127.0.0.1", 0)
    assert config.broker.password_file == tmp_path / "secrets/gw-1"
    assert config.broker.tls is not None
    assert config.broker.tls.ca_file == tmp_path / "ca.pem"
    assert config.broker.tls.key_file == Path("/etc/gw.key")
    assert config.outbox.path == tmp_path / "out.db"
    assert config.outbox.always
    main, line1, conv, _spare = config.buses
    assert main.transport == Tcp("10.0.0.5", 502)
    assert not main.is_rtu
    assert line1.transport == Serial(Path("/dev/serial/by-id/usb-x"), 19200, "N", 2)
    assert (line1.late_window_s, line1.pause_s, line1.is_rtu, line1.is_network) == (5, 0.02, True, False)
    assert conv.transport == RtuOverTcp("10.0.0.6", 4001, 2400)
    assert (conv.is_rtu, conv.is_network) == (True, True)


def test_meters_become_devices_with_their_profile(tmp_path: Path) -> None:
    config = load(tmp_path, WHOLE)
    first, direct, water, other = config.devices
    assert (first.wiring.ct, first.wiring.vt, first.wiring.is_reversed) == (50, 200, True)
    assert (direct.profile.model, direct.poll_s, direct.wiring.ct) == ("eastron-sdm120", 2.5, Fraction(40))
    assert [(point.meter, point.channel) for point in water.points] == [("z2-water", 1), ("z3-water", 2)]
    quantities = {spec.quantity: spec for spec in other.profile.registers}
    assert "frequency_hz" not in quantities
    assert quantities["energy_import_wh"].register.address == 0x500
    assert quantities["energy_import_wh"].scale.factor == 1
    assert other.profile.hash != first.profile.hash
    assert config.meters == ("z1-main", "z1-direct", "z2-water", "z3-water", "z4-main")
    assert config.maybe_device_of("z3-water") is water
    assert config.warnings == ("bus 'spare' has no meters",)


def test_a_serial_port_may_stand_beside_the_file(tmp_path: Path) -> None:
    text = WHOLE.replace("/dev/serial/by-id/usb-x", "line1")
    way = load(tmp_path, text).bus("line1").transport
    assert isinstance(way, Serial)
    assert way.path == tmp_path / "line1"


def test_the_least_file_has_sensible_defaults(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        "park: demo\ngateway: gw-1\nbroker: {host: b}\nbuses: {l: {serial: /dev/ttyS0}}\n"
        "meters: [{id: m, model: eastron-sdm630, bus: l, address: 1}]\n",
    )
    assert config.clock is ClockSource.NTP
    assert config.http == Address("127.0.0.1", 9101)
    assert config.outbox.path == Path("/var/lib/zonewise/outbox.db")
    assert not config.outbox.always
    assert config.devices[0].poll_s == 10.0
    assert config.buses[0].late_window_s == 3.0


def test_all_mistakes_come_at_once_each_with_its_place(tmp_path: Path) -> None:
    text = """\
park: Demo
gateway: gw-1
broker: {host: b, pasword_file: x}
buses:
  main: {tcp: no where}
meters:
  - {id: m, model: eastron-sdm630, bus: main, address: 0, ct: 250/0}
"""
    assert problems(tmp_path, text) == [
        "gateway.yaml:1:7: park: 'Demo' is not an id: lower-case letters, digits and hyphens, at most 32",
        "gateway.yaml:3:19: unknown key 'pasword_file'; did you mean 'password_file' or 'password_env'?",
        "gateway.yaml:5:15: tcp: 'no where' is not a host name or address",
        "gateway.yaml:7:56: address: 0 is below 1, the smallest that is allowed",
        "gateway.yaml:7:63: ct: '250/0' is not a ratio such as 250/5",
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("ct: 250/5, vt: 20000/100", (250.0, 20000.0)),
        ("ct: 250/1", (250.0, None)),
        ("ct: 500/10", (500.0, None)),
        # A bare ratio: secondaries of 5 A and 100 V.
        ("ct: 50, vt: 200", (250.0, 20000.0)),
        ("ct: 1", (None, None)),
        ("poll_s: 5", (None, None)),
    ],
)
def test_transformers_know_the_rated_primary_values_on_their_plate(
    tmp_path: Path, written: str, expected: tuple[float | None, float | None]
) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(HEAD + FINE.replace("address: 1", f"address: 1, {written}"), encoding="utf-8")
    (one,) = load_config(path).devices
    copied = copy.deepcopy(one.wiring)

    for wiring in (one.wiring, copied):
        assert maybe_primary(wiring.ct, SECONDARY_A) == expected[0]
        assert maybe_primary(wiring.vt, SECONDARY_V) == expected[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("http: 9101", "http: 9101 is not host:port"),
        ("outbox: {max_days: inf}", "max_days: 'inf' is not a finite number"),
    ],
)
def test_a_number_that_does_not_fit_is_told_in_our_words(tmp_path: Path, line: str, expected: str) -> None:
    assert expected in problems(tmp_path, f"{HEAD.replace('buses:', f'{line}{chr(10)}buses:')}{FINE}")[0]


def test_mistakes_of_single_values_and_across_keys_come_in_one_round(tmp_path: Path) -> None:
    """What needs a wrong value says nothing; all else is told."""
    text = """\
park: Demo
gateway: gw-1
broker: {host: b, port: 0}
buses:
  rail: {tcp: 10.0.0.5, timeout_s: -1}
  twin: {tcp: 10.0.0.5:502}
  line: {serial: /dev/ttyS0, parity: even}
meters:
  - {id: m, model: eastron-sdm630, bus: rail, address: 0}
  - {id: m, model: eastron-sdm603, bus: rall, address: 2}
  - {id: M, model: eastron-sdm630, bus: line, address: 3}
  - {id: o, model: eastron-sdm630, bus: line, address: 3, overrides: {frequency_hz: {address: -1}}}
  - {model: 7, bus: line, address: 5}
  - 8
"""
    assert problems(tmp_path, text) == [
        "gateway.yaml:1:7: park: 'Demo' is not an id: lower-case letters, digits and hyphens, at most 32",
        "gateway.yaml:3:25: port: 0 is below 1, the smallest that is allowed",
        "gateway.yaml:5:36: timeout_s: -1 is not above 0.0",
        "gateway.yaml:6:15: bus 'rail' goes to 10.0.0.5:502 already; one line is one bus, with all its meters",
        "gateway.yaml:7:38: parity: 'even' is not 'N', 'E' or 'O'",
        "gateway.yaml:9:56: address: 0 is below 1, the smallest that is allowed",
        "gateway.yaml:10:10: meter id 'm' stands twice",
        "gateway.yaml:10:20: unknown model 'eastron-sdm603'; did you mean 'eastron-sdm630' or 'eastron-sdm120'?",
        "gateway.yaml:10:41: unknown bus 'rall'; did you mean 'rail'?",
        "gateway.yaml:11:10: id: 'M' is not an id: lower-case letters, digits and hyphens, at most 63",
        "gateway.yaml:12:56: address 3 on line is already that of eastron-sdm630",
        "gateway.yaml:12:95: address: -1 is below 0, the smallest that is allowed",
        "gateway.yaml:13:5: a meter has an id or channels, one of both",
        "gateway.yaml:13:13: model: 7 is not text; write it in quotes",
        "gateway.yaml:14:5: meters: 8 is not a table of keys and values",
    ]


@pytest.mark.parametrize(
    ("written", "host", "port"),
    [
        ("192.168.10.20", "192.168.10.20", 502),
        ("192.168.10.20:1502", "192.168.10.20", 1502),
        ("meter-3.hall.example", "meter-3.hall.example", 502),
        ('"[fe80::1]:1502"', "fe80::1", 1502),
        ('"[fe80::1]"', "fe80::1", 502),
        ('"fe80::1"', "fe80::1", 502),
    ],
)
def test_a_modbus_device_has_its_usual_port(tmp_path: Path, written: str, host: str, port: int) -> None:
    text = f"{HEAD.replace('a:502', written)}{FINE}"
    assert load(tmp_path, text).bus("net").transport == Tcp(host, port)


@pytest.mark.parametrize(
    ("bus", "expected"),
    [
        ('{tcp: "http://x y:502"}', "'http://x y:502' is not a host name or address; leave out 'http://'"),
        ("{tcp: 10.0.0.5:0}", "'10.0.0.5:0': port 0 is not 1 to 65535"),
        ("{tcp: 10.0.0.5:70000}", "port 70000 is not 1 to 65535"),
        ("{tcp: 10.0.0.500}", "'10.0.0.500' is not a host name or address"),
        ("{tcp: 10.0.5}", "'10.0.5' is not a host name or address"),
        ("{rtu_over_tcp: 10.0.0.5}", "'10.0.0.5' is not host:port"),
        ("{rtu_over_tcp: 10.0.0.5:0}", "port 0 is not 1 to 65535"),
        ("{tcp: A:502}", "bus 'net' goes to A:502 already"),
        ("{rtu_over_tcp: a:502}", "bus 'net' goes to a:502 already"),
        ("{serial: /dev/../dev/ttyS0}", "bus 'line' has the same serial port"),
    ],
)
def test_a_way_that_leads_nowhere_or_to_another_bus_is_told(tmp_path: Path, bus: str, expected: str) -> None:
    text = f"{HEAD.replace('meters:', f'  other: {bus}{chr(10)}meters:')}{FINE}"
    (found,) = problems(tmp_path, text)
    assert found.startswith("gateway.yaml:7:")
    assert expected in found


def test_one_serial_port_under_two_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "by-id").symlink_to(tmp_path / "ttyUSB0")
    text = HEAD.replace("/dev/ttyS0", "by-id").replace(
        "net: {tcp: a:502}", f"net: {{serial: {tmp_path}/ttyUSB0}}"
    )
    (found,) = problems(tmp_path, text + FINE)
    assert (
        found
        == "gateway.yaml:6:17: bus 'line' has the same serial port; one line is one bus, with all its meters"
    )


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [
        ("5/250", "'5/250' has its sides exchanged: the primary comes first, 250/5; a factor below 1"),
        ('"1e999999999"', "'1e999999999' is not a ratio such as 250/5"),
        (f'"{"9" * 4000}"', "is not a ratio such as 250/5"),
        ("1e300", "is not a ratio such as 250/5"),
        ("[250, 5]", "is not a ratio such as 250/5"),
        ("true", "is not a ratio such as 250/5"),
        ("0", "is not positive"),
    ],
)
@pytest.mark.parametrize("key", ["ct", "vt"])
def test_a_ratio_that_cannot_be_meant_is_told_at_once(
    tmp_path: Path, key: str, ratio: str, expected: str
) -> None:
    started_s = time.process_time()
    (found,) = problems(tmp_path, HEAD + FINE.replace("1}", f"1, {key}: {ratio}}}"))
    assert time.process_time() - started_s < 1
    assert expected in found
    assert len(found) < 200


@pytest.mark.parametrize("ratio", ["0.02", "5/5", "250 / 5", "1000/1", "2.5"])
def test_ratios_that_are_meant_are_taken(tmp_path: Path, ratio: str) -> None:
    config = load(tmp_path, HEAD + FINE.replace("1}", f"1, ct: {ratio}}}"))
    assert config.devices[0].wiring.ct == Fraction(ratio.replace(" ", ""))


@pytest.mark.parametrize("key", ["scale", "step", "modulus"])
def test_a_factor_beyond_all_numbers_is_told_at_once(tmp_path: Path, key: str) -> None:
    override = f'1, overrides: {{energy_import_wh: {{{key}: "1e999999999"}}}}}}'
    started_s = time.process_time()
    (found,) = problems(tmp_path, HEAD + FINE.replace("1}", override))
    assert time.process_time() - started_s < 1
    assert f"{key}: the number is not within 1e-30 and 1e30" in found


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mqtt://broker", "'mqtt://broker' is not a host name or address; leave out 'mqtt://'"),
        ("broker:1883", "'broker:1883' is not a host name or address; host and port are two keys"),
        ('""', "'' is not a host name or address"),
    ],
)
def test_a_broker_has_a_host(tmp_path: Path, host: str, expected: str) -> None:
    assert problems(tmp_path, HEAD.replace("host: b", f"host: {host}") + FINE) == [
        f"gateway.yaml:3:16: host: {expected}"
    ]


def test_no_meters_is_a_mistake(tmp_path: Path) -> None:
    text = "park: demo\ngateway: gw-1\nbroker: {host: b}\nbuses: {}\nmeters: []\n"
    assert problems(tmp_path, text) == [
        "gateway.yaml:4:8: there are no buses",
        "gateway.yaml:5:9: there are no meters",
    ]


HEAD = "park: demo\ngateway: gw-1\nbroker: {host: b}\nbuses:\n  line: {serial: /dev/ttyS0}\n  net: {tcp: a:502}\nmeters:\n"
FINE = "  - {id: m, model: eastron-sdm630, bus: line, address: 1}\n"


@pytest.mark.parametrize(
    ("meters", "expected"),
    [
        (
            FINE + "  - {id: m, model: eastron-sdm630, bus: line, address: 2}\n",
            ["9:10: meter id 'm' stands twice"],
        ),
        (
            FINE + "  - {id: n, model: eastron-sdm630, bus: line, address: 1}\n",
            ["9:56: address 1 on line is already that of m"],
        ),
        (
            "  - {id: m, model: eastron-sdm603, bus: line, address: 1}\n",
            ["unknown model 'eastron-sdm603'; did you mean 'eastron-sdm630'"],
        ),
        (
            "  - {id: m, model: eastron-sdm630, bus: lime, address: 1}\n",
            ["8:41: unknown bus 'lime'; did you mean 'line'?"],
        ),
        ("  - {id: m, model: eastron-sdm630, bus: line, address: 250}\n", ["address 250 is not 1 to 247"]),
        ("  - {id: m, model: eastron-sdm630, bus: net, address: 250}\n", ["address 250 is not 1 to 247"]),
        ("  - {model: eastron-sdm630, bus: line, address: 1}\n", ["a meter has an id or channels"]),
        ("  - {id: m, model: wirenboard-wb-mwac-v2, bus: line, address: 1}\n", ["write channels: {1: m}"]),
        (
            "  - {model: wirenboard-wb-mwac-v2, bus: line, address: 1, channels: {3: m}}\n",
            ["channels 1 to 2, there is no 3"],
        ),
        (
            "  - {model: eastron-sdm630, bus: line, address: 1, channels: {2: m}}\n",
            ["has no channels, there is no 2"],
        ),
        (
            "  - {model: wirenboard-wb-mwac-v2, bus: line, address: 1, channels: {1: m, 2: m}}\n",
            ["meter id 'm' stands twice"],
        ),
        (
            "  - {model: wirenboard-wb-mwac-v2, bus: line, address: 1, channels: {1: m}, ct: 5}\n",
            ["ct means nothing for a meter of water"],
        ),
        (
            "  - {model: wirenboard-wb-mwac-v2, bus: line, address: 1, channels: {1: m}, overrides: {volume_l: null}}\n",
            ["the overrides leave nothing to read"],
        ),
        (FINE.replace("1}", "1, ct: 250/5/3}"), ["'250/5/3' is not a ratio such as 250/5"]),
        (
            "  - {id: m, model: eastron-sdm630, bus: line, address: 1, overrides: {volts: {address: 1, type: u16}}}\n",
            ["eastron-sdm630"],
        ),
    ],
)
def test_mistakes_that_only_the_whole_shows(tmp_path: Path, meters: str, expected: list[str]) -> None:
    found = problems(tmp_path, HEAD + meters)
    assert len(found) == len(expected), found
    for text, problem in zip(expected, found, strict=True):
        assert text in problem
        assert problem.startswith("gateway.yaml:")


@pytest.mark.parametrize(
    ("bus", "expected"),
    [
        ("{}", "exactly one of tcp, serial and rtu_over_tcp"),
        ("{tcp: a:502, serial: /dev/ttyS0}", "not tcp and serial"),
        ("{tcp: a:502, baud: 9600}", "baud means nothing on tcp"),
        ("{serial: /dev/ttyS0, parity: even}", "parity"),
        ("{serial: /dev/ttyS0, late_window_s: -1}", "late_window_s"),
        ("{serial: /dev/ttyS0, speed: 9600}", "unknown key 'speed'"),
    ],
)
def test_a_bus_is_one_line(tmp_path: Path, bus: str, expected: str) -> None:
    text = f"park: demo\ngateway: gw-1\nbroker: {{host: b}}\nbuses:\n  line: {bus}\nmeters:\n{FINE}"
    (found,) = problems(tmp_path, text)
    assert expected in found
    assert found.startswith("gateway.yaml:5:")


def test_the_schema_takes_what_we_take_and_names_what_we_refuse() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(json.dumps(yaml.safe_load(WHOLE)))
    validator.validate(data)
    data["meters"][0]["pol_s"] = 1
    assert not validator.is_valid(data)
