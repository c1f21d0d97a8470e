"""OpenCV's Haar cascade for frontal faces, as the original program used it."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import NO_CANDIDATES, Candidates, Detection, Limits, check_image
from esrface.errors import DependencyError

CASCADE = "haarcascade_frontalface_default.xml"
SCALE_FACTOR = 1.2
MIN_NEIGHBORS = 9
MIN_FACE = 60
"""The original's parameters; ``min_face`` replaces the last where it is given."""

DEFAULT_MIN_SCORE = 0.0
"""The cascade has decided already; its score only ranks."""

LONGEST_SIDE = 4096
"""Pictures with a longer side are shrunk to it, and the smallest face with them."""


class HaarDetector:
    """Upright frontal faces, squares without landmarks.

    The score is n / (n + 9) for a face that n overlapping windows agreed on (at least 9, so 0.5 and above):
    it ranks finds and is no probability.

    Args:
        limits: Which finds are reported; without ``min_face`` none below 60 pixels, as in the original.

    Raises:
        DependencyError: The installed OpenCV has no Haar cascades (version 5).
    """

    name = "haar"

    def __init__(self, limits: Limits) -> None:
        self._limits = limits.with_default(DEFAULT_MIN_SCORE)
        self._definition = cascade_path().read_text(encoding="utf-8")
        # A cascade keeps its working memory in itself: one for each thread.
        self._local = threading.local()
        self._cascade()

    def __reduce__(self) -> tuple[object, ...]:
        return (HaarDetector, (self._limits,))

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (H, W, 3) uint8, largest first; ``[]`` where there is none."""
        width, height = size_wh = check_image(image)
        grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
        scale = min(1.0, LONGEST_SIDE / max(size_wh))
        if scale < 1:
            shrunk_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
            grey = np.asarray(cv2.resize(grey, shrunk_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
        smallest = max(1, round((self._limits.min_face or MIN_FACE) * scale))
        return self._limits.apply(self._find(grey, smallest, scale), size_wh)

    def _find(self, grey: NDArray[np.uint8], smallest: int, scale: float) -> Candidates:
        boxes, neighbors = self._cascade().detectMultiScale2(
            grey, scaleFactor=SCALE_FACTOR, minNeighbors=MIN_NEIGHBORS, minSize=(smallest, smallest)
        )
        if not len(boxes):
            return NO_CANDIDATES
        found = np.full((len(boxes), 15), np.nan, dtype=np.float32)
        counts = np.asarray(neighbors, dtype=np.float32).reshape(-1)
        found[:, 0] = counts / (counts + MIN_NEIGHBORS)
        found[:, 1:5] = np.asarray(boxes, dtype=np.float32) / scale
        return found

    def _cascade(self) -> cv2.CascadeClassifier:
        cascade: cv2.CascadeClassifier | None = getattr(self._local, "cascade", None)
        if cascade is None:
            # Read from memory: OpenCV itself cannot open every path there is.
            storage = cv2.FileStorage(self._definition, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
            cascade = cv2.CascadeClassifier()
            if not cascade.read(storage.getFirstTopLevelNode()) or cascade.empty():
                raise DependencyError(f"OpenCV's {CASCADE} is unreadable")
            self._local.cascade = cascade
        return cascade


def cascade_path() -> Path:
    """The cascade's file in the OpenCV package; DependencyError where there is none."""
    folder = getattr(getattr(cv2, "data", None), "haarcascades", None)
    path = Path(folder) / CASCADE if folder else None
    if path is None or not path.is_file() or not hasattr(cv2, "CascadeClassifier"):
        raise DependencyError(f"OpenCV {cv2.__version__} has no Haar cascades (version 4 has)")
    return path


def create(limits: Limits, threads: int | None = None, detection_size: int | None = None) -> HaarDetector:
    """Build the detector; OpenCV sets its threads for the whole process, and there is one size."""
    del threads, detection_size
    return HaarDetector(limits)


def describe() -> str:
    """What the detector runs on; DependencyError where it does not run here."""
    cascade_path()
    return f"OpenCV {cv2.__version__}"
