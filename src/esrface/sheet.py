"""Sheets that show how an ensemble came to its answer: branch by branch, and emotion by emotion.

Pixels in, pixels out, like ``esrface.annotate``. All measures are units of ``scale`` pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esrface._numbers import percent, signed
from esrface.canvas import INK, PANEL, QUIET_INK, RAISED, Area, Canvas, Color, fit, on_dark
from esrface.emotions import AROUSAL, PLEASANT, UNPLEASANT, color_of
from esrface.errors import InputError
from esrface.labels import class_text, shortened, text_size
from esrface.overlay import overlay_heat
from esrface.results import Expression, Face
from esrface.saliency import Saliency

MARGIN = 28.0
GAP = 14.0
RADIUS = 10.0

ANSWER_WIDTH = 380.0
"""Of the left column: the face and what the ensemble says about it."""
SHARE_NAME_WIDTHS = (78.0, 170.0)
"""Of the names beside the bars of all probabilities: smallest and largest."""
LABEL_WIDTH = 96.0
EMOTION_WIDTH = 160.0
AFFECT_WIDTH = 132.0
NUMBER_WIDTH = 48.0
HEADER_HEIGHT = 46.0
ROW_HEIGHTS = (70.0, 140.0)
"""Smallest and largest; in between the rows share the height of the left column."""

READING = (
    "Heat: where evidence for the row's emotion lies, brightest at its own peak.",
    "Bar: its probability. Framed: the answer of the ensemble and of each branch.",
)
READING_WIDTH = 640.0
"""Of a sheet that has room for these lines, however few branches there are."""
TILE = 76.0
EMOTION_LABEL_WIDTH = 150.0
BAND_HEIGHT = 92.0
CAPTION_HEIGHT = 13.0
COLUMN_TITLE_HEIGHT = 30.0


@dataclass(frozen=True)
class _Row:
    """What stands in one line about the ensemble or about one branch."""

    title: str
    emotion: str
    color: Color
    confidence: float
    valence: float
    arousal: float
    heat: NDArray[np.float32] | None


def branch_sheet(
    face_rgb: NDArray[np.uint8], face: Face, *, saliency: bool = True, scale: float = 1.0
) -> NDArray[np.uint8]:
    """The face, what the ensemble says about it, and a row for the ensemble and each branch.

    A row shows where the evidence lies (a map over the face), emotion, confidence, arousal and valence.

    Args:
        face_rgb: (h, w, 3) uint8 RGB, what the network was shown: ``recognizer.crop(image, face)``.
        face: What was recognised, with ``face.saliency`` if maps are to be shown.
        saliency: Whether to show maps.
        scale: Pixels per unit: 1 gives a sheet some 1,000 pixels wide, 2 one for print.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: Maps are to be shown, but the face has none.
    """
    return draw_branches(face_rgb, face, saliency=saliency, scale=scale).pixels()


def emotion_sheet(face_rgb: NDArray[np.uint8], face: Face, *, scale: float = 1.0) -> NDArray[np.uint8]:
    """Every emotion x every branch: where each sees evidence for it, and how probable each finds it.

    Args:
        face_rgb: (h, w, 3) uint8 RGB, what the network was shown: ``recognizer.crop(image, face)``.
        face: What was recognised, with ``face.saliency``.
        scale: Pixels per unit: 1 gives a sheet some 1,050 pixels wide for nine branches.

    Returns:
        (H, W, 3) uint8 RGB: a row an emotion, a column for the ensemble and for each branch.

    Raises:
        InputError: The face has no maps.
    """
    return draw_emotions(face_rgb, face, scale=scale).pixels()


def nothing_sheet() -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the sheet of a picture without a face."""
    canvas = Canvas(480, 120)
    canvas.text(MARGIN, 60, "No face was found in this picture.", 20, INK, "lm")
    return canvas.pixels()


def draw_branches(
    face_rgb: NDArray[np.uint8], face: Face, *, saliency: bool = True, scale: float = 1.0
) -> Canvas:
    """``branch_sheet`` as a canvas, which knows its texts."""
    maps = _maps(face) if saliency else None
    rows = _rows(face.expression, maps)
    column = Area(MARGIN, MARGIN, ANSWER_WIDTH, _answer_height(face.expression, maps))
    smallest, largest = ROW_HEIGHTS
    row_height = min(max((column.height - HEADER_HEIGHT) / len(rows), smallest), largest)
    table_height = HEADER_HEIGHT + row_height * len(rows)
    tile = row_height - 10 if saliency else 0.0
    left = column.right + MARGIN
    width = GAP + LABEL_WIDTH + (tile + 2 * GAP if saliency else GAP)
    width += EMOTION_WIDTH + 2 * (2 * GAP + AFFECT_WIDTH + NUMBER_WIDTH) + GAP
    note = 26.0 if face.expression.affect_source == "circumplex" else 0.0
    height = max(column.height, table_height + note) + 2 * MARGIN
    canvas = Canvas(left + width + MARGIN, height, scale)
    _draw_answer(canvas, column, face_rgb, face.expression, maps)
    _draw_table(canvas, Area(left, MARGIN, width, table_height), tile, row_height, face_rgb, rows)
    if note:
        text = "Arousal and valence are read out of the emotions' probabilities."
        canvas.text(left + width, MARGIN + table_height + note - 8, text, 13, QUIET_INK, "rm")
    return canvas


def _maps(face: Face) -> Saliency:
    if face.saliency is None:
        raise InputError("this face has no maps to show: recognise it with saliency=True")
    return face.saliency


def _rows(expression: Expression, maps: Saliency | None) -> list[_Row]:
    rows = [
        _Row(
            "Ensemble",
            expression.emotion,
            _color(expression, expression.emotion),
            expression.confidence,
            expression.valence,
            expression.arousal,
            None if maps is None else maps.ensemble,
        )
    ]
    for number, emotion in enumerate(expression.branch_emotions):
        valence, arousal = (float(value) for value in expression.branch_affect[number])
        confidence = float(expression.branch_probabilities[number, expression.emotions.index(emotion)])
        heat = None if maps is None else maps.branches[number]
        color = _color(expression, emotion)
        rows.append(_Row(f"Branch {number + 1}", emotion, color, confidence, valence, arousal, heat))
    return rows


def _answer_height(expression: Expression, maps: Saliency | None) -> float:
    return ANSWER_WIDTH + 100 + 26 * len(expression.emotions) + (66 if maps is not None else 0)


def _draw_answer(
    canvas: Canvas,
    column: Area,
    face_rgb: NDArray[np.uint8],
    expression: Expression,
    maps: Saliency | None,
) -> None:
    """The face, the ensemble's answer, all its probabilities, and how to read the maps."""
    frame = Area(column.x, column.y, column.width, column.width)
    canvas.panel(frame, RADIUS, PANEL)
    canvas.picture(face_rgb, fit((face_rgb.shape[1], face_rgb.shape[0]), frame), RADIUS)
    y = frame.bottom + 34
    canvas.text(column.x, y, shortened(expression.emotion, 32, column.width - 100), 32)
    canvas.text(column.right, y, percent(expression.confidence), 32, anchor="rm")
    y += 32
    count = len(expression.branch_emotions)
    agreeing = round(expression.agreement * count)
    canvas.text(column.x, y, f"{agreeing} of {count} branches agree", 14, QUIET_INK)
    canvas.text(column.right, y, f"uncertainty {expression.uncertainty:.2f}", 14, QUIET_INK, "rm")
    y += 34
    texts = [shortened(name, 14, SHARE_NAME_WIDTHS[1] - 14) for name in expression.emotions]
    beside = max(SHARE_NAME_WIDTHS[0], *(text_size(text, 14)[0] + 14 for text in texts))
    for name, text, share in zip(expression.emotions, texts, expression.probabilities, strict=True):
        ink = INK if name == expression.emotion else QUIET_INK
        canvas.text(column.x, y, text, 14, ink)
        canvas.text(column.right, y, percent(float(share)), 14, ink, "rm")
        bar = Area(column.x + beside, y - 4, column.width - beside - 50, 8)
        canvas.bar(bar, float(share), _color(expression, name))
        y += 26
    if maps is not None:
        _draw_heat_scale(canvas, Area(column.x, y + 20, column.width, 10), maps)


def _draw_heat_scale(canvas: Canvas, area: Area, maps: Saliency) -> None:
    """The colours from little to much, over a face's mean grey."""
    named = {maps.emotion, *maps.branch_emotions}
    what = "each row's emotion" if len(named) > 1 else class_text(maps.emotion)
    canvas.text(area.x, area.y - 14, f"Evidence for {what}", 14, QUIET_INK)
    width, height = canvas.size_of(area)
    ramp = np.linspace(0.0, 1.0, width, dtype=np.float32)[None]
    canvas.picture(overlay_heat(np.full((height, width, 3), 128, np.uint8), ramp), area, 5)
    canvas.text(area.x, area.bottom + 12, "none", 12, QUIET_INK)
    canvas.text(area.right, area.bottom + 12, "most", 12, QUIET_INK, "rm")


def _draw_table(
    canvas: Canvas,
    area: Area,
    tile: float,
    row_height: float,
    face_rgb: NDArray[np.uint8],
    rows: list[_Row],
) -> None:
    x = area.x + GAP + LABEL_WIDTH
    tile_x = x
    x += tile + 2 * GAP if tile else GAP
    emotion_x, x = x, x + EMOTION_WIDTH + 2 * GAP
    arousal_x, valence_x = x, x + AFFECT_WIDTH + NUMBER_WIDTH + 2 * GAP
    for start, title, low, high in (
        (arousal_x, "Arousal", "calm", "excited"),
        (valence_x, "Valence", "unpleasant", "pleasant"),
    ):
        canvas.text(start + AFFECT_WIDTH / 2, area.y + 10, title, 15, anchor="mm")
        canvas.text(start, area.y + 31, low, 12, QUIET_INK)
        canvas.text(start + AFFECT_WIDTH, area.y + 31, high, 12, QUIET_INK, "rm")
    canvas.text(emotion_x, area.y + 10, "Emotion", 15)
    canvas.text(emotion_x + EMOTION_WIDTH, area.y + 10, "Confidence", 15, anchor="rm")
    if tile:
        canvas.text(tile_x + tile / 2, area.y + 10, "Map", 15, anchor="mm")
    for number, row in enumerate(rows):
        line = Area(area.x, area.y + HEADER_HEIGHT + number * row_height, area.width, row_height)
        canvas.panel(line._replace(y=line.y + 2, height=row_height - 4), RADIUS, PANEL if number else RAISED)
        canvas.text(line.x + GAP, line.middle, row.title, 16)
        if row.heat is not None:
            square = Area(tile_x, line.middle - tile / 2, tile, tile)
            _draw_tile(canvas, square, face_rgb, row.heat)
        _draw_emotion(canvas, Area(emotion_x, line.y, EMOTION_WIDTH, row_height), row)
        pleasant = PLEASANT if row.valence >= 0 else UNPLEASANT
        for start, value, color in (
            (arousal_x, row.arousal, AROUSAL),
            (valence_x, row.valence, pleasant),
        ):
            canvas.balance(Area(start, line.middle - 5, AFFECT_WIDTH, 10), value, color)
            canvas.text(start + AFFECT_WIDTH + NUMBER_WIDTH, line.middle, signed(value), 15, anchor="rm")


def _draw_emotion(canvas: Canvas, area: Area, row: _Row) -> None:
    """Name and confidence above a bar."""
    name = shortened(row.emotion, 18, area.width - NUMBER_WIDTH)
    canvas.text(area.x, area.middle - 3, name, 18, anchor="ls")
    canvas.text(area.right, area.middle - 3, percent(row.confidence), 16, anchor="rs")
    canvas.bar(Area(area.x, area.middle + 9, area.width, 8), row.confidence, row.color)


def _draw_tile(
    canvas: Canvas, square: Area, face_rgb: NDArray[np.uint8], heat: NDArray[np.floating[Any]]
) -> None:
    """The face with heat over it, at the tile's own size."""
    area = fit((face_rgb.shape[1], face_rgb.shape[0]), square)
    small = Image.fromarray(np.ascontiguousarray(face_rgb)).resize(
        canvas.size_of(area), Image.Resampling.LANCZOS
    )
    canvas.picture(overlay_heat(np.asarray(small), heat), area, 5)


def _color(expression: Expression, emotion: str) -> Color:
    """Of one of an answer's classes."""
    return on_dark(color_of(emotion, expression.emotions))


def draw_emotions(face_rgb: NDArray[np.uint8], face: Face, *, scale: float = 1.0) -> Canvas:
    """``emotion_sheet`` as a canvas, which knows its texts."""
    maps, expression = _maps(face), face.expression
    columns = 1 + len(expression.branch_emotions)
    step, row_height = TILE + 10, TILE + CAPTION_HEIGHT + 12
    first = MARGIN + EMOTION_LABEL_WIDTH + GAP
    # The ensemble's column stands a little apart.
    places = [first, *(first + GAP + step * number for number in range(1, columns))]
    top = MARGIN + BAND_HEIGHT + COLUMN_TITLE_HEIGHT
    width = max(places[-1] + TILE + MARGIN, READING_WIDTH)
    canvas = Canvas(width, top + row_height * len(expression.emotions) - 12 + MARGIN, scale)
    _draw_band(canvas, face_rgb, expression)
    titles = ["Ensemble", *(f"Branch {number}" for number in range(1, columns))]
    for x, title in zip(places, titles, strict=True):
        canvas.text(x + TILE / 2, top - 12, title, 14, QUIET_INK, "mm")
    answers = [expression.emotion, *expression.branch_emotions]
    shares = np.concatenate([expression.probabilities[None], expression.branch_probabilities])
    for index, emotion in enumerate(expression.emotions):
        y = top + index * row_height
        color = _color(expression, emotion)
        seen = maps.explain(emotion)
        ink = INK if emotion == expression.emotion else QUIET_INK
        canvas.text(MARGIN + 18, y + TILE / 2 - 8, shortened(emotion, 19, EMOTION_LABEL_WIDTH - 18), 19, ink)
        canvas.text(MARGIN + 18, y + TILE / 2 + 15, percent(float(shares[0, index])), 15, QUIET_INK)
        canvas.panel(Area(MARGIN, y + TILE / 2 - 20, 6, 44), 3, color)
        for column, (x, heat) in enumerate(zip(places, [seen.ensemble, *seen.branches], strict=True)):
            square = Area(x, y, TILE, TILE)
            if answers[column] == emotion:
                canvas.panel(Area(x - 3, y - 3, TILE + 6, TILE + CAPTION_HEIGHT + 6), 8, color)
                canvas.panel(Area(x - 1, y - 1, TILE + 2, TILE + CAPTION_HEIGHT + 2), 6, PANEL)
            _draw_tile(canvas, square, face_rgb, heat)
            share = float(shares[column, index])
            canvas.bar(Area(x + 3, y + TILE + 4, TILE - 6, 5), share, color)
    return canvas


def _draw_band(canvas: Canvas, face_rgb: NDArray[np.uint8], expression: Expression) -> None:
    """The face and the answer, and how to read the sheet."""
    frame = Area(MARGIN, MARGIN, TILE, TILE)
    canvas.picture(face_rgb, fit((face_rgb.shape[1], face_rgb.shape[0]), frame), 6)
    x = frame.right + 20
    canvas.text(x, frame.y + 16, f"{class_text(expression.emotion)} {percent(expression.confidence)}", 26)
    for number, line in enumerate(READING):
        canvas.text(x, frame.y + 44 + 20 * number, line, 14, QUIET_INK)
