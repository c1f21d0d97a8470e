"""A model's answers on labelled pictures and what they come to, whatever the data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from esrface.engine import EngineOutput, join
from esrface.ensemble import Answers, combine_arrays
from esrface.evaluation import metrics
from esrface.evaluation.calibration import accuracy_interval, mean_recall_interval, named_recalls
from esrface.evaluation.framing import View
from esrface.evaluation.robustness import Robustness, measure_robustness
from esrface.models.card import ModelCard, looks_at
from esrface.recognizer import Recognizer

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""

BATCH = 256
"""Images between two reports of progress."""


@dataclass(frozen=True)
class Figures:
    """The figures of one set of images; fractions 0-1."""

    accuracy: float
    mean_recall: float
    """Over the emotions that have images."""
    recall: dict[str, float | None]
    """By the model's classes in their order; None for one without images."""
    ece: float
    """Expected calibration error after temperature: 15 equal-width bins of the top probability."""
    images: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(ABC):
    """A model's answers on M labelled images."""

    split: str
    vote: str
    mirror: bool
    card: ModelCard
    listed: int
    """Images of the split, those without a usable label or picture included."""
    names: list[str]
    """(M,) file names, in the data set's order."""
    labels: NDArray[np.int64]
    """(M,) in network order."""
    logits: NDArray[np.float32]
    """(M, K, C) before temperature, after the mirror pass if there was one."""
    answers: Answers
    fresh: NDArray[np.bool_] | None
    """(M,) whether the image is neither in the training split nor a copy of an earlier one of the M images;
    None where the training split is not at hand. See ``copies``."""
    warnings: tuple[str, ...]
    """What a reader of the figures has to know: one line each."""
    robustness: Robustness | None = None
    """Under corruptions, where that was asked for."""
    prior: str = "natural"
    """How common emotions were taken to be."""

    @property
    @abstractmethod
    def title(self) -> str:
        """Data set and split, as a heading names them."""

    @property
    @abstractmethod
    def labelling(self) -> str:
        """Where the labels come from, in a few words."""

    @property
    @abstractmethod
    def protocol(self) -> str:
        """One line with all that a figure has to state to be comparable."""

    @abstractmethod
    def views(self, indices: Sequence[int] | None = None) -> Iterator[View]:
        """The faces again, or those at ``indices``, one after another in that order.

        Raises:
            DataError: A picture that was read before cannot be read any more.
        """

    @property
    def groups(self) -> NDArray[Any] | None:
        """(M,) whom or what the images belong to, where those of one group are alike; None: to nothing."""
        return None

    @property
    def copies(self) -> str:
        """What the images that are not ``fresh`` have in common, in a few words."""
        return "whose pixels are in the training split or repeated within these"

    def extra(self) -> dict[str, Any]:
        """Figures that only this data set has, as plain data."""
        return {}

    def columns(self) -> dict[str, Sequence[float | None]]:
        """Further columns of the predictions, M values each."""
        return {}

    @property
    def emotions(self) -> tuple[str, ...]:
        """(C,) the model's classes: what labels and answers are indices of.

        A data set of the eight emotions has none of a model's new ones, whose answers count as wrong there.
        """
        return self.card.emotions

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(M,) whether the answer is the label."""
        return np.asarray(self.answers.emotion == self.labels)

    @property
    def inference(self) -> str:
        """Mirror pass, vote, temperature and weights, as a part of the protocol."""
        card = self.card
        # "Off" would sound like one view where the network looks at both by itself.
        dealt = card.network.get("mirrored")
        views = f" ({looks_at(card.network, self.mirror)})" if dealt else ""
        prior = "" if self.prior == "natural" else f"prior {self.prior}, "
        return (
            f"{prior}mirror {'on' if self.mirror else 'off'}{views}, vote {self.vote}, "
            f"temperature {card.temperature:.4g}; one set of weights ({card.name} {card.version}, "
            f"sha256 {card.sha256[:12]}), not a mean over seeds"
        )

    def figures(self, chosen: NDArray[np.bool_] | None = None) -> Figures:
        """Figures of all images, or of those where ``chosen`` (M,) is true."""
        keep = np.ones(len(self.labels), dtype=bool) if chosen is None else chosen
        emotion, labels = self.answers.emotion[keep], self.labels[keep]
        confusion = metrics.confusion_matrix(emotion, labels, len(self.emotions))
        return Figures(
            accuracy=metrics.accuracy(emotion, labels),
            mean_recall=metrics.mean_recall(confusion),
            recall=named_recalls(confusion, self.emotions),
            ece=metrics.expected_calibration_error(self.answers.probabilities[keep], labels),
            images=len(labels),
        )

    def accuracy_interval(self) -> tuple[float, float]:
        """95 % bootstrap interval of the accuracy over images, or over groups where there are any.

        Exact where all or no answers are right.
        """
        return accuracy_interval(self.correct, groups=self.groups)

    def mean_recall_interval(self) -> tuple[float, float]:
        """The same of the mean recall, over the emotions that a resample has images of."""
        return mean_recall_interval(self.answers.emotion, self.labels, groups=self.groups)

    def fresh_figures(self) -> Figures | None:
        """Figures of the images that are ``fresh``; None where that is not known or there are none."""
        return self.figures(self.fresh) if self.fresh is not None and self.fresh.any() else None

    def to_dict(self) -> dict[str, Any]:
        """The object that ``--json`` prints.

        ``deduplicated`` has the same keys, for the images that are ``fresh``, and null inside; it is null
        where the training split is not at hand or no image is fresh. Data sets with figures of their own
        and ``corruptions``, where measured, add keys.
        """
        deduplicated = None
        fresh = self.fresh_figures()
        if fresh is not None:
            protocol = f"{self.protocol}; without {len(self.labels) - fresh.images} images {self.copies}"
            deduplicated = self._record(fresh, protocol, None)
        record = {**self._record(self.figures(), self.protocol, deduplicated), **self.extra()}
        if self.robustness is not None:
            record["corruptions"] = self.robustness.to_dict()
        return record

    def _record(self, figures: Figures, protocol: str, deduplicated: dict[str, Any] | None) -> dict[str, Any]:
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


Judged = TypeVar("Judged", bound=Evaluation)


def with_robustness(evaluation: Judged, recognizer: Recognizer, progress: Progress | None = None) -> Judged:
    """The evaluation with the same faces under every corruption added to it.

    Args:
        evaluation: Of a model on labelled faces.
        recognizer: The one that the evaluation was made with.
        progress: Called now and then.
    """
    measured = measure_robustness(
        evaluation.views(),
        evaluation.labels,
        evaluation.answers.emotion,
        recognizer,
        vote=evaluation.vote,
        progress=partial(progress, "recognising corrupted faces") if progress is not None else None,
    )
    return replace(evaluation, robustness=measured)


def answers_of(card: ModelCard, output: EngineOutput, vote: str) -> Answers:
    """What users are told where a model with this card gives that output."""
    return combine_arrays(
        output.logits,
        output.affect,
        temperature=card.temperature,
        vote=vote,
        affect_source=card.affect_source,
        uncertainty=card.uncertainty,
    )


def recognize_faces(
    recognizer: Recognizer,
    pixels: NDArray[np.uint8],
    progress: Callable[[int, int], None] | None = None,
) -> EngineOutput:
    """The network's output for grey faces (N, H, W), N >= 1, as they are."""
    outputs = []
    for start in range(0, len(pixels), BATCH):
        outputs.append(recognizer.forward(list(pixels[start : start + BATCH])))
        if progress is not None:
            progress(min(start + BATCH, len(pixels)), len(pixels))
    return join(outputs)
