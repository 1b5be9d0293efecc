"""make mutants: which tests a module has, and that every mutant called equivalent can still arise."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EQUIVALENT = tomllib.loads((ROOT / "tests/equivalent_mutants.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("module", "tests"),
    [
        ("edge/uplink/window.py", ["tests/edge/uplink/test_window.py"]),
        ("edge/outbox/memory.py", ["tests/edge/outbox/test_memory.py", "tests/edge/outbox/test_outbox.py"]),
        ("edge/outbox/outbox.py", ["tests/edge/outbox/test_outbox.py"]),
        ("edge/outbox/settings.py", ["tests/edge/outbox/test_outbox.py"]),
    ],
)
def test_a_module_s_tests_are_those_named_after_it(module: str, tests: list[str]) -> None:
    code = f"from pathlib import Path; from mutants import tests_of as t; print(*t(Path({module!r})), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT / "scripts", capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == tests


@pytest.mark.parametrize("module", sorted(EQUIVALENT))
def test_each_equivalent_mutant_changes_a_line_that_is_there_and_says_why(module: str) -> None:
    lines = {line.strip() for line in (ROOT / module).read_text(encoding="utf-8").splitlines()}
    for one in EQUIVALENT[module]:
        assert one.keys() == {"function", "was", "becomes", "why"}
        assert set(one["was"].splitlines()) <= lines, "the code has changed: take the entry out"
        assert one["was"] != one["becomes"]
