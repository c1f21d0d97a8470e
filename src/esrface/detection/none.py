"""No detector: for pictures that are cut-out faces already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import NO_CANDIDATES, Detection, Limits, check_image


class WholeImage:
    """Takes the whole picture for one face of score 1.

    Args:
        limits: A picture whose longer side is below ``min_face`` has no face.
    """

    name = "none"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """One detection of the size of an RGB image (H, W, 3) uint8."""
        width, height = check_image(image)
        found = np.full((1, NO_CANDIDATES.shape[1]), np.nan, dtype=np.float32)
        found[0, :5] = 1, 0, 0, width, height
        return self._limits.apply(found, (width, height))


def create(limits: Limits, threads: int | None = None, detection_size: int | None = None) -> WholeImage:
    """Build the detector, which needs neither threads nor a size."""
    del threads, detection_size
    return WholeImage(limits)


def describe() -> str:
    """What the detector runs on."""
    return "takes the whole picture for a face"
