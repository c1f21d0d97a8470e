"""At which sizes a picture is looked at, so that any face is found at a bounded cost.

The YuNet network finds faces of about 15 to 450 pixels and is surest from 30 to 300, at a cost in proportion
to the pixels. So a picture is first looked at in a middling size, and again smaller or larger only where the
first look says that faces may have been missed.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import Candidates, Detection, Limits, check_image, is_whole
from esrface.errors import InputError

DEFAULT_MIN_SCORE = 0.8
"""Of the network's detectors. Lowered to 0.7 or raised to 0.85, they find 97.0 or 92.8 instead of 95.0 % of
600 faces of 48 pixels (FER+ validation), and something in 6.5 or 0.2 instead of 1.0 % of 480 crops of
pictures without faces (a motorcycle's headlamp above all)."""

DEFAULT_SIZE = 1280
"""Longest side in pixels of the finest look at a 4:3 picture."""

FIRST_LOOK = 640
CLOSE_LOOK = 320
"""Longest sides of the first look and of the one for faces that fill the picture, likewise for 4:3."""

MAX_ENLARGEMENT = 4
"""Pictures smaller than the close look are enlarged to it, but not further than this."""

LARGE_SHARE = 0.5
"""A face above this share of the picture's longest side is looked at again in the close look."""

SMALL_FACE = 48
"""A face below this many pixels in the first look is a reason for the finest look."""

HINT = 0.5
"""Score from which a find, reported or not, counts as a reason for another look."""

STEP = 1.25
"""Looks less than this factor apart are not worth having both."""

OVERLAP = 0.45
"""Boxes whose intersection over union exceeds this are one face, as in libfacedetection."""

CONTAINED = 0.7
"""A find with more than this share of it inside a surer find of another look is a part of that face."""

Find = Callable[[NDArray[np.uint8]], Candidates]


class PyramidDetector(ABC):
    """A detector that looks at a picture in up to three sizes; ``find`` is one look.

    Args:
        limits: Which finds are reported.
        size: Longest side in pixels of the finest look at a 4:3 picture, 64-4096; other shapes get as many
            pixels. None: ``DEFAULT_SIZE``.
    """

    def __init__(self, limits: Limits, size: int | None) -> None:
        if size is None:
            size = DEFAULT_SIZE
        if not is_whole(size) or not 64 <= size <= 4096:
            raise InputError(f"detection_size must be a whole number of pixels from 64 to 4096, got {size!r}")
        self._limits = limits.with_default(DEFAULT_MIN_SCORE)
        self._size = size

    @abstractmethod
    def find(self, image: NDArray[np.uint8]) -> Candidates:
        """Candidates of one look at an RGB image (H, W, 3) uint8 in its own size."""

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (H, W, 3) uint8, largest first; ``[]`` where there is none."""
        size_wh = check_image(image)
        found = search(image, self.find, self._limits, self._size)
        return self._limits.apply(found, size_wh)


def search(image: NDArray[np.uint8], find: Find, limits: Limits, size: int) -> Candidates:
    """Look for faces at up to three sizes.

    Args:
        image: RGB (H, W, 3) uint8.
        find: Candidates of one RGB picture (h, w, 3) in its own pixels.
        limits: From which score on a find counts as a face, and how small faces need not be looked for.
        size: Longest side of the finest look at a 4:3 picture; other shapes get as many pixels.

    Returns:
        Candidates in pixels of ``image``, those below the limits included.
    """
    min_score = limits.min_score or 0.0
    first = min(_fit(image, min(FIRST_LOOK, size)), _enlargement(image, min(CLOSE_LOOK, size)))
    found = _look(image, find, first)
    # Both questions are asked of the first look alone.
    sides = np.maximum(found[:, 3], found[:, 4])[found[:, 0] >= min(HINT, min_score)]
    nothing = not (found[:, 0] >= min_score).any()
    close = _fit(image, CLOSE_LOOK)
    if first > STEP * close and (nothing or sides.max() > LARGE_SHARE * max(image.shape[:2])):
        found = _merge(found, _look(image, find, close))
    fine = min(1.0, _fit(image, size))
    small = SMALL_FACE / first
    if fine > STEP * first and limits.min_face < small and (nothing or sides.min() < small):
        found = _merge(found, _look(image, find, fine))
    return found


def suppress(found: Candidates) -> Candidates:
    """Of candidates that overlap, the surest one; sorted from sure to unsure."""
    found = found[np.argsort(-found[:, 0], kind="stable")]
    kept = np.zeros(len(found), dtype=bool)
    alive = np.ones(len(found), dtype=bool)
    for index in range(len(found)):
        if alive[index]:
            kept[index] = True
            intersection, areas = _intersections(found[index], found)
            alive &= intersection <= OVERLAP * (areas[index] + areas - intersection)
    return found[kept]


def _fit(image: NDArray[np.uint8], size: int) -> float:
    """Scale at which the image has the pixels of a 4:3 picture whose longest side is ``size``."""
    height, width = image.shape[:2]
    # The second bound keeps strips one pixel wide from becoming endless.
    return float(min(size * math.sqrt(0.75 / (width * height)), 4 * size / max(width, height)))


def _enlargement(image: NDArray[np.uint8], size: int) -> float:
    """Scale that brings a small image up to ``size``; 1 for others."""
    return max(1.0, min(_fit(image, size), MAX_ENLARGEMENT))


def _look(image: NDArray[np.uint8], find: Find, scale: float) -> Candidates:
    """Candidates of the image at a scale, in pixels of the image itself."""
    looked_at, stretch = _resize(image, scale)
    found = find(looked_at)
    return np.concatenate([found[:, :1], found[:, 1:] * np.tile(stretch, 7)], axis=1)


def _resize(image: NDArray[np.uint8], scale: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The image (H, W, 3) at a scale, and by how much its (x, y) have to be multiplied to get back.

    Halved as often as that does not go too far, then bilinear: as smooth as averaging over areas, and many
    times faster on large pictures.
    """
    height, width = image.shape[:2]
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    factor = 1
    while image.shape[1] >= 2 * w and image.shape[0] >= 2 * h and min(image.shape[:2]) >= 2:
        half_h, half_w = image.shape[0] // 2, image.shape[1] // 2
        # Even sides: only those are halved in the fast way. The last row or column goes, if odd.
        image = _cv_resize(image[: 2 * half_h, : 2 * half_w], (half_w, half_h), cv2.INTER_AREA)
        factor *= 2
    stretch = np.array([image.shape[1] * factor / w, image.shape[0] * factor / h], dtype=np.float32)
    if image.shape[:2] != (h, w):
        image = _cv_resize(image, (w, h), cv2.INTER_LINEAR)
    return image, stretch


def _cv_resize(image: NDArray[np.uint8], size_wh: tuple[int, int], how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, size_wh, interpolation=how), dtype=np.uint8)


def _merge(one: Candidates, other: Candidates) -> Candidates:
    """Finds of two looks, where a part of a face in one is dropped for the whole face in the other."""
    kept = []
    for mine, theirs in ((one, other), (other, one)):
        for row in mine:
            intersection, _ = _intersections(row, theirs)
            part = intersection > CONTAINED * row[3] * row[4]
            kept.append(not (part & (theirs[:, 0] > row[0])).any())
    return suppress(np.concatenate([one, other])[np.array(kept, dtype=bool)])


def _intersections(row: Candidates, others: Candidates) -> tuple[Candidates, Candidates]:
    """Areas of overlap of one box with others (n,), and the areas of those (n,)."""
    low = np.maximum(others[:, 1:3], row[1:3])
    high = np.minimum(others[:, 1:3] + others[:, 3:5], row[1:3] + row[3:5])
    return np.maximum(high - low, 0).prod(axis=1), others[:, 3:5].prod(axis=1)
