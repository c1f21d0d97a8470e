"""Whether somebody else has taken a face's place from one frame to the next: a jump cut before one backdrop.

So little of the picture is new there that it is no cut (``cuts.py``), but all of the face is new at once.
What else changes a face that fast leaves parts of it as they were: a hand those beside it, a flash or a
coloured light their structure, a movement what is to be found elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.results import Box

SIDE = 36
"""Of the grey thumbnail of a face's box: what is around the box is the same backdrop for everybody."""

PART = 9
"""Side of the parts of the thumbnail that are looked for in the other one."""

SHIFT = 3
"""Pixels of the thumbnail that a part may have moved by: a tenth of the face."""

TURNS = (-45, -30, -15, 15, 30, 45)
"""Degrees by which the head may have been tilted meanwhile."""

SURE = 0.85
"""A part whose best match correlates more than this is still there."""

FEW = 0.2
"""Somebody else is where no such share of the parts is still there.

Tracks without this question and with it (it is asked only below ``tracking.VERY_LIKE``):

- Six real clips (talking, turning, hands before the face, broken coding), one frame in 1, 2, ... 24: one for
  each person, both ways. No face is less like its track than 0.54, up to 1/3 s from frame to frame.
- Three of them under strobes and coloured lamps, shaken, tilted by 35 degrees to and fro, blurred, half
  hidden: as before up to 1/10 s from frame to frame, and 7 more in 231 runs at 1/5 s and 1/4 s.
- 32 faces spoilt all at once for two frames in 2626 ways (blur, darkness, flash, hard or coloured light,
  noise, JPEG, up to 60 % hidden, turned by up to 30 degrees, moved, scaled): 405 break instead of 404.
- 240 times two people in one seat: 189 are told apart instead of 85; the others look too much alike.

Likeness alone is below ``VERY_LIKE`` for 18 % of such spoilt faces. With 0.9 for ``SURE``, and this share for
tilted faces too, 411 would break, and 200 pairs be told apart.
"""

FEW_TURNED = 0.3
"""The same with a tilt: of six of them one may bring a part or two together by chance."""

FLAT = 4.0
"""Standard deviation (of 0-255) below which a part has no structure to look for."""

BURNT = 250
"""From which grey on (of 255) a pixel has lost its structure in too much light ..."""

BURNT_SHARE = 0.2
"""... and a part with more of such pixels, too."""

ENOUGH = 6
"""Parts with structure (of 16) without which nothing can be said: too dark, too bright, out of focus."""


@dataclass(frozen=True, eq=False)
class View:
    """A face as it was in one frame."""

    box: Box
    grey: NDArray[np.uint8]
    """(SIDE, SIDE)."""


def view_of(image: NDArray[np.uint8], box: Box) -> View:
    """The view of a face in an RGB image (H, W, 3) uint8."""
    height, width = image.shape[:2]
    # A box of another frame may lie outside of this one.
    x0, y0 = min(max(0, box.x0), width - 1), min(max(0, box.y0), height - 1)
    x1, y1 = max(x0 + 1, min(width, box.x1)), max(y0 + 1, min(height, box.y1))
    # A large face is thinned out before it is averaged: every pixel would cost more and say no more.
    step = max(1, min(x1 - x0, y1 - y0) // (2 * SIDE))
    patch = np.ascontiguousarray(image[y0:y1:step, x0:x1:step])
    small = cv2.resize(patch, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return View(box, np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), dtype=np.uint8))


def is_swapped(before: View, image: NDArray[np.uint8], box: Box) -> bool:
    """Whether the face in a box of an RGB image keeps hardly a part of the one seen a frame before."""
    now = view_of(image, box).grey
    # Where the face was, a box that the detector puts elsewhere for once, or in another size, does no harm.
    there = view_of(image, before.box).grey
    if max(_kept(before.grey, now), _kept(before.grey, there)) >= FEW:
        return False
    middle = ((SIDE - 1) / 2, (SIDE - 1) / 2)
    for degrees in TURNS:
        matrix = cv2.getRotationMatrix2D(middle, degrees, 1.0)
        turned = cv2.warpAffine(before.grey, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        if _kept(np.asarray(turned, dtype=np.uint8), now) >= FEW_TURNED:
            return False
    return True


def _kept(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Share of the parts of ``now`` that are near by in ``before``; 1 if there are too few to say."""
    around = cv2.copyMakeBorder(before, SHIFT, SHIFT, SHIFT, SHIFT, cv2.BORDER_REPLICATE)
    reach = PART + 2 * SHIFT
    found = []
    for y in range(0, SIDE, PART):
        for x in range(0, SIDE, PART):
            part = now[y : y + PART, x : x + PART]
            if part.std() >= FLAT and (part >= BURNT).mean() <= BURNT_SHARE:
                match = cv2.matchTemplate(around[y : y + reach, x : x + reach], part, cv2.TM_CCOEFF_NORMED)
                found.append(float(match.max()) > SURE)
    return sum(found) / len(found) if len(found) >= ENOUGH else 1.0
