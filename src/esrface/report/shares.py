"""Shares of the emotions and how far they would vary over other moments like these.

Frames next to each other are alike, so it is blocks of time (or pictures) that are drawn again, not frames:
the block bootstrap. The interval says nothing about how often the network errs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
LEVEL = 0.95
MIN_BLOCKS = 8
"""With fewer, an interval would be a guess."""

MAX_BLOCKS = 400


def block_length(duration_s: float) -> float:
    """Length in seconds of the blocks that a video of that length is cut into: 1 to 30, more beyond hours."""
    return max(min(max(duration_s / 60, 1.0), 30.0), duration_s / MAX_BLOCKS)


def shares(counts: NDArray[np.integer[Any]]) -> dict[str, Any]:
    """The emotions' shares over all blocks, with their intervals.

    Args:
        counts: (blocks, C) answers by block and class; blocks without any do not count.

    Returns:
        JSON-ready: ``share``, ``low`` and ``high`` by emotion, 0-1 (``low`` and ``high`` None where there are
        too few blocks), ``faces`` and ``blocks``.
    """
    filled = np.asarray(counts)[np.asarray(counts).sum(axis=1) > 0].astype(np.float64)
    total = filled.sum()
    answer: dict[str, Any] = {"faces": int(total), "blocks": len(filled), "low": None, "high": None}
    answer["share"] = _rounded(filled.sum(axis=0) / max(total, 1.0))
    if len(filled) >= MIN_BLOCKS:
        even = np.full(len(filled), 1 / len(filled))
        draws = np.random.default_rng(0).multinomial(len(filled), even, size=RESAMPLES)
        drawn = draws @ filled
        drawn /= drawn.sum(axis=1, keepdims=True)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        answer["low"], answer["high"] = _rounded(low), _rounded(high)
    return answer


def _rounded(values: NDArray[np.floating[Any]]) -> list[float]:
    return [round(float(value), 4) for value in values]
