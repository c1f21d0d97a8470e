"""Curves over the epochs as a picture, drawn with Pillow alone."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence

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

Curve = Sequence[tuple[float, float]]
"""Points (epoch, value)."""

LEADING = ("ensemble", "training")


def draw_curves(panels: Mapping[str, Mapping[str, Curve]], title: str) -> Image.Image:
    """Panels one below another, by their titles; in each, curves by their names.

    The curve called ``ensemble`` is drawn last and thicker, one called ``training`` in grey.
    """
    picture = Image.new("RGB", (WIDTH, 40 + HEIGHT * len(panels)), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((24, 14), title, INK, font(22))
    for number, (heading, curves) in enumerate(panels.items()):
        _draw_panel(draw, 40 + number * HEIGHT, heading, curves)
    return picture


def write_curves(path: str, panels: Mapping[str, Mapping[str, Curve]], title: str) -> None:
    """Write the picture as PNG, in place of an earlier one."""
    buffer = io.BytesIO()
    draw_curves(panels, title).save(buffer, "PNG")
    write_whole(path, buffer.getvalue(), overwrite=True)


def _draw_panel(draw: ImageDraw.ImageDraw, top: int, heading: str, curves: Mapping[str, Curve]) -> None:
    points = [point for curve in curves.values() for point in curve if math.isfinite(point[1])]
    draw.text((LEFT, top + 18), heading, FAINT, font(16))
    if not points:
        return
    last = max(2.0, max(epoch for epoch, _ in points))
    low, high, step = _scale([value for _, value in points])
    right, bottom = WIDTH - RIGHT, top + HEIGHT - BOTTOM

    def place(point: tuple[float, float]) -> tuple[float, float]:
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
    names = sorted(curves, key=lambda name: LEADING.index(name) if name in LEADING else 2)
    for number, name in enumerate(names):
        color, width = _look(name, number - sum(other in LEADING for other in names))
        y = top + TOP + 20 * number
        draw.line((right + 16, y, right + 40, y), color, width)
        draw.text((right + 48, y), name, INK, font(15), "lm")
    for number, name in reversed(list(enumerate(names))):
        color, width = _look(name, number - sum(other in LEADING for other in names))
        line = [place(point) for point in curves[name] if math.isfinite(point[1])]
        if len(line) > 1:
            draw.line(line, color, width, joint="curve")
        for x, y in line if len(line) < 40 else ():
            draw.ellipse((x - width, y - width, x + width, y + width), color)


def _look(name: str, branch: int) -> tuple[tuple[int, int, int], int]:
    if name == "ensemble":
        return INK, 4
    return ((150, 156, 163), 2) if name == "training" else (COLORS[branch % len(COLORS)], 2)


def _scale(values: Sequence[float]) -> tuple[float, float, float]:
    """Bottom, top and step of a scale with round numbers around the values."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-3 * max(1.0, abs(high)))
    rough = span / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    bottom, top = math.floor(low / step) * step, math.ceil(high / step) * step
    return bottom, max(top, bottom + step), step
