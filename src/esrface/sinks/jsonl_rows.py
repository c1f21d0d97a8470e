"""Rows as JSON Lines: one compact ASCII object a line, null for what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TextIO

from esrface.rows import Row
from esrface.sinks.row_sink import RowSink


class JsonlRows(RowSink):
    """``--jsonl FILE``."""

    def header(self) -> str:
        """Nothing: every line has its keys."""
        return ""

    def encode(self, rows: Sequence[Row]) -> str:
        """One line a row."""
        return "".join(
            json.dumps(row, ensure_ascii=True, allow_nan=False, separators=(",", ":")) + "\n" for row in rows
        )

    def places(self, file: TextIO) -> Iterator[tuple[str, int, int]]:
        """``source``, ``frame`` and ``face`` of each row."""
        for line in file:
            row = json.loads(line)
            yield str(row["source"]), int(row["frame"]), int(row["face"] or 0)
