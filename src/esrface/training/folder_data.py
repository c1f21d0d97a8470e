"""The pictures of a user's folder as training wants them: read, checked, without copies across the splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface.datasets.folder import class_counts, list_folder
from esrface.datasets.folder_pictures import Cut, FolderFaces, load_faces, summarise_skipped
from esrface.datasets.learnable import check_learnable, unlike
from esrface.emotions import EMOTIONS
from esrface.errors import DataError
from esrface.training.fingerprint import Fingerprint

Step = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


@dataclass(frozen=True)
class FolderData:
    """Training and validation faces of a folder."""

    emotions: tuple[str, ...]
    """(C,) the classes to learn: the eight emotions, with pictures or without, then the new ones."""
    training: FolderFaces
    valid: FolderFaces
    copies: int
    """Training pictures left out since validation has the same file."""
    warnings: tuple[str, ...]
    """What the user has to know about the pictures: one line each."""

    @property
    def counts(self) -> NDArray[np.int64]:
        """(C,) training pictures of each class."""
        return class_counts(self.training.labels, len(self.emotions))

    @property
    def summary(self) -> str:
        """The classes that have pictures, in a line."""
        named = (
            f"{printable(name)} {count:,}{'' if name in EMOTIONS else ' (new)'}"
            for name, count in zip(self.emotions, self.counts.tolist(), strict=True)
            if count
        )
        return f"classes with their training pictures: {', '.join(named)}"

    @property
    def fingerprint(self) -> Fingerprint:
        """Of the pictures in both splits, whatever their names and order."""
        splits = {"train": self.training, "valid": self.valid}
        pictures = sorted(
            f"{split} {digest.decode()} {self.emotions[label]}".encode("utf-8", "backslashreplace")
            for split, faces in splits.items()
            for digest, label in zip(faces.digests.tolist(), faces.labels.tolist(), strict=True)
        )
        counts = f"{len(self.training)} training and {len(self.valid)} validation pictures"
        return Fingerprint.of(pictures, counts)


def read_folder_data(
    data: Path,
    *,
    size: int,
    resize: str,
    cut: Cut | None,
    batch: int,
    strict: bool = False,
    threads: int | None = None,
    step: Step | None = None,
) -> FolderData:
    """Read the splits ``train`` and ``valid``; see `esrface.datasets.folder_pictures.load_faces`.

    Raises:
        DataError: A split is missing, an emotion's folder in train is empty or holds nothing usable, or there
            is less than a batch, than two emotions, or than two validation pictures.
    """
    train = list_folder(data, "train")
    if train.problems:
        raise DataError(f"{train.problems[0]}: fill it, or take it out")
    emotions = train.emotions
    listed = {
        "train": train,
        "valid": list_folder(data, "valid", emotions=emotions, of="the split train"),
    }
    warnings = [*train.doubts, *listed["valid"].loose, *listed["valid"].problems]
    lost: list[str] = []
    faces: dict[str, FolderFaces] = {}
    for name, split in listed.items():
        faces[name] = load_faces(
            split,
            size,
            resize=resize,
            cut=cut,
            strict=strict,
            threads=threads,
            progress=None if step is None else partial(step, f"reading {name}"),
        )
        skipped = summarise_skipped(faces[name].skipped, len(split.pictures))
        lost += [f"{name}: {skipped}"] if skipped else []
    training, valid = faces["train"], faces["valid"]
    repeated = np.isin(training.digests, valid.digests)
    copies = int(repeated.sum())
    if copies:
        same = counted(
            copies,
            "picture left out since valid has the same file",
            "pictures left out since valid has the same files",
        )
        lost.append(f"train: {same}")
        training = training.select(~repeated)
    learnt, judged = (class_counts(one.labels, len(emotions)) for one in (training, valid))
    check_learnable(train, learnt, len(valid), lost)
    if len(training) < batch:
        pictures = counted(len(training), "training picture is", "training pictures are")
        raise DataError(
            f"{printable(data)}: {pictures} less than one batch of {batch}: give more, or lower --batch"
        )
    warnings += lost + unlike(emotions, learnt, judged)
    return FolderData(emotions, training, valid, copies, tuple(warnings))
