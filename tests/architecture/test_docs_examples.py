"""Every example of the pages is run: files by the real loaders, commands of ours by the real command lines."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from edge.config.gateway import load_config as load_gateway
from ingest.config import load_config as load_ingest
from metering.park.file import load_park

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")])
PROGRAMS = {
    "zonewise-edge": "edge.command_line",
    "zonewise-ingest": "ingest.command_line",
    "zonewise-dashboards": "dashboards.__main__",
    "zonewise-sim": "simulators.command_line",
}
#: What an example of some keys leaves to the reader.
REST_OF_GATEWAY = {
    "park": "demo",
    "gateway": "gw-1",
    "broker": {"host": "localhost"},
    "buses": {"main": {"tcp": "192.168.10.20"}},
}
BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(zonewise-\w+ [^`]+)`")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for indent, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)


def named(texts: list[tuple[Path, str]]) -> list[object]:
    return [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for number, (page, text) in enumerate(texts)
    ]


FILES = [(page, text) for page in PAGES for text in blocks(page, "yaml")]


@pytest.mark.parametrize("text", named(FILES))
def test_example_files_are_taken_by_the_programs(tmp_path: Path, text: str) -> None:
    example = yaml.safe_load(text)
    path = tmp_path / "example.yaml"
    if "store" in example:
        path.write_text(text, encoding="utf-8")
        assert load_ingest(path).parks
    elif "zones" in example:
        path.write_text(text, encoding="utf-8")
        assert load_park(path).zones
    else:
        rest = {key: value for key, value in REST_OF_GATEWAY.items() if key not in example}
        path.write_text(text + yaml.safe_dump(rest) if rest else text, encoding="utf-8")
        assert load_gateway(path).meters


def commands(page: Path) -> Iterator[str]:
    for block in blocks(page, "", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.strip().startswith("zonewise-"):
                yield line.partition(" #")[0].strip()
    for inline in INLINE.findall(page.read_text(encoding="utf-8").replace("\n", " ")):
        yield re.sub(" +", " ", inline)


COMMANDS = [(page, line) for page in PAGES for line in commands(page)]


@pytest.mark.parametrize("line", named(COMMANDS))
def test_example_commands_exist_with_their_options(line: str) -> None:
    program, *rest = (word for word in shlex.split(line) if word != "…")
    command: click.Command = importlib.import_module(PROGRAMS[program]).cli
    while isinstance(command, click.Group):
        maybe_command = command.get_command(click.Context(command), rest[0])
        assert maybe_command is not None, f"{program} has no command {rest[0]}"
        command, rest = maybe_command, rest[1:]
    _given, left, _order = command.make_parser(click.Context(command)).parse_args(list(rest))
    assert left == []


def test_there_are_examples_of_each_kind() -> None:
    assert len(FILES) >= 3
    assert len(COMMANDS) >= 20
