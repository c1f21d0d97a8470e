"""What a report shows of many pictures, gathered one by one in bounded memory."""

from __future__ import annotations

import random
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.report.key_moments import CHANGED, KeyMoments
from esrface.report.shares import MAX_BLOCKS, shares
from esrface.report.small_pictures import data_url, jpeg, shrunk
from esrface.results import Expression, Face

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer

FACES = 900
"""That are shown; of more, so many are drawn by lot."""

POINTS = 4_000
"""In the circumplex; drawn in the same way."""

SIDE = 96
"""Longer side of a face in the gallery, in pixels."""

MOMENTS = 6
"""Of each kind."""


class Gallery:
    """Gathers pictures.

    Args:
        recognizer: Cuts the faces out, and says where the network looked in the key moments.
        abstain_below: Confidence below which answers are counted as unsure; None: they are not counted.
    """

    def __init__(self, recognizer: Recognizer, *, abstain_below: float | None = None) -> None:
        self.pictures = 0
        self._recognizer = recognizer
        self._abstain_below = abstain_below
        self._faces = self._with_face = self._unsure = 0
        self._uncertainty = self._agreement = 0.0
        self._counts = np.zeros((MAX_BLOCKS, len(recognizer.card.emotions)), np.int64)
        self._moments = KeyMoments(recognizer, MOMENTS)
        self._shown: list[dict[str, Any]] = []
        self._points: list[list[float]] = []
        # Whoever makes the page again gets the same one.
        self._lot = random.Random(0)

    def add(self, source: str, image: NDArray[np.uint8], faces: list[Face]) -> None:
        """The next picture, RGB (H, W, 3) uint8, and who is in it."""
        block = self.pictures % MAX_BLOCKS
        self.pictures += 1
        self._with_face += bool(faces)
        for face in faces:
            answer = face.expression
            self._counts[block, answer.emotions.index(answer.emotion)] += 1
            self._uncertainty += answer.uncertainty
            self._agreement += answer.agreement
            self._unsure += self._abstain_below is not None and answer.confidence < self._abstain_below
            self._moments.add(image, face, where=printable(source))
            self._draw(source, image, face)
            self._faces += 1

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, everything that the page shows of the pictures."""
        moments = self._moments.to_dict()
        del moments[CHANGED]
        faces = max(1, self._faces)
        return {
            "pictures": self.pictures,
            "with_face": self._with_face,
            "faces": self._faces,
            "unsure": None if self._abstain_below is None else self._unsure,
            "uncertainty": round(self._uncertainty / faces, 3),
            "agreement": round(self._agreement / faces, 3),
            "resampled": min(self.pictures, MAX_BLOCKS),
            "shares": shares(self._counts),
            "moments": moments,
            "shown": sorted(self._shown, key=lambda one: one["number"]),
            "points": self._points,
        }

    def _draw(self, source: str, image: NDArray[np.uint8], face: Face) -> None:
        """Keep the face, or not: each one has the same chance in the end (reservoir sampling)."""
        place = self._place(len(self._points), POINTS)
        answer = face.expression
        if place is not None:
            at = [round(answer.valence, 3), round(answer.arousal, 3), answer.emotions.index(answer.emotion)]
            self._points[place : place + 1] = [at]
        place = self._place(len(self._shown), FACES)
        if place is not None:
            crop = shrunk(self._recognizer.crop(image, face), SIDE)
            self._shown[place : place + 1] = [_shown(self._faces, source, answer, jpeg(crop))]

    def _place(self, kept: int, at_most: int) -> int | None:
        if kept < at_most:
            return kept
        place = self._lot.randrange(self._faces + 1)
        return place if place < at_most else None


def _shown(number: int, source: str, answer: Expression, picture: bytes) -> dict[str, Any]:
    return {
        "number": number,
        "name": printable(PurePath(source).name or source),
        "source": printable(source),
        "emotion": answer.emotions.index(answer.emotion),
        "confidence": round(answer.confidence, 6),
        "uncertainty": round(answer.uncertainty, 6),
        "agreement": round(answer.agreement, 6),
        "valence": round(answer.valence, 3),
        "arousal": round(answer.arousal, 3),
        "face": data_url(picture),
    }
