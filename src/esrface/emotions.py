"""The eight emotions: their order, names, colours and places in the affect space; and a model's classes.

The order is the one of AffectNet and of the published ESR networks (Siqueira et al., AAAI-2020); every
array with an emotion axis in this package uses it. A model may have learnt classes of its own besides: the
``emotions`` of its card, and of whatever it answers, are the eight and after them its new ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
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
"""Emotion names in network order; index = class index everywhere. All classes of a model without new ones."""

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
ratings. Contempt is not in that table and is taken as the mean of anger and disgust. New classes have no
place there and count as its origin."""

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

NEW_CLASS_COLORS: Final[tuple[tuple[int, int, int], ...]] = (
    (22, 186, 208),
    (232, 92, 172),
    (166, 204, 40),
    (246, 152, 140),
    (176, 160, 246),
    (20, 120, 126),
    (120, 214, 170),
    (136, 132, 44),
)
"""The same for new classes in their order; from the ninth on they come again."""

AROUSAL: Final[tuple[int, int, int]] = (96, 184, 232)
PLEASANT: Final[tuple[int, int, int]] = (92, 200, 160)
UNPLEASANT: Final[tuple[int, int, int]] = (236, 128, 150)
"""RGB (0-255) of bars of arousal and of valence above and below 0, on a dark sheet."""


def colors_of(emotions: Sequence[str]) -> tuple[tuple[int, int, int], ...]:
    """RGB (0-255) of each of a model's classes."""
    new = range(len(emotions) - len(EMOTIONS))
    return (*EMOTION_COLORS, *(NEW_CLASS_COLORS[index % len(NEW_CLASS_COLORS)] for index in new))


def color_of(emotion: str, emotions: Sequence[str] = EMOTIONS) -> tuple[int, int, int]:
    """RGB (0-255) of one of a model's classes ``emotions``; always the same for the same model."""
    return colors_of(emotions)[emotions.index(emotion)]


def column_name(emotion: str) -> str:
    """Column that holds the probability of a class in rows: ``"Happy"`` -> ``"p_happy"``.

    What is neither a letter nor a digit becomes ``_``: ``"Deep thought"`` -> ``"p_deep_thought"``.
    """
    return "p_" + re.sub(r"\W", "_", emotion.lower())


def classes_problem(emotions: Sequence[str]) -> str | None:
    """Why these names cannot be a model's classes, as the rest of a sentence about them; None if they can.

    They are `EMOTIONS`, then names of printable text, each with a column of its own (`column_name`).
    """
    if tuple(emotions[: len(EMOTIONS)]) != EMOTIONS:
        return f"must begin with {', '.join(EMOTIONS)}, in this order"
    taken: dict[str, str] = {}
    for name in emotions:
        if not name or name != name.strip() or not name.isprintable():
            return f"must be printable texts without blanks around them, got {name!r}"
        column = column_name(name)
        if column in taken:
            return f"must not hold both '{taken[column]}' and '{name}': each would have the column {column}"
        taken[column] = name
    return None
