"""Small parts that the answer and the table of branches have in common."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

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

NARROW = 16.0
"""Times the letters' height: where there is less room across, bars lie below their names."""


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
        low, high = (
            (kept, high) if text_size(_without_middle(text, kept), 100)[0] <= room else (low, kept - 1)
        )
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
    # Heat is drawn at the tile's own size, where its edges are as smooth as they can be.
    pixels = sized(face_rgb, size)
    canvas.picture(pixels if heat is None else overlay_heat(pixels, heat), place, RADIUS)


def sized(image: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    """The image (H, W, 3) smaller or larger: smooth, and fast enough for thirty frames a second."""
    smaller = size_wh[0] < image.shape[1]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, size_wh, interpolation=method), np.uint8)


def draw_affect(canvas: Canvas, area: Area, expression: Expression, letters: float) -> None:
    """Bars of activation, pleasant and unpleasant one below the other, each with its name and number."""
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
        if area.width < letters * NARROW:
            bar = Area(area.x, middle + 6, area.width, 6)
            middle -= 6
        else:
            thick = min(12.0, step * 0.42)
            width = area.width - name_width - number_width - 6
            bar = Area(area.x + name_width, middle - thick / 2, width, thick)
        canvas.text(area.x, middle, name, letters)
        canvas.text(area.right, middle, text, letters, anchor="rm")
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
