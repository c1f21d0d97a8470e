"""The eight emotions: their order, names, colours and places in the affect space.

The order is the one of AffectNet and of the published ESR networks (Siqueira et al., AAAI-2020); every
array with an emotion axis in this package uses it.
"""

from __future__ import annotations

from typing import Final

EMOTIONS: Final[tuple[str, ...]] = (
    "Neutral",
    "Happy",
    "Sad",
    "Surprise",
    "Fear",
    "Disgust",
    "Anger",
    "Contempt",
)
"""Emotion names in network order; index = class index everywhere."""

CIRCUMPLEX: Final[tuple[tuple[float, float], ...]] = (
    (0.0, 0.0),
    (0.81, 0.51),
    (-0.63, -0.27),
    (0.40, 0.67),
    (-0.64, 0.60),
    (-0.60, 0.35),
    (-0.51, 0.59),
    (-0.555, 0.47),
)
"""(valence, arousal) of each emotion, -1..1, in network order: Russell & Mehrabian (1977), table of mean
ratings. Contempt is not in that table and is taken as the mean of anger and disgust."""

EMOTION_COLORS: Final[tuple[tuple[int, int, int], ...]] = (
    (136, 146, 160),
    (240, 180, 20),
    (74, 124, 211),
    (236, 112, 34),
    (150, 96, 196),
    (58, 158, 98),
    (212, 56, 62),
    (170, 116, 84),
)
"""RGB (0-255) of each emotion in network order, told apart by lightness as well as by hue."""


def column_name(emotion: str) -> str:
    """Column that holds the probability of an emotion in rows: ``"Happy"`` -> ``"p_happy"``."""
    return f"p_{emotion.lower()}"
