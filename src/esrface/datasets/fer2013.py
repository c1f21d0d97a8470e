"""FER+ from its two tables: ``fer2013.csv`` holds the pixels, ``fer2013new.csv`` the votes, row by row.

What is written is Microsoft's layout, which `esrface.datasets.ferplus.load_ferplus` reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of
from esrface.datasets.ferplus import FACE_SIZE, SPLIT_FOLDERS, decode_face
from esrface.datasets.preparation import Prepared, Progress, Unusable, prepare, write_picture
from esrface.datasets.tables import read_table
from esrface.errors import DataError
from esrface.outputs import write_whole

USAGES: Final = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
"""Splits by the word in the column Usage."""


VOTES: Final = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)
"""The columns of votes in ``fer2013new.csv``, in the order that label files have them in."""


@dataclass(frozen=True)
class Row:
    """One face and its votes."""

    line: int
    split: str
    name: str
    pixels: str
    """2,304 numbers in 0-255."""
    votes: tuple[str, ...]


def prepare_ferplus(
    pixels: Path,
    votes: Path,
    out: Path,
    *,
    resume: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Write each split's pictures as PNG and its ``label.csv``.

    Faces without a name in the table of votes, which FER+ dropped, are left out.

    Args:
        pixels: ``fer2013.csv``.
        votes: ``fer2013new.csv``.
        out: Folder to write.
        resume: See `esrface.datasets.preparation.prepare`, and so the rest.
        strict: As above.
        threads: As above.
        progress: As above.

    Raises:
        DataError: A table cannot be read, lacks a column, or the two do not belong together; or, with
            ``resume``, a picture there is not the table's. Nothing is written then.
    """
    total = _check_tables(pixels, votes, out if resume else None)
    rows: list[Row] = []

    def jobs() -> Iterator[Row]:
        for row in _rows(pixels, votes):
            rows.append(replace(row, pixels=""))
            yield row

    def work(row: Row) -> bool:
        return _prepare_row(row, out)

    done = prepare(
        out,
        jobs(),
        work,
        _name,
        total=total,
        resume=resume,
        strict=strict,
        threads=threads,
        progress=progress,
    )
    unusable = {name for name, _ in done.skipped}
    kept = [row for row in rows if printable(_name(row)) not in unusable]
    # The labels come last: a folder with them is whole.
    for split in dict.fromkeys(row.split for row in kept):
        table = io.StringIO(newline="")
        box = f"(0, 0, {FACE_SIZE}, {FACE_SIZE})"
        csv.writer(table, lineterminator="\n").writerows(
            (row.name, box, *row.votes) for row in kept if row.split == split
        )
        write_whole(out / SPLIT_FOLDERS[split] / "label.csv", table.getvalue(), overwrite=True)
    return done


def _name(row: Row) -> str:
    return f"line {row.line}, {row.name}"


def _rows(pixels: Path, votes: Path) -> Iterator[Row]:
    """The faces that FER+ kept."""
    names: set[tuple[str, str]] = set()
    columns = (*VOTES, "Usage", "Image name")
    pairs = zip_longest(read_table(pixels, ("pixels", "Usage")), read_table(votes, columns))
    for line, (one, other) in enumerate(pairs, start=2):
        face, labels = one[1] if one else {}, other[1] if other else {}
        if not face or not labels or face["Usage"] != labels["Usage"]:
            what = "their column Usage differs" if face and labels else "one of them ends"
            raise DataError(
                f"{printable(pixels)} and {printable(votes)} do not belong together: {what} at line {line}"
            )
        if not labels["Image name"].strip():
            continue
        split = USAGES.get(face["Usage"])
        if split is None:
            raise DataError(f"{printable(pixels)}: line {line}: unknown Usage {face['Usage']!r}")
        name = Path(labels["Image name"].strip()).name
        if (split, name) in names:
            raise DataError(f"{printable(votes)}: line {line} names {printable(name)} a second time")
        names.add((split, name))
        counts = tuple(labels[column] for column in VOTES)
        if not all(count.isdecimal() for count in counts):
            raise DataError(f"{printable(votes)}: line {line} has no ten vote counts")
        yield Row(line, split, name, face["pixels"], counts)


def _check_tables(pixels: Path, votes: Path, out: Path | None) -> int:
    """Read both tables to their ends, and compare what is prepared in ``out``; returns how many faces."""
    faces = 0
    for row in _rows(pixels, votes):
        faces += 1
        if out is not None:
            _check_prepared(row, _place(row, out))
    return faces


def _check_prepared(row: Row, place: Path) -> None:
    """Refuse a picture that an earlier run made of another table: it would get this one's label."""
    try:
        there = decode_face(place.read_bytes(), printable(place))
        face = _face(row.pixels)
    except (FileNotFoundError, ValueError):  # The last one: a name that no system takes.
        return
    except Unusable:
        return  # Without pixels the row is skipped, and no label is written.
    except OSError as error:
        raise DataError(f"cannot read {printable(place)}: {reason_of(error)}") from error
    except DataError as error:
        raise DataError(f"{error}: delete it, or choose another --out") from error
    if not np.array_equal(there, face):
        raise DataError(f"{printable(place)} is another picture than the table's: choose another --out")


def _place(row: Row, out: Path) -> Path:
    return out / SPLIT_FOLDERS[row.split] / row.name


def _prepare_row(row: Row, out: Path) -> bool:
    place = _place(row, out)
    if place.suffix != ".png":
        raise Unusable("its name does not end in .png")
    if place.exists():
        return False
    write_picture(place, _face(row.pixels))
    return True


def _face(text: str) -> NDArray[np.uint8]:
    try:
        values = np.array(text.split(), dtype=np.int64)
    except (ValueError, OverflowError):
        values = np.array([], dtype=np.int64)
    if len(values) != FACE_SIZE**2 or values.min() < 0 or values.max() > 255:
        raise Unusable(f"expected {FACE_SIZE**2} numbers from 0 to 255")
    return values.astype(np.uint8).reshape(FACE_SIZE, FACE_SIZE)
