"""How much of a model's accuracy is left on worse pictures: every corruption at every severity."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface.ensemble import combine_arrays
from esrface.evaluation import metrics
from esrface.evaluation.corruptions import CORRUPTIONS, SEVERITIES, TITLES, corrupt_view
from esrface.evaluation.framing import View
from esrface.recognizer import Recognizer

NAMES: Final = tuple(TITLES)
"""Of the rows of ``Robustness.emotion``, corruptions first."""


@dataclass(frozen=True, eq=False)
class Robustness:
    """A model's answers on M labelled faces under every corruption."""

    labels: NDArray[np.int64]
    """(M,) in network order."""
    clean: NDArray[np.int64]
    """(M,) answers on the faces as they are."""
    emotion: NDArray[np.int64]
    """(M, C, 5) answers under each of `NAMES` at severities 1-5."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(M, C, 5) whether the answer is the label."""
        return np.asarray(self.emotion == self.labels[:, None, None])

    @property
    def mean_correct(self) -> NDArray[np.float64]:
        """(M,) share of the corruptions and severities under which a face is recognised."""
        return np.asarray(self.correct[:, : len(CORRUPTIONS)].mean(axis=(1, 2)))

    def to_dict(self) -> dict[str, Any]:
        """Plain data: fractions 0-1, lists over severities 1-5.

        ``mean_accuracy`` is over all corruptions and severities, boxes of a wrong size left out;
        ``retained`` is its share of the accuracy on the faces as they are.
        """
        accuracy = self.correct.mean(axis=0)
        recall = [
            [metrics.mean_recall(metrics.confusion_matrix(answers, self.labels)) for answers in severities]
            for severities in self.emotion.transpose(1, 2, 0)
        ]
        clean = metrics.accuracy(self.clean, self.labels)
        mean = float(self.mean_correct.mean())
        return {
            "images": len(self.labels),
            "clean_accuracy": clean,
            "mean_accuracy": mean,
            "retained": mean / clean if clean else None,
            "accuracy": dict(zip(NAMES, accuracy.tolist(), strict=True)),
            "mean_recall": dict(zip(NAMES, recall, strict=True)),
        }


def measure_robustness(
    views: Iterable[View],
    labels: NDArray[np.int64],
    clean: NDArray[np.int64],
    recognizer: Recognizer,
    *,
    vote: str = "mean",
    progress: Callable[[int, int], None] | None = None,
) -> Robustness:
    """Judge a model on corrupted faces, in the inference that users get.

    Each face is read once, and fifty worse pictures of it go through the network together: memory stays flat.

    Args:
        views: M faces; the number of a face seeds what is random in its corruptions.
        labels: (M,) in network order.
        clean: (M,) answers on the faces as they are.
        recognizer: The model, with its mirror pass as wanted; its detector is not used.
        vote: ``"mean"`` or ``"plurality"``.
        progress: Called with faces done and faces in all.
    """
    emotion = np.empty((len(labels), len(NAMES), len(SEVERITIES)), dtype=np.int64)
    for number, (row, view) in enumerate(zip(emotion, views, strict=True)):
        worse = [corrupt_view(view, name, severity, seed=number) for name in NAMES for severity in SEVERITIES]
        answers = combine_arrays(
            recognizer.forward(worse).logits, None, temperature=recognizer.card.temperature, vote=vote
        )
        row[:] = answers.emotion.reshape(row.shape)
        if progress is not None:
            progress(number + 1, len(labels))
    return Robustness(labels, clean, emotion)
