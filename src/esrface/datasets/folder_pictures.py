"""Reading a user's labelled pictures: crops one by one, or all of a split in memory at the network's size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of
from esrface._ordered import ordered_map
from esrface.datasets.folder import FolderSplit, Listed
from esrface.errors import DataError, InputError
from esrface.images import load_image
from esrface.models.card import InputSpec
from esrface.preprocess import to_input
from esrface.threads import resolve_threads

Cut = Callable[[NDArray[np.uint8]], NDArray[np.uint8] | None]
"""Makes the face's crop (h, w, 3) out of a picture (H, W, 3), RGB uint8; None where there is no face."""

NO_FACE: Final = "no face was found"


@dataclass(frozen=True)
class ReadPicture:
    """A listed picture that was read: its crop, or why there is none."""

    listed: Listed
    crop: NDArray[np.uint8] | None
    """(h, w, 3) RGB."""
    digest: bytes
    """16 bytes, equal for files of equal content; empty where the file cannot be read."""
    problem: str | None
    """One line."""


@dataclass(frozen=True)
class FolderFaces:
    """The pictures of a split as the network's size wants them, in memory."""

    names: list[str]
    """(N,)"""
    pixels: NDArray[np.uint8]
    """(N, S, S) grey."""
    labels: NDArray[np.int64]
    """(N,) indices of the classes, see `esrface.datasets.folder.FolderSplit.emotions`."""
    digests: NDArray[np.bytes_]
    """(N,) of the files, see `ReadPicture.digest`."""
    skipped: tuple[str, ...]
    """One line for each picture that was left out."""

    def __len__(self) -> int:
        return len(self.names)

    def select(self, keep: NDArray[np.bool_]) -> FolderFaces:
        """The faces where ``keep`` (N,) is true."""
        names = [name for name, kept in zip(self.names, keep, strict=True) if kept]
        return FolderFaces(names, self.pixels[keep], self.labels[keep], self.digests[keep], self.skipped)


def read_pictures(
    pictures: Sequence[Listed],
    *,
    cut: Cut | None = None,
    strict: bool = False,
    threads: int | None = None,
) -> Iterator[ReadPicture]:
    """Read pictures of any size, grey or colour, a few at a time and in order.

    Args:
        pictures: As listed.
        cut: Finds the face; None takes the whole picture for it.
        strict: Raise for the first picture that cannot be used, instead of saying so in ``problem``.
        threads: That read at once; None: see `esrface.threads`.

    Raises:
        DataError: ``strict``, and a picture cannot be used.
    """
    workers = resolve_threads(threads)

    def read(listed: Listed) -> ReadPicture:
        return _read(listed, cut)

    with closing(ordered_map(read, pictures, workers=workers, ahead=2 * workers)) as results:
        for _, future in results:
            yield _checked(future, strict)


def load_faces(
    split: FolderSplit,
    size: int,
    *,
    resize: str = "area_linear",
    cut: Cut | None = None,
    strict: bool = False,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FolderFaces:
    """Read a split into memory, each face resized to ``size`` as the model will see it.

    Args:
        split: As listed.
        size: S, side of the network's input in pixels.
        resize: How, see `esrface.models.card.InputSpec`.
        cut: See `read_pictures`, and so the next two.
        strict: As above.
        threads: As above.
        progress: Called with pictures done and pictures in all.
    """
    spec = InputSpec(size=size, channels=1, color="gray", mean=(0.0,), std=(1.0,), resize=resize)
    total = len(split.pictures)
    pixels = np.empty((total, size, size), dtype=np.uint8)
    used: list[ReadPicture] = []
    skipped: list[str] = []
    for done, picture in enumerate(
        read_pictures(split.pictures, cut=cut, strict=strict, threads=threads), start=1
    ):
        if picture.crop is None:
            skipped.append(str(picture.problem))
        else:
            pixels[len(used)] = np.rint(to_input([picture.crop], spec)[0, 0])
            used.append(ReadPicture(picture.listed, None, picture.digest, None))
        if progress is not None:
            progress(done, total)
    return FolderFaces(
        [picture.listed.name for picture in used],
        pixels[: len(used)],
        np.array([picture.listed.label for picture in used], dtype=np.int64),
        np.array([picture.digest for picture in used], dtype="S16"),
        tuple(skipped),
    )


def file_digest(content: bytes) -> bytes:
    """16 bytes, equal for equal content."""
    # Hexadecimal: NumPy's byte strings drop zeros at their end.
    return hashlib.blake2b(content, digest_size=8).hexdigest().encode()


def summarise_skipped(skipped: Sequence[str], total: int) -> str | None:
    """One line on what was left out of ``total`` pictures, or None."""
    if not skipped:
        return None
    faceless = sum(line.endswith(NO_FACE) for line in skipped)
    kinds = [(len(skipped) - faceless, "unreadable"), (faceless, "without a face")]
    what = ", ".join(f"{count} {kind}" for count, kind in kinds if count)
    return f"{len(skipped)} of {total} pictures skipped ({what}), the first: {skipped[0]}"


def _checked(future: Future[ReadPicture], strict: bool) -> ReadPicture:
    picture = future.result()
    if strict and picture.problem is not None:
        raise DataError(f"{picture.problem} (--strict)")
    return picture


def _read(listed: Listed, cut: Cut | None) -> ReadPicture:
    digest = b""
    try:
        try:
            content = listed.path.read_bytes()
        except OSError as error:
            raise InputError(f"cannot read {printable(listed.path)}: {reason_of(error)}") from error
        except ValueError:
            raise InputError(f"cannot read {printable(listed.path)}: this is no name of a file") from None
        digest = file_digest(content)
        crop: NDArray[np.uint8] | None = load_image(content, name=str(listed.path))
    except InputError as error:
        return ReadPicture(listed, None, digest, str(error))
    if cut is not None and crop is not None:
        crop = cut(crop)
    return ReadPicture(listed, crop, digest, f"{printable(listed.path)}: {NO_FACE}" if crop is None else None)
