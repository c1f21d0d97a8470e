"""What a face looks like, in a few numbers: enough to tell two people apart who cross one another."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.results import Box

SIDE = 16
"""Of the grey thumbnail; colour has half of it."""

REACH = 0.15
"""How far around the box is looked at, as a share of its sides: some hair, little background."""

CHROMA_WEIGHT = 0.35
"""Share of colour in the likeness."""

CHROMA_SCALE = 12.0
"""Mean difference of chroma (of 0-255) at which colours are quite unlike."""

GREYISH = 2.0
"""Mean distance of chroma from grey (of 0-255) below which there is no colour."""

Look = NDArray[np.float32]
"""(SIDE^2 + 2 (SIDE/2)^2,): grey with mean 0 and length 1, then chroma Cr and Cb around 0."""

_GREY = SIDE * SIDE


def look_of(image: NDArray[np.uint8], box: Box) -> Look:
    """The look of a face in an RGB image (H, W, 3) uint8."""
    height, width = image.shape[:2]
    dx, dy = round(REACH * box.width), round(REACH * box.height)
    x0, x1 = max(0, box.x0 - dx), min(width, box.x1 + dx)
    y0, y1 = max(0, box.y0 - dy), min(height, box.y1 + dy)
    # A large face is thinned out before it is averaged: every pixel would cost more and say no more.
    step = max(1, min(x1 - x0, y1 - y0) // (4 * SIDE))
    patch = np.ascontiguousarray(image[y0:y1:step, x0:x1:step])
    small = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    luma, cr, cb = cv2.split(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb))
    half = (SIDE // 2, SIDE // 2)
    chroma = [cv2.resize(plane, half, interpolation=cv2.INTER_AREA) for plane in (cr, cb)]
    grey = luma.astype(np.float32).ravel()
    grey -= grey.mean()
    grey /= float(np.linalg.norm(grey)) + 1e-6
    colour = [plane.astype(np.float32).ravel() - 128 for plane in chroma]
    return np.asarray(np.concatenate([grey, *colour]), dtype=np.float32)


def likeness(one: Look, others: NDArray[np.float32]) -> NDArray[np.float64]:
    """How alike a look and others (n, ...) are: (n,), 1 the same, about 0 unlike."""
    correlation = others[:, :_GREY] @ one[:_GREY]
    distance = np.abs(others[:, _GREY:] - one[_GREY:]).mean(axis=1)
    colour = 1 - np.minimum(distance / CHROMA_SCALE, 2)
    colourful = max(float(np.abs(one[_GREY:]).mean()), float(np.abs(others[:, _GREY:]).mean())) > GREYISH
    # In a grey picture all colours agree, which says nothing.
    weight = CHROMA_WEIGHT if colourful else 0.0
    return np.asarray((1 - weight) * correlation + weight * colour, dtype=np.float64)


def blend(old: Look, new: Look, share: float) -> Look:
    """``old`` with a share (0-1) of ``new``."""
    mixed: Look = np.asarray(old + np.float32(share) * (new - old), dtype=np.float32)
    mixed[:_GREY] /= float(np.linalg.norm(mixed[:_GREY])) + 1e-6
    return mixed
