"""The graph of activation and (un)pleasant over the last frames; where the face was not there, a gap."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface.canvas import PANEL, QUIET_INK, RAISED, Area, Canvas, Color
from esrface.emotions import AROUSAL
from esrface.screen.parts import RADIUS, VALENCE
from esrface.screen.scene import HISTORY_FRAMES, Moment

AXIS = (1.0, 0.5, 0.0, -0.5, -1.0)
LEFT, RIGHT, TOP, BOTTOM = 44.0, 16.0, 36.0, 28.0
"""Room around the lines, for titles and labels."""
LINE = 2.4
OVERSAMPLING = 3
"""Pillow draws lines without smoothing: they are drawn this many times larger and averaged down."""


def draw_graph(canvas: Canvas, area: Area, past: Sequence[Moment], track_id: int | None) -> None:
    """Draw how a track's activation (0-1) and valence (-1..1) went.

    Args:
        canvas: To draw on.
        area: Where.
        past: The last frames, in order; each takes the same room across, the newest is at the right.
        track_id: Whose.
    """
    canvas.panel(area, RADIUS, PANEL)
    lines = Area(area.x + LEFT, area.y + TOP, area.width - LEFT - RIGHT, area.height - TOP - BOTTOM)
    y = area.y + TOP / 2
    for start, name, color in ((lines.x, "Activation", AROUSAL), (lines.x + 130, "(Un)pleasant", VALENCE)):
        canvas.panel(Area(start, y - 2, 18, 4), 2, color)
        canvas.text(start + 26, y, name, 14)
    for value in AXIS:
        height = _down(lines, value)
        canvas.panel(Area(lines.x, height - 0.6, lines.width, 1.2), 0, RAISED if value else QUIET_INK)
        canvas.text(lines.x - 8, height, f"{value:g}", 12, QUIET_INK, "rm")
    if not past:
        return
    moments = list(past)[-HISTORY_FRAMES:]
    _draw_times(canvas, lines, moments)
    values = np.array([moment.affect.get(track_id, (np.nan, np.nan)) for moment in moments])
    for column, color in ((1, VALENCE), (0, AROUSAL)):
        _draw_line(canvas, area, lines, values[:, column], color)


def _down(lines: Area, value: float) -> float:
    return lines.y + (1 - min(max(value, -1.0), 1.0)) / 2 * lines.height


def _across(lines: Area, index: int, count: int) -> float:
    return lines.right - (count - 1 - index) * lines.width / (HISTORY_FRAMES - 1)


def _draw_times(canvas: Canvas, lines: Area, moments: Sequence[Moment]) -> None:
    """Seconds of the first and the last frame in the graph."""
    y, count = lines.bottom + BOTTOM / 2 + 1, len(moments)
    canvas.text(lines.right, y, f"{moments[-1].time_s:.1f} s", 12, QUIET_INK, "rm")
    start = _across(lines, 0, count)
    # Beside one another, or only the later one.
    if lines.right - start > 130:
        canvas.text(start, y, f"{moments[0].time_s:.1f} s", 12, QUIET_INK)


def _draw_line(canvas: Canvas, area: Area, lines: Area, values: NDArray[np.float64], color: Color) -> None:
    """The values that are there, joined where they follow one another; the newest has a dot."""
    part = canvas.part_of(area)
    if part is None:
        return
    pixels, offset = part
    fine = canvas.scale * OVERSAMPLING
    places = [
        (
            (_across(lines, index, len(values)) - area.x) * fine - offset[0] * OVERSAMPLING,
            (_down(lines, value) - area.y) * fine - offset[1] * OVERSAMPLING,
        )
        for index, value in enumerate(values)
    ]
    mask = Image.new("L", (pixels.shape[1] * OVERSAMPLING, pixels.shape[0] * OVERSAMPLING), 0)
    draw = ImageDraw.Draw(mask)
    for run in _runs(values):
        if len(run) > 1:
            draw.line([places[index] for index in run], 255, round(LINE * fine), "curve")
        for index in (run[0], run[-1]):
            size = LINE * fine * (1.7 if index == len(values) - 1 else 0.5)
            x, y = places[index]
            draw.ellipse((x - size, y - size, x + size, y + size), 255)
    drawn = Image.fromarray(pixels)
    drawn.paste(color, (0, 0), mask.reduce(OVERSAMPLING))
    canvas.put_part(area, np.asarray(drawn))


def _runs(values: NDArray[np.float64]) -> list[NDArray[np.intp]]:
    """Indices of values that are there, one array for those that follow one another."""
    there = np.flatnonzero(~np.isnan(values))
    runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
    return [run for run in runs if len(run)]
