"""The output on the right: what the ensemble says about the chosen face."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esrface._numbers import percent
from esrface.canvas import INK, QUIET_INK, Area, Canvas
from esrface.results import Expression
from esrface.saliency import Saliency
from esrface.screen.layout import GAP
from esrface.screen.parts import draw_affect, draw_shares, draw_tile, emotion_color, named, shares_height
from esrface.screen.scene import ScreenSettings

TITLE_HEIGHT = 60.0
AFFECT_HEIGHT = 96.0
NOTE_HEIGHT = 20.0
TEXT_WIDTH = 190.0
"""That the words beside the face need."""
BESIDE_BELOW = 310.0
"""Height for face and words below which the words go beside the face."""

CIRCUMPLEX = "Activation and (un)pleasant are read out of the emotions."


def draw_answer(
    canvas: Canvas,
    area: Area,
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    maps: Saliency | None,
    settings: ScreenSettings,
) -> None:
    """The face (and its map), emotion, confidence, all probabilities, activation and (un)pleasant.

    Args:
        canvas: To draw on.
        area: Where; the face takes what the rest leaves.
        face_rgb: (h, w, 3) uint8 RGB, what the network was shown.
        expression: What it said.
        maps: Where it looked; None shows no map.
        settings: What marks emotions as unsure.
    """
    note = NOTE_HEIGHT if expression.affect_source == "circumplex" else 0.0
    shares = shares_height(expression)
    below = shares + AFFECT_HEIGHT + 2 * GAP + note
    room = area.height - below
    if maps is None and room < BESIDE_BELOW:
        side = min(room - GAP, area.width - TEXT_WIDTH - 2 * GAP)
        tile = Area(area.x, area.y, side, side)
        draw_tile(canvas, tile, face_rgb)
        words = Area(tile.right + 2 * GAP, area.y, area.width - side - 2 * GAP, side)
        _draw_words_beside(canvas, words, expression, settings)
        y = tile.bottom + GAP
    else:
        y = _draw_above(canvas, area, room, face_rgb, expression, maps, settings)
    draw_shares(canvas, Area(area.x, y, area.width, shares), expression, 15)
    y += shares + GAP
    draw_affect(canvas, Area(area.x, y, area.width, AFFECT_HEIGHT), expression, 16)
    if note:
        canvas.text(area.x, y + AFFECT_HEIGHT + note / 2, CIRCUMPLEX, 13, QUIET_INK)


def _draw_words_beside(canvas: Canvas, area: Area, expression: Expression, settings: ScreenSettings) -> None:
    lines = votes(expression)
    y = area.middle - 58
    canvas.text(area.x, y, "Ensemble", 16, QUIET_INK)
    canvas.text(area.x, y + 32, named(expression, settings.abstain_below, 32, area.width), 32)
    canvas.text(area.x, y + 66, percent(expression.confidence), 24)
    bar = Area(area.x + 66, y + 61, area.width - 66, 10)
    canvas.bar(bar, expression.confidence, emotion_color(expression))
    for number, line in enumerate(lines):
        canvas.text(area.x, y + 96 + 22 * number, line, 15, QUIET_INK)


def _draw_above(
    canvas: Canvas,
    area: Area,
    room: float,
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    maps: Saliency | None,
    settings: ScreenSettings,
) -> float:
    """The face (and its map beside it) with the words below; returns where they end."""
    tiles = 1 if maps is None else 2
    side = min(room - TITLE_HEIGHT - GAP, (area.width - (tiles - 1) * GAP) / tiles)
    draw_tile(canvas, Area(area.x, area.y, side, side), face_rgb)
    if maps is not None:
        draw_tile(canvas, Area(area.x + side + GAP, area.y, side, side), face_rgb, maps.ensemble)
    y = area.y + side + 4
    canvas.text(area.x, y + 19, named(expression, settings.abstain_below, 30, area.width - 100), 30)
    canvas.text(area.x, y + 49, "Ensemble", 15, QUIET_INK)
    canvas.text(area.right, y + 19, percent(expression.confidence), 30, INK, "rm")
    canvas.text(area.right, y + 49, ", ".join(votes(expression)), 15, QUIET_INK, "rm")
    return y + TITLE_HEIGHT + GAP / 2


def votes(expression: Expression) -> tuple[str, str]:
    """How many branches agree, and how unsure the answer is."""
    count = len(expression.branch_emotions)
    agreeing = round(expression.agreement * count)
    return f"{agreeing} of {count} branches agree", f"uncertainty {expression.uncertainty:.2f}"
