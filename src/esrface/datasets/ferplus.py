"""FER+ (Barsoum et al., 2016): the 48x48 grey faces of FER2013 with the votes of ten annotators.

Three layouts are read: ``Images/FER2013Train/…`` with ``Labels/FER2013Train/label.csv`` (the one that the
original ESR code expects), Microsoft's ``FER2013Train/label.csv`` beside its pictures, and zip files of that
folder. Microsoft's folder of one split may be given itself. A split is read alone; the others need not be
there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface.emotions import EMOTIONS
from esrface.errors import DataError

SPLIT_FOLDERS: Final = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
"""Folder of each split: training, PublicTest (validation) and PrivateTest."""

VOTE_COLUMNS: Final = (
    "Neutral",
    "Happy",
    "Surprise",
    "Sad",
    "Anger",
    "Disgust",
    "Fear",
    "Contempt",
    "unknown",
    "NF",
)
"""Columns of the votes as the label file has them; the first eight in another order than the network's."""

NETWORK_ORDER: Final = tuple(VOTE_COLUMNS.index(name) for name in EMOTIONS)
"""Vote column of each emotion in network order."""

FACE_SIZE: Final = 48

_UNREADABLE: Final = (zipfile.BadZipFile, OSError, EOFError, zlib.error, lzma.LZMAError, RuntimeError)
"""What `zipfile` raises for members that are torn, encrypted (RuntimeError), or packed in a way that it does
not know (NotImplementedError, which is one)."""

_MOST_VOTES: Final = 1000
"""More than anybody asks for one face; FER+ has 10."""


@dataclass(frozen=True)
class FerPlusSplit:
    """One split in the order of its label file."""

    names: list[str]
    """(N,) file names."""
    pixels: NDArray[np.uint8]
    """(N, 48, 48) grey."""
    votes: NDArray[np.int16]
    """(N, 10) votes in the file's column order (`VOTE_COLUMNS`)."""

    def __len__(self) -> int:
        return len(self.names)

    def select(self, keep: NDArray[np.bool_]) -> FerPlusSplit:
        """The images where ``keep`` (N,) is true."""
        names = [name for name, kept in zip(self.names, keep, strict=True) if kept]
        return FerPlusSplit(names, self.pixels[keep], self.votes[keep])


def has_split(data: Path, split: str) -> bool:
    """Whether there is anything of a split in any layout, perhaps not all: `load_ferplus` says what lacks."""
    folder = SPLIT_FOLDERS[split]
    if data.name == folder and (data / "label.csv").is_file():
        return True
    return any((data / place).exists() for place in (f"{folder}.zip", folder, f"Labels/{folder}"))


def load_ferplus(data: Path, split: str) -> FerPlusSplit:
    """Read one split, ``"train"``, ``"valid"`` or ``"test"``, from any of the three layouts.

    Raises:
        DataError: the split is not there, its label file is malformed, or a listed picture is missing.
    """
    if split not in SPLIT_FOLDERS:
        raise DataError(f"no FER+ split is called {split!r}; choose one of {', '.join(SPLIT_FOLDERS)}")
    folder = SPLIT_FOLDERS[split]
    archive = data / f"{folder}.zip"
    for labels, pictures in (
        (data / "Labels" / folder / "label.csv", data / "Images" / folder),
        (data / folder / "label.csv", data / folder),
        (data / "label.csv", data),
    ):
        if labels.is_file() and (labels.parent != data or data.name == folder):
            return _read_split(_text(labels.read_bytes(), labels), _reader(pictures), labels)
    if archive.is_file():
        return _read_archive(archive, folder)
    raise DataError(
        f"{data}: no FER+ {split} split here; expected {folder}.zip, {folder}/label.csv "
        f"or Labels/{folder}/label.csv with Images/{folder}/"
    )


def _reader(folder: Path) -> Callable[[str], bytes]:
    return lambda name: (folder / name).read_bytes()


def _read_archive(path: Path, folder: str) -> FerPlusSplit:
    try:
        with zipfile.ZipFile(path) as archive:
            label, pictures = _members(archive.namelist(), folder, path)
            text = _text(_member(archive, label, path), path)
            return _read_split(text, lambda name: _member(archive, pictures[name], path), path)
    except (*_UNREADABLE, UnicodeDecodeError) as error:
        raise DataError(_torn(path, error)) from error


def _members(names: list[str], folder: str, path: Path) -> tuple[str, dict[str, str]]:
    """The label file of a split in its zip, and the member of each picture's name."""
    files = {PurePosixPath(name): name for name in names if not name.endswith("/")}
    tables = [file for file in files if file.name == "label.csv"]
    if not tables:
        raise DataError(f"{path}: no label.csv inside; is this the zip of {folder}?")
    # A zip may hold all of the splits.
    own = [table for table in tables if table.parent.name == folder] or tables
    if len(own) > 1:
        one, two = (printable(files[table]) for table in own[:2])
        raise DataError(
            f"{path}: {len(own)} label.csv inside, {one} and {two}; the split's own is {folder}/label.csv"
        )
    [table] = own
    holder = table.parent.name
    if holder != folder and holder in SPLIT_FOLDERS.values():
        raise DataError(f"{path}: it holds {holder}, not {folder}")
    beside = [file for file in files if file.parent.name in (holder, folder)]
    # Pictures of the same name elsewhere may be another split's.
    found = [*files, *beside] if len(tables) == 1 else beside
    return files[table], {file.name: files[file] for file in found}


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        return archive.read(name)
    except _UNREADABLE as error:
        raise DataError(_torn(path, error)) from error


def _torn(path: Path, error: Exception) -> str:
    return f"{path}: not a readable zip file ({printable(str(error))})"


def _text(content: bytes, labels: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{labels}: the label file is no UTF-8 text") from None


def _read_split(text: str, read: Callable[[str], bytes], labels: Path) -> FerPlusSplit:
    names: dict[str, None] = {}  # In the file's order.
    votes: list[list[int]] = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), start=1):
        if not row:
            continue
        try:
            counts = [int(float(cell)) for cell in row[2:]]
        except (ValueError, OverflowError):
            counts = []
        if len(counts) != len(VOTE_COLUMNS) or not all(0 <= count <= _MOST_VOTES for count in counts):
            raise DataError(
                f"{labels}: line {number} has no ten vote counts after file and box: {','.join(row)!r}"
            )
        if row[0] in names:
            raise DataError(f"{labels}: line {number} names {printable(row[0])} a second time")
        names[row[0]] = None
        votes.append(counts)
    if not names:
        raise DataError(f"{labels}: the label file is empty")
    pixels = np.empty((len(names), FACE_SIZE, FACE_SIZE), dtype=np.uint8)
    missing = []
    for index, name in enumerate(names):
        try:
            encoded = read(name)
        except (OSError, KeyError, ValueError):  # The last one: a name that no system takes.
            missing.append(name)
            continue
        pixels[index] = decode_face(encoded, f"{labels}: {name}")
    if missing:
        what = counted(len(missing), "listed picture is", "listed pictures are")
        raise DataError(f"{labels}: {what} missing, the first is {missing[0]}")
    return FerPlusSplit(list(names), pixels, np.array(votes, dtype=np.int16))


def decode_face(encoded: bytes, name: str) -> NDArray[np.uint8]:
    """A picture's pixels (48, 48), grey.

    Raises:
        DataError: It cannot be read or has another size; ``name`` says which it is.
    """
    image = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_GRAYSCALE) if encoded else None
    if image is None:
        raise DataError(f"{name} is not a readable picture")
    if image.shape != (FACE_SIZE, FACE_SIZE):
        raise DataError(f"{name} is {image.shape[1]}x{image.shape[0]}, expected {FACE_SIZE}x{FACE_SIZE}")
    return np.asarray(image, dtype=np.uint8)


def majority_labels(votes: NDArray[np.int16]) -> NDArray[np.int64]:
    """Label of each vote row (N, 10) by the majority rule: class in network order, or -1 to leave it out.

    Votes of 1 or less become 0; the class with the largest count counts only if it exceeds half of the
    remaining votes (unknown and NF included) and is neither unknown nor NF.
    """
    counts = np.where(votes <= 1, 0, votes).astype(np.int64)
    ordered = counts[:, NETWORK_ORDER]
    labels = ordered.argmax(axis=1)
    top = ordered.max(axis=1)
    return np.where((top > 0) & (2 * top > counts.sum(axis=1)), labels, -1)


def soft_labels(votes: NDArray[np.int16]) -> NDArray[np.float32]:
    """Distribution over the emotions (N, 8), in network order, of each vote row (N, 10).

    Single votes are dropped as noise, and so are unknown and NF; a row is all zero, and its image to be left
    out, where nothing remains or where unknown or NF has the most votes.
    """
    counts = np.where(votes <= 1, 0, votes).astype(np.float32)
    emotions = counts[:, NETWORK_ORDER]
    total = emotions.sum(axis=1, keepdims=True)
    unusable = counts[:, 8:].max(axis=1, keepdims=True) > emotions.max(axis=1, keepdims=True)
    return np.where(unusable | (total == 0), 0, emotions / np.maximum(total, 1)).astype(np.float32)


def pixel_hashes(pixels: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """(N,) digest of each image's pixels, equal for exact copies: FER2013 holds many, also across splits."""
    return np.array(
        [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in pixels], dtype="S16"
    )


def held_out_images(pixels: NDArray[np.uint8], share: float) -> NDArray[np.bool_]:
    """(N,) which images (N, H, W) belong to a fixed ``share`` of all distinct ones.

    Their pixels decide, so that copies of an image go the same way, in every run and whatever its seed.
    """
    places = np.array([int.from_bytes(digest[:4], "big") for digest in pixel_hashes(pixels)])
    return places < share * 2**32
