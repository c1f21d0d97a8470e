"""The protocol of ``esrface evaluate ferplus``: which images, which labels, which inference, which figures.

FER+ images are whole face crops, so they go to the network as they are: no detection and no margin, otherwise
the recogniser's own inference (input, mirror pass, temperature, vote), the one that users get.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.datasets.ferplus import (
    FerPlusSplit,
    has_split,
    load_ferplus,
    majority_labels,
    soft_labels,
)
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError
from esrface.evaluation.copies import fresh_images
from esrface.evaluation.framing import View, whole_view
from esrface.evaluation.judged import Evaluation, Progress, answers_of, recognize_faces
from esrface.recognizer import Recognizer

SPLITS: Final = {"valid": "validation (PublicTest)", "test": "test (PrivateTest)"}
"""Splits that models are judged on, and their names in reports."""

LABEL_RULES: Final = ("majority", "distribution")
"""``majority``: the published rule (see ``majority_labels``). ``distribution``: the most voted emotion, also
where it has no majority; only images whose most voted column is "unknown" or "not a face" are left out."""

PUBLISHED_LISTED: Final = {"valid": 3579}
"""Images that the label file of a split lists. No published count of the test split is known to us."""

PUBLISHED_MAJORITY: Final = {"valid": (1180, 862, 348, 411, 60, 25, 289, 16)}
"""Images of each emotion, in network order, that the rule ``majority`` leaves."""


@dataclass(frozen=True, eq=False)
class FerPlusEvaluation(Evaluation):
    """A model's answers on the labelled images of a FER+ split (M of those listed) and what they come to."""

    label_rule: str
    pixels: NDArray[np.uint8]
    """(M, 48, 48) grey."""

    def views(self, indices: Sequence[int] | None = None) -> Iterator[View]:
        """See ``Evaluation.views``."""
        return map(whole_view, self.pixels if indices is None else self.pixels[list(indices)])

    @property
    def title(self) -> str:
        """Data set and split, as a heading names them."""
        return f"FER+ {SPLITS[self.split]}"

    @property
    def labelling(self) -> str:
        """Where the labels come from, in a few words."""
        return f"label rule {self.label_rule}"

    @property
    def protocol(self) -> str:
        """One line with all that a FER+ figure has to state to be comparable."""
        return (
            f"FER+ {SPLITS[self.split]}, {len(EMOTIONS)} classes, label rule {self.label_rule}: "
            f"{len(self.labels)} of {self.listed} images; whole images, no detection; {self.inference}; "
            f"models are selected on validation (PublicTest)"
        )


def evaluate_ferplus(
    data: Path,
    split: str,
    recognizer: Recognizer,
    *,
    vote: str = "mean",
    label_rule: str = "majority",
    progress: Progress | None = None,
) -> FerPlusEvaluation:
    """Judge a model on a FER+ split.

    Args:
        data: Folder with the zips, the original's layout or Microsoft's. Only the asked split has to be
            there.
        split: ``"valid"`` or ``"test"``.
        recognizer: The model, with its mirror pass as wanted; its detector is not used.
        vote: ``"mean"`` or ``"plurality"``, whatever the recogniser's own.
        label_rule: One of ``LABEL_RULES``.
        progress: Called now and then.

    Raises:
        DataError: The split is not there, incomplete or malformed, or none of its images has a label.
        InputError: An unknown split, vote or label rule.
    """
    report = progress or (lambda what, done, total: None)
    _check_name("split", split, SPLITS)
    _check_name("label rule", label_rule, LABEL_RULES)
    report(f"reading the {split} split", 0, 0)
    faces = load_ferplus(data, split)
    labels = labels_by_rule(faces.votes, label_rule)
    judged, kept = faces.select(labels >= 0), labels[labels >= 0]
    if not len(kept):
        raise DataError(f"{data}: the label rule {label_rule} leaves none of the {len(faces)} {split} images")
    output = recognize_faces(recognizer, judged.pixels, partial(report, "recognising"))
    report("looking for copies in the training split", 0, 0)
    fresh, trouble = _find_fresh(data, judged)
    return FerPlusEvaluation(
        split=split,
        label_rule=label_rule,
        vote=vote,
        mirror=recognizer.mirror,
        prior=recognizer.prior,
        card=recognizer.card,
        listed=len(faces),
        names=judged.names,
        labels=kept,
        pixels=judged.pixels,
        logits=output.logits,
        answers=answers_of(recognizer.card, output, vote),
        fresh=fresh,
        warnings=(*_unlike_published(split, label_rule, len(faces), kept), *trouble),
    )


def labels_by_rule(votes: NDArray[np.int16], rule: str) -> NDArray[np.int64]:
    """Label in network order of each vote row (N, 10), or -1 to leave the image out, by a label rule."""
    if rule == "majority":
        return majority_labels(votes)
    shares = soft_labels(votes)
    return np.where(shares.sum(axis=1) > 0, shares.argmax(axis=1), -1).astype(np.int64)


def _find_fresh(data: Path, judged: FerPlusSplit) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """See ``FerPlusEvaluation.fresh``; a training split that is there but unusable is a warning."""
    if not has_split(data, "train"):
        return None, ()
    try:
        training = load_ferplus(data, "train")
    except DataError as error:
        return None, (f"no figures without duplicates, the training split cannot be used: {error}",)
    return fresh_images(judged.pixels, training.pixels), ()


def _unlike_published(split: str, rule: str, listed: int, labels: NDArray[np.int64]) -> tuple[str, ...]:
    """A line for each count that differs from the published one."""
    lines = []
    expected = PUBLISHED_LISTED.get(split)
    if expected is not None and listed != expected:
        lines.append(f"the {split} split lists {listed} images, published are {expected}")
    classes = PUBLISHED_MAJORITY.get(split)
    if classes is not None and rule == "majority":
        found = np.bincount(labels, minlength=len(EMOTIONS)).tolist()
        if found != list(classes):
            unlike = ", ".join(
                f"{name} {have} instead of {want}"
                for name, have, want in zip(EMOTIONS, found, classes, strict=True)
                if have != want
            )
            lines.append(
                f"the label rule leaves {sum(found)} {split} images, published are {sum(classes)} "
                f"({unlike}): the figures do not compare with published ones"
            )
    return tuple(lines)


def _check_name(what: str, given: str, options: Any) -> None:
    if given not in options:
        raise InputError(unknown_name(what, given, options))
