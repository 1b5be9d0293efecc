"""YAML by the rules of 1.2: plain data, and the place of each part of it.

Contract:
- Only `true` and `false` are booleans, `22:00` is text, dates are text unless a model has a date there, and a
  key that occurs twice is an error. Tags make no objects.
- Aliases are allowed as long as they add at most `MAX_ALIASED_PARTS` parts to the file: a few lines can
  expand to billions.
- Problems are collected, each with its place; `check` raises them.
"""

import re
from typing import Any

import yaml

from metering.errors import ConfigError, Problem

#: A place in a document: keys and list positions from the top.
Location = tuple[str | int, ...]
#: Parts (scalars, lists, tables) that aliases may add to the written ones.
MAX_ALIASED_PARTS = 10_000
#: A file with more problems than this has one cause; the rest is only counted.
_MAX_PROBLEMS = 200
_PLAIN_TAGS = ("tag:yaml.org,2002:seq", "tag:yaml.org,2002:map")


class _Yaml12(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


for _tag, _pattern, _first in (
    ("tag:yaml.org,2002:bool", r"true|false", "tf"),
    ("tag:yaml.org,2002:null", r"~|null|", ["~", "n", ""]),
    ("tag:yaml.org,2002:int", r"[-+]?[0-9]+|0x[0-9a-fA-F]+", "-+0123456789"),
    ("tag:yaml.org,2002:float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
):
    _Yaml12.add_implicit_resolver(_tag, re.compile(f"^(?:{_pattern})$"), list(_first))


def _construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    """Decimal even with a leading zero (PyYAML would read 010 as octal), or 0x hex."""
    text = str(loader.construct_scalar(node))
    try:
        return int(text, 16) if text.startswith("0x") else int(text)
    except ValueError as error:  # thousands of digits
        raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


def _construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    return float(str(loader.construct_scalar(node)))


_Yaml12.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Yaml12.add_constructor("tag:yaml.org,2002:float", _construct_float)


class Document:
    """A parsed file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.data: Any = None
        self._problems: list[Problem] = []
        self._values: dict[Location, yaml.Mark] = {}
        self._keys: dict[Location, yaml.Mark] = {}

    def parse(self, text: str) -> None:
        """Read the text into `data`; `check` raises what is wrong."""
        loader = _Yaml12(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                _check_size(node)
            self.data = {} if node is None else self._build(loader, node, ())
        except yaml.MarkedYAMLError as error:
            self._add_mark(error.problem_mark, f"not valid YAML: {error.problem}")
        except RecursionError:
            self._add_mark(None, "not valid YAML: lists and tables lie too deep in each other")
        except yaml.YAMLError as error:
            self._add_mark(None, f"not valid YAML: {error}")
        finally:
            loader.dispose()

    def within(self, location: Location) -> Location:
        """Return the deepest part of a location that the file has."""
        while location and location not in self._values:
            location = location[:-1]
        return location

    def add(self, location: Location, message: str, *, at_key: bool = False) -> None:
        """Record a problem at the deepest part of the location that the file has."""
        if at_key and location in self._keys:
            self._add_mark(self._keys[location], message)
        else:
            self._add_mark(self._values.get(self.within(location)), message)

    def check(self) -> None:
        """Raise the recorded problems.

        Raises:
            ConfigError: when there are any.
        """
        shown = self._problems[:_MAX_PROBLEMS]
        if len(self._problems) > len(shown):
            more = len(self._problems) - len(shown)
            shown.append(Problem(self.file, 0, 0, f"{more} more problems are not listed"))
        if shown:
            raise ConfigError(shown)

    def _build(self, loader: yaml.SafeLoader, node: yaml.Node, here: Location) -> Any:  # noqa: ANN401 - YAML is anything
        self._values[here] = node.start_mark
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _PLAIN_TAGS:
            self._add_mark(node.start_mark, f"not valid YAML: the tag {node.tag} is not known")
        if isinstance(node, yaml.SequenceNode):
            return [self._build(loader, item, (*here, i)) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._build_mapping(loader, node, here)
        return loader.construct_object(node)

    def _build_mapping(
        self, loader: yaml.SafeLoader, node: yaml.MappingNode, here: Location
    ) -> dict[Any, Any]:
        built: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                # YAML reads an unfilled {{ template }} this way.
                self._add_mark(key_node.start_mark, "a key is a word, not a list or a mapping")
                continue
            key = loader.construct_object(key_node)
            there = (*here, key)
            if key in built:
                self._add_mark(key_node.start_mark, f"key {key!r} stands twice")
            self._keys[there] = key_node.start_mark
            built[key] = self._build(loader, value_node, there)
        return built

    def _add_mark(self, mark: yaml.Mark | None, message: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        self._problems.append(Problem(self.file, line, column, message))


def _check_size(root: yaml.Node) -> None:
    """Count the parts that aliases expand to without building them.

    Raises:
        yaml.MarkedYAMLError: when they are too many, or when a part holds itself.
    """
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if isinstance(node, yaml.ScalarNode):
            return 1
        known = sizes.get(id(node))
        if known is None:
            sizes[id(node)] = 0  # under way
            known = sizes[id(node)] = 1 + sum(map(size, _inner(node)))
            if known > MAX_ALIASED_PARTS + written:
                raise _at(node, f"aliases make more than {MAX_ALIASED_PARTS} parts of this")
        elif known == 0:
            raise _at(node, "a part of the file holds itself by an alias")
        return known

    written = _count_written(root)
    size(root)


def _count_written(root: yaml.Node) -> int:
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            waiting.extend(_inner(node))
    return len(seen)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []


def _at(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
