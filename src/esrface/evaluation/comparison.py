"""Several models on the same images: who is better, and by more than chance?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.evaluation.judged import Evaluation
from esrface.evaluation.paired import mcnemar_test

Named = tuple[str, Evaluation]
"""What a model is called beside the others, and its answers."""


def comparison(models: Sequence[Named]) -> dict[str, Any]:
    """What ``--json`` prints for several models: the object of each, and each against the first.

    ``differences``: of every further model less the first one, fractions: ``accuracy`` and ``mean_recall``
    with 95 % intervals of a paired bootstrap over images (or groups), how many images only one of the two
    answers rightly, the p value of McNemar's exact test (null where images come in groups: it takes each for
    itself), and, where measured, the same of the mean accuracy
    under corruptions.

    Raises:
        DataError: The models did not see the same images.
    """
    (name, first), *others = models
    return {
        "models": [{"name": label, **evaluation.to_dict()} for label, evaluation in models],
        "differences": [
            {"first": name, "second": label, **difference(first, second)} for label, second in others
        ],
    }


def difference(first: Evaluation, second: Evaluation) -> dict[str, Any]:
    """How the second model differs from the first; see ``comparison``."""
    if first.names != second.names or _labels(first) != _labels(second):
        raise DataError("models can be compared on the same images only, and these differ")
    groups, images = first.groups, len(first.labels)
    gained = second.correct.astype(np.float64) - first.correct

    def recall_apart(index: NDArray[np.int64]) -> float:
        one, other = (
            metrics.mean_recall(metrics.confusion_matrix(model.answers.emotion[index], model.labels[index]))
            for model in (first, second)
        )
        return other - one

    test = mcnemar_test(first.correct, second.correct)
    answer: dict[str, Any] = {
        "accuracy": float(gained.mean()),
        "accuracy_interval": _interval(gained, groups),
        "first_only": test.first_only,
        "second_only": test.second_only,
        "p": test.p if groups is None else None,
        "mean_recall": recall_apart(np.arange(images)),
        "mean_recall_interval": list(metrics.bootstrap_interval(recall_apart, images, groups=groups)),
    }
    if first.robustness is not None and second.robustness is not None:
        apart = second.robustness.mean_correct - first.robustness.mean_correct
        answer["corruptions"] = float(apart.mean())
        answer["corruptions_interval"] = _interval(apart, groups)
    return answer


def _labels(model: Evaluation) -> list[str]:
    """By name: models may have classes of their own, and so other indices."""
    return [model.emotions[label] for label in model.labels]


def _interval(values: NDArray[np.float64], groups: NDArray[Any] | None) -> list[float]:
    mean = lambda index: float(values[index].mean())  # noqa: E731
    return list(metrics.bootstrap_interval(mean, len(values), groups=groups))
