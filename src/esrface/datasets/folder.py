"""A user's own labelled pictures: ``DIR/{train,valid}/<emotion>/*``, or a CSV of path, label, split.

Names of folders and labels are the eight emotions or synonyms of them, in any case. Listing is apart from
reading (`esrface.datasets.folder_pictures`): a data set is checked as a whole before a picture is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of
from esrface._suggest import unknown_name
from esrface.datasets.tables import read_table
from esrface.emotions import EMOTIONS
from esrface.errors import DataError
from esrface.sources import find_images

SYNONYMS: Final[Mapping[str, tuple[str, ...]]] = {
    "Neutral": ("neutrality",),
    "Happy": ("happiness", "joy", "joyful", "smiling"),
    "Sad": ("sadness", "unhappy"),
    "Surprise": ("surprised", "astonished", "astonishment"),
    "Fear": ("fearful", "afraid", "scared", "frightened"),
    "Disgust": ("disgusted",),
    "Anger": ("angry",),
    "Contempt": ("contemptuous",),
}
"""Other names of each emotion, lower case."""

SPLITS: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("training",),
    "valid": ("val", "validation"),
    "test": ("testing",),
}
"""The splits and other names of them, lower case."""

COLUMNS: Final = ("path", "label", "split")
"""Columns that the first line of a CSV has to name, in any order; others are passed over."""


@dataclass(frozen=True)
class Listed:
    """One labelled picture, not opened yet."""

    path: Path
    name: str
    """Path below the data set's folder, or as the CSV has it."""
    label: int
    """Index of the emotion in network order."""


@dataclass(frozen=True)
class FolderSplit:
    """One split as it is listed."""

    data: Path
    split: str
    pictures: tuple[Listed, ...]
    """Class by class in network order, names sorted; for a CSV in its order."""
    problems: tuple[str, ...]
    """One line for each class folder without a picture, and for each folder that cannot be read."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(8,) pictures of each emotion."""
        return class_counts(np.array([picture.label for picture in self.pictures], dtype=np.int64))


def emotion_of(name: str) -> str | None:
    """The emotion that a folder's name or a label means (``"Sadness"``, ``"03_happy"``), or None."""
    # casefold, and what numbers and marks people put around names to sort them.
    return _KNOWN_EMOTIONS.get(re.sub(r"^[\W\d_]+|[\W\d_]+$", "", name.casefold()))


def list_folder(data: Path, split: str) -> FolderSplit:
    """List one split, ``"train"``, ``"valid"`` or ``"test"``; nothing is decoded.

    Args:
        data: Folder with a folder for the split and in it one for each emotion, or a CSV file whose first
            line names the columns path (relative to the file), label and split.
        split: Which one.

    Raises:
        DataError: There is no such data set or split, or a name in it means none of the eight emotions.
    """
    if split not in SPLITS:
        raise DataError(unknown_name("split", split, SPLITS))
    if data.is_dir():
        return _list_tree(data, split)
    if data.is_file():
        return _list_csv(data, split)
    raise DataError(f"{printable(data)}: no such folder or CSV file")


def splits_of(data: Path) -> tuple[str, ...]:
    """Which of the splits a folder or CSV has, right or wrong, in the order of `SPLITS`; none where it is
    neither."""
    if data.is_dir():
        names = [folder.name for folder in _folders(data)]
    elif data.is_file():
        names = [row["split"].strip() for _, row in read_table(data, COLUMNS)]
    else:
        names = []
    found = {_KNOWN_SPLITS.get(name.casefold()) for name in names}
    return tuple(split for split in SPLITS if split in found)


def class_counts(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(8,) how often each emotion stands in labels (N,)."""
    return np.bincount(labels, minlength=len(EMOTIONS)).astype(np.int64)


def _list_tree(data: Path, split: str) -> FolderSplit:
    folders = [folder for folder in _folders(data) if _KNOWN_SPLITS.get(folder.name.casefold()) == split]
    if not folders:
        raise DataError(_no_split(data, split))
    classes = [folder for place in folders for folder in _folders(place)]
    meanings = {folder: emotion_of(folder.name) for folder in classes}
    unknown = sorted({folder.name for folder, meaning in meanings.items() if meaning is None})
    if unknown:
        raise DataError(_unknown_emotions(folders[0], "folder", unknown))
    if not classes:
        raise DataError(f"{printable(folders[0])}: no folders of emotions here; {_expected()}")
    pictures: list[Listed] = []
    problems: list[str] = []
    for folder, meaning in meanings.items():
        label = EMOTIONS.index(str(meaning))
        for source in find_images([folder]):
            if source.problem is not None:
                problems.append(source.problem)
            else:
                path = Path(source.name)
                pictures.append(Listed(path, path.relative_to(data).as_posix(), label))
    pictures.sort(key=lambda picture: picture.label)
    return FolderSplit(data, split, tuple(pictures), tuple(problems))


def _folders(place: Path) -> list[Path]:
    """Folders right below a folder, sorted, without hidden ones and what archives leave behind."""
    try:
        inside = sorted(entry for entry in place.iterdir() if entry.is_dir())
    except OSError as error:
        raise DataError(f"cannot read {printable(place)}: {reason_of(error)}") from error
    return [folder for folder in inside if not folder.name.startswith((".", "__"))]


def _no_split(data: Path, split: str) -> str:
    found = [folder.name for folder in _folders(data)]
    if any(emotion_of(name) for name in found):
        hint = f"folders of emotions stand right in it: move them into {printable(data)}/{split}/"
    else:
        hint = f"it holds {', '.join(map(printable, found[:8])) or 'no folders'}"
    return f"{printable(data)}: no folder {split} here; {hint}"


def _list_csv(path: Path, split: str) -> FolderSplit:
    pictures: list[Listed] = []
    unknown: set[str] = set()
    for number, row in read_table(path, COLUMNS):
        means = _KNOWN_SPLITS.get(row["split"].strip().casefold())
        if means is None:
            said = unknown_name("split", row["split"], SPLITS)
            raise DataError(f"{printable(path)}: line {number}: {said}")
        if means != split:
            continue
        emotion = emotion_of(row["label"])
        if emotion is None:
            unknown.add(row["label"])
            continue
        pictures.append(Listed(path.parent / row["path"], row["path"], EMOTIONS.index(emotion)))
    if unknown:
        raise DataError(_unknown_emotions(path, "label", sorted(unknown)))
    if not pictures:
        raise DataError(f"{printable(path)}: no line has the split {split}")
    return FolderSplit(path, split, tuple(pictures), ())


def _unknown_emotions(place: Path, what: str, names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:12]) + (", …" if len(names) > 12 else "")
    plural = "" if len(names) == 1 else "s"
    return (
        f"{printable(place)}: {len(names)} {what}{plural} of no known emotion: {shown}; models answer with "
        f"eight emotions and no others yet, so rename or take out: {_known()}"
    )


def _known() -> str:
    return ", ".join(
        name + (f" ({', '.join(SYNONYMS[name])})" if SYNONYMS[name] else "") for name in EMOTIONS
    )


def _expected() -> str:
    return f"one is expected for each emotion: {_known()}"


def _by_name(names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {other: name for name, others in names.items() for other in (name.casefold(), *others)}


_KNOWN_EMOTIONS: Final = _by_name(SYNONYMS)
_KNOWN_SPLITS: Final = _by_name(SPLITS)
