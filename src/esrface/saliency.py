"""Grad-CAM in closed form: what a face's class maps say about where the answer comes from.

A branch ends in global average pooling and a linear layer, so the gradient of a logit is the same at every
place and Grad-CAM of emotion c in branch k is ReLU of class map (k, c) up to a factor, which normalising by
the maximum removes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._frozen import ReadOnlyArrays
from esrface._suggest import unknown_name
from esrface.emotions import EMOTIONS
from esrface.errors import InputError
from esrface.overlay import OPACITY, overlay_heat


@dataclass(frozen=True, eq=False)
class Saliency(ReadOnlyArrays):
    """Where in a face the network saw an emotion: Grad-CAM of the ensemble and of each of its K branches.

    All maps lie over what the network was shown of the face (``Recognizer.crop``), edge to edge. The arrays
    are read-only float32.
    """

    class_maps: NDArray[np.float32]
    """(K, C, h, w) each branch's evidence for each emotion by place, before its bias: their mean over h, w
    and the bias are the logits."""
    emotion: str
    """The emotion that ``ensemble`` explains."""
    branch_emotions: tuple[str, ...]
    """(K,) the emotion that each of ``branches`` explains."""
    emotions: tuple[str, ...] = EMOTIONS
    """(C,) the model's classes."""
    ensemble: NDArray[np.float32] = field(init=False)
    """(h, w) 0-1: the mean over branches of what speaks for ``emotion``, divided by its maximum; zero where
    nothing does."""
    branches: NDArray[np.float32] = field(init=False)
    """(K, h, w) 0-1: each branch's map, divided by its own maximum."""

    def __post_init__(self) -> None:
        maps = np.array(self.class_maps, dtype=np.float32)
        if maps.ndim != 4 or maps.shape[1] != len(self.emotions):
            raise ValueError(f"expected class maps (K, {len(self.emotions)}, h, w), got {maps.shape}")
        if len(self.branch_emotions) != len(maps):
            raise ValueError(f"expected {len(maps)} branch emotions, got {len(self.branch_emotions)}")
        own = np.array([self._index(name) for name in self.branch_emotions])
        arrays = {
            "class_maps": maps,
            "ensemble": ensemble_map(maps[None], self._index(self.emotion))[0],
            "branches": branch_maps(maps[None], own)[0],
        }
        for name, array in arrays.items():
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def explain(self, emotion: str) -> Saliency:
        """The maps for one emotion, whatever the network's answer was; the network does not run again."""
        return Saliency(self.class_maps, emotion, (emotion,) * len(self.branch_emotions), self.emotions)

    def overlay(
        self, face: NDArray[np.uint8], branch: int | None = None, *, opacity: float = OPACITY
    ) -> NDArray[np.uint8]:
        """The face with the map over it.

        Args:
            face: (H, W, 3) uint8 RGB, what the network was shown: ``recognizer.crop(image, face)``.
            branch: A branch's number, from 0; None: the ensemble's map.
            opacity: Of the strongest heat, 0-1.

        Returns:
            (H, W, 3) uint8 RGB.
        """
        if branch is not None and not 0 <= branch < len(self.branches):
            raise InputError(f"expected a branch from 0 to {len(self.branches) - 1}, got {branch}")
        heat = self.ensemble if branch is None else self.branches[branch]
        return overlay_heat(face, heat, opacity=opacity)

    def _index(self, emotion: str) -> int:
        if emotion not in self.emotions:
            raise InputError(unknown_name("emotion", emotion, self.emotions))
        return self.emotions.index(emotion)

    def __repr__(self) -> str:
        height, width = self.ensemble.shape
        return f"Saliency({self.emotion}, {len(self.branches)} branches, {height}x{width})"


def branch_maps(
    class_maps: NDArray[np.floating[Any]], emotions: NDArray[np.integer[Any]] | int
) -> NDArray[np.float32]:
    """What each branch looked at.

    Args:
        class_maps: (N, K, C, h, w) as ``Recognizer.class_maps`` gives them.
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
        class_maps: (N, K, C, h, w).
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
    if maps.ndim != 5:
        raise ValueError(f"expected class maps (N, K, C, h, w), got {maps.shape}")
    index = np.broadcast_to(np.asarray(emotions), maps.shape[:2])
    return np.take_along_axis(maps, index[:, :, None, None, None], axis=2)[:, :, 0]
