"""The protocol of ``esrface evaluate ferplus``: which images, which labels, which inference, which figures.

FER+ images are whole face crops, so they go to the network as they are: no detection and no margin, otherwise
the recogniser's own inference (input, mirror pass, temperature, vote), the one that users get.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.datasets.ferplus import (
    SPLIT_FOLDERS,
    FerPlusSplit,
    load_ferplus,
    majority_labels,
    pixel_hashes,
    soft_labels,
)
from esrface.emotions import EMOTIONS
from esrface.engine import EngineOutput, join
from esrface.ensemble import Answers, combine_arrays
from esrface.errors import DataError, InputError
from esrface.evaluation import metrics
from esrface.evaluation.calibration import named_recalls
from esrface.models.card import ModelCard
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

BATCH = 256
"""Images between two reports of progress."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""


@dataclass(frozen=True)
class Figures:
    """The figures of one set of images; fractions 0-1."""

    accuracy: float
    mean_recall: float
    """Over the emotions that have images."""
    recall: dict[str, float | None]
    """By emotion in network order; None for an emotion without images."""
    ece: float
    """Expected calibration error after temperature: 15 equal-width bins of the top probability."""
    images: int


@dataclass(frozen=True, eq=False)
class FerPlusEvaluation:
    """A model's answers on the labelled images of a FER+ split (M of those listed) and what they come to."""

    split: str
    label_rule: str
    vote: str
    mirror: bool
    card: ModelCard
    listed: int
    """Images in the label file."""
    names: list[str]
    """(M,) file names, in the label file's order."""
    labels: NDArray[np.int64]
    """(M,) in network order."""
    logits: NDArray[np.float32]
    """(M, K, 8) before temperature, after the mirror pass if there was one."""
    answers: Answers
    fresh: NDArray[np.bool_] | None
    """(M,) whether the image's pixels are neither in the training split nor in an earlier one of the M
    images; None where the training split is not at hand."""
    warnings: tuple[str, ...]
    """What a reader of the figures has to know: one line each."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(M,) whether the answer is the label."""
        return np.asarray(self.answers.emotion == self.labels)

    @property
    def protocol(self) -> str:
        """One line with all that a FER+ figure has to state to be comparable."""
        card = self.card
        mirror = "on" if self.mirror else "off"
        return (
            f"FER+ {SPLITS[self.split]}, {len(EMOTIONS)} classes, label rule {self.label_rule}: "
            f"{len(self.labels)} of {self.listed} images; whole images, no detection; "
            f"mirror {mirror}, vote {self.vote}, temperature {card.temperature:.4g}; "
            f"one set of weights ({card.name} {card.version}, sha256 {card.sha256[:12]}), "
            f"not a mean over seeds; models are selected on validation (PublicTest)"
        )

    def figures(self, chosen: NDArray[np.bool_] | None = None) -> Figures:
        """Figures of all images, or of those where ``chosen`` (M,) is true."""
        keep = np.ones(len(self.labels), dtype=bool) if chosen is None else chosen
        emotion, labels = self.answers.emotion[keep], self.labels[keep]
        confusion = metrics.confusion_matrix(emotion, labels)
        return Figures(
            accuracy=metrics.accuracy(emotion, labels),
            mean_recall=metrics.mean_recall(confusion),
            recall=named_recalls(confusion),
            ece=metrics.expected_calibration_error(self.answers.probabilities[keep], labels),
            images=len(labels),
        )

    def fresh_figures(self) -> Figures | None:
        """Figures of the images that are ``fresh``; None where that is not known or there are none."""
        return self.figures(self.fresh) if self.fresh is not None and self.fresh.any() else None

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints.

        ``deduplicated`` has the same keys, for the images that are ``fresh``, and null inside; it is null
        where the training split is not at hand or no image is fresh.
        """
        deduplicated = None
        fresh = self.fresh_figures()
        if fresh is not None:
            protocol = (
                f"{self.protocol}; without {len(self.labels) - fresh.images} images whose pixels are in the "
                f"training split or repeated within these"
            )
            deduplicated = self._record(fresh, protocol, None)
        return self._record(self.figures(), self.protocol, deduplicated)

    def _record(
        self, figures: Figures, protocol: str, deduplicated: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "accuracy": figures.accuracy,
            "mean_recall": figures.mean_recall,
            "recall": figures.recall,
            "ece": figures.ece,
            "images": figures.images,
            "protocol": protocol,
            "model": self.card.name,
            "deduplicated": deduplicated,
        }


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
    card = recognizer.card
    answers = combine_arrays(
        output.logits,
        output.affect,
        temperature=card.temperature,
        vote=vote,
        affect_source=card.affect_source,
        uncertainty=card.uncertainty,
    )
    report("looking for copies in the training split", 0, 0)
    fresh, trouble = _find_fresh(data, judged)
    return FerPlusEvaluation(
        split=split,
        label_rule=label_rule,
        vote=vote,
        mirror=recognizer.mirror,
        card=card,
        listed=len(faces),
        names=judged.names,
        labels=kept,
        logits=output.logits,
        answers=answers,
        fresh=fresh,
        warnings=(*_unlike_published(split, label_rule, len(faces), kept), *trouble),
    )


def labels_by_rule(votes: NDArray[np.int16], rule: str) -> NDArray[np.int64]:
    """Label in network order of each vote row (N, 10), or -1 to leave the image out, by a label rule."""
    if rule == "majority":
        return majority_labels(votes)
    shares = soft_labels(votes)
    return np.where(shares.sum(axis=1) > 0, shares.argmax(axis=1), -1).astype(np.int64)


def recognize_faces(
    recognizer: Recognizer,
    pixels: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> EngineOutput:
    """The network's output for grey faces (N, 48, 48), N >= 1, as they are."""
    outputs = []
    for start in range(0, len(pixels), BATCH):
        outputs.append(recognizer.forward(list(pixels[start : start + BATCH])))
        if progress is not None:
            progress(min(start + BATCH, len(pixels)), len(pixels))
    return join(outputs)


def fresh_images(pixels: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether each of the images (N, H, W) is new: not in training (M, H, W), no copy of an earlier."""
    own = pixel_hashes(pixels)
    first = np.zeros(len(own), dtype=bool)
    first[np.unique(own, return_index=True)[1]] = True
    return first & ~np.isin(own, pixel_hashes(training))


def _find_fresh(data: Path, judged: FerPlusSplit) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """See ``FerPlusEvaluation.fresh``; a training split that is there but unusable is a warning."""
    if not _at_hand(data, "train"):
        return None, ()
    try:
        training = load_ferplus(data, "train")
    except DataError as error:
        return None, (f"no figures without duplicates, the training split cannot be used: {error}",)
    return fresh_images(judged.pixels, training.pixels), ()


def _at_hand(data: Path, split: str) -> bool:
    folder = SPLIT_FOLDERS[split]
    places = (data / f"{folder}.zip", data / folder, data / "Labels" / folder)
    return any(place.exists() for place in places)


def _unlike_published(
    split: str, rule: str, listed: int, labels: NDArray[np.int64]
) -> tuple[str, ...]:
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
