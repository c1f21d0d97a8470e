"""Grad-CAM in closed form: what a face's class maps say about where the answer comes from.

A branch ends in global average pooling and a linear layer, so the gradient of a logit is the same at every
place and Grad-CAM of emotion c in branch k is ReLU of class map (k, c) up to a factor, which normalising by
the maximum removes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.emotions import EMOTIONS


def branch_maps(
    class_maps: NDArray[np.floating[Any]], emotions: NDArray[np.integer[Any]] | int
) -> NDArray[np.float32]:
    """What each branch looked at.

    Args:
        class_maps: (N, K, 8, h, w) as ``Recognizer.class_maps`` gives them.
        emotions: The emotion to explain, as an index: one for all, or an array that broadcasts to (N, K);
            each branch's own emotion (``Answers.branch_emotion``) unless something else is asked for.

    Returns:
        (N, K, h, w), 0-1: each map divided by its own maximum; a map without anything positive stays zero.
    """
    return normalize(np.maximum(_chosen(class_maps, emotions), 0.0))


def ensemble_map(
    class_maps: NDArray[np.floating[Any]], emotions: NDArray[np.integer[Any]] | int
) -> NDArray[np.float32]:
    """What the ensemble looked at: the mean over branches of ReLU(class map), normalised once.

    Args:
        class_maps: (N, K, 8, h, w).
        emotions: The emotion to explain, as an index: one for all or (N,), e.g. ``Answers.emotion``.

    Returns:
        (N, h, w), 0-1; all zero where no branch has anything positive.
    """
    per_face = np.broadcast_to(np.asarray(emotions), (len(class_maps),))
    return normalize(np.maximum(_chosen(class_maps, per_face[:, None]), 0.0).mean(axis=1))


def normalize(maps: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Divide each map (..., h, w) by its maximum; maps without a positive value are returned as they are."""
    values = np.asarray(maps, dtype=np.float32)
    peak = values.max(axis=(-2, -1), keepdims=True, initial=0.0)
    return np.asarray(values / np.where(peak > 0, peak, 1.0), dtype=np.float32)


def _chosen(
    class_maps: NDArray[np.floating[Any]], emotions: NDArray[np.integer[Any]] | int
) -> NDArray[np.float32]:
    """(N, K, h, w): of each branch the map of one emotion."""
    maps = np.asarray(class_maps, dtype=np.float32)
    if maps.ndim != 5 or maps.shape[2] != len(EMOTIONS):
        raise ValueError(f"expected class maps (N, K, {len(EMOTIONS)}, h, w), got {maps.shape}")
    index = np.broadcast_to(np.asarray(emotions), maps.shape[:2])
    return np.take_along_axis(maps, index[:, :, None, None, None], axis=2)[:, :, 0]
