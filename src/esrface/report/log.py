"""What was recognised, frame by frame, in temporary files: a video may be longer than memory is large.

The files have no names where the system allows it, so nothing is left of them however the process ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.emotions import EMOTIONS
from esrface.outputs import output_errors
from esrface.results import Face

UNIT = 60_000
"""Shares 0-1 are kept as whole numbers of this many parts: finer than anybody can see."""

AFFECT_UNIT = 10_000
"""The same for valence and arousal, which reach from -3.2 to 3.2."""

FRAME = np.dtype([("number", "<i8"), ("time_s", "<f8")])
"""A processed frame."""

FACE = np.dtype(
    [
        ("ordinal", "<u4"),
        ("track", "<i4"),
        ("emotion", "u1"),
        ("p", "<u2", len(EMOTIONS)),
        ("affect", "<i2", 2),
        ("agreement", "<u2"),
        ("uncertainty", "<u2"),
    ]
)
"""A face in a processed frame: 31 bytes. ``ordinal`` counts processed frames, track 0 is none."""

CHUNK = 65_536
"""Records that are read or written at a time: some 2 MB."""

WRITE = 1_024


class RecordLog:
    """Records of one kind in a file that only this process knows.

    Args:
        kind: A record's dtype.
        folder: Where the file is made, hidden; None: among the system's temporary files.

    Raises:
        OutputError: It cannot be made or, later, written.
    """

    def __init__(self, kind: np.dtype[Any], folder: Path | None) -> None:
        self._name = folder or Path(tempfile.gettempdir())
        self._pending = np.zeros(WRITE, kind)
        self._waiting = 0
        self.count = 0
        with output_errors(self._name):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - close() does it

    def next(self) -> Any:
        """The next record, zero, to be filled in."""
        if self._waiting == len(self._pending):
            self._flush()
        record = self._pending[self._waiting]
        self._waiting += 1
        self.count += 1
        return record

    def chunks(self) -> Iterator[NDArray[Any]]:
        """All records in order, many at a time."""
        self._flush()
        self._file.seek(0)
        size = self._pending.dtype.itemsize
        while content := self._file.read(CHUNK * size):
            yield np.frombuffer(content, self._pending.dtype)

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def _flush(self) -> None:
        with output_errors(self._name):
            self._file.write(self._pending[: self._waiting].tobytes())
            self._file.flush()
        self._pending[:] = np.zeros((), self._pending.dtype)
        self._waiting = 0


class FrameLog:
    """All processed frames of a clip and the faces in them. A context manager.

    Args:
        folder: As for ``RecordLog``.
    """

    def __init__(self, folder: Path | None) -> None:
        self.frames = RecordLog(FRAME, folder)
        self.faces = RecordLog(FACE, folder)

    def add_frame(self, number: int, time_s: float) -> None:
        """The next processed frame."""
        record = self.frames.next()
        record["number"], record["time_s"] = number, time_s

    def add_face(self, face: Face, track: int) -> None:
        """A face in the frame that was added last."""
        answer, record = face.expression, self.faces.next()
        record["ordinal"], record["track"] = self.frames.count - 1, track
        record["emotion"] = EMOTIONS.index(answer.emotion)
        record["p"] = np.rint(answer.probabilities * UNIT)
        affect = np.array([answer.valence, answer.arousal]) * AFFECT_UNIT
        record["affect"] = np.rint(np.clip(affect, -32_000, 32_000))
        record["agreement"] = round(answer.agreement * UNIT)
        record["uncertainty"] = round(answer.uncertainty * UNIT)

    def __enter__(self) -> FrameLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the room back. Safe to repeat."""
        self.frames.close()
        self.faces.close()
