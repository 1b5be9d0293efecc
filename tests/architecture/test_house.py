"""The house: folders that show the layers, each with a table of its modules, and names that mean one thing."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = "metering"
PROGRAMS = ("edge", "ingest", "dashboards", "simulators")
FOLDERS = sorted(
    {path.parent for package in (SHARED, *PROGRAMS) for path in (ROOT / package).rglob("*.py")},
    key=str,
)
MAX_MODULES = 13
MAX_SAME_PREFIX = 2
TABLE_ROW = re.compile(r"^\| `([^`]+)` \| \S.* \|$", re.MULTILINE)

EACH_FOLDER = [pytest.param(folder, id=str(folder.relative_to(ROOT))) for folder in FOLDERS]


def modules(folder: Path) -> list[str]:
    return [path.stem for path in folder.glob("*.py") if not path.stem.startswith("__")]


def subfolders(folder: Path) -> list[str]:
    return [f"{path.parent.name}/" for path in folder.glob("*/__init__.py")]


@pytest.mark.parametrize("folder", EACH_FOLDER)
def test_a_folder_has_about_a_dozen_modules(folder: Path) -> None:
    assert len(modules(folder)) <= MAX_MODULES


@pytest.mark.parametrize("folder", EACH_FOLDER)
def test_a_prefix_used_three_times_is_a_folder(folder: Path) -> None:
    prefixes = Counter(module.partition("_")[0] for module in modules(folder))

    assert {prefix: n for prefix, n in prefixes.items() if n > MAX_SAME_PREFIX} == {}


@pytest.mark.parametrize("folder", EACH_FOLDER)
def test_each_folder_opens_with_a_table_of_its_modules(folder: Path) -> None:
    text = (folder / "__init__.py").read_text(encoding="utf-8")
    tree = ast.parse(text)

    assert len(tree.body) == 1, "an __init__.py holds no logic"
    listed = TABLE_ROW.findall(ast.get_docstring(tree) or "")
    assert sorted(listed) == sorted(modules(folder) + subfolders(folder))


@pytest.mark.parametrize("program", PROGRAMS)
def test_class_names_are_unique_within_a_program(program: str) -> None:
    """What `metering` names is named for every program; private names are left out."""
    owners = defaultdict(list)
    for package in (SHARED, program):
        for path in sorted((ROOT / package).rglob("*.py")):
            for name in public_classes(path):
                owners[name].append(str(path.relative_to(ROOT)))
    double = {name: paths for name, paths in owners.items() if len(paths) > 1}

    assert double == {}


def public_classes(path: Path) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    ]
