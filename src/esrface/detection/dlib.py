"""dlib's face detectors, as the original program ran them: one network, looked with in two ways.

The network is dlib's ``mmod_human_face_detector.dat`` (CC0), a convolutional network trained with the
max-margin loss. Its boxes are squares of 80 pixels of the look or more, in steps of a fifth, and faces below
some 60 pixels are missed. It costs over a hundred times as much as ``yunet`` (2 seconds against 10 ms for
512 x 600 pixels): it is here for comparisons with the original.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import NO_CANDIDATES, Candidates, Detection, Limits, check_image
from esrface.errors import DependencyError

OPTIMIZED, STANDARD = "dlib-optimized", "dlib-cnn"

SMALL_PICTURE_SCALES = (0.5, 1.0)
LARGE_PICTURE_SCALES = (0.2, 0.5)
LARGE_PICTURE = 500 * 500
"""The original's optimised way: scales of the looks, and above how many pixels the second pair is taken."""

LARGEST_LOOK = 1024 * 768
"""Pixels; what would be larger is shrunk to it. It takes 800 MB and about 5 seconds, and both grow with the
pixels: 12 megapixels would take more than a minute and ten gigabytes."""

SMALLEST_SIDE = 40
"""Looks with a shorter side are left out: no face that small is found, and below 10 pixels dlib crashes."""

DEFAULT_MIN_SCORE = 0.0
"""dlib has its own limit: a confidence of 0."""

PACKAGE = "face_recognition_models"
MODEL = Path("models", "mmod_human_face_detector.dat")


class DlibDetector:
    """Faces as squares, without landmarks (dlib's five points have no mouth).

    The score is the network's confidence cut off at 1: the loss asks for 1 of every face in training, so sure
    finds share the score 1, and below it ranks finds and is no probability.

    Looks keep to ``LARGEST_LOOK``, which the original does not. Calls may come from several threads but take
    turns: dlib holds Python's lock during a look, so Ctrl-C waits for the end of it, too.

    Args:
        limits: Which finds are reported.
        optimized: Look at the grey picture in two scales, 0.5 and 1 or, for more than 500 x 500 pixels, 0.2
            and 0.5, the larger one only if the smaller shows no face to report; large pictures lose small
            faces that way. Otherwise: look once at the picture in colour and in its own size.

    Raises:
        DependencyError: dlib or its network is missing or does not load here.
    """

    def __init__(self, limits: Limits, *, optimized: bool) -> None:
        self.name = OPTIMIZED if optimized else STANDARD
        self._settings = (limits,)
        self._limits = limits.with_default(DEFAULT_MIN_SCORE)
        self._optimized = optimized
        load_network()

    def __reduce__(self) -> tuple[object, ...]:
        return (create_optimized if self._optimized else create_standard, self._settings)

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        """Faces in an RGB image (H, W, 3) uint8, largest first; ``[]`` where there is none."""
        size_wh = check_image(image)
        picture = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) if self._optimized else image
        network = None
        for look_wh in look_sizes(size_wh, self._optimized):
            # A network keeps all its working memory, and no two threads may use it at once. Reading it takes
            # milliseconds, a look a hundred times that: so every picture gets its own.
            network = network or load_network()
            detections = self._limits.apply(_look(network, picture, look_wh), size_wh)
            if detections:
                return detections
        return []


def look_sizes(size_wh: tuple[int, int], optimized: bool) -> Iterator[tuple[int, int]]:
    """(width, height) of the looks at a picture of this size, in order; none for tiny pictures."""
    pixels = size_wh[0] * size_wh[1]
    scales: tuple[float, ...] = (1.0,)
    if optimized:
        scales = LARGE_PICTURE_SCALES if pixels > LARGE_PICTURE else SMALL_PICTURE_SCALES
    # Of a huge picture both scales may come down to the same one.
    for scale in sorted({min(scale, math.sqrt(LARGEST_LOOK / pixels)) for scale in scales}):
        width, height = (round(side * scale) for side in size_wh)
        if min(width, height) >= SMALLEST_SIDE:
            yield width, height


def load_network() -> Any:
    """The network, new and ready; DependencyError where it cannot be had."""
    dlib, path = _package(), model_path()
    try:
        return dlib.cnn_face_detection_model_v1(str(path))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise DependencyError(f"dlib cannot read its network {path} ({reason})") from None


def model_path() -> Path:
    """The network's file in the package face-recognition-models; DependencyError where there is none."""
    # Found without importing it: the package asks for pkg_resources, which new setuptools no longer have.
    spec = importlib.util.find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / MODEL).is_file():
            return path
    raise DependencyError("the package face-recognition-models of the extra 'dlib' is not installed")


def _package() -> Any:
    if importlib.util.find_spec("dlib") is None:
        raise DependencyError("the package dlib-bin of the extra 'dlib' is not installed")
    try:
        import dlib
    except ImportError as error:
        raise DependencyError(f"dlib does not load here ({error})") from None
    return dlib


def _look(network: Any, picture: NDArray[np.uint8], look_wh: tuple[int, int]) -> Candidates:
    """Candidates of the picture, grey (H, W) or RGB (H, W, 3), at a size, in pixels of the picture."""
    height, width = picture.shape[:2]
    if look_wh != (width, height):
        picture = np.asarray(cv2.resize(picture, look_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    finds = list(network(np.ascontiguousarray(picture)))
    if not finds:
        return NO_CANDIDATES
    found = np.full((len(finds), 15), np.nan, dtype=np.float32)
    found[:, 0] = [min(max(find.confidence, 0.0), 1.0) for find in finds]
    sides = [(f.rect.left(), f.rect.top(), f.rect.width(), f.rect.height()) for f in finds]
    stretch = (width / look_wh[0], height / look_wh[1])
    found[:, 1:5] = np.array(sides, dtype=np.float32) * (*stretch, *stretch)
    return found


def create_optimized(
    limits: Limits, threads: int | None = None, detection_size: int | None = None
) -> DlibDetector:
    """Build ``dlib-optimized``; dlib has one thread and one size."""
    del threads, detection_size
    return DlibDetector(limits, optimized=True)


def create_standard(
    limits: Limits, threads: int | None = None, detection_size: int | None = None
) -> DlibDetector:
    """Build ``dlib-cnn``; dlib has one thread and one size."""
    del threads, detection_size
    return DlibDetector(limits, optimized=False)


def describe() -> str:
    """What the detectors run on; DependencyError where they do not run here."""
    load_network()
    return f"dlib {_package().__version__}"
