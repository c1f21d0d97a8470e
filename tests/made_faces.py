"""Faces made by hand, for tests of what comes after recognition."""

from __future__ import annotations

import numpy as np

from esrface.emotions import EMOTIONS
from esrface.results import Box, Expression, Face


def make_face(
    emotion: str = "Happy",
    *,
    box: Box = Box(10, 20, 110, 140),  # noqa: B008 - a constant
    confidence: float = 0.75,
    valence: float = 0.5,
    arousal: float = -0.25,
    affect_source: str = "network",
    branches: int = 9,
    dissenters: int = 2,
    emotions: tuple[str, ...] = EMOTIONS,
) -> Face:
    """A face whose last ``dissenters`` branches say Neutral; the rest of the probability is shared evenly."""
    classes = len(emotions)
    probabilities = np.full(classes, (1 - confidence) / (classes - 1), dtype=np.float32)
    probabilities[emotions.index(emotion)] = confidence
    own = [emotion] * (branches - dissenters) + ["Neutral"] * dissenters
    affect = np.tile(np.float32([valence, arousal]), (branches, 1))
    return Face(
        box=box,
        detection_score=0.9,
        landmarks=None,
        expression=Expression(
            emotion=emotion,
            confidence=confidence,
            probabilities=probabilities,
            valence=valence,
            arousal=arousal,
            affect_source=affect_source,
            agreement=(branches - dissenters) / branches,
            uncertainty=1 - confidence,
            branch_emotions=tuple(own),
            branch_probabilities=np.tile(probabilities, (branches, 1)),
            branch_affect=affect,
            emotions=emotions,
        ),
    )
