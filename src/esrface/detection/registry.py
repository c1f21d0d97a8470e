"""Which detectors there are, which one ``auto`` means, and why one may be missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from esrface._extras import how_to_install
from esrface._suggest import unknown_name
from esrface.detection.base import Detector, Limits
from esrface.errors import DependencyError, EsrfaceError, InputError

AUTO = "auto"

BEST = "yunet"
"""What ``auto`` means: libfacedetection's own network with the same answers, four to six times faster in ONNX
Runtime (``benchmarks/detectors.py``), on every platform, and with no limit on the number of faces."""


@dataclass(frozen=True)
class _Entry:
    """Where a detector lives."""

    module: str
    """Of this package; its ``describe`` tells whether the detector works here."""
    create: str = "create"
    """The module's function that builds it."""
    remedy: str = "choose the detector auto"
    """What to do where it does not work."""


_DLIB_REMEDY = f"{how_to_install('dlib')}, or use the detector haar (-fd 3)"

DETECTORS = {
    "yunet": _Entry("yunet"),
    "libfacedetection": _Entry("libfacedetection"),
    "haar": _Entry("haar"),
    "dlib-optimized": _Entry("dlib", "create_optimized", _DLIB_REMEDY),
    "dlib-cnn": _Entry("dlib", "create_standard", _DLIB_REMEDY),
    "none": _Entry("none"),
}
"""The detectors by name."""

DETECTOR_NAMES = (AUTO, *DETECTORS)
"""What ``create_detector`` takes."""


@dataclass(frozen=True)
class DetectorStatus:
    """Whether a detector can be used here."""

    name: str
    available: bool
    detail: str
    """What it runs on, with versions, where it is available; else why it is not."""


def create_detector(
    name: str = AUTO,
    *,
    min_face: int = 0,
    min_score: float | None = None,
    max_faces: int | None = None,
    threads: int | None = None,
    detection_size: int | None = None,
) -> Detector:
    """Build a detector.

    Args:
        name: One of ``DETECTOR_NAMES``; ``"auto"`` is the best of them.
        min_face: Smallest face to report, in pixels of the box's larger side; 0: the detector's own limit.
        min_score: Lowest score to report, 0-1; None: the detector's own default.
        max_faces: Report only this many of the largest faces; None: all.
        threads: For one call of the detector; None: see ``esrface.threads``.
        detection_size: For ``libfacedetection`` and ``yunet``: longest side in pixels, 64-4096, of the finest
            look at a 4:3 picture; less is faster and misses small faces. None: 1280. The others have none.

    Raises:
        InputError: An unknown name (the nearest is suggested) or an argument out of range.
        DependencyError: The detector does not work here; the message says why.
    """
    if name not in DETECTOR_NAMES:
        raise InputError(unknown_name("detector", name, DETECTOR_NAMES))
    limits = Limits(min_score, min_face, max_faces)
    entry = DETECTORS[BEST if name == AUTO else name]
    create: Callable[..., Detector] = getattr(_module(entry), entry.create)
    try:
        return create(limits, threads=threads, detection_size=detection_size)
    except DependencyError as error:
        raise DependencyError(f"{error}: {entry.remedy}") from None


def detector_status() -> list[DetectorStatus]:
    """Every detector and whether it works here, in the order of ``DETECTORS``."""
    statuses = []
    for name, entry in DETECTORS.items():
        try:
            statuses.append(DetectorStatus(name, True, _module(entry).describe()))
        except EsrfaceError as error:
            statuses.append(DetectorStatus(name, False, str(error)))
    return statuses


def _module(entry: _Entry) -> Any:
    # Imported when asked for: each detector brings a library of its own.
    return import_module(f"esrface.detection.{entry.module}")
