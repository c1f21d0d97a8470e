"""What recognition answers: frozen records that validate themselves and turn into plain data."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esrface._frozen import ReadOnlyArrays
from esrface.emotions import CIRCUMPLEX, EMOTIONS
from esrface.saliency import Saliency

AFFECT_SOURCES = ("network", "circumplex")


class Box(NamedTuple):
    """A rectangle in pixels of the upright image; ``x1`` and ``y1`` are exclusive."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Area in pixels."""
        return self.width * self.height


@dataclass(frozen=True, eq=False)
class Expression(ReadOnlyArrays):
    """What an ensemble says about one face.

    The arrays are read-only float32 in the order of the model's C classes, ``emotions``.
    """

    emotion: str
    """The ensemble's emotion."""
    confidence: float
    """Probability of ``emotion``, 0-1: the branches' mean after temperature. As it is printed, the
    shortest decimal of its float32, so that comparing it with a limit gives what a reader of it expects."""
    probabilities: NDArray[np.float32]
    """(C,) mean over branches of the calibrated probabilities; sums to 1."""
    valence: float
    """Unpleasant -1 .. pleasant 1, nominally; raw, never clipped."""
    arousal: float
    """Calm -1 .. excited 1, nominally; raw, never clipped."""
    affect_source: str
    """``"network"`` (a trained layer) or ``"circumplex"`` (read out of the probabilities)."""
    agreement: float
    """Share of branches whose own emotion is ``emotion``, 0-1."""
    uncertainty: float
    """0 (sure) - 1 (unsure); the measure is named in the model's card."""
    branch_emotions: tuple[str, ...]
    """(K,) each branch's own emotion."""
    branch_probabilities: NDArray[np.float32]
    """(K, C) each branch's probabilities."""
    branch_affect: NDArray[np.float32]
    """(K, 2) each branch's [valence, arousal], raw."""
    emotions: tuple[str, ...] = EMOTIONS
    """(C,) the model's classes: the eight emotions, then those that it has learnt besides."""

    def __post_init__(self) -> None:
        branches, classes = len(self.branch_emotions), len(self.emotions)
        object.__setattr__(self, "confidence", _decimal(self.confidence))
        _freeze(self, "probabilities", (classes,))
        _freeze(self, "branch_probabilities", (branches, classes))
        _freeze(self, "branch_affect", (branches, 2))
        for name in (self.emotion, *self.branch_emotions):
            if name not in self.emotions:
                raise ValueError(f"expected an emotion out of {self.emotions}, got {name!r}")
        if self.affect_source not in AFFECT_SOURCES:
            raise ValueError(f"expected affect_source out of {AFFECT_SOURCES}, got {self.affect_source!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data, keys as in the JSON schema."""
        return {
            "emotion": self.emotion,
            "confidence": self.confidence,
            "probabilities": _named(self.emotions, self.probabilities),
            "valence": _decimal(self.valence),
            "arousal": _decimal(self.arousal),
            "affect_source": self.affect_source,
            "agreement": _decimal(self.agreement),
            "uncertainty": _decimal(self.uncertainty),
            "branches": [
                {
                    "emotion": emotion,
                    "probabilities": _named(self.emotions, probabilities),
                    "valence": _decimal(affect[0]),
                    "arousal": _decimal(affect[1]),
                }
                for emotion, probabilities, affect in zip(
                    self.branch_emotions, self.branch_probabilities, self.branch_affect, strict=True
                )
            ],
        }

    def __repr__(self) -> str:
        return (
            f"Expression({self.emotion} {self.confidence:.0%}, agreement {self.agreement:.0%}, "
            f"uncertainty {self.uncertainty:.2f}, valence {self.valence:+.2f}, arousal {self.arousal:+.2f})"
        )

    def _repr_html_(self) -> str:
        bars = "".join(
            f"<tr><td>{escape(name)}</td><td><div style='background:#4a7cd3;height:0.8em;"
            f"width:{max(1, round(160 * float(p)))}px'></div></td><td>{float(p):.1%}</td></tr>"
            for name, p in zip(self.emotions, self.probabilities, strict=True)
        )
        return f"<p><b>{escape(self.emotion)}</b> &middot; {escape(repr(self))}</p><table>{bars}</table>"


@dataclass(frozen=True, eq=False)
class Face(ReadOnlyArrays):
    """One face found in an image, and its expression."""

    box: Box
    """Where the face is, in pixels of the upright image and inside it."""
    detection_score: float
    """The detector's own score, 0-1."""
    landmarks: NDArray[np.float32] | None
    """(5, 2) x, y in pixels: the eye on the image's left, the one on its right, nose tip, mouth corners
    left and right; None where the detector gives none."""
    expression: Expression
    saliency: Saliency | None = None
    """What the network looked at, where it was asked for; not part of ``to_dict``."""

    def __post_init__(self) -> None:
        if self.landmarks is not None:
            _freeze(self, "landmarks", (5, 2))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data, keys as in the JSON schema."""
        landmarks = self.landmarks
        return {
            "box": list(self.box),
            "detection_score": _decimal(self.detection_score),
            "landmarks": None if landmarks is None else [[_decimal(x), _decimal(y)] for x, y in landmarks],
            **self.expression.to_dict(),
        }

    def __repr__(self) -> str:
        return f"Face({tuple(self.box)}, score {self.detection_score:.2f}, {self.expression!r})"

    def _repr_html_(self) -> str:
        return f"<p>Face at {tuple(self.box)}</p>{self.expression._repr_html_()}"


def circumplex_affect(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """[valence, arousal] read out of probabilities (..., C) -> (..., 2), by Russell & Mehrabian (1977).

    Classes beyond the eight emotions have no place on the circumplex and count as its origin, (0, 0).
    """
    placed = probabilities[..., : len(CIRCUMPLEX)]
    return np.asarray(placed @ np.asarray(CIRCUMPLEX, dtype=np.float64), dtype=np.float32)


def mapped_arousal(arousal: NDArray[np.float32]) -> NDArray[np.float32]:
    """clip((a + 1) / 2, 0, 1): how the original shows arousal everywhere."""
    return np.asarray(np.clip((arousal + 1) / 2, 0, 1), dtype=np.float32)


def _named(emotions: tuple[str, ...], probabilities: NDArray[np.float32]) -> dict[str, float]:
    return {name: _decimal(p) for name, p in zip(emotions, probabilities, strict=True)}


def _decimal(value: float | np.float32) -> float:
    """The shortest decimal of the same float32: 0.9321, where float() would say 0.9320999979972839."""
    return float(str(np.float32(value)))


def _freeze(record: object, field: str, shape: tuple[int, ...]) -> None:
    """Replace an array field by a read-only float32 copy of the expected shape."""
    array = np.array(getattr(record, field), dtype=np.float32)
    if array.shape != shape:
        raise ValueError(f"expected {field} of shape {shape}, got {array.shape}")
    array.setflags(write=False)
    object.__setattr__(record, field, array)
