"""A user's own labelled pictures: ``DIR/{train,valid}/<emotion>/*``, or a CSV of path, label, split.

Names of folders and labels are the eight emotions or synonyms of them, in any case; any other name is a class
of its own. Listing is apart from reading (`esrface.datasets.folder_pictures`): a data set is checked as a
whole before a picture is decoded.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of, same_file_key
from esrface._numbers import counted
from esrface._suggest import nearest, unknown_name
from esrface.datasets.tables import read_table
from esrface.emotions import EMOTIONS, classes_problem
from esrface.errors import DataError, InputError
from esrface.sources import find_images, has_picture_suffix

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

LIKELY_TYPO: Final = 0.75
"""How much (0-1) a new class's name is like one of the eight emotions' where it is probably meant."""

COLUMNS: Final = ("path", "label", "split")
"""Columns that the first line of a CSV has to name, in any order; others are passed over."""


@dataclass(frozen=True)
class Listed:
    """One labelled picture, not opened yet."""

    path: Path
    name: str
    """Path below the data set's folder, or as the CSV has it."""
    label: int
    """Index of the class in `FolderSplit.emotions`."""


@dataclass(frozen=True)
class FolderSplit:
    """One split as it is listed."""

    data: Path
    split: str
    emotions: tuple[str, ...]
    """(C,) the classes: the eight emotions, there or not, then the new ones, sorted."""
    pictures: tuple[Listed, ...]
    """Class by class, names sorted; for a CSV in its order."""
    problems: tuple[str, ...]
    """One line for each class folder without a picture, and for each folder that cannot be read."""
    loose: tuple[str, ...] = ()
    """One line for each of the split's folders in which pictures lie beside those of the classes."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(C,) pictures of each class."""
        labels = np.array([picture.label for picture in self.pictures], dtype=np.int64)
        return class_counts(labels, len(self.emotions))

    @property
    def doubts(self) -> tuple[str, ...]:
        """What may be meant otherwise, one line each: see ``loose``; and new classes whose names look like
        slips for one of the eight emotions."""
        what = "label" if self.data.is_file() else "folder"
        return self.loose + tuple(
            f"{what} '{printable(name)}' is taken as a new class; if you mean {meant} rename it"
            for name in self.emotions[len(EMOTIONS) :]
            if (meant := _probably(name)) is not None
        )


def emotion_of(name: str) -> str | None:
    """The emotion that a folder's name or a label means (``"Sadness"``, ``"03_happy"``), or None."""
    return _KNOWN_EMOTIONS.get(_bare(name))


def list_folder(
    data: Path, split: str, *, emotions: Sequence[str] | None = None, of: str = "what is known"
) -> FolderSplit:
    """List one split, ``"train"``, ``"valid"`` or ``"test"``; nothing is decoded.

    Args:
        data: Folder with a folder for the split and in it one for each class, or a CSV file whose first
            line names the columns path (relative to the file), label and split.
        split: Which one.
        emotions: The classes that are known, say a model's; None: the eight emotions and whatever other
            names there are. Names that differ in case only are one.
        of: Whose ``emotions`` are, for errors.

    Raises:
        DataError: There is no such data set or split, a name in it is no name for a class, or it is none of
            ``emotions``.
    """
    if split not in SPLITS:
        raise DataError(unknown_name("split", split, SPLITS))
    if data.is_dir():
        return _list_tree(data, split, emotions, of)
    if data.is_file():
        return _list_csv(data, split, emotions, of)
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


def refuse_among_pictures(out: Path, data: Path) -> None:
    """Make sure that what is written to ``out`` cannot be taken for a class of the folder ``data``.

    Raises:
        InputError: It lies in the folder of a split, whether that is there yet or not.
    """
    if not data.is_dir():
        return
    place, root = Path(os.path.realpath(out)), Path(os.path.realpath(data))
    splits = {name for split, others in SPLITS.items() for name in (split, *others)}
    names = set(place.relative_to(root).parts[:1]) if place.is_relative_to(root) else set()
    with suppress(OSError):
        # A split may be a link to somewhere else.
        links = ((entry.name, Path(os.path.realpath(entry))) for entry in root.iterdir())
        names |= {name for name, target in links if place.is_relative_to(target)}
    if any(name.casefold() in splits for name in names):
        raise InputError("--out lies among the pictures and would count as a class: choose another place")


def class_counts(labels: NDArray[np.int64], classes: int = len(EMOTIONS)) -> NDArray[np.int64]:
    """(C,) how often each class stands in labels (N,)."""
    return np.bincount(labels, minlength=classes).astype(np.int64)


class _Classes:
    """What the names of folders or labels mean.

    Args:
        place: Where they stand, for errors.
        what: ``"folder"`` or ``"label"``.
        names: All of them.
        known: The classes that there are; None: the eight emotions and the new ones among the names.
        of: Whose they are, for errors.

    Raises:
        DataError: A name means none of the classes, or can be no class's.
    """

    def __init__(
        self, place: Path, what: str, names: Iterable[str], known: Sequence[str] | None, of: str
    ) -> None:
        given = sorted(set(names))
        new = {
            class_key(name): unicodedata.normalize("NFC", name.strip())
            for name in reversed(given)
            if emotion_of(name) is None
        }
        if known is None:
            known = (*EMOTIONS, *(new[key] for key in sorted(new)))
            problem = classes_problem(known)
            if problem is not None:
                raise DataError(f"{printable(place)}: names of {what}s {problem}; rename one")
        self.emotions = tuple(known)
        self._index = {class_key(name): index for index, name in enumerate(self.emotions)}
        unknown = [name for name in given if self._find(name) is None]
        if unknown:
            raise DataError(_unknown_classes(place, what, unknown, self.emotions, of))

    def label(self, name: str) -> int:
        """Index of the class that one of the names means."""
        label = self._find(name)
        assert label is not None  # All names were looked up at the beginning.
        return label

    def _find(self, name: str) -> int | None:
        return self._index.get(class_key(emotion_of(name) or name))


def _list_tree(data: Path, split: str, emotions: Sequence[str] | None, of: str) -> FolderSplit:
    folders = [folder for folder in _folders(data) if _KNOWN_SPLITS.get(folder.name.casefold()) == split]
    if not folders:
        raise DataError(_no_split(data, split))
    classes = [folder for place in folders for folder in _folders(place)]
    if not classes:
        raise DataError(f"{printable(folders[0])}: no folders of emotions here; {_expected()}")
    known = _Classes(folders[0], "folder", [folder.name for folder in classes], emotions, of)
    pictures: list[Listed] = []
    problems: list[str] = []
    for folder in classes:
        label = known.label(folder.name)
        for source in find_images([folder]):
            if source.problem is not None:
                problems.append(source.problem)
            else:
                path = Path(source.name)
                pictures.append(Listed(path, path.relative_to(data).as_posix(), label))
    pictures.sort(key=lambda picture: picture.label)
    loose = tuple(line for place in folders if (line := _loose_line(place)) is not None)
    return FolderSplit(data, split, known.emotions, tuple(pictures), tuple(problems), loose)


def _loose_line(place: Path) -> str | None:
    """A line on pictures that lie right in a split's folder, or None."""
    loose = _inside(place, lambda entry: has_picture_suffix(entry.name) and entry.is_file())
    if not loose:
        return None
    lying = counted(len(loose), "picture lies", "pictures lie")
    they = "it is" if len(loose) == 1 else "they are"
    return f"{lying} in {printable(place)} itself, in no class: {they} left out"


def _folders(place: Path) -> list[Path]:
    """Folders right below a folder, sorted, without hidden ones and what archives of macOS leave behind."""
    return _inside(place, lambda entry: entry.name != "__MACOSX" and entry.is_dir())


def _inside(place: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    """What is wanted of a folder's entries, sorted, without hidden ones."""
    try:
        return sorted(entry for entry in place.iterdir() if not entry.name.startswith(".") and wanted(entry))
    except OSError as error:
        raise DataError(f"cannot read {printable(place)}: {reason_of(error)}") from error


def _no_split(data: Path, split: str) -> str:
    found = [folder.name for folder in _folders(data)]
    if any(emotion_of(name) for name in found):
        hint = f"folders of emotions stand right in it: move them into {printable(data)}/{split}/"
    else:
        hint = f"it holds {', '.join(map(printable, found[:8])) or 'no folders'}"
    return f"{printable(data)}: no folder {split} here; {hint}"


def _list_csv(path: Path, split: str, emotions: Sequence[str] | None, of: str) -> FolderSplit:
    rows: dict[Path, _Line] = {}
    for number, row in read_table(path, COLUMNS):
        means = _KNOWN_SPLITS.get(row["split"].strip().casefold())
        if means is None:
            said = unknown_name("split", row["split"], SPLITS)
            raise DataError(f"{printable(path)}: line {number}: {said}")
        if means != split:
            continue
        for column in ("path", "label"):
            if not row[column].strip():
                raise DataError(f"{printable(path)}: line {number} has no {column}")
        name = _name_in(path.parent, row["path"])
        line = _Line(number, name, row["label"])
        before = rows.setdefault(path.parent / name, line)
        if before is not line:
            raise DataError(f"{printable(path)}: {_repeated(before, line)}")
    if not rows:
        raise DataError(f"{printable(path)}: no line has the split {split}")
    known = _Classes(path, "label", [line.label for line in rows.values()], emotions, of)
    pictures = (Listed(place, line.name, known.label(line.label)) for place, line in rows.items())
    return FolderSplit(path, split, known.emotions, tuple(pictures), ())


@dataclass(frozen=True)
class _Line:
    """A row of a CSV."""

    number: int
    name: str
    label: str


def _name_in(folder: Path, cell: str) -> str:
    """A picture's path as a cell has it, without the blanks around it unless there is such a file."""
    bare = cell.strip()
    try:
        return cell if cell != bare and (folder / cell).exists() else bare
    except OSError:  # A name that is too long, say: reading it will tell.
        return bare


def _repeated(before: _Line, line: _Line) -> str:
    one, two = (emotion_of(which.label) or class_key(which.label) for which in (before, line))
    if one == two:
        how = f"as in line {before.number}"
    else:
        how = (
            f"as {printable(line.label.strip())}; line {before.number} says {printable(before.label.strip())}"
        )
    return f"line {line.number} lists {printable(line.name)} again, {how}: take one out"


def class_key(name: str) -> str:
    """Equal for names that are one class's."""
    return same_file_key(name.strip())


def _bare(name: str) -> str:
    """A name in lower case, without the numbers and marks that people put around names to sort them."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", name.casefold())


def _probably(name: str) -> str | None:
    """The emotion that a new class's name is a likely slip for."""
    near = nearest(_bare(name), _KNOWN_EMOTIONS, cutoff=LIKELY_TYPO)
    return None if near is None else _KNOWN_EMOTIONS[near]


def _unknown_classes(place: Path, what: str, names: Sequence[str], known: Sequence[str], of: str) -> str:
    shown = ", ".join(f"'{printable(name)}'" for name in names[:12]) + (", …" if len(names) > 12 else "")
    meant = _probably(names[0])
    hint = "" if meant is None else f" (did you mean {meant}?)"
    plural = "" if len(names) == 1 else "s"
    return (
        f"{printable(place)}: {of} has no class for the {what}{plural} {shown}{hint}, only "
        f"{', '.join(map(printable, known))}; rename or take out, or train with it"
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
