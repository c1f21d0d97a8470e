"""A file of rows that can be continued: what CSV and JSON Lines files have in common.

The rows of a picture or frame are handed over in one piece, so a run that is killed leaves whole rows and at
most one torn line, which ``--resume`` drops. Beside ``FILE`` stands ``FILE.meta.json`` with
``schema_version``, ``columns`` and the settings of the run.
"""

from __future__ import annotations

import csv
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from esrface._names import printable
from esrface.emotions import EMOTIONS
from esrface.errors import OutputError
from esrface.outputs import RowFile, output_errors
from esrface.results import Face
from esrface.rows import Row, columns, face_rows, source_text
from esrface.sinks.base import Picture, RunSettings, check_resumable, read_record, write_record
from esrface.sinks.frames import Clip

if TYPE_CHECKING:
    from esrface.video import Frame


class RowSink(ABC):
    """Rows of all faces in one file, of pictures (``write``) or of the frames of clips (``add``).

    Args:
        path: The file; devices and pipes are written to as they are.
        settings: The run's settings, for resuming.
        mode: One of ``esrface.sinks.MODES``.
        branches: How many branches get columns of their own.
        abstain_below: Confidence below which the column ``abstained`` is true; None: no such column.
        emotions: The model's classes.

    Raises (when entered):
        OutputError: The file exists and may not be replaced or continued, or cannot be opened.
    """

    needs_image = False
    needs_skipped = False
    resumable = True
    shared = True
    quoted = False
    """Whether a line feed between double quotes ends no row."""

    def __init__(
        self,
        path: Path,
        settings: RunSettings,
        *,
        mode: str = "refuse",
        branches: int = 0,
        abstain_below: float | None = None,
        emotions: Sequence[str] = EMOTIONS,
    ) -> None:
        self.path = path
        self.columns = columns(branches=branches, abstain=abstain_below is not None, emotions=emotions)
        self._emotions = emotions
        self._mode = mode
        self._branches = branches
        self._abstain_below = abstain_below
        self._record = settings.record(columns=list(self.columns))
        self._file: RowFile | None = None
        self._source = ""
        self._done: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._last: tuple[str, int] | None = None
        self._last_rows = 0

    @abstractmethod
    def encode(self, rows: Sequence[Row]) -> str:
        """Rows as they stand in the file, each ended by a line feed."""

    @abstractmethod
    def header(self) -> str:
        """What stands before the rows."""

    @abstractmethod
    def places(self, file: TextIO) -> Iterable[tuple[str, int, int]]:
        """Source (as ``key`` gives it), frame and face of each of a file's rows; face 0 if it has none."""

    @staticmethod
    def files(path: Path) -> tuple[Path, ...]:
        """All files of rows that the sink makes for ``path``."""
        return (path,)

    @staticmethod
    def record(path: Path) -> Path:
        """The file that keeps the settings beside the rows in ``path``."""
        return path.with_name(f"{path.name}.meta.json")

    def key(self, source: str) -> str:
        """How a source's path reads once it has been through the file."""
        return source_text(source)

    def __enter__(self) -> RowSink:
        resuming = self._mode == "resume" and self.path.is_file()
        if self._mode == "resume" and self.path.exists() and not resuming:
            raise OutputError(f"cannot resume {printable(self.path)}: it is no file")
        self._file = RowFile(
            self.path,
            overwrite=self._mode == "overwrite",
            resume=self._mode == "resume",
            quoted=self.quoted,
            check=self._check_record if resuming else None,
        )
        try:
            if resuming:
                self._look_back()
            elif self.path.is_file():
                # After the file: where that cannot be made, no record is left behind.
                write_record(self._meta, self._record)
            if self._file.is_empty and self.header():
                self._file.write(self.header())
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.__exit__(kind, error, trace)

    def wants(self, source: str, place: PurePath) -> bool:
        """Whether the file lacks rows of this picture; one that is given twice has its rows twice."""
        key = self.key(source)
        before = self._asked.get(key, 0)
        self._asked[key] = before + 1
        return before >= self.done(source, place, 0)

    def write(self, picture: Picture) -> None:
        """Append the rows of a picture: one a face, or one without a face's values."""
        self._append(picture.source, picture.faces, 0, None)

    def output(self, place: PurePath) -> Path:
        """The file, for all clips."""
        del place
        return self.path

    def done(self, source: str, place: PurePath, whole: int) -> int:
        """How many frames of a clip have all their rows in the file; the very last one may lack some."""
        del place
        frames = self._done.get(self.key(source), 0)
        if self._last is not None and self._last[0] == self.key(source):
            if frames > whole:
                return frames - 1
            self._last = None
        return frames

    def begin(self, clip: Clip) -> None:
        """The frames that follow are this clip's."""
        self._source = clip.source

    def add(self, frame: Frame) -> None:
        """Append the rows of a frame: one a face, or one without a face's values."""
        self._append(self._source, frame.faces, frame.number, frame.time_s)

    def end(self) -> None:
        """No frame of this clip follows."""
        self._source = ""

    def _append(self, source: str, faces: Sequence[Face], frame: int, time_s: float | None) -> None:
        if self._file is None:
            raise ValueError("a sink must be entered before it is written to")
        rows = face_rows(
            source,
            faces,
            frame=frame,
            time_s=time_s,
            branches=self._branches,
            abstain_below=self._abstain_below,
            emotions=self._emotions,
        )
        if self._last is not None and self._last[0] == self.key(source):
            # The run before may have been killed between two rows of this one: the first ones are there.
            if self._last[1] != frame:
                name = printable(self.path)
                raise OutputError(
                    f"cannot resume {name}: its last row is of frame {self._last[1]}, frame {frame} was to "
                    "come there; has the source changed? --overwrite starts anew"
                )
            rows, self._last = rows[self._last_rows :], None
        if rows:
            self._file.write(self.encode(rows))

    def _check_record(self) -> None:
        check_resumable(self.path, read_record(self._meta), self._record)

    def _look_back(self) -> None:
        """Find out how many frames the file has of which source, and how many rows of the last one."""
        with output_errors(self.path), self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            try:
                for source, frame, face in self.places(file):
                    place = source, frame
                    if place != self._last or not face:
                        self._done[place[0]] = self._done.get(place[0], 0) + 1
                        self._last, self._last_rows = place, 0
                    self._last_rows += 1
            except (ValueError, LookupError, TypeError, csv.Error):
                raise OutputError(
                    f"cannot resume {printable(self.path)}: it holds lines that are none of ours; "
                    "--overwrite starts anew"
                ) from None

    @property
    def _meta(self) -> Path:
        return RowSink.record(self.path)
