"""What a detector is, what it answers, and the limits that every detector keeps."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from esrface._frozen import ReadOnlyArrays
from esrface.errors import InputError
from esrface.results import Box

Candidates = NDArray[np.float32]
"""(n, 15) float32, one face a row: score 0-1, left, top, width, height, then x and y of the five landmarks
(the eye on the image's left, the one on its right, nose tip, mouth corners left and right), all in pixels.
Detectors without landmarks leave these NaN."""

NO_CANDIDATES: Candidates = np.empty((0, 15), dtype=np.float32)
NO_CANDIDATES.setflags(write=False)


@dataclass(frozen=True, eq=False)
class Detection(ReadOnlyArrays):
    """One face that a detector found."""

    box: Box
    """Pixels of the image that was looked at, inside it and not empty."""
    score: float
    """The detector's own confidence, 0-1."""
    landmarks: NDArray[np.float32] | None = None
    """(5, 2) float32 x, y in pixels: the eye on the image's left, the one on its right, nose tip, mouth
    corners left and right. A point may lie outside the image where the face does; None: not given."""

    def __post_init__(self) -> None:
        if self.landmarks is not None:
            points = np.array(self.landmarks, dtype=np.float32)
            if points.shape != (5, 2):
                raise ValueError(f"expected landmarks of shape (5, 2), got {points.shape}")
            points.setflags(write=False)
            object.__setattr__(self, "landmarks", points)


class Detector(Protocol):
    """Finds faces. All of ours are thread-safe and can be pickled."""

    @property
    def name(self) -> str:
        """What ``create_detector`` calls it."""
        ...

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (H, W, 3) uint8, largest first; ``[]`` where there is none."""
        ...


@dataclass(frozen=True)
class Limits:
    """Which of the faces found are reported."""

    min_score: float | None = None
    """Lowest score, 0-1; None: the detector's own default."""
    min_face: int = 0
    """Shortest larger side of a box, in pixels of the image."""
    max_faces: int | None = None
    """Report only this many of the largest faces; None: all."""

    def __post_init__(self) -> None:
        score = self.min_score
        if score is not None and not (_is_number(score) and 0 <= score <= 1):
            raise InputError(f"min_score must be a number from 0 to 1, got {score!r}")
        if not is_whole(self.min_face) or self.min_face < 0:
            raise InputError(f"min_face must be a whole number of pixels from 0 on, got {self.min_face!r}")
        if self.max_faces is not None and (not is_whole(self.max_faces) or self.max_faces < 1):
            raise InputError(
                f"max_faces must be a whole number from 1 on, got {self.max_faces!r}: leave it out for all"
            )

    def with_default(self, score: float) -> Limits:
        """These limits with the detector's own lowest score where none was asked for."""
        return self if self.min_score is not None else replace(self, min_score=score)

    def apply(self, found: Candidates, size_wh: tuple[int, int]) -> list[Detection]:
        """Detections of candidates in pixels of an image of this size: clipped, limited, largest first.

        The limits look at the whole face, before what lies outside the image is cut off.
        """
        large = np.maximum(found[:, 3], found[:, 4]) >= self.min_face
        detections = [
            Detection(box, float(row[0]), _landmarks(row))
            for row in found[large & (found[:, 0] >= (self.min_score or 0))]
            if (box := _clip(row, size_wh)).width > 0 and box.height > 0
        ]
        detections.sort(key=lambda detection: (-detection.box.area, -detection.score))
        return detections[: self.max_faces]


def check_image(image: NDArray[Any]) -> tuple[int, int]:
    """(width, height) of an RGB image (H, W, 3) uint8; InputError for anything else."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        got = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"a detector expects an RGB image (H, W, 3) of uint8, got {got}")
    if not image.size:
        raise InputError(f"a detector expects an image with pixels, got the shape {image.shape}")
    return image.shape[1], image.shape[0]


def _clip(row: Candidates, size_wh: tuple[int, int]) -> Box:
    left, top, width, height = (float(value) for value in row[1:5])
    x0, x1 = (min(max(round(x), 0), size_wh[0]) for x in (left, left + width))
    y0, y1 = (min(max(round(y), 0), size_wh[1]) for y in (top, top + height))
    return Box(x0, y0, x1, y1)


def _landmarks(row: Candidates) -> NDArray[np.float32] | None:
    points = row[5:].reshape(5, 2)
    return points if np.isfinite(points).all() else None


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def is_whole(value: object) -> bool:
    """Whether a setting is a whole number (True and False are none)."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
