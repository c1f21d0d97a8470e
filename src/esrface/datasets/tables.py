"""Tables of a data set: CSV files whose first line names columns."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from esrface._names import printable, reason_of
from esrface.errors import DataError


def read_table(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells of the asked columns) of each row, lazily; other columns are passed over.

    Headings are compared without regard to case and to spaces around them. Empty lines are passed over.

    Raises:
        DataError: The file cannot be read, a column is missing, or a row is too short.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            head = [cell.strip().casefold() for cell in next(reader, [])]
            missing = [column for column in columns if column.casefold() not in head]
            if missing:
                hint = f": {separated}" if (separated := _other_separator(head)) else ""
                raise DataError(
                    f"{printable(path)}: the first line has to name the columns {', '.join(columns)}; it "
                    f"lacks {', '.join(missing)}{hint}"
                )
            places = {column: head.index(column.casefold()) for column in columns}
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(places.values()):
                    raise DataError(
                        f"{printable(path)}: line {reader.line_num} has {len(row)} of {len(head)} cells"
                    )
                yield reader.line_num, {column: row[place] for column, place in places.items()}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = reason_of(error) if isinstance(error, OSError) else f"it is no CSV of UTF-8 text ({error})"
        raise DataError(f"cannot read {printable(path)}: {reason}") from error


def _other_separator(head: Sequence[str]) -> str | None:
    """What spreadsheets of many languages do to a CSV, in words; None where nothing says so."""
    names = {";": "semicolons", "\t": "tabs"}
    found = [name for mark, name in names.items() if any(mark in cell for cell in head)]
    return f"its cells are separated by {found[0]}, save it with commas" if found else None


def count_rows(path: Path) -> int:
    """Rows of a table whose cells hold no line breaks; 0 where it cannot be read."""
    try:
        with path.open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)
    except OSError:
        return 0
