"""A document without its wrong values, so that rules across keys can be checked all the same. Pure."""

from collections.abc import Mapping
from typing import Any

Location = tuple[str | int, ...]


class _Items(list[Any]):
    """A list whose items know their positions in the file."""

    def __init__(self, items: list[Any]) -> None:
        super().__init__(items)
        self.positions = list(range(len(items)))


class Remainder:
    """A copy of a document's data from which wrong parts are taken out.

    Args:
        data: Plain data: dictionaries, lists and scalars.
    """

    def __init__(self, data: object) -> None:
        self.data = _copy(data)
        self._removed: list[Location] = []
        self._names: set[str] = set()

    def remove(self, place: Location, stand_ins: Mapping[str, object]) -> bool:
        """Take out what is wrong: the value at a place, or what encloses it where the value is missing.

        Args:
            place: In the data as it is now; parts that the data do not have are passed over.
            stand_ins: Values for keys of the top that may not be missing.

        Returns:
            False when nothing is left that could be checked.
        """
        deepest = self._existing(place)
        if len(deepest) < len(place) and len(place) == 1:
            return self._stand_in(str(place[0]), stand_ins)
        if not deepest:
            return False
        self._removed.append(self.location(deepest))
        self._take_out(deepest)
        return True

    def location(self, place: Location) -> Location:
        """Return where a place of the remaining data stands in the file."""
        node, found = self.data, list[str | int]()
        for part in place:
            is_item = isinstance(node, _Items) and isinstance(part, int) and part < len(node)
            found.append(node.positions[part] if is_item else part)
            node = _child(node, part)
        return tuple(found)

    def is_due_to_removal(self, location: Location, message: str) -> bool:
        """Tell whether a problem may come of what was taken out, and not of the file."""
        return any(repr(name) in message for name in self._names) or any(
            location[: len(gone)] == gone or location == gone[:-1] for gone in self._removed
        )

    def _stand_in(self, key: str, stand_ins: Mapping[str, object]) -> bool:
        if key not in stand_ins:
            return False
        self._removed.append((key,))
        self.data[key] = stand_ins[key]
        return True

    def _existing(self, place: Location) -> Location:
        node = self.data
        for depth, part in enumerate(place):
            if not _has(node, part):
                return place[:depth]
            node = _child(node, part)
        return place

    def _take_out(self, place: Location) -> None:
        parent = self.data
        for part in place[:-1]:
            parent = _child(parent, part)
        last: Any = place[-1]
        gone = _child(parent, last)
        if isinstance(last, str):
            self._names.add(last)
        if isinstance(gone, Mapping) and "id" in gone:
            self._names.add(str(gone["id"]))
        del parent[last]
        if isinstance(parent, _Items):
            del parent.positions[last]


def _copy(data: object) -> Any:  # noqa: ANN401 - plain data of any shape
    if isinstance(data, dict):
        return {key: _copy(value) for key, value in data.items()}
    return _Items([_copy(one) for one in data]) if isinstance(data, list) else data


def _has(node: object, part: str | int) -> bool:
    if isinstance(node, _Items):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _child(node: Any, part: Any) -> Any:  # noqa: ANN401 - plain data of any shape
    return node[part] if _has(node, part) else None
