"""The pictures in a report: small JPEGs that stand in the page itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.annotate_tracks import track_color

if TYPE_CHECKING:
    from esrface.video import TrackedFace

QUALITY = 70

FACE_SIDE = 144
"""Longer side of a face, in pixels."""

FRAME_WIDTH = 176
"""Width of a frame, in pixels; a tall one gets no taller than this."""


def shrunk(pixels: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """RGB (H, W, 3) uint8 whose longer side is at most ``longest``; itself if it is already."""
    height, width = pixels.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1:
        return pixels
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def jpeg(pixels: NDArray[np.uint8], quality: int = QUALITY) -> bytes:
    """RGB (H, W, 3) uint8 as a JPEG file."""
    done, content = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError(f"no JPEG can be made of {pixels.shape}")
    return content.tobytes()


def data_url(content: bytes) -> str:
    """A JPEG file as an address for a page."""
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")


def frame_picture(pixels: NDArray[np.uint8], faces: Sequence[TrackedFace]) -> bytes:
    """A frame as a small JPEG, each face boxed in its track's colour."""
    small = np.array(shrunk(pixels, FRAME_WIDTH), order="C")
    factor = small.shape[1] / pixels.shape[1]
    for face in reversed(faces):
        x0, y0, x1, y1 = (round(edge * factor) for edge in face.box)
        cv2.rectangle(small, (x0, y0), (x1 - 1, y1 - 1), track_color(face.track_id), 1, cv2.LINE_AA)
    return jpeg(small)


class Filmstrip:
    """Frames at even distances, however many come: where there are too many, every second one goes.

    Args:
        at_most: How many are kept.
    """

    def __init__(self, at_most: int) -> None:
        self._at_most = at_most
        self._stride = 1
        self.pictures: dict[int, bytes] = {}
        """JPEG files by the ordinals of their frames."""

    def add(self, ordinal: int, pixels: NDArray[np.uint8], faces: Sequence[TrackedFace]) -> None:
        """Take a frame if it is its turn; ``ordinal`` counts from 0."""
        if not self._at_most or ordinal % self._stride:
            return
        self.pictures[ordinal] = frame_picture(pixels, faces)
        if len(self.pictures) > self._at_most:
            self._stride *= 2
            kept = {number: one for number, one in self.pictures.items() if number % self._stride == 0}
            self.pictures = kept
