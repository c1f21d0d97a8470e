"""Reads the fields of a JSON object strictly: right types and ranges, nothing missing, nothing unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from esrface.errors import ModelError

T = TypeVar("T")
_MISSING = object()


class Fields:
    """One JSON object of a model card; every problem is a ModelError that names the key by its full path."""

    def __init__(self, data: object, where: str, path: str = "") -> None:
        self._where = where
        self._path = path
        if not isinstance(data, dict):
            self._fail(f"expected an object for {path or 'the card'}, got {_show(data)}")
        self._data: dict[str, Any] = data
        self._read: set[str] = set()

    def text(self, key: str) -> str:
        """A string that is not empty."""
        value = self._get(key)
        if not isinstance(value, str) or not value.strip():
            self._fail(f"expected a text that is not empty for {self._name(key)}, got {_show(value)}")
        return value

    def choice(self, key: str, options: Sequence[str]) -> str:
        """One of ``options``."""
        value = self._get(key)
        if not isinstance(value, str) or value not in options:
            self._fail(f"expected one of {', '.join(options)} for {self._name(key)}, got {_show(value)}")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._get(key)
        if not isinstance(value, bool):
            self._fail(f"expected true or false for {self._name(key)}, got {_show(value)}")
        return value

    def integer(self, key: str, *, low: int, high: int) -> int:
        """A whole number within ``low``..``high``."""
        return self._integer(self._get(key), self._name(key), low, high)

    def integers(self, key: str, *, low: int, high: int) -> tuple[int, ...]:
        """A list, possibly empty, of whole numbers within ``low``..``high``."""
        items = enumerate(self._list(key))
        return tuple(self._integer(item, f"{self._name(key)}[{i}]", low, high) for i, item in items)

    def number(self, key: str, *, above: float = -math.inf) -> float:
        """A finite number above ``above``."""
        return self._number(self._get(key), self._name(key), above)

    def numbers(self, key: str, *, count: int, above: float = -math.inf) -> tuple[float, ...]:
        """A list of exactly ``count`` finite numbers above ``above``."""
        items = self._list(key)
        if len(items) != count:
            self._fail(f"expected {count} number(s) for {self._name(key)}, got {len(items)}")
        names = (f"{self._name(key)}[{i}]" for i in range(count))
        return tuple(self._number(x, name, above) for x, name in zip(items, names, strict=True))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        items = self._list(key)
        for item in items:
            if not isinstance(item, str):
                self._fail(f"expected a list of texts for {self._name(key)}, got {_show(item)} in it")
        return tuple(items)

    def mapping(self, key: str) -> dict[str, Any]:
        """An object whose content is free."""
        value = self._get(key)
        if not isinstance(value, dict):
            self._fail(f"expected an object for {self._name(key)}, got {_show(value)}")
        return dict(value)

    def optional(self, key: str, read: Callable[[str], T]) -> T | None:
        """None where the value is null, else what ``read(key)`` gives; the key itself has to be there."""
        return None if self._get(key) is None else read(key)

    def has(self, key: str) -> bool:
        """Whether the key is there: for what cards written earlier do not have."""
        return key in self._data

    def child(self, key: str) -> Fields:
        """The object under ``key``, to be read in turn."""
        return Fields(self._get(key), self._where, self._name(key))

    def children(self, key: str) -> list[Fields]:
        """The list of objects under ``key``, to be read in turn."""
        return [
            Fields(item, self._where, f"{self._name(key)}[{i}]") for i, item in enumerate(self._list(key))
        ]

    def remaining(self) -> dict[str, Any]:
        """All keys not read so far, as they stand."""
        rest = {key: value for key, value in self._data.items() if key not in self._read}
        self._read.update(rest)
        return rest

    def finish(self) -> None:
        """Refuse keys that nobody read: a misspelt key must not pass in silence."""
        unknown = sorted(self.remaining())
        if unknown:
            self._fail(f"unknown key {self._name(unknown[0])}")

    def fail(self, key: str, problem: str) -> NoReturn:
        """Refuse the value of ``key`` for a reason that the types above cannot see."""
        self._fail(f"{self._name(key)} {problem}")

    def _get(self, key: str) -> Any:
        value = self._data.get(key, _MISSING)
        if value is _MISSING:
            self._fail(f"{self._name(key)} is missing")
        self._read.add(key)
        return value

    def _list(self, key: str) -> list[Any]:
        value = self._get(key)
        if not isinstance(value, (list, tuple)):
            self._fail(f"expected a list for {self._name(key)}, got {_show(value)}")
        return list(value)

    def _integer(self, value: object, name: str, low: int, high: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._fail(f"expected a whole number of {low} to {high} for {name}, got {_show(value)}")
        return value

    def _number(self, value: Any, name: str, above: float) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        # Python's integers know no bound; floats above 1.8e308 do not exist.
        number = float(value) if is_number and abs(value) < 1e300 else math.nan
        if not number > above or not math.isfinite(number):
            bound = f" above {above:g}" if above > -math.inf else ""
            self._fail(f"expected a number{bound} for {name}, got {_show(value)}")
        return number

    def _name(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def _fail(self, problem: str) -> NoReturn:
        raise ModelError(
            f"{self._where} is no usable model card: {problem}; use the card made with these weights"
        )


def _show(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
