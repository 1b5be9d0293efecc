"""Measure what the tests of one module notice: small faults are put into its functions, one at a time.

    scripts/mutants.py MODULE [TESTS ...]

Prints the mutants that no test noticed as diffs, then a table. mutmut makes the faults, in a copy of the tree
below `.mutants`. It changes functions and methods; properties, other decorated functions, defaults of fields
and constants stay as they are. Mutants that change nothing a caller could see stand in
`tests/equivalent_mutants.toml` with the reason; they are counted apart.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.toml"
_AT_ONCE = "2"
#: Where the letters' case says nothing: float("INF"), select body from message.
_SQL = "PRAGMA|SELECT|FROM|UPDATE|INSERT|DELETE|WHERE|BEGIN|COMMIT|ROLLBACK"
_ANY_CASE = re.compile(rf'float\("|\bpragma in\b|\b({_SQL})\b')
_NOTICED = ("killed", "timeout", "suspicious")


def tests_of(module: Path) -> list[str]:
    """Return the test files named after a module or its folder; if there are none, those that import it."""
    folder = ROOT / "tests" / module.parent
    named = dict.fromkeys(folder / f"test_{name}.py" for name in (module.stem, module.parent.name))
    found = [path for path in named if path.is_file()]
    if not found:
        name = re.escape(".".join(module.with_suffix("").parts))
        imports = re.compile(rf"^(from|import) {name}\b", re.MULTILINE)
        tests = sorted((ROOT / "tests" / module.parts[0]).rglob("test_*.py"))
        found = [path for path in tests if imports.search(path.read_text("utf-8"))]
    return [str(path.relative_to(ROOT)) for path in found]


def copy_tree(module: Path, tests: Sequence[str]) -> Path:
    """Copy what git knows, and tell mutmut there what to change and which tests to run."""
    copy = ROOT / ".mutants" / "-".join(module.with_suffix("").parts)
    shutil.rmtree(copy, ignore_errors=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - git is anywhere
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    for name in names:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy / name)
    settings = {
        "source_paths": [str(module)],
        "also_copy": sorted({Path(name).parts[0] for name in names}),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-m", "not servers and not slow"],
        "pytest_add_cli_args_test_selection": list(tests),
    }
    with (copy / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("\n[tool.mutmut]\nuse_git_change_detection = false\n")
        # A mutant that loops for ever is given three times what its tests take, and a little.
        file.write("timeout_multiplier = 3.0\ntimeout_constant = 5.0\n")
        file.writelines(f"{key} = {value}\n" for key, value in settings.items())
    return copy


def mutmut(copy: Path, *arguments: str) -> str:
    """Run mutmut and return what it printed; its progress goes to the terminal where it is not asked for."""
    command = [str(Path(sys.executable).parent / "mutmut"), *arguments]
    done = subprocess.run(command, cwd=copy, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    if done.returncode:
        sys.exit(f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def outcomes(copy: Path) -> dict[str, str]:
    """Return mutmut's word per mutant: killed, survived, no tests, timeout, ..."""
    lines = (line.strip() for line in mutmut(copy, "results", "--all", "true").splitlines())
    return dict(line.rsplit(": ", 1) for line in lines if ": " in line)


def change(diff: str) -> tuple[str, str]:
    """Return what a diff takes away and what it adds, without indentation."""
    taken = [line[1:].strip() for line in diff.splitlines() if re.match(r"-(?!--)", line)]
    added = [line[1:].strip() for line in diff.splitlines() if re.match(r"\+(?!\+\+)", line)]
    return "\n".join(taken), "\n".join(added)


def function(mutant: str) -> str:
    """Return the function or method that a mutant changes: of edge.pace.xǁRateǁtake__mutmut_1 `take`."""
    return re.split(r"ǁ|\.x_", mutant)[-1].rsplit("__mutmut_", 1)[0]


def equivalents(module: Path) -> set[tuple[str, str, str]]:
    """Return function, line and changed line of each mutant of a module that cannot be noticed."""
    table = tomllib.loads(EQUIVALENT.read_text("utf-8")).get(str(module), [])
    return {(one["function"], one["was"], one["becomes"]) for one in table}


def judge(copy: Path, module: Path) -> Iterator[tuple[str, str]]:
    """Yield per mutant whether it is noticed, equivalent or survived, and its diff where it survived."""
    known = equivalents(module)
    for name, outcome in outcomes(copy).items():
        if outcome in _NOTICED:
            yield "noticed", ""
            continue
        diff = mutmut(copy, "show", name)
        was, becomes = change(diff)
        is_equivalent = (function(name), was, becomes) in known or (
            _ANY_CASE.search(was) and was.lower() == becomes.lower()
        )
        yield ("equivalent", "") if is_equivalent else ("survived", diff)


def main(arguments: Sequence[str]) -> int:
    """Measure one module; the exit code is 0 whatever is found."""
    if not arguments or not (ROOT / arguments[0]).is_file():
        sys.exit(
            "usage: make mutants MODULE=edge/uplink/window.py [TESTS='tests/edge/uplink/test_window.py ...']"
        )
    module = Path(arguments[0])
    tests = list(arguments[1:]) or tests_of(module)
    if not tests:
        sys.exit(f"{module}: no tests are named after it or import it; name some: TESTS='tests/...'")
    copy = copy_tree(module, tests)
    mutmut(copy, "run", "--max-children", _AT_ONCE)
    count: Counter[str] = Counter()
    for verdict, diff in judge(copy, module):
        count[verdict] += 1
        if diff:
            print(diff)  # noqa: T201 - the output of this program
    tried = count["noticed"] + count["survived"]
    share = 100 * count["noticed"] / tried if tried else 100.0
    print(f"{'module':<28}{'mutants':>8}{'noticed':>8}{'survived':>9}{'equivalent':>11}{'share':>8}")  # noqa: T201
    print(  # noqa: T201
        f"{module!s:<28}{count.total():>8}{count['noticed']:>8}{count['survived']:>9}"
        f"{count['equivalent']:>11}{share:>7.1f}%"
    )
    print(f"tests: {' '.join(tests)}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
