"""Settings as dataclasses and YAML files: written with every run, read as a recipe, checked key by key."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml

from esrface._names import printable, reason_of
from esrface._suggest import unknown_name
from esrface.errors import DataError, InputError
from esrface.outputs import write_whole

Settings = TypeVar("Settings")

PRECISIONS = ("auto", "bf16", "fp32")
"""To compute in."""

Limits = Sequence[tuple[tuple[str, ...], Callable[[float], bool], str]]
"""Names of settings, whether a value of theirs fits, and what is wanted, for people."""


def check_limits(settings: Any, limits: Limits) -> None:
    """Raise InputError for the first setting whose value does not fit."""
    for names, fits, wanted in limits:
        for name in names:
            value = getattr(settings, name)
            if not fits(value):
                raise InputError(f"{name}: expected {wanted}, got {value!r}")


def check_choice(what: str, given: str, options: Sequence[str]) -> None:
    """Raise InputError unless ``given`` is one of the options."""
    if given not in options:
        raise InputError(unknown_name(what, given, options))


def save_recipe(settings: Any, path: Path) -> None:
    """Write a dataclass as YAML; `load_recipe` reads it back."""
    write_whole(path, yaml.safe_dump(plain_settings(settings), sort_keys=False), overwrite=True)


def plain_settings(settings: Any) -> dict[str, Any]:
    """A dataclass as data for YAML and JSON."""
    plain: dict[str, Any] = _plain(asdict(settings))
    return plain


def load_recipe(
    path: Path, kind: type[Settings], defaults: Callable[[Settings], Settings] | None = None
) -> Settings:
    """Read settings of a kind; a setting that is not in the file has its default.

    Args:
        path: Of the YAML file.
        kind: The dataclass.
        defaults: Called with the settings as the dataclass completes them, gives what those have that are not
            in the file; None: what the dataclass says.

    Raises:
        DataError: No such file, no YAML, an unknown setting, or a value that cannot be one.
    """
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason_of(error)}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise DataError(f"{printable(path)}: not a YAML file") from error
    settings = _of_file(kind, plain, path)
    if defaults is None:
        return settings
    return _of_file(kind, _merged(plain_settings(defaults(settings)), plain), path)


def _of_file(kind: type[Settings], plain: Any, path: Path) -> Settings:
    try:
        return _build(kind, plain, printable(path))
    except InputError as error:
        raise DataError(f"{printable(path)}: {error}") from error


def override(settings: Settings, assignments: Sequence[str]) -> Settings:
    """The settings with some replaced, each given as ``"epochs=5"`` or ``"augmentation.shift=0"``.

    Raises:
        DataError: No such setting, or a value of another type.
    """
    plain = plain_settings(settings)
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        *outer, last = name.strip().split(".")
        place = plain
        for part in outer:
            place = place.get(part, {}) if isinstance(place, dict) else {}
        if not sign or not isinstance(place, dict) or last not in place:
            raise DataError(f"--set {assignment}: expected NAME=VALUE with a setting of config.yaml as NAME")
        try:
            place[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise DataError(f"--set {assignment}: the value cannot be read") from None
    return _build(type(settings), plain, "--set")


def setting_differences(one: Any, other: Any) -> list[str]:
    """Settings in which two of a kind differ, as ``"epochs 8 != 12"``."""
    return _differences(asdict(one), asdict(other), "")


def _differences(left: dict[str, Any], right: dict[str, Any], before: str) -> list[str]:
    found = []
    for key, value in left.items():
        if isinstance(value, dict):
            found += _differences(value, right[key], f"{before}{key}.")
        elif value != right[key]:
            found.append(f"{before}{key} {value} != {right[key]}")
    return found


def _merged(defaults: Mapping[Any, Any], plain: Mapping[Any, Any]) -> dict[Any, Any]:
    """The plain settings, and the defaults of those that are not among them."""
    merged = {**defaults, **plain}
    for name, value in plain.items():
        if isinstance(value, dict) and isinstance(defaults.get(name), dict):
            merged[name] = _merged(defaults[name], value)
    return merged


def _build(kind: type[Settings], plain: Any, where: str) -> Settings:
    if not isinstance(plain, dict):
        raise DataError(f"{where}: expected settings by name, got {type(plain).__name__}")
    types = typing.get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    values = {}
    for name, value in plain.items():
        if name not in known:
            raise DataError(f"{where}: {unknown_name('setting', name, known)}")
        values[name] = _convert(types[name], value, f"{where}: {name}")
    for name, field in known.items():
        if name not in values and field.default is MISSING and field.default_factory is MISSING:
            raise DataError(f"{where}: the setting {name} is missing")
    return kind(**values)


def _convert(kind: Any, value: Any, where: str) -> Any:
    """The value as the type of its setting."""
    if is_dataclass(kind):
        return _build(typing.cast(type[Any], kind), value, where)
    if get_origin(kind) in (Union, UnionType):
        if value is None:
            return None
        kind = next(option for option in get_args(kind) if option is not type(None))
    if get_origin(kind) is tuple:
        return _convert_tuple(get_args(kind), value, where)
    fits: Callable[[Any], bool] = lambda given: isinstance(given, kind)  # noqa: E731
    if kind is float:
        value, fits = _number(value), lambda given: isinstance(given, float)
    if not fits(value) or (isinstance(value, bool) and kind is not bool):
        raise DataError(f"{where}: expected {_NAMES.get(kind, kind.__name__)}, got {value!r}")
    return value


def _convert_tuple(kinds: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise DataError(f"{where}: expected a list, got {value!r}")
    if kinds[-1] is not Ellipsis and len(kinds) != len(value):
        raise DataError(f"{where}: expected a list of {len(kinds)}, got {len(value)}")
    return tuple(_convert(kinds[0], item, where) for item in value)


def _number(value: Any) -> Any:
    """Numbers as floats, also those that YAML takes for text (``1e-3``)."""
    if isinstance(value, bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return value


_NAMES = {float: "a number", int: "a whole number", str: "text", bool: "true or false"}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
