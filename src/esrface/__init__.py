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
    from esrface.models.registry import list_models
    from esrface.recognizer import Recognizer
    from esrface.results import Box, Expression, Face
    from esrface.video.frames import Frame
    from esrface.video.pipeline import open_video

__version__ = "0.1.0"

# A library is silent until its user asks to hear it.
logging.getLogger("esrface").addHandler(logging.NullHandler())

__all__ = [
    "EMOTIONS",
    "Box",
    "DataError",
    "DependencyError",
    "DeviceError",
    "EsrfaceError",
    "Expression",
    "Face",
    "Frame",
    "InputError",
    "ModelCard",
    "ModelError",
    "OutputError",
    "Recognizer",
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
    "DeviceError": "errors",
    "EsrfaceError": "errors",
    "Expression": "results",
    "Face": "results",
    "Frame": "video.frames",
    "InputError": "errors",
    "ModelCard": "models.card",
    "ModelError": "errors",
    "OutputError": "errors",
    "Recognizer": "recognizer",
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
