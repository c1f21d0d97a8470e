"""Figures of merit on plain arrays: no model, no files, no randomness without a seed.

Shapes: N images, C classes, K branches. Labels and predictions are (N,) integers 0..C-1; probabilities
(N, C) floats summing to 1; ``correct`` (N,) booleans; ``uncertainty`` (N,) floats, larger = less sure.
Figures are fractions 0-1. An empty set of images is a ``ValueError``: no figure exists for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esrface.emotions import EMOTIONS

Integers = NDArray[np.integer[Any]]
Floats = NDArray[np.floating[Any]]

ECE_BINS = 15
"""Equal-width bins of the top probability in every expected calibration error of this package."""


class Reliability(NamedTuple):
    """What a reliability diagram shows, one entry a bin; bins without images hold NaN means."""

    edges: NDArray[np.float64]
    """(B + 1,) edges of the bins from 0 to 1; a bin is (lower, upper]."""
    images: NDArray[np.int64]
    """(B,) how many images fall into the bin."""
    confidence: NDArray[np.float64]
    """(B,) mean top probability."""
    accuracy: NDArray[np.float64]
    """(B,) share of right answers."""


class RiskCoverage(NamedTuple):
    """Error rate among the images that remain when the unsurest are left out."""

    coverage: NDArray[np.float64]
    """(N,) share of the images answered, rising from 1/N to 1."""
    risk: NDArray[np.float64]
    """(N,) expected error rate among them."""

    @property
    def area(self) -> float:
        """Area under the curve (mean risk over all coverages); smaller ranks errors better."""
        return float(self.risk.mean())


def accuracy(predicted: Integers, labels: Integers) -> float:
    """Share of images whose prediction is their label."""
    _same_length(predicted, labels)
    return float(np.mean(np.asarray(predicted) == np.asarray(labels)))


def confusion_matrix(predicted: Integers, labels: Integers, classes: int | None = None) -> NDArray[np.int64]:
    """(C, C) counts: row = label, column = prediction.

    Without ``classes``, C is eight, or as many more as the largest label or prediction needs.
    """
    _same_length(predicted, labels)
    needed = 1 + int(max(np.max(predicted), np.max(labels)))
    if classes is None:
        classes = max(len(EMOTIONS), needed)
    elif needed > classes:
        raise ValueError(f"expected labels and predictions below {classes}, got {needed - 1}")
    flat = np.asarray(labels, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(flat, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def recalls(confusion: NDArray[np.int64]) -> NDArray[np.float64]:
    """(C,) share of each class's images that are found; NaN for a class without images."""
    images = confusion.sum(axis=1)
    found = np.diagonal(confusion).astype(np.float64)
    return np.asarray(np.divide(found, images, out=np.full(len(images), np.nan), where=images > 0))


def mean_recall(confusion: NDArray[np.int64]) -> float:
    """Mean of the recalls over the classes that have images (also called balanced accuracy)."""
    if not confusion.sum():
        raise ValueError("expected at least one image, got none")
    return float(np.nanmean(recalls(confusion)))


def reliability(probabilities: Floats, labels: Integers, bins: int = ECE_BINS) -> Reliability:
    """Sort images into equal-width bins of their top probability: mean confidence and accuracy of each."""
    _same_length(probabilities, labels)
    top = probabilities.max(axis=1).astype(np.float64)
    correct = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0.0, 1.0, bins + 1)
    # side="left": a top probability that lies on an edge belongs to the bin below, so that 1.0 has a bin.
    index = np.clip(np.searchsorted(edges, top, side="left") - 1, 0, bins - 1)
    count = np.bincount(index, minlength=bins)
    empty = np.full(bins, np.nan)
    confidence = np.divide(np.bincount(index, top, bins), count, out=empty.copy(), where=count > 0)
    right = np.divide(np.bincount(index, correct, bins), count, out=empty.copy(), where=count > 0)
    return Reliability(edges, count.astype(np.int64), confidence, right)


def expected_calibration_error(probabilities: Floats, labels: Integers, bins: int = ECE_BINS) -> float:
    """ECE: mean over images of |accuracy - confidence| of their bin of the top probability."""
    diagram = reliability(probabilities, labels, bins)
    used = diagram.images > 0
    gap = np.abs(diagram.accuracy[used] - diagram.confidence[used])
    return float(np.sum(gap * diagram.images[used]) / diagram.images.sum())


def negative_log_likelihood(probabilities: Floats, labels: Integers) -> float:
    """Mean of -ln p[label], in nats; probabilities below 1e-12 count as 1e-12."""
    _same_length(probabilities, labels)
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def risk_coverage(uncertainty: Floats, correct: NDArray[np.bool_]) -> RiskCoverage:
    """Answer the surest images first; images of equal uncertainty share their mean risk (no lucky order)."""
    _same_length(uncertainty, correct)
    order = np.argsort(uncertainty, kind="stable")
    _, group, size = np.unique(np.asarray(uncertainty)[order], return_inverse=True, return_counts=True)
    wrong = (~np.asarray(correct, dtype=bool)[order]).astype(np.float64)
    expected = (np.bincount(group, wrong) / size)[group]
    answered = np.arange(1, len(wrong) + 1)
    return RiskCoverage(answered / len(wrong), np.cumsum(expected) / answered)


def accuracy_at_coverage(uncertainty: Floats, correct: NDArray[np.bool_], coverage: float) -> float:
    """Accuracy on the surest share ``coverage`` (0-1, at least one image) of the images."""
    if not 0.0 < coverage <= 1.0:
        raise ValueError(f"expected a coverage above 0 and up to 1, got {coverage}")
    curve = risk_coverage(uncertainty, correct)
    answered = max(1, round(coverage * len(curve.risk)))
    return float(1.0 - curve.risk[answered - 1])


def error_auroc(uncertainty: Floats, correct: NDArray[np.bool_]) -> float:
    """Probability that a wrong answer is less sure than a right one (ties count half); NaN without both."""
    _same_length(uncertainty, correct)
    right = np.asarray(correct, dtype=bool)
    wrong_count, right_count = int((~right).sum()), int(right.sum())
    if not wrong_count or not right_count:
        return float("nan")
    _, group, size = np.unique(np.asarray(uncertainty), return_inverse=True, return_counts=True)
    rank = (np.cumsum(size) - (size - 1) / 2.0)[group]  # ranks from 1, ties at the middle of theirs
    wins = float(rank[~right].sum()) - wrong_count * (wrong_count + 1) / 2.0
    return wins / (wrong_count * right_count)


def bootstrap_interval(
    statistic: Callable[[NDArray[np.int64]], float],
    images: int,
    *,
    level: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> tuple[float, float]:
    """Percentile interval of a statistic over resampled images.

    ``statistic`` receives indices of images drawn with replacement and returns a figure. The interval says
    how far another sample of as many images might have moved the figure; not how far another training would.
    Images of one of the ``groups`` (N,), say of one person, are alike: where given, whole groups are drawn.
    """
    if images < 1:
        raise ValueError("expected at least one image, got none")
    generator = np.random.default_rng(seed)
    if groups is None:
        values = [statistic(generator.integers(0, images, images)) for _ in range(resamples)]
    else:
        _, member = np.unique(groups, return_inverse=True)
        members = [np.flatnonzero(member == group) for group in range(int(member.max()) + 1)]
        drawn = (generator.integers(0, len(members), len(members)) for _ in range(resamples))
        values = [statistic(np.concatenate([members[group] for group in groups])) for groups in drawn]
    low, high = np.quantile(values, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def edge_interval(
    images: NDArray[np.integer[Any]], *, right: bool, level: float = 0.95
) -> tuple[float, float]:
    """Exact interval of the mean of C shares where all answers are right, or all wrong: there a bootstrap,
    which draws from the same answers again, has no width.

    The further end is the lowest (highest) mean of shares with which such answers still come in
    (1 - level) / 2 of all samples: ((1 - level) / 2) ** (1 / N) for one share of N images (Clopper, Pearson).

    Args:
        images: (C,) how many answers each share is of, each at least 1: one entry for an accuracy, one a
            class for a mean recall.
        right: Whether all are right; else all are wrong.
    """
    counts = np.asarray(images, np.float64)
    if not len(counts) or counts.min() < 1:
        raise ValueError("expected at least one image, got none")
    chance = np.log((1.0 - level) / 2.0)
    # The mean of shares p with sum(n log p) = chance is least where each is in proportion to its n, up to 1.
    small, large = 0.0, 1.0 / counts.min()
    for _ in range(100):
        middle = (small + large) / 2
        shares = np.minimum(1.0, middle * counts)
        small, large = (middle, large) if counts @ np.log(shares) < chance else (small, middle)
    end = float(np.minimum(1.0, large * counts).mean())
    return (end, 1.0) if right else (0.0, 1.0 - end)


def pairwise_disagreement(branch_predicted: Integers) -> NDArray[np.float64]:
    """(K, K) share of images on which two branches answer differently, from predictions (N, K)."""
    if not len(branch_predicted):
        raise ValueError("expected at least one image, got none")
    return np.asarray((branch_predicted[:, :, None] != branch_predicted[:, None, :]).mean(axis=0), np.float64)


def mean_disagreement(branch_predicted: Integers) -> float:
    """Mean of ``pairwise_disagreement`` over the pairs of different branches; 0 for a single branch."""
    matrix = pairwise_disagreement(branch_predicted)
    branches = len(matrix)
    return float(matrix.sum() / (branches * (branches - 1))) if branches > 1 else 0.0


def branch_accuracies(branch_predicted: Integers, labels: Integers) -> NDArray[np.float64]:
    """(K,) accuracy of each branch alone, from predictions (N, K)."""
    _same_length(branch_predicted, labels)
    return np.asarray((branch_predicted == np.asarray(labels)[:, None]).mean(axis=0), np.float64)


def ensemble_gain(predicted: Integers, branch_predicted: Integers, labels: Integers) -> float:
    """Accuracy of the ensemble minus the mean accuracy of its branches: what averaging is worth."""
    return accuracy(predicted, labels) - float(branch_accuracies(branch_predicted, labels).mean())


def root_mean_square_error(predicted: Floats, labels: Floats) -> float:
    """Root of the mean squared difference, in the labels' unit."""
    _same_length(predicted, labels)
    apart = np.asarray(predicted, np.float64) - np.asarray(labels, np.float64)
    return float(np.sqrt(np.mean(apart**2)))


def concordance(predicted: Floats, labels: Floats) -> float:
    """Lin's concordance correlation coefficient (CCC), -1..1; NaN where both are the same constant.

    2 cov / (var + var + squared difference of the means), all over N: unlike a correlation it falls with a
    wrong scale or offset.
    """
    _same_length(predicted, labels)
    one, other = np.asarray(predicted, np.float64), np.asarray(labels, np.float64)
    covariance = float(np.mean((one - one.mean()) * (other - other.mean())))
    spread = float(one.var() + other.var() + (one.mean() - other.mean()) ** 2)
    return 2 * covariance / spread if spread else float("nan")


def _same_length(first: NDArray[Any], second: NDArray[Any]) -> None:
    if len(first) != len(second):
        raise ValueError(f"expected as many entries in both arrays, got {len(first)} and {len(second)}")
    if not len(first):
        raise ValueError("expected at least one image, got none")
