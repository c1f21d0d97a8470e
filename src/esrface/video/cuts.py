"""Shot cuts: where everything changes from one frame to the next."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE_WH = (48, 27)
"""Of the thumbnails that are compared."""

SHIFT = 3
"""Pixels of the thumbnail that a part of the picture may have moved by (of 48: 6 % of the width)."""

BLOCK = 9
"""Side of the parts that are looked for in the other picture."""

FLOOR = 0.6
"""Share of the picture that must be new, whatever was before."""

JUMP = 0.25
"""By how much more of the picture must be new than was usual just before: a restless camera is no cut."""

UNLIKE = 0.6
"""A part whose best match correlates less than this is new."""

FLAT = 4.0
"""Standard deviation (of 0-255) below which a part has no structure to compare, only brightness."""


ANOTHER = 16
"""By so many of 255 levels a pixel of the same frame does not change, however it is decoded."""

HALF = 0.5
"""Share of the pixels that must have changed so for a frame to be another one."""


class CutDetector:
    """Says of each frame in turn whether a new shot begins with it.

    The picture is compared in parts, each allowed to have moved, by its structure, so that neither movement
    nor a flash counts.

    Args:
        state: Of another one, to go on from there.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self._last: NDArray[np.uint8] | None = None
        self._usual = 0.0
        if state is not None:
            data = np.frombuffer(base64.b64decode(state["last"]), dtype=np.uint8)
            self._last = data.reshape(SIZE_WH[1], SIZE_WH[0], 3)
            self._usual = float(state["usual"])

    def snapshot(self) -> tuple[NDArray[np.uint8] | None, float]:
        """The state now, for ``pack_cuts``; it does not change later."""
        return self._last, self._usual

    def is_cut(self, image: NDArray[np.uint8]) -> bool:
        """Whether an RGB image (H, W, 3) uint8 begins a new shot; the first one does not."""
        now = thumbnail(image)
        last, self._last = self._last, now
        if last is None:
            return False
        new = newness(last, now)
        cut = new > FLOOR and new > self._usual + JUMP
        # What a cut brings is nothing to get used to.
        self._usual = 0.0 if cut else 0.8 * self._usual + 0.2 * new
        return cut


def pack_cuts(snapshot: tuple[NDArray[np.uint8] | None, float]) -> dict[str, Any] | None:
    """JSON-ready, for ``CutDetector(state)``; None before the first frame."""
    last, usual = snapshot
    if last is None:
        return None
    return {"last": base64.b64encode(last.tobytes()).decode("ascii"), "usual": usual}


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (27, 48, 3) uint8 of an image (H, W, 3), whatever its shape."""
    step = max(1, min(image.shape[1] // (4 * SIZE_WH[0]), image.shape[0] // (4 * SIZE_WH[1])))
    thinned = np.ascontiguousarray(image[::step, ::step])
    return np.asarray(cv2.resize(thinned, SIZE_WH, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def unlike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Whether two thumbnails cannot be of the same frame, even if a part of it was torn when it was read."""
    apart = cv2.absdiff(one, other).max(axis=2)
    return bool((apart > ANOTHER).mean() > HALF)


def newness(last: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Share of the thumbnail ``now`` that is nowhere near in ``last``, 0-1."""
    rows, columns = SIZE_WH[1] // BLOCK, SIZE_WH[0] // BLOCK
    change = cv2.absdiff(last, now)[: rows * BLOCK, : columns * BLOCK]
    change = change.reshape(rows, BLOCK, columns, BLOCK * 3).mean(axis=(1, 3))
    # Most parts of most frames have hardly changed where they are: no need to look for them.
    changed = np.argwhere(change > FLAT) * BLOCK
    padded = cv2.copyMakeBorder(last, SHIFT, SHIFT, SHIFT, SHIFT, cv2.BORDER_REPLICATE)
    return sum(_is_new(padded, now, int(y), int(x)) for y, x in changed) / (rows * columns)


def _is_new(padded: NDArray[Any], now: NDArray[np.uint8], y: int, x: int) -> bool:
    part = now[y : y + BLOCK, x : x + BLOCK]
    around = padded[y : y + BLOCK + 2 * SHIFT, x : x + part.shape[1] + 2 * SHIFT]
    if part.std(axis=(0, 1)).max() < FLAT:
        return abs(float(part.mean()) - float(around.mean())) > 4 * FLAT or float(around.std()) > 6 * FLAT
    return float(cv2.matchTemplate(around, part, cv2.TM_CCOEFF_NORMED).max()) < UNLIKE
