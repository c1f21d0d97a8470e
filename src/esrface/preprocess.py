"""Box -> crop -> network input, as the model's card asks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.models.card import CropRule, InputSpec
from esrface.results import Box

Pixel = TypeVar("Pixel", np.uint8, np.float32)


def crop_face(
    image: NDArray[np.uint8], box: Box, landmarks: NDArray[np.floating[Any]] | None, rule: CropRule
) -> NDArray[np.uint8]:
    """Cut a face out of an image.

    Args:
        image: RGB (H, W, 3) uint8.
        box: The face in pixels of ``image``.
        landmarks: (5, 2) x, y in pixels, eyes first (see ``esrface.results.Face``), or None.
        rule: Margin, shape and alignment. ``align`` turns the crop about the box's centre until the eyes are
            level and has no effect without landmarks.

    Returns:
        RGB (h, w, 3) uint8; where the crop reaches beyond the image, the image's border is repeated.
    """
    width, height = _crop_size(box, rule)
    angle = _eye_angle(landmarks) if rule.align and landmarks is not None else 0.0
    if angle:
        return _turned(image, box, (width, height), angle)
    x0 = (box.x0 + box.x1 - width) // 2
    y0 = (box.y0 + box.y1 - height) // 2
    return _window(image, x0, y0, x0 + width, y0 + height)


def map_on_box(
    values: NDArray[np.floating[Any]],
    box: Box,
    landmarks: NDArray[np.floating[Any]] | None,
    rule: CropRule,
) -> NDArray[np.float32]:
    """What a map over the crop of a face says about the face's box: the way back from ``crop_face``.

    Args:
        values: (h, w), of any size, lying over the crop edge to edge.
        box: As given to ``crop_face``, and so the other two.
        landmarks: As above.
        rule: As above.

    Returns:
        (box.height, box.width) float32, bilinear; where the crop left parts of the box out, its border is
        repeated.
    """
    width, height = _crop_size(box, rule)
    crop = np.asarray(cv2.resize(np.asarray(values, np.float32), (width, height)), dtype=np.float32)
    angle = _eye_angle(landmarks) if rule.align and landmarks is not None else 0.0
    if angle:
        return _turned_back(crop, (box.width, box.height), angle)
    x0, y0 = ((box.x0 + box.x1 - width) // 2 - box.x0, (box.y0 + box.y1 - height) // 2 - box.y0)
    return _window(crop, -x0, -y0, box.width - x0, box.height - y0)


def as_rgb(face: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A face (h, w), grey, or (h, w, 3), RGB, as (h, w, 3): what ``to_input`` takes."""
    return np.repeat(face[..., None], 3, axis=2) if face.ndim == 2 else face


def to_input(crops: Sequence[NDArray[np.uint8]], spec: InputSpec) -> NDArray[np.float32]:
    """Network input (N, channels, size, size) float32 of RGB crops (h, w, 3) uint8 of any sizes."""
    inputs = np.empty((len(crops), spec.channels, spec.size, spec.size), dtype=np.float32)
    mean = np.asarray(spec.mean, dtype=np.float32)[:, None, None]
    std = np.asarray(spec.std, dtype=np.float32)[:, None, None]
    for row, crop in zip(inputs, crops, strict=True):
        pixels = _RESIZES[spec.resize](_recolor(crop, spec.color), spec.size)
        # A grey plane (size, size) is repeated over the channels.
        row[:] = pixels if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        row -= mean
        row /= std
    return inputs


def _recolor(crop: NDArray[np.uint8], color: str) -> NDArray[np.uint8]:
    if color == "gray":
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    return crop if color == "rgb" else np.ascontiguousarray(crop[..., ::-1])


def _area_linear(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Average over areas along the sides that shrink, then bilinear along those that grow; float32 0-255.

    Bilinear alone would skip pixels of a large crop and show the network noise that its training pictures,
    small and averaged themselves, do not have.
    """
    height, width = pixels.shape[:2]
    shrunk = (min(width, size), min(height, size))
    if shrunk != (width, height):
        pixels = np.asarray(cv2.resize(pixels, shrunk, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    result = pixels.astype(np.float32)
    if shrunk != (size, size):
        return np.asarray(cv2.resize(result, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
    return result


def _linear(pixels: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    """Bilinear, whatever the scale; float32 of whole numbers in 0-255."""
    return cv2.resize(pixels, (size, size), interpolation=cv2.INTER_LINEAR).astype(np.float32)


_RESIZES = {"area_linear": _area_linear, "linear": _linear}
"""By the names of ``esrface.models.card.RESIZES``."""


def _crop_size(box: Box, rule: CropRule) -> tuple[int, int]:
    """(width, height) of the crop around a box."""
    width, height = box.width, box.height
    if rule.square:
        width = height = max(width, height)
    width, height = (max(1, round(side * (1 + 2 * rule.margin))) for side in (width, height))
    return width, height


def _window(image: NDArray[Pixel], x0: int, y0: int, x1: int, y1: int) -> NDArray[Pixel]:
    """image[y0:y1, x0:x1] with the border repeated outside."""
    height, width = image.shape[:2]
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return image[y0:y1, x0:x1]
    rows = np.clip(np.arange(y0, y1), 0, height - 1)
    columns = np.clip(np.arange(x0, x1), 0, width - 1)
    return image[rows[:, None], columns]


def _eye_angle(landmarks: NDArray[np.floating[Any]]) -> float:
    """Degrees by which the line from the image-left to the image-right eye falls; 0: level."""
    dx, dy = (float(d) for d in landmarks[1] - landmarks[0])
    return math.degrees(math.atan2(dy, dx)) if dx or dy else 0.0


def _turned(image: NDArray[np.uint8], box: Box, size_wh: tuple[int, int], angle: float) -> NDArray[np.uint8]:
    """Crop of ``size_wh`` about the box's centre, turned so that a line at ``angle`` degrees gets level."""
    width, height = size_wh
    # Everything the turned crop can reach, so that warpAffine, limited to sides of 32,767, sees no more.
    reach = math.ceil(math.hypot(width, height) / 2) + 1
    left, top = (box.x0 + box.x1) // 2 - reach, (box.y0 + box.y1) // 2 - reach
    window = _window(image, left, top, left + 2 * reach + 1, top + 2 * reach + 1)
    # Pixel centres are at whole numbers in warpAffine, box edges lie half a pixel further out.
    center = ((box.x0 + box.x1 - 1) / 2 - left, (box.y0 + box.y1 - 1) / 2 - top)
    matrix = cv2.getRotationMatrix2D(center, angle, 1.0)
    matrix[:, 2] += np.array([(width - 1) / 2 - center[0], (height - 1) / 2 - center[1]])
    turned = cv2.warpAffine(
        window, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, dtype=np.uint8)


def _turned_back(crop: NDArray[np.float32], size_wh: tuple[int, int], angle: float) -> NDArray[np.float32]:
    """The part of ``size_wh`` about the centre of a crop made by ``_turned``, at the picture's own angle."""
    center = ((crop.shape[1] - 1) / 2, (crop.shape[0] - 1) / 2)
    matrix = cv2.getRotationMatrix2D(center, -angle, 1.0)
    matrix[:, 2] += np.array([(size_wh[0] - 1) / 2 - center[0], (size_wh[1] - 1) / 2 - center[1]])
    turned = cv2.warpAffine(crop, matrix, size_wh, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.float32)
