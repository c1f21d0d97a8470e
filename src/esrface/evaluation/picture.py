"""The confusion matrix as a picture, drawn with Pillow alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface.emotions import EMOTIONS
from esrface.evaluation.drawing import rgb_of
from esrface.labels import class_text, font, shortened

CELL = 92
"""Side of a matrix cell in pixels; every other measure follows from the layout below."""
LEFT, TOP, RIGHT, BOTTOM = 190, 150, 100, 40
INK, FAINT, PAPER, NO_DATA = (28, 32, 38), (104, 112, 122), (255, 255, 255), (240, 241, 243)


def draw_confusion(
    confusion: NDArray[np.int64], *, title: str, subtitle: str = "", names: Sequence[str] = EMOTIONS
) -> Image.Image:
    """Draw counts (C, C), row = label, column = answer, as an RGB picture.

    A cell shows the share of its row (so classes of any size compare) and, below it, the count; its shade is
    the share. A class without images is a grey row that says so.
    """
    classes = len(names)
    if confusion.shape != (classes, classes):
        raise ValueError(f"expected a confusion matrix of shape {(classes, classes)}, got {confusion.shape}")
    side = CELL * classes
    picture = Image.new("RGB", (LEFT + side + RIGHT, TOP + side + BOTTOM), PAPER)
    draw = ImageDraw.Draw(picture)
    width = picture.width - 48
    draw.text((24, 18), title, INK, _fitting(draw, title, 26, width))
    draw.text((24, 54), subtitle, FAINT, _fitting(draw, subtitle, 17, width))
    _draw_headings(draw, confusion.sum(axis=1), names)
    for row, counts in enumerate(confusion):
        _draw_row(draw, row, counts)
    for line in range(classes + 1):
        at = line * CELL
        draw.line((LEFT, TOP + at, LEFT + side, TOP + at), (214, 217, 221))
        draw.line((LEFT + at, TOP, LEFT + at, TOP + side), (214, 217, 221))
    _draw_scale(draw, LEFT + side + 28, TOP, side)
    return picture


def _draw_headings(draw: ImageDraw.ImageDraw, images: NDArray[np.int64], names: Sequence[str]) -> None:
    note_font = font(14)
    draw.text((LEFT, TOP - 58), "recognised as", FAINT, note_font)
    draw.text((LEFT - 14, TOP - 30), "label", FAINT, note_font, anchor="rs")
    for index, name in enumerate(map(class_text, names)):
        middle = index * CELL + CELL // 2
        above = shortened(name, 12, CELL - 6)
        draw.text((LEFT + middle, TOP - 12), above, INK, _fitting(draw, above, 18, CELL - 6), anchor="ms")
        draw.text((LEFT - 14, TOP + middle - 2), name, INK, _fitting(draw, name, 18, LEFT - 38), anchor="rs")
        draw.text((LEFT - 14, TOP + middle + 18), _images(int(images[index])), FAINT, note_font, anchor="rs")


def _draw_row(draw: ImageDraw.ImageDraw, row: int, counts: NDArray[np.int64]) -> None:
    total = int(counts.sum())
    y0 = TOP + row * CELL
    if not total:
        right = LEFT + CELL * len(counts)
        draw.rectangle((LEFT, y0, right, y0 + CELL), NO_DATA)
        return
    for column, count in enumerate(counts):
        x0 = LEFT + column * CELL
        share = float(count) / total
        shade = rgb_of(share)
        draw.rectangle((x0, y0, x0 + CELL, y0 + CELL), shade)
        if not count:
            continue
        middle = x0 + CELL // 2
        text = PAPER if sum(shade) < 3 * 140 else INK
        # The fainter ink is legible on pale cells only.
        note = FAINT if share < 0.2 else text
        percent = f"{share:.0%}" if share >= 0.005 else "<1%"
        draw.text((middle, y0 + 50), percent, text, font(26), anchor="ms")
        draw.text((middle, y0 + 74), f"{int(count):,}", note, font(15), anchor="ms")


def _draw_scale(draw: ImageDraw.ImageDraw, x0: int, y0: int, height: int) -> None:
    """A ruler of the shades from 100 % (top) to 0 % of a row."""
    for step in range(height):
        draw.line((x0, y0 + step, x0 + 14, y0 + step), rgb_of(1.0 - step / (height - 1)))
    draw.rectangle((x0, y0, x0 + 14, y0 + height), outline=(214, 217, 221))
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        draw.text((x0 + 20, y0 + round((1.0 - share) * height)), f"{share:.0%}", FAINT, font(14), anchor="lm")


def _fitting(draw: ImageDraw.ImageDraw, text: str, size: int, width: int) -> Any:
    """The default font at ``size``, or the largest smaller one (not below 9) that keeps text within width."""
    while size > 9 and draw.textlength(text, font(size)) > width:
        size -= 1
    return font(size)


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}" if count else "no images"
