"""Rows as a Parquet file, which needs an end: they are logged as JSON Lines until the run ends.

While a run goes on there is no ``FILE``, but ``FILE.rows.jsonl`` (with its ``.meta.json``), which can be read
and survives a kill. Once ``FILE`` is whole the log goes; to resume, it is made from ``FILE`` again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path, PurePath
from types import ModuleType, TracebackType
from typing import Any, TextIO

import numpy as np

from esrface._extras import how_to_install
from esrface._names import printable
from esrface.errors import DependencyError, OutputError
from esrface.outputs import output_errors, refuse_existing, whole_file
from esrface.rows import Row
from esrface.sinks.base import RunSettings, check_resumable, write_record
from esrface.sinks.jsonl_rows import JsonlRows

GROUP_ROWS = 20_000
"""Rows that are turned over at a time: some 20 MB."""

RECORD_KEY = b"esrface"
"""Key of the file's metadata: ``schema_version``, ``columns`` and ``settings`` as JSON."""

_WHOLE = frozenset({"frame", "face", "track_id", "x0", "y0", "x1", "y1"})


class ParquetRows(JsonlRows):
    """``--parquet FILE``: numbers of faces are 32-bit floats, times 64-bit ones.

    Args:
        path: The file; see ``row_sink.RowSink`` for the rest.

    Raises:
        DependencyError: The extra ``parquet`` is missing.
        OutputError: When entered, see ``RowSink``.
    """

    def __init__(self, path: Path, settings: RunSettings, *, mode: str = "refuse", **options: Any) -> None:
        load_pyarrow()
        self.target = path
        self._whole_log = -1
        super().__init__(_log_of(path), settings, mode=mode, **options)

    def __enter__(self) -> ParquetRows:
        if self.target.exists() and not self.target.is_file() and not self.target.is_dir():
            raise OutputError(
                f"cannot write {printable(self.target)}: a Parquet file cannot be streamed; name a file, or "
                "stream rows with --jsonl"
            )
        refuse_existing(self.target, overwrite=self._mode != "refuse", resumable=True)
        if self._mode == "resume" and self.target.exists() and not self.path.exists():
            self._take_back_rows()
        super().__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._file is None:
            return
        if self.path.stat().st_size != self._whole_log:
            self._turn_over()
        for left in (self.path, self._meta):
            with suppress(OSError):
                left.unlink(missing_ok=True)

    @staticmethod
    def files(path: Path) -> tuple[Path, ...]:
        """The file, and the log that there is until it is whole."""
        return path, _log_of(path)

    @staticmethod
    def record(path: Path) -> Path:
        """Of the log."""
        return JsonlRows.record(_log_of(path))

    def output(self, place: PurePath) -> Path:
        """The file, for all clips."""
        del place
        return self.target

    def key(self, source: str) -> str:
        """The path with escapes: Parquet has no text that is no UTF-8."""
        return _escaped(super().key(source))

    def places(self, file: TextIO) -> Iterator[tuple[str, int, int]]:
        """``source``, ``frame`` and ``face`` of each row."""
        for source, frame, face in super().places(file):
            yield _escaped(source), frame, face

    def encode(self, rows: Sequence[Row]) -> str:
        """One line a row, as it will stand in the file."""
        return super().encode([{**row, "source": _escaped(row["source"])} for row in rows])

    def _turn_over(self) -> None:
        pyarrow = load_pyarrow()
        schema = _schema(pyarrow, self.columns).with_metadata({RECORD_KEY: json.dumps(self._record).encode()})
        with output_errors(self.path), self.path.open(encoding="utf-8") as log:
            rows = map(json.loads, log)
            with (
                whole_file(self.target, overwrite=True) as file,
                pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
            ):
                while group := list(islice(rows, GROUP_ROWS)):
                    writer.write_batch(pyarrow.RecordBatch.from_pylist(group, schema=schema))

    def _take_back_rows(self) -> None:
        """Make the log of a run that had ended."""
        pyarrow = load_pyarrow()
        name = printable(self.target)
        try:
            with pyarrow.parquet.ParquetFile(self.target) as file:
                record = json.loads((file.schema_arrow.metadata or {}).get(RECORD_KEY, b"{}"))
                check_resumable(self.target, record if "settings" in record else None, self._record)
                write_record(self._meta, self._record)
                # Whole or not at all: the next run would take a part of it for everything.
                with whole_file(self.path) as log:
                    for batch in file.iter_batches(GROUP_ROWS):
                        log.write(self.encode([_row(row) for row in batch.to_pylist()]).encode("ascii"))
        except (pyarrow.ArrowException, ValueError):
            raise OutputError(f"cannot resume {name}: it is no Parquet file of ours") from None
        self._whole_log = self.path.stat().st_size


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.rows.jsonl")


def load_pyarrow() -> ModuleType:
    """PyArrow with its Parquet; DependencyError in one line where it is not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DependencyError(f"Parquet files need PyArrow: {how_to_install('parquet')}") from None
    return pyarrow  # type: ignore[no-any-return]


def _schema(pyarrow: Any, columns: Sequence[str]) -> Any:
    def kind(column: str) -> Any:
        # No probability's column (p_…), whatever its class is called.
        if column in ("source", "affect_source", "emotion") or re.fullmatch(r"b\d+_emotion", column):
            return pyarrow.string()
        if column in _WHOLE:
            return pyarrow.int64()
        if column == "abstained":
            return pyarrow.bool_()
        return pyarrow.float64() if column == "time_s" else pyarrow.float32()

    return pyarrow.schema([(column, kind(column)) for column in columns])


def _row(values: dict[str, Any]) -> Row:
    """A row as it was before its numbers became 32-bit floats."""
    return {
        column: float(str(np.float32(value))) if isinstance(value, float) and column != "time_s" else value
        for column, value in values.items()
    }


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
