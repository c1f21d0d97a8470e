"""Rows as CSV: UTF-8, one header line, empty cells for what is missing."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import TextIO

from esrface.rows import Row
from esrface.sinks.row_sink import RowSink


class CsvRows(RowSink):
    """``--csv FILE``; bytes of a path that are no UTF-8 become ``\\udc..``, so that any reader copes."""

    quoted = True

    def header(self) -> str:
        """The columns' names."""
        return _line(self.columns)

    def encode(self, rows: Sequence[Row]) -> str:
        """One line a row; true and false are written like that."""
        return "".join(_line([_cell(row[column]) for column in self.columns]) for row in rows)

    def key(self, source: str) -> str:
        """The path with escapes."""
        return super().key(source).encode("utf-8", "backslashreplace").decode("utf-8")

    def places(self, file: TextIO) -> Iterator[tuple[str, int, int]]:
        """Source, frame and face of each row after the header."""
        face = self.columns.index("face")
        rows = csv.reader(file)
        next(rows, None)
        for cells in rows:
            yield cells[0], int(cells[1]), int(cells[face] or 0)


def _line(cells: Sequence[object]) -> str:
    text = io.StringIO()
    # The writer quotes what could be taken for its own line end: a carriage return in a name is one, too.
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _cell(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value
