"""What was recognised, frame by frame, in temporary files: a video may be longer than memory is large.

The files have no names where the system allows it, so nothing is left of them however the process ends.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
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

CHUNK = 65_536
"""Records that are read or written at a time: some 2 MB."""

WRITE = 1_024


def face_record(classes: int) -> np.dtype[Any]:
    """A face in a processed frame, 32 bytes for the eight emotions and 2 more for each class besides.

    ``ordinal`` counts processed frames, track 0 is none, ``emotion`` is an index.
    """
    return np.dtype(
        [
            ("ordinal", "<u4"),
            ("track", "<i4"),
            ("emotion", "<u2"),
            ("p", "<u2", classes),
            ("affect", "<i2", 2),
            ("agreement", "<u2"),
            ("uncertainty", "<u2"),
        ]
    )


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
        self._waiting = self._written = 0
        with output_errors(self._name):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - close() does it

    @property
    def count(self) -> int:
        """How many there are."""
        return self._written + self._waiting

    def add(self, values: tuple[Any, ...]) -> None:
        """The next record, its fields in order."""
        if self._waiting == len(self._pending):
            self._flush()
        self._pending[self._waiting] = values
        # Last: a signal's exception may come in between, and half a record must not count.
        self._waiting += 1

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
            # Where it belongs, even if a signal's exception ended this once before.
            self._file.seek(self._written * self._pending.dtype.itemsize)
            self._file.write(self._pending[: self._waiting].tobytes())
            self._file.flush()
        self._written, self._waiting = self._written + self._waiting, 0


class FrameLog:
    """All processed frames of a clip and the faces in them. A context manager.

    Args:
        folder: As for ``RecordLog``.
        emotions: The model's classes.
    """

    def __init__(self, folder: Path | None, emotions: Sequence[str] = EMOTIONS) -> None:
        self.emotions = emotions
        self.frames = RecordLog(FRAME, folder)
        self.faces = RecordLog(face_record(len(emotions)), folder)

    def add(self, number: int, time_s: float, faces: Sequence[tuple[Face, int]] = ()) -> None:
        """The next processed frame.

        The frame is what makes its faces count, and comes after them: where a signal's exception ends this,
        it was not there.

        Args:
            number: The frame's.
            time_s: Its presentation time.
            faces: Each with its track, 0 for none.
        """
        ordinal = self.frames.count
        for face, track in faces:
            answer = face.expression
            affect = np.array([answer.valence, answer.arousal]) * AFFECT_UNIT
            self.faces.add(
                (
                    ordinal,
                    track,
                    self.emotions.index(answer.emotion),
                    np.rint(answer.probabilities * UNIT),
                    np.rint(np.clip(affect, -32_000, 32_000)),
                    round(answer.agreement * UNIT),
                    round(answer.uncertainty * UNIT),
                )
            )
        self.frames.add((number, time_s))

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
