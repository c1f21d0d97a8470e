"""Find faces: one protocol, a registry, one file per detector."""

from esrface.detection.base import Detection, Detector
from esrface.detection.registry import (
    DETECTOR_NAMES,
    DetectorStatus,
    create_detector,
    detector_status,
)

__all__ = [
    "DETECTOR_NAMES",
    "Detection",
    "Detector",
    "DetectorStatus",
    "create_detector",
    "detector_status",
]
