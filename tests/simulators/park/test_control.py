"""Faults ordered on the command line of a running park."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pymodbus import ModbusException
from pymodbus.client import AsyncModbusTcpClient

from simulators.demo.servers import free_port

pytestmark = pytest.mark.servers


def simulator(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "simulators", *arguments]


@pytest.fixture
def park(tmp_path: Path):  # type: ignore[no-untyped-def] # noqa: ANN201 - a generator of a folder and a port
    """A counting park of one TCP line with two meters; gives its folder and port."""
    port = free_port()
    gateway = {
        "park": "p",
        "gateway": "gw",
        "broker": {"host": "127.0.0.1"},
        "buses": {"main": {"tcp": f"127.0.0.1:{port}"}},
        "meters": [
            {"id": "one", "model": "eastron-sdm120", "bus": "main", "address": 1},
            {"id": "two", "model": "SDM120", "bus": "main", "address": 2},
        ],
    }
    sim = {
        "park": "p",
        "timezone": "Europe/Ljubljana",
        "gateways": ["gw.yaml"],
        "loads": {"one": {"pv_kwp": 5}, "two": {"sum": ["one"]}},
    }
    (tmp_path / "gw.yaml").write_text(yaml.safe_dump(gateway))
    (tmp_path / "sim.yaml").write_text(yaml.safe_dump(sim))
    command = simulator(
        "park", "--config", "sim.yaml", "--socket", "park.sock", "--answers", "answers", "--counting"
    )
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("simulated park runs" in line for line in lines)
    yield tmp_path, port
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


def order(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = simulator("fault", "--park-socket", "park.sock", *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


async def counter(port: int, unit: int) -> list[int]:
    client = AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, timeout=0.5)
    await client.connect()
    try:
        return list((await client.read_input_registers(0x48, count=2, device_id=unit)).registers)
    finally:
        client.close()


def test_a_park_takes_orders(park: tuple[Path, int]) -> None:
    folder, port = park
    assert asyncio.run(counter(port, 1)) == [0x3F80, 0]
    assert asyncio.run(counter(port, 1)) == [0x4000, 0]
    done = order(folder, "--meter", "one", "silence", "--for", "60")
    assert (done.returncode, done.stdout) == (0, "one: silence for 60 s\n")
    with pytest.raises(ModbusException):
        asyncio.run(counter(port, 1))
    assert asyncio.run(counter(port, 2)) == [0x3F80, 0]
    assert len((folder / "answers").read_bytes().splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        (("--meter", "tow", "silence"), "no meter 'tow'; there are one, two", 1),
        (("--line", "gw/line", "cut"), "no line 'gw/line'; there are gw/main", 1),
        (("--meter", "one", "wrong-crc"), "no CRC to be wrong", 1),
        (("--meter", "one", "exception", "--value", "300"), "no exception code", 1),
        (("silence",), "name one --meter or one --line", 2),
        (("--meter", "one", "silense"), "silense", 2),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(
    park: tuple[Path, int], arguments: tuple[str, ...], said: str, code: int
) -> None:
    done = order(park[0], *arguments)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_park_the_order_says_so(tmp_path: Path) -> None:
    done = order(tmp_path, "--meter", "one", "silence")
    assert done.returncode == 1
    assert "no simulated park answers" in done.stderr


def test_a_broken_park_is_told_with_all_its_problems(tmp_path: Path) -> None:
    (tmp_path / "sim.yaml").write_text(
        "park: p\ntimezone: Europe/Ljubljana\ngateways: [gw.yaml]\n"
        "loads:\n  one: {sum: [two, three]}\n  two: {sum: [one]}\n  four: {kwhs_per_year: 3}\n"
    )
    command = simulator("park", "--config", "sim.yaml")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "sim.yaml:5:" in done.stderr
    assert "'three' has no load" in done.stderr
    assert "part of itself" in done.stderr
    assert "kwh_per_year" in done.stderr
