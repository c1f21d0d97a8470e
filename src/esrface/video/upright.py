"""Decoded frames as upright RGB pictures with square pixels."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esrface.errors import InputError
from esrface.images import DEFAULT_MAX_PIXELS

if TYPE_CHECKING:
    from av import VideoFrame

MAX_ASPECT = 8
"""Pixels said to be longer than this many times their width are taken for square ones: the file is wrong."""


Matrix = tuple[int, int, int, int]
"""(a, b, c, d): a point (x, y) is to be shown at (a x + c y, b x + d y), up to a factor."""


class DisplayMatrix:
    """How the frames of a stream, given in turn, are to be turned.

    PyAV ties a frame whose side data is looked at to itself: its megabytes stay until Python's collector
    comes round. So it is looked at only where something says that it has changed.
    """

    def __init__(self) -> None:
        self._seen: tuple[object, ...] | None = None
        self._matrix: Matrix | None = None

    def of(self, frame: VideoFrame) -> Matrix | None:
        """Of a frame; None: it is shown as it is."""
        # Before PyAV 14.1 a frame does not tell its rotation; there it can change with a group of pictures.
        turning = getattr(frame, "rotation", None)
        seen = (frame.width, frame.height, turning)
        if seen != self._seen or (turning is None and frame.key_frame):
            self._seen, self._matrix = seen, display_matrix(frame)
        return self._matrix


def upright_rgb(frame: VideoFrame, pixel_aspect: Fraction | None, matrix: Matrix | None) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB of a decoded frame, in one conversion, then turned.

    Args:
        frame: Of any pixel format, depth and size.
        pixel_aspect: Width : height of its pixels; None, 0 or absurd: square. Never made smaller: the
            shorter direction is stretched.
        matrix: How it is to be turned, see ``DisplayMatrix``.

    Raises:
        InputError: More pixels than ``esrface.images.DEFAULT_MAX_PIXELS``.
    """
    width, height = square_size((frame.width, frame.height), pixel_aspect)
    if width * height > DEFAULT_MAX_PIXELS:
        raise InputError(f"a frame of {width} x {height} pixels is too large")
    # Bilinear: chroma needs no more, and it is the fastest. One thread: frames are many, and others work.
    converted = frame.reformat(width, height, "rgb24", interpolation="BILINEAR", **_one_thread())
    return turned(np.asarray(converted.to_ndarray(), dtype=np.uint8), matrix)


def square_size(size_wh: tuple[int, int], pixel_aspect: Fraction | None) -> tuple[int, int]:
    """Width and height in square pixels."""
    width, height = size_wh
    if not pixel_aspect or not Fraction(1, MAX_ASPECT) <= pixel_aspect <= MAX_ASPECT:
        return width, height
    if pixel_aspect > 1:
        return round(width * pixel_aspect), height
    return width, round(height / pixel_aspect)


def display_matrix(frame: VideoFrame) -> Matrix | None:
    """What a frame says of how it is to be shown; None: as it is."""
    data: Any = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return None
    matrix = np.frombuffer(memoryview(data), dtype=np.int32)
    return (int(matrix[0]), int(matrix[1]), int(matrix[3]), int(matrix[4])) if len(matrix) == 9 else None


def turned(pixels: NDArray[np.uint8], matrix: Matrix | None) -> NDArray[np.uint8]:
    """Pixels (H, W, 3) turned and mirrored to the nearest quarter; contiguous."""
    if matrix is None:
        return pixels
    a, b, c, d = matrix
    if abs(b) > abs(a):
        pixels, a, d = pixels.transpose(1, 0, 2), c, b
    return np.ascontiguousarray(pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1])


@cache
def _one_thread() -> dict[str, int]:
    """The keyword that bounds the scaler's threads, where PyAV has it; before, it always used one."""
    from av import VideoFrame

    return {"threads": 1} if "threads" in (VideoFrame.reformat.__doc__ or "") else {}
