"""Every example of the docs works as written: files load, commands and their options exist."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from edge.config import load_config as load_gateway
from ingest.config import load_config as load_ingest
from metering.park_file import load_park

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PROGRAMS = {
    "zonewise-edge": "edge.command_line",
    "zonewise-ingest": "ingest.command_line",
    "zonewise-dashboards": "dashboards.__main__",
    "zonewise-sim": "simulators.command_line",
}
BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# What an example about meters leaves out.
GATEWAY_HEAD = {"park": "demo", "gateway": "gw-1", "broker": {"host": "b"}}


def blocks(language: str) -> Iterator[tuple[str, str]]:
    """Yield each fenced block of a language with a name for it."""
    for page in PAGES:
        for number, found in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), 1):
            if found[1] == language:
                yield f"{page.name} block {number}", found[2]


def commands() -> Iterator[tuple[str, str]]:
    """Yield each command line of ours in a block, with a name for it."""
    for name, text in blocks(""):
        for line in text.replace("\\\n", " ").splitlines():
            if line.strip().startswith(tuple(PROGRAMS)):
                yield f"{name}: {line.strip()}", line


YAML = dict(blocks("yaml"))
COMMANDS = dict(commands())


def test_there_are_examples() -> None:
    """A changed form of the pages must not leave the tests below without work."""
    assert len(YAML) >= 3
    assert len(COMMANDS) >= 12


@pytest.mark.parametrize("name", YAML)
def test_a_file_of_the_docs_loads(name: str, tmp_path: Path) -> None:
    data: dict[str, Any] = yaml.safe_load(YAML[name])
    path = tmp_path / "example.yaml"
    if "meters" in data and isinstance(data["meters"], list):
        buses = {meter["bus"]: {"serial": f"/dev/{meter['bus']}"} for meter in data["meters"]}
        path.write_text(yaml.safe_dump({**GATEWAY_HEAD, "buses": buses, **data}), encoding="utf-8")
        assert load_gateway(path).devices
    elif "store" in data:
        path.write_text(YAML[name], encoding="utf-8")
        assert load_ingest(path).store.url
    else:
        path.write_text(YAML[name], encoding="utf-8")
        assert load_park(path).id


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_of_the_docs_can_be_called(name: str) -> None:
    words = [word for word in shlex.split(COMMANDS[name], comments=True) if word != "…"]
    command: Any = importlib.import_module(PROGRAMS[words[0]]).cli
    words = words[1:]
    context = click.Context(command)
    while isinstance(command, click.Group):
        name_of_command = words.pop(0)
        command = command.get_command(context, name_of_command)
        assert command is not None, name_of_command
    # Parsing refuses an unknown option or a missing value; whether a file exists here is left to the reader.
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            parameter.type.exists = False
    command.make_context(name, words, parent=context)
