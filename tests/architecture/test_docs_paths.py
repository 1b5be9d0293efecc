"""Every file and folder of ours that a page names exists, and every link within the pages leads to a page."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = ROOT / "docs/architecture.md"
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/decisions/*.md"),
    ]
)
EACH_PAGE = [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]

OURS = "metering|edge|ingest|dashboards|simulators|tests|scripts|docs|docker"
PATH = re.compile(rf"(?<![\w./-])((?:{OURS})/[\w./*-]*)(?!\w*[<{{])")
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
TREE = re.compile(r"^```\n(metering/ .*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = re.compile(r"\S+(?: \S+)*")


def exists(path: str) -> bool:
    return any(True for _ in ROOT.glob(path.rstrip("/.")))


@pytest.mark.parametrize("page", EACH_PAGE)
def test_paths_exist(page: Path) -> None:
    named = set(PATH.findall(page.read_text(encoding="utf-8")))

    assert {path for path in named if not exists(path)} == set()


@pytest.mark.parametrize("page", EACH_PAGE)
def test_links_lead_to_pages(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_tree_is_the_one_on_the_disk() -> None:
    paths = list(tree())

    assert len(paths) > 50
    assert [path for path in paths if not exists(path)] == []
    for package in ("metering", "edge", "ingest", "dashboards", "simulators"):
        folders = {f"{init.parent.relative_to(ROOT)}/" for init in (ROOT / package).glob("*/__init__.py")}
        assert folders - set(paths) == set(), package


def tree() -> Iterator[str]:
    """Yield the paths that the picture of the tree shows; two blanks of indentation are one level."""
    (picture,) = TREE.findall(ARCHITECTURE.read_text(encoding="utf-8"))
    above: list[str] = []
    for line in picture.splitlines():
        maybe_names = NAMES.match(line.strip())
        if maybe_names is None:
            continue
        level = (len(line) - len(line.lstrip())) // 2
        del above[level:]
        names = maybe_names[0].split()
        yield from ("".join([*above, name]) for name in names)
        above.append(names[0])
