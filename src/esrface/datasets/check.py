"""Looking over a data set before a long run: is it all there, and how many pictures has each class?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from esrface._names import printable
from esrface._suggest import unknown_name
from esrface.datasets.affectnet import SETS, list_affectnet
from esrface.datasets.ckplus import ckplus_folds, list_ckplus, load_ckplus
from esrface.datasets.ferplus import SPLIT_FOLDERS, load_ferplus, majority_labels
from esrface.datasets.folder import class_counts, list_folder, splits_of
from esrface.datasets.folder_pictures import read_pictures, summarise_skipped
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
    for name, folder in SPLIT_FOLDERS.items():
        if not _ferplus_split_is_here(data, folder):
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


def _ferplus_split_is_here(data: Path, folder: str) -> bool:
    return any((data / place).exists() for place in (f"{folder}.zip", folder, f"Labels/{folder}"))


def _check_affectnet(data: Path, _: int | None) -> Checked:
    splits, missing = [], []
    for name, names in SETS.items():
        if not (data / names.prepared).is_dir():
            missing.append(f"no {names.prepared} here (esrface data affectnet --set {name} makes it)")
            continue
        listed = list_affectnet(data, name)
        empty = [path for path in listed.paths if not path.stat().st_size]
        if empty:
            raise DataError(
                f"{printable(data / names.prepared)}: {len(empty)} files are empty, the first is "
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
    splits: list[SplitCheck] = []
    warnings: list[str] = []
    emotions: tuple[str, ...] | None = None
    # A test split is for those who want one; what is there has to be right.
    for name in ("train", "valid", *(split for split in splits_of(data) if split == "test")):
        listed = list_folder(data, name, emotions=emotions, of="the split train")
        if name == "train":
            emotions = listed.emotions
            warnings += listed.doubts
            if listed.problems:
                raise DataError(f"{listed.problems[0]}: fill it, or take it out")
        labels, skipped = [], []
        for picture in read_pictures(listed.pictures, threads=threads):
            if picture.crop is None:
                skipped.append(str(picture.problem))
            else:
                labels.append(picture.listed.label)
        counts = class_counts(np.array(labels, dtype=np.int64), len(listed.emotions))
        splits.append(SplitCheck(name, len(labels), _named(counts, listed.emotions), len(skipped)))
        summary = summarise_skipped(skipped, len(listed.pictures))
        warnings += [*listed.problems, *([f"{name}: {summary}"] if summary else [])]
    return Checked("folder", tuple(splits), tuple(warnings))


def _named(counts: Any, emotions: Sequence[str] = EMOTIONS) -> dict[str, int]:
    return dict(zip(emotions, (int(count) for count in counts), strict=True))


LAYOUTS: Final[dict[str, Callable[[Path, int | None], Checked]]] = {
    "ferplus": _check_ferplus,
    "affectnet": _check_affectnet,
    "ckplus": _check_ckplus,
    "folder": _check_folder,
}
"""How each layout is looked over."""
