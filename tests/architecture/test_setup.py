"""The set-up and its commands: documented, valid shell, nothing silently fixed."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("script", ["scripts/setup.sh", ".ci/run"])
def test_scripts_are_valid_shell(script: str) -> None:
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_every_make_target_says_what_it_is_for() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split())

    assert targets == set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))


def test_no_variable_is_named_after_a_running_clock() -> None:
    """$SECONDS counts by itself in bash."""
    for path in (ROOT / "Makefile", ROOT / ".ci/run", *(ROOT / "scripts").glob("*.sh")):
        assert not re.search(r"\bSECONDS\b", path.read_text(encoding="utf-8")), path


def test_the_continuous_integration_calls_the_readme_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")

    assert "make test" in readme
    assert "make demo" in readme
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").rstrip().endswith("make test")
