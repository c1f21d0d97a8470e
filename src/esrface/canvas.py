"""A dark sheet to draw on: pictures, text, bars. Pixels only, smooth at any scale, no files needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface.labels import font

Color = tuple[int, int, int]

PAPER: Color = (15, 17, 23)
PANEL: Color = (27, 30, 39)
RAISED: Color = (41, 46, 59)
TRACK: Color = (58, 64, 79)
INK: Color = (245, 247, 250)
QUIET_INK: Color = (170, 177, 190)
"""On ``PAPER`` and on the panels these inks have a contrast of more than 6 to 1."""

OVERSAMPLING = 4
"""Pillow draws shapes without smoothing: they are drawn this many times larger and averaged down."""


class Area(NamedTuple):
    """A rectangle in the sheet's units."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """y of the lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """y of the middle."""
        return self.y + self.height / 2


class Canvas:
    """A sheet whose measures are units of ``scale`` pixels, so that a drawing is the same at any scale.

    Args:
        width: In units.
        height: In units.
        scale: Pixels per unit, above 0.
    """

    def __init__(self, width: float, height: float, scale: float = 1.0) -> None:
        self.width, self.height, self.scale = width, height, scale
        self._image = Image.new("RGB", (round(width * scale), round(height * scale)), PAPER)
        self._draw = ImageDraw.Draw(self._image)
        self.texts: list[tuple[str, Area]] = []
        """Every text written and the place that its letters take, in order."""
        self.pictures: list[Area] = []
        """Where pictures lie, in order."""

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return np.asarray(self._image)

    def text(
        self, x: float, y: float, text: str, size: float, color: Color = INK, anchor: str = "lm"
    ) -> Area:
        """Write a line; ``anchor`` as Pillow has it: l, m, r across and m (middle) or s (baseline) down."""
        letters = font(max(1, round(size * self.scale)))
        place = (x * self.scale, y * self.scale)
        self._draw.text(place, text, font=letters, fill=color, anchor=anchor)
        left, top, right, bottom = (
            edge / self.scale for edge in self._draw.textbbox(place, text, font=letters, anchor=anchor)
        )
        taken = Area(left, top, right - left, bottom - top)
        self.texts.append((text, taken))
        return taken

    def panel(self, area: Area, radius: float, color: Color) -> None:
        """A filled rectangle with round corners."""
        x0, y0, x1, y1 = self._edges(area)
        if x1 > x0 and y1 > y0:
            self._image.paste(color, (x0, y0), self._rounded(x1 - x0, y1 - y0, radius))

    def picture(self, pixels: NDArray[np.uint8], area: Area, radius: float) -> None:
        """A picture (H, W, 3) uint8 RGB stretched over ``area``, with round corners."""
        x0, y0, x1, y1 = self._edges(area)
        image = Image.fromarray(np.ascontiguousarray(pixels))
        if image.size != (x1 - x0, y1 - y0):
            image = image.resize((x1 - x0, y1 - y0), Image.Resampling.LANCZOS)
        self._image.paste(image, (x0, y0), self._rounded(x1 - x0, y1 - y0, radius))
        self.pictures.append(area)

    def size_of(self, area: Area) -> tuple[int, int]:
        """(width, height) in pixels that a picture takes there."""
        x0, y0, x1, y1 = self._edges(area)
        return x1 - x0, y1 - y0

    def bar(self, area: Area, share: float, color: Color) -> None:
        """A bar filled from the left to ``share`` (0-1) of its width."""
        self.panel(area, area.height / 2, TRACK)
        filled = area.width * min(max(share, 0.0), 1.0)
        if round(filled * self.scale) > 0:
            # Never narrower than its round ends are, or a small share would be a sliver.
            self.panel(area._replace(width=max(filled, area.height)), area.height / 2, color)

    def balance(self, area: Area, value: float, color: Color) -> None:
        """A bar from the middle to ``value`` (-1..1), with a notch in the middle."""
        self.panel(area, area.height / 2, TRACK)
        centre = area.x + area.width / 2
        tip = centre + min(max(value, -1.0), 1.0) * area.width / 2
        self.panel(Area(min(centre, tip), area.y, abs(tip - centre), area.height), area.height / 4, color)
        over = area.height / 3
        self.panel(Area(centre - 1, area.y - over, 2, area.height + 2 * over), 0, INK)

    def _edges(self, area: Area) -> tuple[int, int, int, int]:
        x0, y0, x1, y1 = (round(edge * self.scale) for edge in (area.x, area.y, area.right, area.bottom))
        return x0, y0, x1, y1

    def _rounded(self, width: int, height: int, radius: float) -> Image.Image:
        """Mask of a rectangle with smooth round corners."""
        large = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING), 0)
        ImageDraw.Draw(large).rounded_rectangle(
            (0, 0, large.width - 1, large.height - 1), radius * self.scale * OVERSAMPLING, fill=255
        )
        return large.resize((width, height), Image.Resampling.BOX)


def on_dark(color: Color) -> Color:
    """The colour, lightened until it stands out on the sheet."""
    lift = max(0.0, 150 - (0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])) / 255
    red, green, blue = (round(part + (255 - part) * lift) for part in color)
    return red, green, blue


def fit(size_wh: tuple[int, int], area: Area) -> Area:
    """The largest area of a picture's shape in the middle of ``area``."""
    width, height = size_wh
    factor = min(area.width / width, area.height / height)
    across, down = width * factor, height * factor
    return Area(area.x + (area.width - across) / 2, area.y + (area.height - down) / 2, across, down)
