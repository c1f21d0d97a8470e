"""The output on the right with ``-b``: the ensemble on a card, and a row for every branch below it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esrface._numbers import percent, signed
from esrface.canvas import INK, PANEL, QUIET_INK, RAISED, Area, Canvas
from esrface.emotions import AROUSAL, PLEASANT, UNPLEASANT
from esrface.labels import shortened
from esrface.results import Expression, mapped_arousal
from esrface.saliency import Saliency
from esrface.screen.answer import CIRCUMPLEX, NOTE_HEIGHT, votes
from esrface.screen.layout import CARD_HEIGHT, GAP, HEADER_HEIGHT, rows_of
from esrface.screen.parts import RADIUS, draw_affect, draw_tile, emotion_color, named
from esrface.screen.scene import ScreenSettings

PADDING = 10.0
TITLE_WIDTH = 60.0
NUMBER_WIDTH = 44.0
EMOTION_SHARE = 0.37
"""Of what title and tile leave; the two bars share the rest."""


def draw_branches(
    canvas: Canvas,
    area: Area,
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    maps: Saliency | None,
    settings: ScreenSettings,
) -> None:
    """The ensemble's answer and every branch's; arguments as for ``answer.draw_answer``."""
    card = area._replace(height=CARD_HEIGHT)
    _draw_card(canvas, card, face_rgb, expression, maps, settings)
    note = NOTE_HEIGHT if expression.affect_source == "circumplex" else 0.0
    top = card.bottom + GAP / 2
    head = Area(area.x, top, area.width, HEADER_HEIGHT)
    table = Area(area.x, head.bottom, area.width, area.bottom - head.bottom - note)
    rows, left_out = rows_of(table, len(expression.branch_emotions))
    columns = _columns(area, rows[0].height if maps is not None else 0.0)
    _draw_head(canvas, head, columns, maps is not None)
    for number, row in enumerate(rows):
        canvas.panel(row._replace(y=row.y + 1.5, height=row.height - 3), RADIUS, PANEL)
        if left_out and number == len(rows) - 1:
            more = f"and {left_out + 1} more branches"
            canvas.text(row.x + PADDING, row.middle, more, 14, QUIET_INK)
            break
        heat = None if maps is None else maps.branches[number]
        _draw_row(canvas, row, columns, face_rgb, expression, number, heat)
    if note:
        place = table.bottom if left_out else rows[-1].bottom
        canvas.text(area.x, place + note / 2 + 1, CIRCUMPLEX, 13, QUIET_INK)


def _draw_card(
    canvas: Canvas,
    card: Area,
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    maps: Saliency | None,
    settings: ScreenSettings,
) -> None:
    canvas.panel(card, RADIUS, RAISED)
    side = card.height - 2 * PADDING
    tile = Area(card.x + PADDING, card.y + PADDING, side, side)
    draw_tile(canvas, tile, face_rgb)
    if maps is not None:
        tile = tile._replace(x=tile.right + PADDING)
        draw_tile(canvas, tile, face_rgb, maps.ensemble)
    x = tile.right + GAP
    width = (card.right - x - GAP - PADDING) * (0.42 if maps is not None else 0.4)
    canvas.text(x, card.y + 22, "Ensemble", 14, QUIET_INK)
    canvas.text(x, card.y + 47, named(expression, settings.abstain_below, 22, width), 22)
    canvas.text(x, card.y + 73, percent(expression.confidence), 17)
    bar = Area(x + 48, card.y + 69, width - 48, 8)
    canvas.bar(bar, expression.confidence, emotion_color(expression))
    agreeing, _ = votes(expression)
    canvas.text(x, card.y + 101, agreeing.replace("branches ", ""), 14, QUIET_INK)
    affect = Area(x + width + GAP, card.y + PADDING + 4, card.right - PADDING - x - width - GAP, side - 8)
    draw_affect(canvas, affect, expression, 14)


def _columns(area: Area, tile: float) -> list[tuple[float, float]]:
    """(x, width) of title, tile, emotion, activation and valence; the tile's width is 0 without maps."""
    x = area.x + PADDING
    columns = [(x, TITLE_WIDTH)]
    x += TITLE_WIDTH
    side = max(tile - 7.0, 0.0)
    columns.append((x, side))
    x += side + GAP if side else 0.0
    rest = area.right - PADDING - x
    emotion = rest * EMOTION_SHARE
    columns.append((x, emotion))
    x += emotion + GAP
    each = (area.right - PADDING - x - GAP) / 2
    return [*columns, (x, each), (x + each + GAP, each)]


def _draw_head(canvas: Canvas, head: Area, columns: list[tuple[float, float]], maps: bool) -> None:
    names = ["Branch", "Map" if maps else "", "Emotion", "Activation", "(Un)pleasant"]
    for (x, width), name in zip(columns, names, strict=True):
        if name == "Map":
            canvas.text(x + width / 2, head.middle, name, 13, QUIET_INK, "mm")
        elif name:
            canvas.text(x, head.middle, name, 13, QUIET_INK)


def _draw_row(
    canvas: Canvas,
    row: Area,
    columns: list[tuple[float, float]],
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    number: int,
    heat: NDArray[np.float32] | None,
) -> None:
    title, tile, emotion, activation, pleasant = columns
    low = row.height < 38
    letters = 14.0 if low else 16.0
    canvas.text(title[0], row.middle, f"{number + 1}", letters)
    if heat is not None:
        draw_tile(canvas, Area(tile[0], row.middle - tile[1] / 2, tile[1], tile[1]), face_rgb, heat)
    name = expression.branch_emotions[number]
    share = float(expression.branch_probabilities[number, expression.emotions.index(name)])
    above = row.middle if low else row.middle - 7
    canvas.text(emotion[0], above, shortened(name, letters, emotion[1] - NUMBER_WIDTH), letters)
    canvas.text(emotion[0] + emotion[1], above, percent(share), letters - 1, INK, "rm")
    if not low:
        canvas.bar(Area(emotion[0], row.middle + 9, emotion[1], 6), share, emotion_color(expression, name))
    valence = float(expression.branch_affect[number, 0])
    mapped = float(mapped_arousal(expression.branch_affect[:, 1])[number])
    bar = Area(activation[0], row.middle - 5, activation[1] - NUMBER_WIDTH, 10)
    canvas.bar(bar, mapped, AROUSAL)
    canvas.text(activation[0] + activation[1], row.middle, f"{mapped:.2f}", letters - 1, INK, "rm")
    bar = bar._replace(x=pleasant[0])
    canvas.balance(bar, valence, PLEASANT if valence >= 0 else UNPLEASANT)
    canvas.text(pleasant[0] + pleasant[1], row.middle, signed(valence), letters - 1, INK, "rm")
