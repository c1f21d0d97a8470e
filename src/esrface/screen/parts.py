"""Small parts that the answer and the table of branches have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esrface._numbers import percent
from esrface.canvas import INK, PANEL, QUIET_INK, Area, Canvas, Color, fit, on_dark
from esrface.emotions import EMOTION_COLORS, EMOTIONS
from esrface.labels import text_size
from esrface.overlay import overlay_heat
from esrface.results import Expression
from esrface.screen.scene import affect_of, writable

ACTIVATION: Color = (96, 184, 232)
PLEASANT: Color = (92, 200, 160)
UNPLEASANT: Color = (236, 128, 150)
VALENCE: Color = (244, 190, 96)
"""Of the graph's line, which is pleasant and unpleasant in turn."""

RADIUS = 8.0
NOTHING = "0.00"


def emotion_color(emotion: str) -> Color:
    """An emotion's colour, light enough for the dark sheet."""
    return on_dark(EMOTION_COLORS[EMOTIONS.index(emotion)])


def named(emotion: str, confidence: float, abstain_below: float | None) -> str:
    """The emotion, with a question mark where it is not sure enough."""
    return emotion + ("?" if abstain_below is not None and confidence < abstain_below else "")


def shortened(text: str, size: float, width: float) -> str:
    """The text in letters that the font has, its middle left out where it is too wide (in units)."""
    text = writable(text)
    # Measured large, for all scales: widths of letters grow evenly but for rounding.
    room = width * 100 / size * 0.98
    if text_size(text, 100)[0] <= room:
        return text
    low, high = 0, len(text)
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if text_size(_without_middle(text, kept), 100)[0] <= room else (low, kept - 1)
    return _without_middle(text, low)


def _without_middle(text: str, kept: int) -> str:
    return text[: (kept + 1) // 2].rstrip() + "…" + text[len(text) - kept // 2 :].lstrip()


def draw_tile(
    canvas: Canvas, area: Area, face_rgb: NDArray[np.uint8], heat: NDArray[np.float32] | None = None
) -> None:
    """The face as large as the area allows, with heat over it if there is some."""
    canvas.panel(area, RADIUS, PANEL)
    place = fit((face_rgb.shape[1], face_rgb.shape[0]), area)
    size = canvas.size_of(place)
    if not canvas.in_sight(place) or min(size) < 1:
        return
    pixels = face_rgb
    if heat is not None:
        # Heat is drawn at the tile's own size, where its edges are as smooth as they can be.
        small = Image.fromarray(np.ascontiguousarray(face_rgb)).resize(size, Image.Resampling.BILINEAR)
        pixels = overlay_heat(np.asarray(small), heat)
    canvas.picture(pixels, place, RADIUS)


def draw_affect(canvas: Canvas, area: Area, expression: Expression, letters: float) -> None:
    """Bars of activation, pleasant and unpleasant below one another, each with its name and number."""
    activation, valence = affect_of(expression)
    lines = (
        ("Activation", activation, f"{activation:.2f}", ACTIVATION),
        ("Pleasant", max(valence, 0.0), f"{max(valence, 0.0):.2f}", PLEASANT),
        ("Unpleasant", max(-valence, 0.0), _negative(valence), UNPLEASANT),
    )
    step = area.height / len(lines)
    name_width, number_width = letters * 6.0, letters * 2.8
    for number, (name, share, text, color) in enumerate(lines):
        middle = area.y + (number + 0.5) * step
        canvas.text(area.x, middle, name, letters)
        canvas.text(area.right, middle, text, letters, anchor="rm")
        thick = min(12.0, step * 0.42)
        bar = Area(
            area.x + name_width, middle - thick / 2, area.width - name_width - number_width - 6, thick
        )
        canvas.bar(bar, share, color)


def _negative(valence: float) -> str:
    text = f"{min(valence, 0.0):.2f}"
    return NOTHING if text == "-0.00" else text


def draw_shares(canvas: Canvas, area: Area, expression: Expression, letters: float) -> None:
    """All eight probabilities, in two columns of four."""
    across, down = (area.width - 24) / 2, area.height / 4
    for index, name in enumerate(EMOTIONS):
        share = float(expression.probabilities[index])
        x = area.x + (index // 4) * (across + 24)
        middle = area.y + (index % 4 + 0.5) * down
        ink = INK if name == expression.emotion else QUIET_INK
        canvas.text(x, middle, name, letters, ink)
        canvas.text(x + across, middle, percent(share), letters, ink, "rm")
        start = letters * 5.3
        bar = Area(x + start, middle - 4, across - start - letters * 3.0, 8)
        canvas.bar(bar, share, emotion_color(name))
