"""The command line as a technician uses it: real processes, real wires."""

import asyncio
import re
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.peers.modbus_meters import Meters, modbus_tcp, serial_line

pytestmark = pytest.mark.servers

PROGRAM = Path(sys.executable).with_name("zonewise-edge")


@dataclass(frozen=True)
class Done:
    """What a program said and how it ended."""

    code: int
    out: str
    err: str


async def run(*arguments: str) -> Done:
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), timeout=60)
    assert "Traceback" not in err.decode()
    assert max(map(len, out.decode().splitlines()), default=0) <= 80
    return Done(process.returncode or 0, out.decode(), err.decode())


def write(folder: Path, bus: str, meters: str, *, more: str = "") -> str:
    path = folder / "gateway.yaml"
    path.write_text(
        f"park: demo\ngateway: gw-1\nbroker: {{host: localhost}}\n{more}"
        f"buses:\n  line1: {bus}\nmeters:\n{meters}",
        encoding="utf-8",
    )
    return str(path)


def sdm630(_unit: int, address: int, count: int) -> bytes:
    """Registers of an SDM630: 230.2 V (the manual's example), 12.5 kWh, NaN where the power stands."""
    image = bytearray(1000)
    image[0:4] = bytes.fromhex("43663334")
    image[2 * 0x34 : 2 * 0x36] = struct.pack(">f", float("nan"))
    image[2 * 0x48 : 2 * 0x4A] = struct.pack(">f", 12.5)
    return bytes(image[2 * address : 2 * (address + count)])


METER = "  - {id: z1-main, model: eastron-sdm630, bus: line1, address: 1, ct: 250/5}\n"


async def test_read_shows_values_registers_and_remarks(tmp_path: Path) -> None:
    async with modbus_tcp(Meters(registers=sdm630)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", METER))
    assert done.code == 0, done.err
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line}
    assert lines["voltage_l1_v"] == ["voltage_l1_v", "230.2", "V", "43663334"]
    assert lines["energy_import_wh"] == ["energy_import_wh", "625,000", "Wh", "41480000"]
    assert lines["active_power_w"][-2:] == ["no", "value"]
    assert "requests" in done.out


async def test_read_on_a_serial_line_tells_what_to_check_when_nobody_answers(tmp_path: Path) -> None:
    meters = Meters(mute={1})
    async with serial_line(meters) as path:
        bus = f"{{serial: {path}, baud: 9600, parity: N, timeout_s: 0.2}}"
        other = "  - {id: z2-main, model: eastron-sdm630, bus: line1, address: 2}\n"
        done = await run("read", "z1-main", "--config", write(tmp_path, bus, METER + other))
    assert done.code == 1
    assert "no answer from address 1 on line1" in done.err
    assert "swapped" in done.err
    assert "z2-main" in done.err


async def test_read_says_that_the_line_cannot_be_opened(tmp_path: Path) -> None:
    done = await run("read", "z1-main", "--config", write(tmp_path, "{serial: /dev/none}", METER))
    assert done.code == 1
    assert "No such file" in done.err
    assert "/dev/serial/by-id" in done.err


async def test_read_of_another_model_warns(tmp_path: Path) -> None:
    meter = "  - {id: z1-main, model: eastron-sdm120, bus: line1, address: 1}\n"
    async with modbus_tcp(Meters(registers=lambda _u, _a, count: bytes(2 * count))) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", meter))
    assert done.code == 1
    assert "says that it is '0'" in done.out


async def test_read_goes_on_without_an_identity_and_says_so(tmp_path: Path) -> None:
    meter = "  - {id: z1-main, model: eastron-sdm120, bus: line1, address: 1}\n"
    meters = Meters(registers=lambda _u, _a, count: bytes(2 * count), mute_addresses={(1, 0xFC02)})
    async with modbus_tcp(meters) as port:
        bus = f"{{tcp: 127.0.0.1:{port}, timeout_s: 0.2}}"
        done = await run("read", "z1-main", "--config", write(tmp_path, bus, meter))
    assert done.code == 0, done.err
    said = " ".join(done.out.split())
    assert "note: the meter does not give its identity (holding register 64514): " in said
    assert said.endswith("silent for 0.2 s")


def refuse_all(code: int) -> Meters:
    return Meters(registers=sdm630, refusals=dict.fromkeys(range(0x10000), code))


@pytest.mark.parametrize("code", [2, 3])
async def test_a_meter_that_refuses_everything_was_not_read(tmp_path: Path, code: int) -> None:
    async with modbus_tcp(refuse_all(code)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", METER))
    assert done.code == 1
    said = " ".join(done.out.split())
    assert "warning: no quantity has a value. Is it a eastron-sdm630?" in said
    assert f"quantities are missing: ILLEGAL_DATA_{'ADDRESS (2)' if code == 2 else 'VALUE (3)'}" in said


async def test_a_busy_meter_is_no_wrong_model(tmp_path: Path) -> None:
    async with modbus_tcp(refuse_all(6)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", METER))
    assert done.code == 1
    assert "It needs time (it is starting, or serves another master)" in done.err
    assert "another model" not in done.err.lower()


@pytest.mark.parametrize(("code", "says"), [(10, "has no path to the meter"), (11, "does not answer it")])
async def test_the_word_of_a_gateway_in_between_is_told(tmp_path: Path, code: int, says: str) -> None:
    async with modbus_tcp(refuse_all(code)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", METER))
    assert done.code == 1
    assert says in done.err
    assert "The gateway itself works" in done.err


async def test_an_answer_from_another_unit_id_is_told(tmp_path: Path) -> None:
    def as_unit_7(frame: bytes) -> bytes:
        return frame[:6] + b"\x07" + frame[7:]

    async with modbus_tcp(Meters(registers=sdm630, tamper=as_unit_7)) as port:
        bus = f"{{tcp: 127.0.0.1:{port}, timeout_s: 0.3}}"
        done = await run("read", "z1-main", "--config", write(tmp_path, bus, METER))
    assert done.code == 1
    assert "but one from address 7" in done.err
    assert "write address: 7" in done.err


@pytest.mark.parametrize("way", ["tcp", "serial"])
async def test_an_answer_that_is_late_says_which_time_out_it_needs(tmp_path: Path, way: str) -> None:
    meters = Meters(registers=sdm630, delay_s={1: 2.0})
    line = modbus_tcp(meters) if way == "tcp" else serial_line(meters)
    async with line as place:
        where = f"tcp: 127.0.0.1:{place}" if way == "tcp" else f"serial: {place}, parity: N"
        done = await run(
            "read", "z1-main", "--config", write(tmp_path, f"{{{where}, timeout_s: 0.5}}", METER)
        )
    assert done.code == 1
    assert "came after 2." in done.err
    assert re.search("Set timeout_s of line1 to [45]", done.err), done.err


async def test_garble_on_tcp_is_no_matter_of_baud_rates(tmp_path: Path) -> None:
    async with modbus_tcp(Meters(registers=sdm630, tamper=lambda _frame: b"HTTP/1.1 400\r\n")) as port:
        bus = f"{{tcp: 127.0.0.1:{port}, timeout_s: 0.3}}"
        done = await run("read", "z1-main", "--config", write(tmp_path, bus, METER))
    assert done.code == 1
    assert "Is it Modbus TCP that is spoken at this port?" in done.err
    assert "baud" not in done.err


async def test_values_that_the_model_never_has_are_marked(tmp_path: Path) -> None:
    def half(_unit: int, _address: int, count: int) -> bytes:
        return struct.pack(">f", 0.5) * (count // 2)

    async with modbus_tcp(Meters(registers=half)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", METER))
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line}
    assert (lines["voltage_l1_v"][-1], lines["frequency_hz"][-1]) == ("unusual", "implausible")
    assert "(it has voltage_l1_v 180 to 260, frequency_hz 49 to 51)" in " ".join(done.out.split())


async def test_transformers_do_not_make_a_voltage_unusual(tmp_path: Path) -> None:
    meter = METER.replace("ct: 250/5", "vt: 20000/100")
    async with modbus_tcp(Meters(registers=sdm630)) as port:
        done = await run("read", "z1-main", "--config", write(tmp_path, f"{{tcp: 127.0.0.1:{port}}}", meter))
    lines = {line.split()[0]: line.split() for line in done.out.splitlines() if line}
    assert lines["voltage_l1_v"] == ["voltage_l1_v", "46,040", "V", "43663334"]


async def test_an_unknown_meter_is_a_wrong_call(tmp_path: Path) -> None:
    done = await run("read", "z1-mian", "--config", write(tmp_path, "{tcp: 127.0.0.1:502}", METER))
    assert done.code == 2
    assert "did you mean 'z1-main'?" in done.err


async def test_a_wrong_file_lists_everything_with_its_place(tmp_path: Path) -> None:
    bad = "  - {id: z1-main, model: eastron-sdm603, bus: line2, address: 300, pol_s: 10}\n"
    done = await run("check", "--config", write(tmp_path, "{tcp: 127.0.0.1:502}", bad))
    assert done.code == 2
    for text in ("address", "unknown key 'pol_s'; did you mean 'poll_s'?"):
        assert text in done.err
    assert ":7:" in done.err


async def test_run_says_which_setting_to_change_when_the_port_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        more = f"clock: trusted\nhttp: {address}\noutbox: {{path: out.db}}\n"
        path = write(tmp_path, "{tcp: 127.0.0.1:502}", METER, more=more)
        done = await run("run", "--config", path)
    assert done.code == 1
    assert f"cannot listen on {address}: Address already in use" in done.err
    assert "`http`" in done.err


async def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = await run("check", "--config", str(tmp_path / "none.yaml"))
    assert done.code == 2
    assert "none.yaml: cannot be read" in done.err


async def test_profiles_lists_and_shows() -> None:
    listed = await run("profiles")
    assert listed.code == 0
    assert "eastron-sdm630" in listed.out
    shown = await run("profiles", "SDM630")
    assert "energy_import_wh" in shown.out
    assert "V1.7" in shown.out
    wrong = await run("profiles", "sdm603")
    assert wrong.code == 2
    assert "did you mean" in wrong.err


@pytest.mark.parametrize("command", ["run", "check", "read", "profiles"])
async def test_each_command_has_help_with_an_example(command: str) -> None:
    done = await run(command, "--help")
    assert done.code == 0
    assert f"zonewise-edge {command}" in done.out
