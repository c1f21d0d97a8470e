"""Heat over a face: coarse maps enlarged smoothly, coloured so that everyone can tell more from less.

The face turns grey below the heat, so that colour means heat and nothing else, and the heat's opacity grows
with its strength, so that the face stays visible where there is none.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

INFERNO = np.array(
    [
        (0, 0, 4),
        (11, 7, 36),
        (33, 12, 74),
        (60, 9, 101),
        (87, 16, 109),
        (112, 25, 110),
        (137, 34, 106),
        (163, 43, 97),
        (187, 55, 85),
        (209, 70, 68),
        (227, 89, 50),
        (241, 113, 30),
        (249, 141, 10),
        (252, 171, 15),
        (249, 202, 50),
        (242, 232, 101),
        (252, 255, 164),
    ],
    dtype=np.float32,
)
"""RGB at equal steps of the colour map "inferno" by Nathaniel J. Smith and Stéfan van der Walt (CC0,
https://github.com/BIDS/colormap): lightness rises evenly, for colour-blind eyes and in print too."""

COOLEST, HOTTEST = 0.22, 0.93
"""Part of the colour map in use, 0-1: its black end would hide the face, its white end looks like a light."""

OPACITY = 0.7
"""Of the strongest heat, 0-1: nearly a third of the face's own light and shade is left there."""

_FADE = 0.75
"""Opacity grows as strength to this power: weak heat is seen, no heat is no veil."""


def overlay_heat(
    face: NDArray[np.uint8], heat: NDArray[np.floating[Any]], *, opacity: float = OPACITY
) -> NDArray[np.uint8]:
    """A face in grey with heat over it.

    Args:
        face: (H, W, 3) uint8 RGB, what the network was shown of the face.
        heat: (h, w) 0-1 of any size; it is enlarged (or reduced) to the face.
        opacity: Of heat 1, 0-1.

    Returns:
        (H, W, 3) uint8 RGB; grey where there is no heat.
    """
    if face.ndim != 3 or face.shape[2] != 3 or face.dtype != np.uint8:
        raise ValueError(f"expected a face (H, W, 3) of uint8, got {face.shape} of {face.dtype}")
    strength = enlarge(heat, (face.shape[1], face.shape[0]))
    grey = face.astype(np.float32) @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
    cover = (opacity * strength**_FADE)[..., None]
    mixed = grey[..., None] * (1 - cover) + heat_colors(strength) * cover
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def heat_colors(strength: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Colours (..., 3) float32 RGB 0-255 of strengths (...) 0-1."""
    places = COOLEST + (HOTTEST - COOLEST) * np.clip(strength, 0.0, 1.0)
    steps = np.linspace(0.0, 1.0, len(INFERNO))
    return np.stack([np.interp(places, steps, channel) for channel in INFERNO.T], axis=-1).astype(np.float32)


def enlarge(heat: NDArray[np.floating[Any]], size_wh: tuple[int, int]) -> NDArray[np.float32]:
    """Heat (h, w) 0-1 as (height, width) float32 for ``size_wh`` = (width, height), smooth and within 0-1.

    The corners of the maps lie on each other. Catmull-Rom splines go through the values given and, unlike
    straight lines between them, show no edges; what they overshoot is clipped.
    """
    values = np.asarray(heat, dtype=np.float32)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"expected a map (h, w), got {values.shape}")
    rows, columns = _spline(values.shape[0], size_wh[1]), _spline(values.shape[1], size_wh[0])
    # Clipped in between too: undershoot across times undershoot down would be heat where there is none.
    tall = np.clip(rows @ values, 0.0, 1.0)
    return np.asarray(np.clip(tall @ columns.T, 0.0, 1.0), dtype=np.float32)


@lru_cache(maxsize=32)
def _spline(count: int, wanted: int) -> NDArray[np.float32]:
    """(wanted, count) weights of ``count`` samples in ``wanted`` interpolated ones; rows sum to 1."""
    places = (np.arange(wanted) + 0.5) * count / wanted - 0.5
    weights = np.zeros((wanted, count), dtype=np.float32)
    first = np.floor(places).astype(np.int64) - 1
    for sample in (first, first + 1, first + 2, first + 3):
        far = np.abs(places - sample)
        near = (1.5 * far - 2.5) * far**2 + 1
        outer = ((2.5 - 0.5 * far) * far - 4) * far + 2
        # Beyond the edge the outermost sample is repeated.
        np.add.at(weights, (np.arange(wanted), np.clip(sample, 0, count - 1)), np.where(far < 1, near, outer))
    weights.setflags(write=False)
    return weights
