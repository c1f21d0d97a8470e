"""A dark sheet to draw on: pictures, text, bars. Pixels only, smooth at any scale, no files needed."""

from __future__ import annotations

import math
from functools import lru_cache
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

LARGEST_KEPT = 65_536
"""Pixels of the largest mask that is kept for the next time."""


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
        seen: The part of the sheet that is drawn, in units; None: all of it. What lies beyond costs nothing.
    """

    def __init__(self, width: float, height: float, scale: float = 1.0, seen: Area | None = None) -> None:
        self.width, self.height, self.scale = width, height, scale
        part = seen or Area(0, 0, width, height)
        self._left, self._top = part.x * scale, part.y * scale
        self._image = Image.new("RGB", (round(part.width * scale), round(part.height * scale)), PAPER)
        self.texts: list[tuple[str, Area]] = []
        """Every text written and the place that its letters take, in order; those out of sight too."""
        self.pictures: list[Area] = []
        """Where pictures lie, in order."""

    def pixels(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB."""
        return np.asarray(self._image)

    def text(
        self, x: float, y: float, text: str, size: float, color: Color = INK, anchor: str = "lm"
    ) -> Area:
        """Write a line; ``anchor`` as Pillow has it: l, m, r across and m (middle) or s (baseline) down."""
        pixels = max(1, round(size * self.scale))
        place = (round(x * self.scale - self._left), round(y * self.scale - self._top))
        left, top, right, bottom = _extent(text, pixels, anchor)
        if self._in_sight(place[0] + left, place[1] + top, place[0] + right, place[1] + bottom):
            letters, (over, down) = _letters(text, pixels, anchor)
            self._image.paste(color, (place[0] + over, place[1] + down), letters)
        taken = Area(
            x + left / self.scale,
            y + top / self.scale,
            (right - left) / self.scale,
            (bottom - top) / self.scale,
        )
        self.texts.append((text, taken))
        return taken

    def panel(self, area: Area, radius: float, color: Color) -> None:
        """A filled rectangle with round corners."""
        x0, y0, x1, y1 = self._edges(area)
        if x1 > x0 and y1 > y0:
            self._fill(color, (x0, y0, x1, y1), radius)

    def picture(self, pixels: NDArray[np.uint8], area: Area, radius: float) -> None:
        """A picture (H, W, 3) uint8 RGB stretched over ``area``, with round corners."""
        self.pictures.append(area)
        x0, y0, x1, y1 = edges = self._edges(area)
        seen = self._clip(edges)
        if seen is None:
            return
        image = Image.fromarray(np.ascontiguousarray(pixels))
        wide, high = image.width / (x1 - x0), image.height / (y1 - y0)
        part = ((seen[0] - x0) * wide, (seen[1] - y0) * high, (seen[2] - x0) * wide, (seen[3] - y0) * high)
        size = (seen[2] - seen[0], seen[3] - seen[1])
        if image.size != size or part != (0, 0, *size):
            image = image.resize(size, Image.Resampling.LANCZOS, box=part)
        self._fill(image, edges, radius)

    def in_sight(self, area: Area) -> bool:
        """Whether some of the area is drawn."""
        return self._clip(self._edges(area)) is not None

    def part_of(self, area: Area) -> tuple[NDArray[np.uint8], tuple[int, int]] | None:
        """What is drawn of an area, to draw on: a copy (h, w, 3) uint8 RGB of its pixels in sight, and where
        the copy's corner lies in the area, in pixels. None out of sight. See ``put_part``."""
        edges = self._edges(area)
        seen = self._clip(edges)
        if seen is None:
            return None
        return np.array(self._image.crop(seen)), (seen[0] - edges[0], seen[1] - edges[1])

    def put_part(self, area: Area, pixels: NDArray[np.uint8]) -> None:
        """Put back what ``part_of`` gave."""
        seen = self._clip(self._edges(area))
        if seen is not None:
            self._image.paste(Image.fromarray(pixels), seen[:2])

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
        x0, x1 = (round(edge * self.scale - self._left) for edge in (area.x, area.right))
        y0, y1 = (round(edge * self.scale - self._top) for edge in (area.y, area.bottom))
        return x0, y0, x1, y1

    def _in_sight(self, x0: float, y0: float, x1: float, y1: float) -> bool:
        return x0 < self._image.width and y0 < self._image.height and x1 > 0 and y1 > 0

    def _clip(self, edges: tuple[int, int, int, int]) -> tuple[int, int, int, int] | None:
        """The part that is on the image, if any."""
        x0, y0, x1, y1 = edges
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, self._image.width), min(y1, self._image.height)
        return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None

    def _fill(self, what: Color | Image.Image, edges: tuple[int, int, int, int], radius: float) -> None:
        """Fill a rectangle with round corners; an image is what ``_clip`` leaves of it."""
        seen = self._clip(edges)
        if seen is None:
            return
        mask = _rounded(edges[2] - edges[0], edges[3] - edges[1], radius * self.scale, _within(edges, seen))
        self._image.paste(what, seen, mask)


def _within(edges: tuple[int, int, int, int], seen: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """``seen`` counted from the corner of ``edges``."""
    return seen[0] - edges[0], seen[1] - edges[1], seen[2] - edges[0], seen[3] - edges[1]


@lru_cache(maxsize=4096)
def _extent(text: str, pixels: int, anchor: str) -> tuple[float, float, float, float]:
    """Where a text's letters lie around its place, in pixels."""
    left, top, right, bottom = font(pixels).getbbox(text, anchor=anchor)
    return left, top, right, bottom


@lru_cache(maxsize=1024)
def _letters(text: str, pixels: int, anchor: str) -> tuple[Image.Image, tuple[int, int]]:
    """Mask of a text and where its corner lies, seen from its place: most texts come again and again."""
    left, top, right, bottom = _extent(text, pixels, anchor)
    over, down = math.floor(left) - 1, math.floor(top) - 1
    mask = Image.new("L", (max(1, math.ceil(right) - over + 1), max(1, math.ceil(bottom) - down + 1)), 0)
    ImageDraw.Draw(mask).text((-over, -down), text, font=font(pixels), fill=255, anchor=anchor)
    return mask, (over, down)


def _rounded(width: int, height: int, radius: float, seen: tuple[int, int, int, int]) -> Image.Image | None:
    """Mask of what is seen of a rectangle with smooth round corners; None where it has none."""
    if radius <= 0 or min(width, height) < 1:
        return None
    if width * height <= LARGEST_KEPT and seen == (0, 0, width, height):
        return _whole_mask(width, height, radius)
    return _draw_mask(width, height, radius, seen)


@lru_cache(maxsize=512)
def _whole_mask(width: int, height: int, radius: float) -> Image.Image:
    return _draw_mask(width, height, radius, (0, 0, width, height))


def _draw_mask(width: int, height: int, radius: float, seen: tuple[int, int, int, int]) -> Image.Image:
    side = min(math.ceil(radius) + 1, (min(width, height) + 1) // 2)
    ends = _corners(side, min(radius, min(width, height) / 2))
    mask = Image.new("L", (seen[2] - seen[0], seen[3] - seen[1]), 255)
    places = ((0, 0), (width - side, 0), (0, height - side), (width - side, height - side))
    for end, (x, y) in zip(ends, places, strict=True):
        mask.paste(end, (x - seen[0], y - seen[1]))
    return mask


@lru_cache(maxsize=256)
def _corners(side: int, radius: float) -> tuple[Image.Image, ...]:
    """The corners (side, side) of a rectangle's mask: upper left and right, lower left and right."""
    large = Image.new("L", (2 * side * OVERSAMPLING, 2 * side * OVERSAMPLING), 0)
    ImageDraw.Draw(large).rounded_rectangle(
        (0, 0, large.width - 1, large.height - 1), radius * OVERSAMPLING, fill=255
    )
    whole = large.resize((2 * side, 2 * side), Image.Resampling.BOX)
    return tuple(whole.crop((x, y, x + side, y + side)) for y in (0, side) for x in (0, side))


def on_dark(color: Color) -> Color:
    """The colour, lightened until it stands out on a dark sheet or plate."""
    lift = max(0.0, 150 - (0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2])) / 255
    red, green, blue = (round(part + (255 - part) * lift) for part in color)
    return red, green, blue


def fit(size_wh: tuple[int, int], area: Area) -> Area:
    """The largest area of a picture's shape in the middle of ``area``."""
    width, height = size_wh
    factor = min(area.width / width, area.height / height)
    across, down = width * factor, height * factor
    return Area(area.x + (area.width - across) / 2, area.y + (area.height - down) / 2, across, down)
