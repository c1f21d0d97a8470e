"""A file of rows that can be continued: what CSV and JSON Lines files have in common.

The rows of a source are handed over in one piece, so a run that is killed leaves whole rows and at most one
torn line, which ``--resume`` drops. Beside ``FILE`` stands ``FILE.meta.json`` with ``schema_version``,
``columns`` and the settings of the run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import TextIO

from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import RowFile, drop_torn_row, output_errors
from esrface.rows import Row, columns, face_rows, source_text
from esrface.sinks.base import Frame, RunSettings, check_resumable, read_record, write_record


class RowSink(ABC):
    """Rows of all faces in one file.

    Args:
        path: The file; devices and pipes are written to as they are.
        settings: The run's settings, for resuming.
        mode: One of ``esrface.sinks.MODES``.
        branches: How many branches get columns of their own.
        abstain_below: Confidence below which the column ``abstained`` is true; None: no such column.

    Raises (when entered):
        OutputError: The file exists and may not be replaced or continued, or cannot be opened.
    """

    needs_image = False
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
    ) -> None:
        self.path = path
        self.columns = columns(branches=branches, abstain=abstain_below is not None)
        self._mode = mode
        self._branches = branches
        self._abstain_below = abstain_below
        self._record = settings.record(columns=list(self.columns))
        self._file: RowFile | None = None
        self._done: set[str] = set()
        self._last, self._last_rows = "", 0

    @abstractmethod
    def encode(self, rows: Sequence[Row]) -> str:
        """Rows as they stand in the file, each ended by a line feed."""

    @abstractmethod
    def header(self) -> str:
        """What stands before the rows."""

    @abstractmethod
    def sources(self, file: TextIO) -> Iterable[str]:
        """The source in each of a file's rows, as ``key`` gives it."""

    def key(self, source: str) -> str:
        """How a source's path reads once it has been through the file."""
        return source_text(source)

    def __enter__(self) -> RowSink:
        resuming = self._mode == "resume" and self.path.is_file()
        if resuming:
            self._look_back()
        elif self._mode == "resume" and self.path.exists():
            raise OutputError(f"cannot resume {printable(self.path)}: it is no file")
        self._file = RowFile(
            self.path, overwrite=self._mode == "overwrite", resume=self._mode == "resume", quoted=self.quoted
        )
        if self.path.is_file() and not resuming:
            # After the file: where that cannot be made, no record is left behind.
            write_record(self._meta, self._record)
        if self._file.is_empty and self.header():
            self._file.write(self.header())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.__exit__(kind, error, trace)

    def wants(self, source: str, place: PurePath) -> bool:
        """Whether the file lacks rows of this source."""
        del place
        return self.key(source) not in self._done

    def write(self, frame: Frame) -> None:
        """Append the rows of a frame: one a face, or one without a face's values."""
        if self._file is None:
            raise ValueError("a sink must be entered before it is written to")
        rows = face_rows(
            frame.source,
            frame.faces,
            frame=frame.index,
            time_s=frame.time_s,
            branches=self._branches,
            abstain_below=self._abstain_below,
        )
        if self._last_rows and self._last == self.key(frame.source):
            # The run before may have been killed between two rows of this source: the first ones are there.
            rows, self._last_rows = rows[self._last_rows :], 0
        if rows:
            self._file.write(self.encode(rows))

    def _look_back(self) -> None:
        """Find out which sources the file has; the last one may lack rows and is not counted as done."""
        check_resumable(self.path, read_record(self._meta), self._record)
        drop_torn_row(self.path, quoted=self.quoted)
        with output_errors(self.path), self.path.open(encoding="utf-8", errors="replace", newline="") as file:
            for source in self.sources(file):
                self._last_rows = self._last_rows + 1 if source == self._last else 1
                self._last = source
                self._done.add(source)
        self._done.discard(self._last)

    @property
    def _meta(self) -> Path:
        return self.path.with_name(f"{self.path.name}.meta.json")
