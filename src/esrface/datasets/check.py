"""Looking over a data set before a long run: is it all there, and how many pictures has each class?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface._suggest import unknown_name
from esrface.datasets.affectnet import SETS, list_affectnet
from esrface.datasets.ckplus import ckplus_folds, list_ckplus, load_ckplus
from esrface.datasets.ferplus import SPLIT_FOLDERS, has_split, load_ferplus, majority_labels
from esrface.datasets.folder import FolderSplit, class_counts, list_folder, splits_of
from esrface.datasets.folder_pictures import read_pictures, summarise_skipped
from esrface.datasets.learnable import check_learnable, unlike
from esrface.emotions import EMOTIONS
from esrface.errors import DataError


@dataclass(frozen=True)
class SplitCheck:
    """One split that is there."""

    name: str
    images: int
    """That can be used."""
    classes: dict[str, int]
    """How many of each class, by name."""
    left_out: int = 0
    """Without a usable label, or unreadable."""


@dataclass(frozen=True)
class Checked:
    """What a data set holds."""

    layout: str
    splits: tuple[SplitCheck, ...]
    warnings: tuple[str, ...]
    """What is missing or odd without being wrong: one line each."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "layout": self.layout,
            "splits": {
                split.name: {"images": split.images, "left_out": split.left_out, "classes": split.classes}
                for split in self.splits
            },
            "warnings": list(self.warnings),
        }


def check_data(data: Path, layout: str, *, threads: int | None = None) -> Checked:
    """Look over a data set.

    Pictures are decoded, except those of AffectNet, of which there are very many: there, names are checked
    and empty files found.

    Args:
        data: As the loader of the layout takes it.
        layout: One of `LAYOUTS`.
        threads: For reading pictures.

    Raises:
        DataError: It cannot be used as it is; the line names what is wrong and how many files have it.
    """
    if layout not in LAYOUTS:
        raise DataError(unknown_name("layout", layout, LAYOUTS))
    if not data.exists():
        raise DataError(f"{printable(data)}: no such file or folder")
    return LAYOUTS[layout](data, threads)


def _check_ferplus(data: Path, _: int | None) -> Checked:
    splits, missing = [], []
    for name in SPLIT_FOLDERS:
        if not has_split(data, name):
            missing.append(name)
            continue
        faces = load_ferplus(data, name)
        labels = majority_labels(faces.votes)
        kept = labels[labels >= 0]
        splits.append(SplitCheck(name, len(kept), _named(class_counts(kept)), len(faces) - len(kept)))
    if not splits:
        # The loader's own line says what is expected.
        load_ferplus(data, "train")
    return Checked("ferplus", tuple(splits), tuple(f"no {name} split here" for name in missing))


def _check_affectnet(data: Path, _: int | None) -> Checked:
    splits, missing = [], []
    for name, names in SETS.items():
        if not (data / names.prepared).is_dir():
            missing.append(f"no {names.prepared} here (esrface data affectnet --set {name} makes it)")
            continue
        listed = list_affectnet(data, name)
        empty = [path for path in listed.paths if not path.stat().st_size]
        if empty:
            files = counted(len(empty), "file is", "files are")
            raise DataError(
                f"{printable(data / names.prepared)}: {files} empty, the first is "
                f"{printable(empty[0])}: delete them and prepare them again with --resume"
            )
        splits.append(SplitCheck(names.prepared, len(listed), listed.counts))
    if not splits:
        raise DataError(f"{printable(data)}: {'; '.join(missing)}")
    return Checked("affectnet", tuple(splits), tuple(missing))


def _check_ckplus(data: Path, _: int | None) -> Checked:
    frames = load_ckplus(data)
    folds = ckplus_folds([session.subject for session in list_ckplus(data)])
    splits = []
    for number, subjects in enumerate(folds):
        labels = frames.labels[np.isin(frames.subjects, subjects)]
        splits.append(SplitCheck(f"fold {number}", len(labels), _named(class_counts(labels))))
    return Checked("ckplus", tuple(splits), ())


def _check_folder(data: Path, threads: int | None) -> Checked:
    read: dict[str, _Read] = {}
    # A test split is for those who want one; what is there has to be right.
    for name in ("train", "valid", *(split for split in splits_of(data) if split == "test")):
        emotions = read["train"].listed.emotions if name != "train" else None
        listed = list_folder(data, name, emotions=emotions, of="the split train")
        if name == "train" and listed.problems:
            raise DataError(f"{listed.problems[0]}: fill it, or take it out")
        read[name] = _read(listed, threads)
    train, valid = read["train"], read["valid"]
    _check_learnable(train, valid)
    splits, warnings = [], list(train.listed.doubts)
    for name, split in read.items():
        classes = _named(split.counts, split.listed.emotions)
        splits.append(SplitCheck(name, len(split.labels), classes, len(split.skipped)))
        summary = split.summary
        warnings += split.listed.loose if name != "train" else ()
        warnings += [*split.listed.problems, *([f"{name}: {summary}"] if summary else [])]
    warnings += [*_shared(read), *unlike(train.listed.emotions, train.counts, valid.counts)]
    return Checked("folder", tuple(splits), tuple(warnings))


@dataclass(frozen=True)
class _Read:
    """A folder's split, and the M of its pictures that can be used."""

    listed: FolderSplit
    labels: NDArray[np.int64]
    """(M,)"""
    digests: NDArray[np.bytes_]
    """(M,) of the files."""
    skipped: tuple[str, ...]
    """One line for each of the others."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(C,) usable pictures of each class."""
        return class_counts(self.labels, len(self.listed.emotions))

    @property
    def summary(self) -> str | None:
        """One line on what was skipped."""
        return summarise_skipped(self.skipped, len(self.listed.pictures))


def _read(listed: FolderSplit, threads: int | None) -> _Read:
    labels, digests, skipped = [], [], []
    for picture in read_pictures(listed.pictures, threads=threads):
        if picture.crop is None:
            skipped.append(str(picture.problem))
        else:
            labels.append(picture.listed.label)
            digests.append(picture.digest)
    return _Read(listed, np.array(labels, dtype=np.int64), np.array(digests, dtype="S16"), tuple(skipped))


def _check_learnable(train: _Read, valid: _Read) -> None:
    """Refuse what ``esrface train folder`` refuses, whatever its options."""
    where = printable(train.listed.data)
    for split in (train, valid):
        if not len(split.labels):
            problems = (*split.listed.problems, *split.skipped)
            first = f", the first problem: {problems[0]}" if problems else ""
            raise DataError(f"{where}: no usable picture in the split {split.listed.split}{first}")
    fresh = train.labels[~np.isin(train.digests, valid.digests)]
    if not len(fresh):
        raise DataError(f"{where}: all usable pictures of train are in valid too: take them out of one")
    lost = [
        f"{split.listed.split}: {line}" for split in (train, valid) if (line := split.summary) is not None
    ]
    if len(fresh) < len(train.labels):
        copies = counted(len(train.labels) - len(fresh), "picture is", "pictures are")
        lost.append(f"train: {copies} in valid too")
    left = class_counts(fresh, len(train.listed.emotions))
    check_learnable(train.listed, left, len(valid.labels), lost)


def _shared(read: Mapping[str, _Read]) -> list[str]:
    """Lines on files that stand in two splits."""
    lines = []
    for (one, here), (other, there) in combinations(read.items(), 2):
        count = int(np.count_nonzero(np.isin(here.digests, there.digests)))
        if count:
            pictures = counted(count, f"picture of {one} is", f"pictures of {one} are")
            them = "it" if count == 1 else "them"
            left_out = f": training leaves {them} out" if (one, other) == ("train", "valid") else ""
            lines.append(f"{pictures} in {other} too{left_out}")
    return lines


def _named(counts: Any, emotions: Sequence[str] = EMOTIONS) -> dict[str, int]:
    return dict(zip(emotions, (int(count) for count in counts), strict=True))


LAYOUTS: Final[dict[str, Callable[[Path, int | None], Checked]]] = {
    "ferplus": _check_ferplus,
    "affectnet": _check_affectnet,
    "ckplus": _check_ckplus,
    "folder": _check_folder,
}
"""How each layout is looked over."""
