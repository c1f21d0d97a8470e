"""Draw faces and what was recognised in them onto a picture: pixels in, pixels out.

Lines are smooth, text has a plate of its own and scales with the faces, and where many faces leave little
room the labels say less rather than cover one another (``esrface.labels`` finds their places).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface._numbers import signed
from esrface.canvas import on_dark
from esrface.emotions import color_of
from esrface.labels import WIDEST_NUMBER, Label, affect_note, font, label_text, place_labels, text_size
from esrface.results import Box, Face

Color = tuple[int, int, int]

INK: Color = (245, 247, 250)
QUIET_INK: Color = (186, 192, 202)
PLATE: Color = (18, 20, 26)
TRACK: Color = (70, 75, 86)
UNSURE: Color = (150, 152, 158)
PLATE_OPACITY = 208
"""0-255: the picture shines through a little, text still has a contrast of more than 7 to 1 on white."""
HALO_OPACITY = 120
OVERSAMPLING = 4
"""Pillow draws shapes without smoothing: they are drawn this many times larger and averaged down."""


def annotate(
    image: NDArray[np.uint8], faces: Sequence[Face], *, abstain_below: float | None = None
) -> NDArray[np.uint8]:
    """A copy of ``image`` with a frame and a label for each face.

    Args:
        image: (H, W, 3) uint8 RGB.
        faces: What was recognised in it, boxes in its pixels.
        abstain_below: Faces whose confidence is below this are drawn grey, with a question mark.

    Returns:
        (H, W, 3) uint8 RGB, the same size.
    """
    canvas = Image.fromarray(np.ascontiguousarray(image))
    height, width = image.shape[:2]
    looks = [_look(face, abstain_below) for face in faces]
    labels = place_labels((width, height), faces, [unsure for _, unsure in looks])
    for face, (color, _) in zip(faces, looks, strict=True):
        draw_frame(canvas, face.box, color)
    for label in labels:
        _draw_label(canvas, label, faces[label.face], *looks[label.face])
    return np.asarray(canvas)


def _look(face: Face, abstain_below: float | None) -> tuple[Color, bool]:
    """Colour of a face's frame, and whether the answer is marked as unsure."""
    answer = face.expression
    unsure = abstain_below is not None and answer.confidence < abstain_below
    return (UNSURE if unsure else color_of(answer.emotion, answer.emotions)), unsure


def draw_frame(canvas: Image.Image, box: Box, color: Color) -> None:
    """A rounded frame just inside ``box``, with a dark rim that parts it from a background of its colour."""
    side = max(box.width, box.height)
    stroke = max(1, round(min(max(side * 0.016, max(canvas.size) * 0.0012), side * 0.035)))
    rim = max(1, round(stroke * 0.4))
    radius = round(side * 0.06)
    outer = Box(box.x0 - rim, box.y0 - rim, box.x1 + rim, box.y1 + rim)
    _paste_ring(canvas, outer, radius + rim, stroke + 2 * rim, PLATE, HALO_OPACITY)
    _paste_ring(canvas, box, radius, stroke, color, 255)


def _paste_ring(canvas: Image.Image, box: Box, radius: int, stroke: int, color: Color, opacity: int) -> None:
    """The outline of a rounded rectangle: smooth corners, and edges that lie exactly on pixels."""
    stroke = min(stroke, box.width // 2, box.height // 2)
    radius = max(stroke, min(radius, box.width // 2, box.height // 2))
    if stroke < 1:
        return
    ring = _ring_mask(radius, stroke).point(lambda value: value * opacity // 255)
    corners = {
        (0, 0): (box.x0, box.y0),
        (radius, 0): (box.x1 - radius, box.y0),
        (0, radius): (box.x0, box.y1 - radius),
        (radius, radius): (box.x1 - radius, box.y1 - radius),
    }
    for (left, top), place in corners.items():
        canvas.paste(color, place, ring.crop((left, top, left + radius, top + radius)))
    across, down = box.width - 2 * radius, box.height - 2 * radius
    for x, y, width, height in (
        (box.x0 + radius, box.y0, across, stroke),
        (box.x0 + radius, box.y1 - stroke, across, stroke),
        (box.x0, box.y0 + radius, stroke, down),
        (box.x1 - stroke, box.y0 + radius, stroke, down),
    ):
        if width > 0 and height > 0:
            canvas.paste(color, (x, y), Image.new("L", (width, height), opacity))


@lru_cache(maxsize=64)
def _ring_mask(radius: int, stroke: int) -> Image.Image:
    """(2 radius, 2 radius) mask of a circle's outline."""
    side = 2 * radius * OVERSAMPLING
    large = Image.new("L", (side, side), 0)
    draw = ImageDraw.Draw(large)
    draw.ellipse((0, 0, side - 1, side - 1), fill=255)
    inset = stroke * OVERSAMPLING
    if inset < side - inset - 1:
        draw.ellipse((inset, inset, side - inset - 1, side - inset - 1), fill=0)
    return large.resize((2 * radius, 2 * radius), Image.Resampling.BOX)


def paste_rounded(
    canvas: Image.Image, box: Box, radius: float, color: tuple[int, ...], opacity: int = 255
) -> None:
    """A filled rectangle with smooth rounded corners, in a colour of the canvas's mode."""
    if box.width < 1 or box.height < 1:
        return
    large = Image.new("L", (box.width * OVERSAMPLING, box.height * OVERSAMPLING), 0)
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, large.width - 1, large.height - 1), radius * OVERSAMPLING, fill=opacity
    )
    mask = large.resize((box.width, box.height), Image.Resampling.BOX)
    canvas.paste(color, (box.x0, box.y0), mask)


def _draw_label(canvas: Image.Image, label: Label, face: Face, color: Color, unsure: bool) -> None:
    plate, size, pad = label.plate, label.font_size, label.padding
    paste_rounded(canvas, plate, size * 0.25, PLATE, PLATE_OPACITY)
    chip = max(2, round(size * 0.22))
    paste_rounded(
        canvas,
        Box(
            plate.x0 + pad,
            plate.y0 + label.padding_y,
            plate.x0 + pad + chip,
            plate.y0 + label.padding_y + label.line_height,
        ),
        chip / 2,
        color,
    )
    draw = ImageDraw.Draw(canvas)
    left, middle = plate.x0 + 2 * pad + chip, plate.y0 + label.padding_y + label.line_height // 2
    name, share = label_text(face, label.detail, unsure)
    draw.text((left, middle), name, font=font(size), fill=INK, anchor="lm")
    if share:
        draw.text((plate.x1 - pad, middle), share, font=font(size), fill=INK, anchor="rm")
    if label.detail == "full":
        _draw_affect(canvas, draw, label, face, color)


def _draw_affect(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, label: Label, face: Face, color: Color
) -> None:
    """Lines "valence" and "arousal", and one that says where they come from if not from a trained layer."""
    left, small, height = label.plate.x0 + label.padding, label.small_size, label.small_line_height
    middle = label.plate.y0 + label.padding_y + label.line_height + label.gap + height // 2
    for name, value in (("valence", face.expression.valence), ("arousal", face.expression.arousal)):
        draw.text((left, middle), name, font=font(small), fill=QUIET_INK, anchor="lm")
        number = (label.plate.x1 - label.padding, middle)
        draw.text(number, signed(value), font=font(small), fill=INK, anchor="rm")
        _draw_bar(canvas, draw, label, middle, value, on_dark(color))
        middle += height
    draw.text((left, middle), affect_note(face), font=font(small), fill=QUIET_INK, anchor="lm")


def _draw_bar(
    canvas: Image.Image, draw: ImageDraw.ImageDraw, label: Label, middle: int, value: float, color: Color
) -> None:
    """A bar from the middle of -1..1 to ``value``, between the line's name and its number."""
    plate, pad, small = label.plate, label.padding, label.small_size
    left = plate.x0 + 2 * pad + text_size("valence", small)[0]
    right = plate.x1 - 2 * pad - text_size(WIDEST_NUMBER, small)[0]
    thick = max(2, round(small * 0.34))
    top = middle - thick // 2
    paste_rounded(canvas, Box(left, top, right, top + thick), thick / 2, TRACK)
    centre = (left + right) / 2
    tip = centre + max(-1.0, min(1.0, value)) * (right - left) / 2
    start, end = round(min(centre, tip)), round(max(centre, tip))
    paste_rounded(canvas, Box(start, top, end, top + thick), thick / 4, color)
    notch, over = max(1, thick // 4), max(1, thick // 3)
    x = round(centre) - notch // 2
    draw.rectangle((x, top - over, x + notch - 1, top + thick + over - 1), fill=INK)
