"""Curves over the epochs as a picture, drawn with Pillow alone."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from esrface.labels import font
from esrface.outputs import write_whole

WIDTH, HEIGHT = 900, 420
"""Of one panel, in pixels."""
LEFT, RIGHT, TOP, BOTTOM = 74, 190, 50, 46
INK, FAINT, GRID, PAPER = (28, 32, 38), (104, 112, 122), (227, 230, 233), (255, 255, 255)
COLORS = (
    (33, 97, 168), (217, 119, 6), (22, 130, 80), (190, 50, 90), (120, 80, 170),
    (0, 140, 150), (150, 110, 40), (90, 100, 200), (160, 60, 30),
)  # fmt: skip
"""Of the branches; the ensemble is black and thicker."""

Color = tuple[int, int, int]
Look = tuple[Color, int]
"""Colour and width in pixels."""

DASH, GAP = 7, 5
"""Of dashed lines, in pixels."""

Curve = Sequence[tuple[float, float]]
"""Points (epoch, value)."""

Point = tuple[float, float]

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Panel:
    """One system of axes."""

    heading: str
    solid: Mapping[str, Curve]
    """Curves by their names; the one called ``ensemble`` is black and thicker, the others are branches."""
    dashed: Mapping[str, Curve] = field(default_factory=dict)
    """Thin ones, in the colours of those of the same names."""
    kinds: tuple[str, str] = ("validation", "training")
    """What solid and dashed curves are, for the legend; without dashed ones nothing is said."""


def draw_curves(panels: Sequence[Panel], title: str) -> Image.Image:
    """Panels one below another."""
    picture = Image.new("RGB", (WIDTH, 40 + HEIGHT * len(panels)), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((24, 14), title, INK, font(22))
    for number, panel in enumerate(panels):
        _draw_panel(draw, 40 + number * HEIGHT, panel)
    return picture


def write_curves(path: Path, panels: Sequence[Panel], title: str) -> None:
    """Write the picture as PNG, in place of an earlier one."""
    buffer = io.BytesIO()
    draw_curves(panels, title).save(buffer, "PNG")
    write_whole(path, buffer.getvalue(), overwrite=True)


def _draw_panel(draw: ImageDraw.ImageDraw, top: int, panel: Panel) -> None:
    curves = [*panel.solid.values(), *panel.dashed.values()]
    points = [point for curve in curves for point in curve if math.isfinite(point[1])]
    draw.text((LEFT, top + 18), panel.heading, FAINT, font(16))
    if not points:
        return
    last = max(2.0, max(epoch for epoch, _ in points))
    low, high, step = _scale([value for _, value in points])
    right, bottom = WIDTH - RIGHT, top + HEIGHT - BOTTOM

    def place(point: Point) -> Point:
        x = LEFT + (right - LEFT) * (point[0] - 1) / (last - 1)
        return x, bottom - (bottom - top - TOP) * (point[1] - low) / (high - low)

    for index in range(round((high - low) / step) + 1):
        value = low + index * step
        y = place((1, value))[1]
        draw.line((LEFT, y, right, y), GRID)
        draw.text((LEFT - 8, y), f"{value:.{max(0, -math.floor(math.log10(step)))}f}", FAINT, font(14), "rm")
    for epoch in (1, round(last)):
        draw.text((place((epoch, low))[0], bottom + 8), str(epoch), FAINT, font(14), "mt")
    draw.text(((LEFT + right) / 2, bottom + 8), "epoch", FAINT, font(14), "mt")
    looks = _looks([*panel.solid, *panel.dashed])
    _draw_legend(draw, (right + 16, top + TOP), panel, looks)
    for name in reversed(looks):
        color, width = looks[name]
        for curve, dashed in ((panel.dashed.get(name, ()), True), (panel.solid.get(name, ()), False)):
            line = [place(point) for point in curve if math.isfinite(point[1])]
            _draw_line(draw, line, color, max(1, width // 2) if dashed else width, dashed=dashed)


def _draw_legend(draw: ImageDraw.ImageDraw, corner: Point, panel: Panel, looks: Mapping[str, Look]) -> None:
    left, y = corner
    for name, (color, width) in looks.items():
        draw.line((left, y, left + 24, y), color, width)
        draw.text((left + 32, y), name, INK, font(15), "lm")
        y += 20
    if panel.dashed:
        for kind, dashed in zip(panel.kinds, (False, True), strict=True):
            y += 20 if dashed else 12
            _draw_line(
                draw, [(left, y), (left + 24, y)], FAINT, 1 if dashed else 2, dashed=dashed, dots=False
            )
            draw.text((left + 32, y), kind, FAINT, font(15), "lm")


def _draw_line(
    draw: ImageDraw.ImageDraw,
    line: Sequence[Point],
    color: Color,
    width: int,
    *,
    dashed: bool,
    dots: bool = True,
) -> None:
    """A curve; where there are few epochs, each is marked."""
    for piece in _dashes(line) if dashed else [line]:
        if len(piece) > 1:
            draw.line(list(piece), color, width, joint="curve")
    for x, y in line if dots and len(line) < 40 else ():
        draw.ellipse((x - width, y - width, x + width, y + width), color)


def _dashes(line: Sequence[Point]) -> Iterator[list[Point]]:
    """The drawn pieces of a dashed line, which go on evenly around its corners."""
    piece, room, drawn = list(line[:1]), float(DASH), True
    for one, other in pairwise(line):
        length = math.dist(one, other)
        at = 0.0
        while length - at > room:
            at += room
            point = (one[0] + (other[0] - one[0]) * at / length, one[1] + (other[1] - one[1]) * at / length)
            if drawn:
                yield [*piece, point]
            piece, drawn = [point], not drawn
            room = DASH if drawn else GAP
        room -= length - at
        piece.append(other)
    if drawn:
        yield piece


def _looks(names: Sequence[str]) -> dict[str, Look]:
    """Colour and width of each curve: the ensemble first, then branches in their order."""
    branches = [name for name in dict.fromkeys(names) if name != ENSEMBLE]
    looks: dict[str, Look] = {ENSEMBLE: (INK, 4)} if ENSEMBLE in names else {}
    return looks | {name: (COLORS[at % len(COLORS)], 2) for at, name in enumerate(branches)}


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Bottom, top and step of a scale with round numbers around the values."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3 * max(1.0, abs(high)))
    rough = span / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return bottom, max(top, bottom + step), step
