"""What any detector answers, one of the user's own too, made fit for what comes after: inside the image."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import Detection, Detector
from esrface.errors import InputError
from esrface.results import Box


def find_faces(detector: Detector, image: NDArray[np.uint8]) -> list[Detection]:
    """Faces in an RGB image (H, W, 3) uint8, largest first, their boxes clipped to the image.

    Raises:
        InputError: The detector answers what is no face in this image; the line names it.
    """
    height, width = image.shape[:2]
    answer: Any = detector.detect(image)
    try:
        found = [_inside(detection, (width, height)) for detection in answer]
    except (TypeError, ValueError, AttributeError) as error:
        name = getattr(detector, "name", None) or type(detector).__name__
        raise InputError(f"the detector {name!r} answers what cannot be used: {error}") from error
    return sorted(found, key=lambda detection: -detection.box.area)


def _inside(detection: Any, size_wh: tuple[int, int]) -> Detection:
    if not isinstance(detection, Detection):
        raise TypeError(f"expected an esrface.detection.Detection, got {detection!r:.60}")
    if not 0 <= detection.score <= 1:
        raise ValueError(f"expected a score from 0 to 1, got {detection.score!r}")
    sides = tuple(detection.box)
    if len(sides) != 4 or not all(map(math.isfinite, sides)):
        raise ValueError(f"expected a box of four numbers x0, y0, x1, y1, got {sides}")
    clipped = Box(*(min(max(round(side), 0), size_wh[i % 2]) for i, side in enumerate(sides)))
    if clipped.width <= 0 or clipped.height <= 0:
        raise ValueError(f"the box {sides} holds nothing of the image of {size_wh[0]} x {size_wh[1]} pixels")
    return detection if clipped == sides else replace(detection, box=clipped)
