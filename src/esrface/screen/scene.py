"""What a screen shows: a picture with its faces, the chosen one, and how it went lately."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from esrface.results import Expression, Face, mapped_arousal
from esrface.video.frames import Frame, TrackedFace

HISTORY_FRAMES = 60
"""Processed frames in the graph."""


@dataclass(frozen=True)
class ScreenSettings:
    """What a screen was asked to show."""

    branches: bool = False
    """``-b``: what every branch says, instead of the ensemble alone."""
    saliency: bool = False
    """``-g``: where the network looked, for faces that know it."""
    plot: bool = True
    """The graph of the last frames; never for single pictures. ``-np`` is False."""
    abstain_below: float | None = None
    """Emotions with less confidence (0-1) get a question mark."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything about one frame or picture that a screen may show."""

    title: str
    """What it comes from."""
    image: NDArray[np.uint8] = field(repr=False)
    """(H, W, 3) uint8 RGB."""
    faces: tuple[TrackedFace, ...]
    """Largest first, each with a ``track_id`` of its own; boxes in pixels of ``image``."""
    place: str = ""
    """Where in the whole this is: a time and frame, or a picture's number."""
    past: tuple[Moment, ...] | None = field(default=None, repr=False)
    """The last frames, this one at the end; None for single pictures, which have no past."""
    stem: str = "screen"
    """What a file with this scene is called, without suffix."""

    def find(self, track_id: int | None) -> TrackedFace | None:
        """The face of that track; the largest face where it is not here; None without faces."""
        for face in self.faces:
            if face.track_id == track_id:
                return face
        return self.faces[0] if self.faces else None


@dataclass(frozen=True)
class Moment:
    """How all faces of a frame felt: (activation 0-1, valence -1..1) by track."""

    time_s: float
    affect: Mapping[int | None, tuple[float, float]]


class History:
    """Gathers the past of a clip, frame by frame."""

    def __init__(self, frames: int = HISTORY_FRAMES) -> None:
        self._moments: deque[Moment] = deque(maxlen=frames)

    def add(self, frame: Frame) -> tuple[Moment, ...]:
        """The last frames up to and with this one."""
        affect = {face.track_id: affect_of(shown(face)) for face in frame.faces}
        self._moments.append(Moment(frame.time_s, affect))
        return tuple(self._moments)


def shown(face: TrackedFace) -> Expression:
    """What displays say of a face: the smoothed expression where there is one."""
    return face.smoothed or face.expression


def affect_of(expression: Expression) -> tuple[float, float]:
    """(activation 0-1, valence -1..1) as the original shows them: arousal is mapped branch by branch."""
    return float(mapped_arousal(expression.branch_affect[:, 1]).mean()), expression.valence


def numbered(faces: Sequence[Face]) -> tuple[TrackedFace, ...]:
    """The faces of a single picture, numbered from 1 on by size."""
    return tuple(
        TrackedFace(
            face.box, face.detection_score, face.landmarks, face.expression, face.saliency, track_id=number
        )
        for number, face in enumerate(faces, 1)
    )
