"""Everything that was measured of a model, as plain data: what reports in any form are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from esrface.evaluation import metrics
from esrface.evaluation.judged import Evaluation

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)

CURVE_POINTS = 50
"""Of the curve of accuracy over coverage, at 2, 4, … 100 %."""


def details(evaluation: Evaluation) -> dict[str, Any]:
    """What ``report.json`` holds: the object of ``--json`` and everything else that was measured.

    Fractions 0-1, NLL in nats. ``confusion`` has the label's emotion, then the answer's, then the count.
    """
    answers, labels = evaluation.answers, evaluation.labels
    names = evaluation.emotions
    confusion = metrics.confusion_matrix(answers.emotion, labels, len(names))
    alone = metrics.branch_accuracies(answers.branch_emotion, labels)
    return {
        **evaluation.to_dict(),
        "data": evaluation.title,
        "accuracy_interval": list(evaluation.accuracy_interval()),
        "mean_recall_interval": list(evaluation.mean_recall_interval()),
        "nll": metrics.negative_log_likelihood(answers.probabilities, labels),
        "confusion": {
            label: dict(zip(names, counts, strict=True))
            for label, counts in zip(names, confusion.tolist(), strict=True)
        },
        "reliability": _reliability(evaluation),
        "uncertainty": _uncertainty(evaluation),
        "branches": {
            "accuracy": alone.tolist(),
            "mean_accuracy": float(alone.mean()),
            "ensemble_gain": metrics.ensemble_gain(answers.emotion, answers.branch_emotion, labels),
            "mean_disagreement": metrics.mean_disagreement(answers.branch_emotion),
            "disagreement": metrics.pairwise_disagreement(answers.branch_emotion).tolist(),
        },
        "card": evaluation.card.to_dict(),
        "warnings": list(evaluation.warnings),
    }


def percent(share: float | None) -> str:
    """``0.8715`` -> ``"87.15 %"``; a dash where there is no figure."""
    return "-" if share is None else f"{100 * share:.2f} %"


def interval(ends: Sequence[float], *, digits: int = 2) -> str:
    """``[0.8731, 0.8953]`` -> ``"87.31 to 89.53 %"``."""
    return f"{100 * ends[0]:.{digits}f} to {100 * ends[1]:.{digits}f} %"


def interval_of(measured: Mapping[str, Any], figure: str) -> str:
    """The interval of ``accuracy`` or ``mean_recall``, and whether it is an exact one."""
    # As esrface.evaluation.metrics.edge_interval is taken.
    return interval(measured[f"{figure}_interval"]) + (" (exact)" if measured[figure] in (0.0, 1.0) else "")


def points(difference: float) -> str:
    """``0.0123`` -> ``"+1.23"``: percentage points with their sign."""
    return f"{100 * difference:+.2f}"


def _reliability(evaluation: Evaluation) -> list[dict[str, float]]:
    """The bins of the top probability that hold images."""
    diagram = metrics.reliability(evaluation.answers.probabilities, evaluation.labels)
    return [
        {"from": low, "to": high, "images": images, "confidence": confidence, "accuracy": right}
        for low, high, images, confidence, right in zip(
            diagram.edges[:-1].tolist(),
            diagram.edges[1:].tolist(),
            diagram.images.tolist(),
            diagram.confidence.tolist(),
            diagram.accuracy.tolist(),
            strict=True,
        )
        if images
    ]


def _uncertainty(evaluation: Evaluation) -> dict[str, Any]:
    uncertainty, correct = evaluation.answers.uncertainty, evaluation.correct
    curve = metrics.risk_coverage(uncertainty, correct)
    auroc = metrics.error_auroc(uncertainty, correct)
    images = len(correct)
    shares = np.arange(1, CURVE_POINTS + 1) / CURVE_POINTS
    answered = np.unique(np.maximum(1, np.rint(shares * images).astype(int)))
    return {
        "measure": evaluation.card.uncertainty.measure,
        "error_auroc": None if np.isnan(auroc) else auroc,
        "risk_coverage_area": curve.area,
        "accuracy_at_coverage": [
            {
                "coverage": coverage,
                "accuracy": metrics.accuracy_at_coverage(uncertainty, correct, coverage),
            }
            for coverage in COVERAGES
        ],
        "risk_coverage": [
            {"coverage": float(curve.coverage[count - 1]), "risk": float(curve.risk[count - 1])}
            for count in answered
        ],
    }
