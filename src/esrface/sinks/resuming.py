"""How far a run over clips has come, kept beside each of its outputs that can go on, so that it is resumed.

A file's place is hidden: ``.rows.csv.resume.json`` beside ``rows.csv``.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from esrface.outputs import output_errors

VERSION = 1

GOING_ON = 20
"""Of so many clips, the last ones, it is kept how to go on from their end, should they grow: some kB each,
which would be written again and again for thousands of clips."""


@dataclass(frozen=True)
class Position:
    """Where a clip stands in one output."""

    frames: int
    """Processed frames up to ``checkpoint``, or in all if it is finished; the output has them all."""
    finished: bool = False
    """Whether the clip came to its end."""
    checkpoint: dict[str, Any] | None = None
    """What ``esrface.open_video(..., resume_after=...)`` takes; None: nothing to go on from."""
    size: int | None = None
    """Bytes of the clip's file when it came to its end: it may grow later."""


class ResumeFile:
    """The positions of all clips in one output.

    Args:
        output: The file with the results. A device or pipe has no positions.
    """

    def __init__(self, output: Path) -> None:
        self.path = output.with_name(f".{output.name}.resume.json")
        self._off = output.exists() and not output.is_file()
        self._clips: dict[str, Position] = {}

    def load(self) -> None:
        """Read what an earlier run kept; what cannot be understood counts as nothing."""
        with suppress(OSError, ValueError, TypeError, AttributeError):
            kept = json.loads(self.path.read_bytes().partition(b"\n")[0])
            if kept.get("version") == VERSION:
                self._clips = {source: Position(**plain) for source, plain in kept["clips"].items()}

    def clear(self) -> None:
        """Forget what an earlier run kept: its rows are gone."""
        self._clips = {}
        if not self._off:
            with output_errors(self.path):
                self.path.unlink(missing_ok=True)

    def position(self, source: str) -> Position | None:
        """Where the clip of that name stands; None if nothing is known."""
        return self._clips.get(source)

    def keep(self, source: str, position: Position) -> None:
        """Write down where a clip stands; OutputError where that fails."""
        self._clips.pop(source, None)
        self._clips[source] = position
        self._forget()
        if self._off:
            return
        clips = {name: asdict(one) for name, one in self._clips.items()}
        line = json.dumps({"version": VERSION, "clips": clips}, separators=(",", ":")).encode() + b"\n"
        # In place, the first line counts: replacing a file by another one makes some file systems wait for
        # the disk, which would hold up the run each time.
        with output_errors(self.path):
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                file.write(line)
                file.truncate(len(line))

    def _forget(self) -> None:
        for name in list(self._clips)[:-GOING_ON]:
            if self._clips[name].finished and self._clips[name].checkpoint is not None:
                self._clips[name] = replace(self._clips[name], checkpoint=None)
