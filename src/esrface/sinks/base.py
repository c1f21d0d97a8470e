"""What a sink for pictures is, what it consumes, and how an interrupted run is told from a different one.

Three modes say what happens to outputs that exist: ``"refuse"`` them, ``"overwrite"`` them, or ``"resume"``:
keep what is there and add what is missing. To resume, a run must have the same settings as the one before;
they are kept in a small file beside the output.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import write_whole
from esrface.results import Face
from esrface.rows import SCHEMA_VERSION

MODES = ("refuse", "overwrite", "resume")


@dataclass(frozen=True, eq=False)
class Picture:
    """A recognised picture."""

    source: str
    """The path as it was given."""
    place: PurePath
    """Where its outputs belong below an output folder; relative, and unlike that of any other source."""
    size_wh: tuple[int, int]
    """Width and height of the upright picture in pixels."""
    faces: Sequence[Face]
    """Largest first."""
    image: NDArray[np.uint8] | None = None
    """(H, W, 3) uint8 RGB, where a sink ``needs_image``."""


class Sink(Protocol):
    """Takes the pictures of a run in order. Outputs are complete when it is left, for whatever reason."""

    needs_image: bool
    """Whether pictures must carry their pixels."""
    shared: bool
    """Whether all pictures go into one output, so that nothing can follow once that has failed."""

    def __enter__(self) -> Sink: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def wants(self, source: str, place: PurePath) -> bool:
        """Whether the results of a source are still missing here. To be asked once, in the sources' order.

        Raises:
            OutputError: They exist and may be neither kept nor replaced.
        """
        ...

    def write(self, picture: Picture) -> None:
        """Add a picture whose source is wanted; OutputError if it cannot be written."""
        ...


@dataclass(frozen=True)
class RunSettings:
    """Everything that decides about the results of a run, besides its sources: plain names and values."""

    values: Mapping[str, Any]

    def record(self, **more: Any) -> dict[str, Any]:
        """What is kept beside an output, JSON-ready."""
        return {"schema_version": SCHEMA_VERSION, **more, "settings": dict(self.values)}

    def difference(self, kept: Mapping[str, Any]) -> str | None:
        """What differs from the settings kept with an output, in words; None if nothing does."""
        for name in sorted(self.values.keys() | kept.keys()):
            then, now = kept.get(name), self.values.get(name)
            if then != now:
                return f"{name} was {_word(then)} and is {_word(now)} now"
        return None


def _other(key: str, then: Any, now: Any) -> str:
    """What differs in something besides the settings, in words."""
    if key != "columns":
        return f"its {key.replace('_', ' ')} is {_word(then)}, and {_word(now)} here"
    had, has = ("b1_emotion" in columns for columns in (then or (), now))
    if had == has:
        return "its columns are others than now"
    return "--branches was given and is not now" if had else "--branches was not given and is now"


def _word(value: Any) -> str:
    return (
        "not set" if value is None else json.dumps(value) if isinstance(value, (bool, list)) else str(value)
    )


def read_record(path: Path) -> dict[str, Any] | None:
    """What is kept beside an output; None if there is nothing, or nothing that can be understood."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and isinstance(record.get("settings"), dict) else None


def check_resumable(output: Path, record: Mapping[str, Any] | None, expected: Mapping[str, Any]) -> None:
    """OutputError in one line unless an output's record is the expected one."""
    name = printable(output)
    if record is None:
        raise OutputError(
            f"cannot resume {name}: the record of its settings is missing; use --overwrite to start anew"
        )
    difference = RunSettings(expected["settings"]).difference(record["settings"])
    for key in expected.keys() - {"settings"}:
        if difference is None and record.get(key) != expected[key]:
            difference = _other(key, record.get(key), expected[key])
    if difference is not None:
        raise OutputError(
            f"cannot resume {name}: {difference}; use the same options, or --overwrite to start anew"
        )


def write_record(path: Path, record: Mapping[str, Any]) -> None:
    """Keep a record of settings at ``path``, replacing what is there."""
    write_whole(path, json.dumps(record, indent=2) + "\n", overwrite=True)
