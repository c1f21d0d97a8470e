"""Faces as a detector's box frames them, rightly or a little too large or small."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from esrface.detection import Detection
from esrface.models.card import CropRule
from esrface.preprocess import as_rgb, crop_face
from esrface.results import Box

View = Callable[[float], NDArray[np.uint8]]
"""The crop (h, w, 3), RGB uint8, of a face for a box whose sides are that many times the right ones; 1 gives
what the network is shown otherwise."""

_WHOLE = CropRule(margin=0.0, square=False, align=False)


def whole_view(picture: NDArray[np.uint8]) -> View:
    """View of a picture (h, w) or (h, w, 3) that is a face's crop already.

    There is nothing beyond its edges: for a larger box they are repeated.
    """
    face = as_rgb(picture)
    box = Box(0, 0, face.shape[1], face.shape[0])
    return lambda scale: face if scale == 1 else crop_face(face, box, None, _scaled(_WHOLE, scale))


def located_view(picture: NDArray[np.uint8], found: Detection, rule: CropRule) -> View:
    """View of a face that was found in a picture (h, w, 3), cut out as a card's rule says."""
    return lambda scale: crop_face(picture, found.box, found.landmarks, _scaled(rule, scale))


def _scaled(rule: CropRule, scale: float) -> CropRule:
    return replace(rule, margin=((1 + 2 * rule.margin) * scale - 1) / 2)
