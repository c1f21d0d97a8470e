"""Small parts that the answer and the table of branches have in common."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._numbers import percent
from esrface.canvas import INK, PANEL, QUIET_INK, Area, Canvas, Color, fit, on_dark
from esrface.emotions import AROUSAL, PLEASANT, UNPLEASANT, color_of
from esrface.labels import shortened
from esrface.overlay import overlay_heat
from esrface.results import Expression
from esrface.screen.scene import affect_of

VALENCE: Color = (244, 190, 96)
"""Of the graph's line, which is pleasant and unpleasant in turn."""

MOST_SHARES = 16
"""Classes whose probabilities there is room for."""

RADIUS = 8.0
NOTHING = "0.00"

NARROW = 16.0
"""Times the letters' height: where there is less room across, bars lie below their names."""


def emotion_color(expression: Expression, emotion: str | None = None) -> Color:
    """Colour of one of an answer's classes (None: the answer itself), light enough for the dark sheet."""
    return on_dark(color_of(emotion or expression.emotion, expression.emotions))


def named(expression: Expression, abstain_below: float | None, size: float, width: float) -> str:
    """The emotion as there is room for it, with a question mark where it is not sure enough."""
    unsure = abstain_below is not None and expression.confidence < abstain_below
    return shortened(expression.emotion + ("?" if unsure else ""), size, width)


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
        ("Activation", activation, f"{activation:.2f}", AROUSAL),
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


def shares_height(expression: Expression) -> float:
    """Height that `draw_shares` wants."""
    rows = _rows_of_shares(expression)
    return rows * (24.0 if rows <= 4 else 20.0)


def _rows_of_shares(expression: Expression) -> int:
    return -(-min(len(expression.emotions), MOST_SHARES) // 2)


def draw_shares(canvas: Canvas, area: Area, expression: Expression, letters: float) -> None:
    """All probabilities in two columns, the eight emotions' in four rows; of more than ``MOST_SHARES``
    classes the most probable ones, and how many others there are."""
    rows = _rows_of_shares(expression)
    across, down = (area.width - 24) / 2, area.height / rows
    shown = _shown_classes(expression)
    for place, index in enumerate(shown):
        name, share = expression.emotions[index], float(expression.probabilities[index])
        x = area.x + (place // rows) * (across + 24)
        middle = area.y + (place % rows + 0.5) * down
        ink = INK if name == expression.emotion else QUIET_INK
        start = letters * 5.3
        canvas.text(x, middle, shortened(name, letters, start - 6), letters, ink)
        canvas.text(x + across, middle, percent(share), letters, ink, "rm")
        bar = Area(x + start, middle - 4, across - start - letters * 3.0, 8)
        canvas.bar(bar, share, emotion_color(expression, name))
    left_out = len(expression.emotions) - len(shown)
    if left_out:
        text = f"and {left_out} less probable"
        canvas.text(area.x + across + 24, area.bottom - down / 2, text, letters, QUIET_INK)


def _shown_classes(expression: Expression) -> list[int]:
    """Indices of the classes that there is room for, in their order."""
    count = len(expression.emotions)
    if count <= MOST_SHARES:
        return list(range(count))
    likeliest = np.argsort(-expression.probabilities, kind="stable")[: MOST_SHARES - 1]
    return sorted(int(index) for index in likeliest)
