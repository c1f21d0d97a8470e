"""The table of a training's epochs: written a row at a time, read by who goes on and by reports."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

from esrface._names import printable, reason_of
from esrface.errors import DataError
from esrface.outputs import write_whole
from esrface.training.trainer import Epoch


def log_epoch(path: Path, epoch: Epoch, result: Any) -> None:
    """One row an epoch; a row of the same epoch from a run that was killed before its checkpoint goes.

    Args:
        path: Of the CSV.
        epoch: What it came to.
        result: A dataclass of numbers: how the weights do after it.
    """
    values = {
        "epoch": epoch.number,
        "loss": round(epoch.loss, 5),
        "seconds": round(epoch.seconds, 1),
        "images_per_s": round(epoch.images_per_s, 1),
        **{name: round(value, 5) for name, value in asdict(result).items()},
    }
    earlier = [row for row in read_epochs(path) if int(row["epoch"]) < epoch.number]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, values.keys())
    writer.writeheader()
    writer.writerows([*earlier, {key: str(value) for key, value in values.items()}])
    write_whole(path, table.getvalue(), overwrite=True)


def read_epochs(path: Path) -> list[dict[str, str]]:
    """The rows that `log_epoch` wrote; none where there is no such file.

    Raises:
        DataError: It cannot be read, or is another table.
    """
    rows = read_table(path)
    if any(not (row.get("epoch") or "").isdecimal() for row in rows):
        raise not_ours(path)
    return rows


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no such file.

    Raises:
        DataError: It cannot be read, or is no table.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [dict(row) for row in csv.DictReader(file) if None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "not a CSV of UTF-8 text"
        raise DataError(f"{printable(path)}: {reason}") from error


def not_ours(path: Path) -> DataError:
    """What to say of a table that this training did not write."""
    return DataError(f"{printable(path)}: not the table of this training; move it away to go on without it")
