"""Are two models apart on the same images, or two ways of training on the same trials? Paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PairedTest:
    """Two-sided paired t-test."""

    difference: float
    """Mean of the first less that of the second."""
    t: float
    """NaN where the differences are all alike."""
    p: float
    """How often a difference as large would come about by chance; NaN with t."""
    pairs: int


def paired_t_test(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Compare figures of the same trials.

    Raises:
        ValueError: Other numbers of figures, or fewer than two.
    """
    if len(first) != len(second) or len(first) < 2:
        raise ValueError(f"expected two or more pairs, got {len(first)} and {len(second)} figures")
    apart = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    pairs, mean, spread = len(apart), float(apart.mean()), float(apart.std(ddof=1))
    # Alike up to rounding.
    if spread <= 1e-12 * max(1.0, float(np.abs(apart).max())):
        return PairedTest(mean, math.nan, math.nan, pairs)
    t = mean / (spread / math.sqrt(pairs))
    return PairedTest(mean, t, two_sided_p(t, pairs - 1), pairs)


@dataclass(frozen=True)
class McNemarTest:
    """Two-sided exact McNemar test: which of two models is right more often where one of them is wrong."""

    first_only: int
    """Images that the first answers rightly and the second does not."""
    second_only: int
    p: float
    """How often equal models would differ as much by chance; 1 where they are right on the same images."""


def mcnemar_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> McNemarTest:
    """Compare right and wrong answers (N,) of two models on the same images.

    Raises:
        ValueError: Other numbers of images.
    """
    if len(first) != len(second):
        raise ValueError(f"expected answers on the same images, got {len(first)} and {len(second)}")
    one, other = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    apart, fewer = one + other, min(one, other)
    # Of the images on which one is wrong each is as likely to be the one or the other: a fair coin's tail.
    logs = [
        math.lgamma(apart + 1) - math.lgamma(k + 1) - math.lgamma(apart - k + 1) - apart * math.log(2)
        for k in range(fewer + 1)
    ]
    return McNemarTest(one, other, min(1.0, 2 * math.fsum(map(math.exp, logs))))


def two_sided_p(t: float, freedom: int) -> float:
    """Probability of a |t| at least this large with so many degrees of freedom.

    That is the regularised incomplete beta function I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + t^2).
    """
    x = freedom / (freedom + t * t)
    a, b = freedom / 2, 0.5
    # The continued fraction converges quickly on one side only; the other follows by symmetry.
    if x < (a + 1) / (a + b + 2):
        return _incomplete_beta(x, a, b)
    return 1.0 - _incomplete_beta(1 - x, b, a)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Continued fraction of the regularised incomplete beta function (DLMF 8.17.22), evaluated upwards."""
    if x <= 0.0:
        return 0.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    value = 1.0
    for m in range(200, 0, -1):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        value = 1.0 + even / (1.0 + odd / value)
    value = 1.0 - (a + b) * x / ((a + 1) * value)
    return front / (a * value)
