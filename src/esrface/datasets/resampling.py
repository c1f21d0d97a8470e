"""Which images a branch gets to see: fresh samples that no class or quadrant may dominate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def capped_sample(groups: NDArray[np.integer[Any]], cap: int, seed: int) -> NDArray[np.int64]:
    """Indices, sorted, of at most ``cap`` images of each group, drawn at random without repetition.

    Args:
        groups: (N,) class or quadrant of every image; images of a negative one are never drawn.
        cap: Of every group, at least 1.
        seed: Other seeds draw other images, as far as a group has more than ``cap``.
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    shuffled = np.asarray(groups)[order]
    drawn = [order[shuffled == group][:cap] for group in np.unique(shuffled[shuffled >= 0])]
    return np.sort(np.concatenate(drawn or [np.empty(0, np.int64)])).astype(np.int64)


def quadrants(affect: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    """Quadrant (N,) of each pair (N, 2) [valence, arousal], -1 where one is NaN.

    0 is positive and active, 1 negative and active, 2 negative and passive, 3 positive and passive; a value
    of 0 counts as positive and active.
    """
    positive, active = affect[:, 0] >= 0, affect[:, 1] >= 0
    found = np.select([positive & active, ~positive & active, ~positive & ~active], [0, 1, 2], default=3)
    return np.where(np.isnan(affect).any(axis=1), -1, found).astype(np.int64)
