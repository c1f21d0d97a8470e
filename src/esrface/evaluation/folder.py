"""The protocol of ``esrface evaluate folder``: one's own labelled pictures, the inference that users get."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.datasets.folder import FolderSplit, Listed, class_counts, list_folder, splits_of
from esrface.datasets.folder_pictures import Cut, ReadPicture, file_digest, read_pictures, summarise_skipped
from esrface.detection import Detection, Detector
from esrface.engine import EngineOutput
from esrface.errors import DataError
from esrface.evaluation.copies import new_images
from esrface.evaluation.framing import View, located_view, whole_view
from esrface.evaluation.judged import Evaluation, Progress, answers_of
from esrface.models.card import CropRule
from esrface.preprocess import crop_face
from esrface.recognizer import Recognizer

STEP = 32
"""Pictures between two reports of progress."""


@dataclass(frozen=True, eq=False)
class FolderEvaluation(Evaluation):
    """A model's answers on the usable pictures of a folder's split (M of those listed)."""

    name: str
    """Of the folder or CSV file."""
    skipped: tuple[str, ...]
    """One line for each picture that could not be used."""
    pictures: tuple[Listed, ...]
    """The M usable ones."""
    detector: Detector | None
    """What looked for the faces; None: whole pictures were taken for faces."""

    def views(self, indices: Sequence[int] | None = None) -> Iterator[View]:
        """See ``Evaluation.views``."""
        chosen = self.pictures if indices is None else [self.pictures[index] for index in indices]
        for read in read_pictures(chosen):
            if read.crop is None:
                raise DataError(f"{read.problem}, which was there before")
            if self.detector is None:
                yield whole_view(read.crop)
                continue
            found = _largest(self.detector, read.crop)
            if found is None:
                raise DataError(f"{printable(read.listed.path)}: it shows another picture than before")
            yield located_view(read.crop, found, self.card.crop)

    @property
    def title(self) -> str:
        """Data set and split, as a heading names them."""
        return f"{self.name}, {self.split}"

    @property
    def labelling(self) -> str:
        """Where the labels come from, in a few words."""
        return "labels as given"

    @property
    def copies(self) -> str:
        """See ``Evaluation.copies``."""
        return "whose files are in the training split or repeated within these"

    @property
    def protocol(self) -> str:
        """One line with all that a figure has to state to be comparable."""
        counts = class_counts(self.labels, len(self.emotions))
        present = [name for name, count in zip(self.emotions, counts, strict=True) if count]
        faces = "largest detected face" if self.detector else "whole pictures, no detection"
        return (
            f"folder {self.name}, split {self.split}, {len(present)} classes "
            f"({', '.join(present)}): {len(self.labels)} of {self.listed} pictures; "
            f"{faces}; {self.inference}"
        )


def evaluate_folder(
    data: Path,
    split: str,
    recognizer: Recognizer,
    *,
    vote: str = "mean",
    detect: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> FolderEvaluation:
    """Judge a model on one's own labelled pictures.

    Args:
        data: As `esrface.datasets.folder.list_folder` takes it.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        recognizer: The model, with its mirror pass as wanted. Its detector is used only with ``detect``.
        vote: ``"mean"`` or ``"plurality"``, whatever the recogniser's own.
        detect: Look for the face in each picture instead of taking the whole picture for it; pictures
            without one are skipped.
        strict: Raise for the first picture that cannot be used instead of skipping it.
        threads: For reading pictures; None: see `esrface.threads`.
        progress: Called now and then.

    Raises:
        DataError: The split is not there, names a class that the model lacks, or none of its pictures can be
            used.
    """
    report = progress or (lambda what, done, total: None)
    card = recognizer.card
    listed = list_folder(data, split, emotions=card.emotions, of=f"the model '{card.name}'")
    cut = largest_face(recognizer.detector, recognizer.card.crop) if detect else None
    used, skipped, output = _recognise(
        recognizer, listed.pictures, cut, strict, threads, partial(report, "recognising")
    )
    if not used:
        problems = [*listed.problems, *skipped]
        first = f", the first problem: {problems[0]}" if problems else ""
        raise DataError(f"{printable(data)}: no usable picture in the split {split}{first}")
    report("looking for copies in the training split", 0, 0)
    lines = (*listed.loose, *listed.problems, summarise_skipped(skipped, len(listed.pictures)))
    return FolderEvaluation(
        split=split,
        vote=vote,
        mirror=recognizer.mirror,
        prior=recognizer.prior,
        card=recognizer.card,
        listed=len(listed.pictures),
        names=[picture.listed.name for picture in used],
        labels=np.array([picture.listed.label for picture in used], dtype=np.int64),
        logits=output.logits,
        answers=answers_of(recognizer.card, output, vote),
        fresh=_find_fresh(listed, used),
        warnings=tuple(line for line in lines if line is not None),
        name=printable(data.resolve().name),
        skipped=tuple(skipped),
        pictures=tuple(picture.listed for picture in used),
        detector=recognizer.detector if detect else None,
    )


def largest_face(detector: Detector, rule: CropRule) -> Cut:
    """Cuts the largest face that a detector finds out of a picture, as a card's rule says."""

    def cut(picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
        found = _largest(detector, picture)
        return None if found is None else crop_face(picture, found.box, found.landmarks, rule)

    return cut


def _largest(detector: Detector, picture: NDArray[np.uint8]) -> Detection | None:
    return next(iter(detector.detect(picture)), None)


def _recognise(
    recognizer: Recognizer,
    pictures: Sequence[Listed],
    cut: Cut | None,
    strict: bool,
    threads: int | None,
    progress: Callable[[int, int], None],
) -> tuple[list[ReadPicture], list[str], EngineOutput]:
    """The pictures that can be used (without their crops), lines on the others, and the network's output."""
    used: list[ReadPicture] = []
    skipped: list[str] = []

    def crops() -> Iterator[NDArray[np.uint8]]:
        read = read_pictures(pictures, cut=cut, strict=strict, threads=threads)
        for done, picture in enumerate(read, start=1):
            if picture.crop is None:
                skipped.append(str(picture.problem))
            else:
                used.append(ReadPicture(picture.listed, None, picture.digest, None))
                yield picture.crop
            if done % STEP == 0 or done == len(pictures):
                progress(done, len(pictures))

    return used, skipped, recognizer.forward(crops())


def _find_fresh(split: FolderSplit, used: Sequence[ReadPicture]) -> NDArray[np.bool_] | None:
    """See ``Evaluation.fresh``; copies are files of equal content."""
    if split.split == "train" or "train" not in splits_of(split.data):
        return None
    try:
        training = list_folder(split.data, "train").pictures
    except DataError:
        return None
    seen = set()
    for listed in training:
        try:
            seen.add(file_digest(listed.path.read_bytes()))
        except (OSError, ValueError):  # The last one: a name that no system takes.
            continue
    return new_images((picture.digest for picture in used), seen)
