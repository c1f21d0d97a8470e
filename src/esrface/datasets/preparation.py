"""From a data set as it is handed out to prepared pictures: in parallel, resumable, nothing half done."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._ordered import ordered_map
from esrface.errors import DataError, OutputError
from esrface.outputs import clear_left_over, make_folder, write_whole
from esrface.threads import resolve_threads

FACE_SIDE: Final = 96
"""Side in pixels of the prepared faces of AffectNet and CK+, the input of the published networks."""

SKIPPED: Final = "skipped.csv"
"""Table beside the prepared pictures of those that could not be prepared, and why."""

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""

Job = TypeVar("Job")


class Unusable(Exception):  # noqa: N818 - no error of the run: the picture is passed over
    """A picture of the data set cannot be prepared; the text says why."""


@dataclass(frozen=True)
class Prepared:
    """What a preparation came to."""

    folder: Path
    written: int
    kept: int
    """Pictures that were there from an earlier run."""
    skipped: tuple[tuple[str, str], ...]
    """(which, why) of each picture that could not be prepared."""


def prepare(
    folder: Path,
    jobs: Iterable[Job],
    work: Callable[[Job], bool],
    name: Callable[[Job], str],
    *,
    total: int,
    resume: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Do all jobs in threads (what they wait for is decoding, which runs beside Python) and count.

    Args:
        folder: Where the pictures go; refused if anything is in it, unless ``resume``.
        jobs: Taken lazily.
        work: Prepares one picture; says whether it wrote it (False: it was there). Raises ``Unusable`` where
            that cannot be.
        name: How the report calls a job.
        total: How many jobs there are.
        resume: Go on in a folder that an earlier run was stopped in.
        strict: Raise for the first picture that cannot be prepared instead of passing it over.
        threads: At once; None: see `esrface.threads`.
        progress: Called now and then.

    Raises:
        DataError: ``strict``, and a picture cannot be prepared; or none can.
        OutputError: The folder is in use, or something cannot be written.
    """
    begin(folder, resume)
    workers = resolve_threads(threads)
    written = kept = 0
    skipped: list[tuple[str, str]] = []
    with closing(ordered_map(work, jobs, workers=workers, ahead=8 * workers)) as results:
        for done, (job, future) in enumerate(results, start=1):
            try:
                fresh = future.result()
                written, kept = written + fresh, kept + (not fresh)
            except Unusable as error:
                if strict:
                    raise DataError(f"{printable(name(job))}: {error} (--strict)") from error
                skipped.append((printable(name(job)), str(error)))
            if progress is not None and (done % 32 == 0 or done == total):
                progress(done, total)
    _report_skipped(folder, skipped)
    if not written + kept:
        if not skipped:
            raise DataError(f"{printable(folder)}: there is nothing to prepare, no picture is listed")
        which, why = skipped[0]
        raise DataError(
            f"{printable(folder)}: none of {len(skipped):,} could be prepared (see {SKIPPED} there), the "
            f"first is {which}: {why}"
        )
    return Prepared(folder, written, kept, tuple(skipped))


def begin(folder: Path, resume: bool) -> None:
    """Make the folder ready to be written to, or refuse it."""
    if folder.is_dir() and any(folder.iterdir()):
        if not resume:
            raise OutputError(
                f"{printable(folder)} is not empty: --resume goes on there, or choose another --out"
            )
        clear_left_over(folder)
    make_folder(folder)


def resized(face: NDArray[np.uint8], side: int = FACE_SIDE) -> NDArray[np.uint8]:
    """The face (h, w, ...) as (side, side, ...): averaged where it shrinks, bilinear where it grows."""
    shrinks = min(face.shape[:2]) >= side
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(face, (side, side), interpolation=method), dtype=np.uint8)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write RGB (h, w, 3) or grey (h, w) as JPEG (quality 95) or PNG, by the suffix; whole or not at all."""
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else []
    encoded, content = cv2.imencode(path.suffix, pixels, settings)
    if not encoded:
        raise OutputError(f"cannot write {printable(path)}: OpenCV does not encode {path.suffix}")
    write_whole(path, content.tobytes(), overwrite=True)


def _report_skipped(folder: Path, skipped: list[tuple[str, str]]) -> None:
    if not skipped:
        (folder / SKIPPED).unlink(missing_ok=True)
        return
    table = io.StringIO(newline="")
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["picture", "reason"])
    writer.writerows(skipped)
    write_whole(folder / SKIPPED, table.getvalue(), overwrite=True)
