"""Facial expression recognition with Ensembles with Shared Representations.

>>> from esrface import Recognizer
>>> faces = Recognizer()("picture.jpg")  # doctest: +SKIP

Importing this package loads nothing else; each name below is imported when it is first used.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from esrface.compat.cvision import recognize_facial_expression
    from esrface.detection.base import Detection, Detector
    from esrface.emotions import EMOTIONS
    from esrface.errors import (
        DataError,
        DependencyError,
        DeviceError,
        EsrfaceError,
        InputError,
        ModelError,
        OutputError,
    )
    from esrface.models.card import ModelCard
    from esrface.models.registry import ModelFile, list_models
    from esrface.recognizer import Recognizer
    from esrface.results import Box, Expression, Face
    from esrface.saliency import Saliency
    from esrface.video.frames import Frame, TrackedFace
    from esrface.video.pipeline import Video, open_video

__version__ = "0.1.0"

# A library is silent until its user asks to hear it.
logging.getLogger("esrface").addHandler(logging.NullHandler())

__all__ = [
    "EMOTIONS",
    "Box",
    "DataError",
    "DependencyError",
    "Detection",
    "Detector",
    "DeviceError",
    "EsrfaceError",
    "Expression",
    "Face",
    "Frame",
    "InputError",
    "ModelCard",
    "ModelError",
    "ModelFile",
    "OutputError",
    "Recognizer",
    "Saliency",
    "TrackedFace",
    "Video",
    "__version__",
    "list_models",
    "open_video",
    "recognize_facial_expression",
]

_HOMES = {
    "EMOTIONS": "emotions",
    "Box": "results",
    "DataError": "errors",
    "DependencyError": "errors",
    "Detection": "detection.base",
    "Detector": "detection.base",
    "DeviceError": "errors",
    "EsrfaceError": "errors",
    "Expression": "results",
    "Face": "results",
    "Frame": "video.frames",
    "InputError": "errors",
    "ModelCard": "models.card",
    "ModelError": "errors",
    "ModelFile": "models.registry",
    "OutputError": "errors",
    "Recognizer": "recognizer",
    "Saliency": "saliency",
    "TrackedFace": "video.frames",
    "Video": "video.pipeline",
    "list_models": "models.registry",
    "open_video": "video.pipeline",
    "recognize_facial_expression": "compat.cvision",
}
"""Module that each public name comes from."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'esrface' has no attribute '{name}'")
    value = getattr(import_module(f"esrface.{home}"), name)
    # Kept, so that the next use costs nothing.
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
