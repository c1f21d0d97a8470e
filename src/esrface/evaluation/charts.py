"""The charts of a report as SVG, each for one model or several side by side.

A model comes as its name and what `esrface.evaluation.details.details` gives. Charts are 420 pixels wide, so
that they are legible on a telephone and two stand side by side on a screen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.evaluation.corruptions import SEVERITIES, TITLES
from esrface.evaluation.drawing import (
    FAINT,
    INK,
    RULE,
    Drawing,
    colour_of,
    ink_on,
    legend_height,
    shade_of,
    shorter,
)

Model = tuple[str, dict[str, Any]]

WIDTH = 420

FULL_BIN = 20
"""Images that a bin of the reliability diagram needs to be part of its line."""

AFFECT_CELLS = 20
"""Along a side of the pictures of valence and arousal."""


def recall_chart(models: Sequence[Model]) -> str:
    """Recall of every emotion that has images, as bars."""
    shown = [name for name, share in models[0][1]["recall"].items() if share is not None]
    bar = 16 if len(models) == 1 else 11
    row = bar * len(models) + 10
    names = [name for name, _ in models]
    top = legend_height(names)
    drawing = Drawing(WIDTH, top + row * len(shown) + 22)
    drawing.legend(80, 12, names)
    left, right = max(80, *(12 + 7 * len(shorter(name)) for name in shown)), WIDTH - 52
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + share * (right - left)
        drawing.line(x, top, x, top + row * len(shown))
        drawing.text(x, drawing.height - 6, f"{share:.0%}", anchor="middle", colour=FAINT, size=11)
    for place, emotion in enumerate(shown):
        y = top + row * place + 5
        drawing.text(left - 8, y + bar * len(models) / 2 + 4, shorter(emotion), anchor="end")
        for index, (_, measured) in enumerate(models):
            share = measured["recall"][emotion]
            width = share * (right - left)
            drawing.rectangle(left, y + bar * index, width, bar - 1, colour_of(index))
            drawing.text(left + width + 5, y + bar * index + bar / 2 + 4, f"{share:.0%}", size=11)
    return drawing.svg("Recall of every emotion")


def confusion_chart(measured: dict[str, Any]) -> str:
    """Labels in rows, answers in columns; shares of the row."""
    names = list(measured["confusion"])
    left, top = 88, 64 if max(map(len, names)) <= 8 else 76
    cell = min(41.0, (WIDTH - left - 4) / len(names))
    # Where there are many classes: their names alone, and no figures that would run into each other.
    roomy, size = cell >= 26, 13 if cell >= 30 else 10
    small = 12 if roomy else 10 if cell >= 14 else 8
    drawing = Drawing(WIDTH, round(top + cell * len(names)) + 4)
    for at, name in enumerate(names):
        x, y = left + cell * (at + 0.5), top + cell * (at + 0.5)
        drawing.text(x + 4, top - 6, shorter(name, 10), size=min(11, small), turned=True)
        drawing.text(left - 6, y if roomy else y + 4, shorter(name), anchor="end", size=small)
        counts = measured["confusion"][name]
        total = sum(counts.values())
        if roomy:
            drawing.text(left - 6, y + 13, f"{total:,}", anchor="end", colour=FAINT, size=10)
        for column, (answer, count) in enumerate(counts.items()):
            share = count / total if total else 0.0
            fill = shade_of(share) if total else "#f0f1f3"
            drawing.rectangle(
                left + cell * column, top + cell * at, cell - 1, cell - 1, fill,
                f"{name} taken for {answer}: {count:,} of {total:,}",
            )  # fmt: skip
            if count and cell >= 18:
                words = f"{100 * share:.0f}" if share >= 0.005 else "<1"
                middle = left + cell * (column + 0.5)
                drawing.text(middle, y + 4, words, anchor="middle", colour=ink_on(share), size=size)
    return drawing.svg("Confusion matrix in per cent of each label: labels in rows, answers in columns")


def reliability_chart(models: Sequence[Model]) -> str:
    """Accuracy over the top probability in bins, and below it how many images each bin holds."""
    names = [name for name, _ in models]
    top = legend_height(names) + 8
    left, right, height, below = 46, WIDTH - 20, 240, 46
    drawing = Drawing(WIDTH, top + height + below + 40)
    drawing.legend(left, 12, names)
    frame = _Frame(drawing, left, right, top, height, (0.0, 1.0), (0.0, 1.0))
    frame.grid((0.0, 0.25, 0.5, 0.75, 1.0), labelled_x=False)
    drawing.line(frame.x(0), frame.y(0), frame.x(1), frame.y(1), FAINT, dashed=True)
    base = top + height + below
    for index, (_, measured) in enumerate(models):
        bins = measured["reliability"]
        most = max(part["images"] for part in bins)
        width = (frame.x(1) - frame.x(0)) / 15 / len(models)
        for part in bins:
            tall = (below - 12) * part["images"] / most
            words = f"{part['images']:,} images, mean probability {part['confidence']:.1%}"
            x = frame.x(part["from"]) + width * index
            drawing.rectangle(x, base - tall, width - 1, tall, colour_of(index), words)
        places = [(frame.x(part["confidence"]), frame.y(part["accuracy"])) for part in bins]
        # A bin of few images says little: a small dot off the line.
        full = [part["images"] >= FULL_BIN for part in bins]
        if sum(full) < 2:
            full = [True] * len(bins)
        drawing.curve(
            [place for place, is_full in zip(places, full, strict=True) if is_full], colour_of(index)
        )
        for (x, y), is_full in zip(places, full, strict=True):
            drawing.dot(x, y, colour_of(index), radius=3.5 if is_full else 1.8)
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        drawing.text(frame.x(share), base + 15, f"{share:.0%}", anchor="middle", colour=FAINT, size=11)
    drawing.text((left + right) / 2, base + 33, "top probability", anchor="middle", colour=FAINT)
    drawing.text(frame.x(0) + 8, top + 16, "accuracy", colour=FAINT)
    drawing.text(frame.x(0) + 8, base - below + 18, "images", colour=FAINT)
    return drawing.svg("Reliability: accuracy over the top probability, with the number of images below")


def coverage_chart(models: Sequence[Model]) -> str:
    """Accuracy on the surest share of the images over that share."""
    names = [name for name, _ in models]
    top = legend_height(names) + 8
    left, right, height = 50, WIDTH - 20, 240
    drawing = Drawing(WIDTH, top + height + 40)
    drawing.legend(left, 12, names)
    curves = [
        [(step["coverage"], 1 - step["risk"]) for step in measured["uncertainty"]["risk_coverage"]]
        for _, measured in models
    ]
    lowest = min(accuracy for curve in curves for _, accuracy in curve)
    step = 0.05 if lowest > 0.75 else 0.1 if lowest > 0.5 else 0.2
    low = min(max(0.0, float(np.floor(lowest / step) * step)), 1 - step)
    frame = _Frame(drawing, left, right, top, height, (0.0, 1.0), (low, 1.0))
    frame.grid((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), rows=np.arange(round(1 / step) + 1) * step)
    drawing.line(frame.x(0.8), top, frame.x(0.8), top + height, FAINT, dashed=True)
    marks = []
    for index, curve in enumerate(curves):
        drawing.curve([(frame.x(x), frame.y(y)) for x, y in curve], colour_of(index))
        at_80 = next(
            part["accuracy"]
            for part in models[index][1]["uncertainty"]["accuracy_at_coverage"]
            if part["coverage"] == 0.8
        )
        drawing.dot(frame.x(0.8), frame.y(at_80), colour_of(index))
        marks.append((frame.y(at_80), index, at_80))
    free = 0.0
    for y, index, at_80 in sorted(marks):
        # Beside the line, one below another where models are alike.
        free = max(y + 18, free)
        drawing.text(frame.x(0.8) - 8, free, f"{at_80:.1%}", anchor="end", colour=colour_of(index), bold=True)
        free += 15
    drawing.text((left + right) / 2, drawing.height - 6, "surest share of the images", anchor="middle",
                 colour=FAINT)  # fmt: skip
    drawing.text(left + 8, top + height - 8, "accuracy", colour=FAINT)
    return drawing.svg("Accuracy on the surest share of the images")


def disagreement_chart(measured: dict[str, Any]) -> str:
    """How often two branches answer differently."""
    matrix = np.array(measured["branches"]["disagreement"])
    count = len(matrix)
    left, top = 62, 40
    cell = min(44.0, (WIDTH - left - 2) / count)
    drawing = Drawing(WIDTH, int(top + cell * count + 6))
    most = max(float(matrix.max()), 1e-9)
    drawing.text(left, 14, "differ, % of images", colour=FAINT, size=11)
    for row in range(count):
        y = top + cell * row
        drawing.text(left - 6, y + cell / 2 + 4, f"branch {row + 1}", anchor="end", size=11)
        drawing.text(left + cell * (row + 0.5), top - 6, str(row + 1), anchor="middle", size=11)
        for column in range(count):
            x, share = left + cell * column, float(matrix[row, column])
            if row == column:
                drawing.rectangle(x, y, cell - 1, cell - 1, "#f0f1f3")
                continue
            tone = 0.5 * share / most
            drawing.rectangle(x, y, cell - 1, cell - 1, shade_of(tone))
            if cell >= 24:
                words = f"{100 * share:.1f}"
                drawing.text(
                    x + cell / 2, y + cell / 2 + 4, words, anchor="middle", colour=ink_on(tone), size=10
                )
    return drawing.svg("How often two branches answer differently")


def corruption_chart(models: Sequence[Model]) -> str:
    """Accuracy over severity, a panel for each corruption."""
    names = [name for name, _ in models]
    top, across, panel = legend_height(names) + 4, 2, 122
    drawing = Drawing(WIDTH, top + panel * -(-len(TITLES) // across) + 6)
    drawing.legend(34, 12, names)
    gap = 18
    wide = (WIDTH - 34 - gap * (across - 1)) / across
    for place, (name, title) in enumerate(TITLES.items()):
        left = 34 + (wide + gap) * (place % across)
        y = top + panel * (place // across) + 20
        frame = _Frame(drawing, left, left + wide - 6, y, panel - 44, (0, SEVERITIES[-1]), (0.0, 1.0))
        drawing.text(left, y - 6, title, bold=True)
        for share in (0.0, 0.5, 1.0):
            drawing.line(left, frame.y(share), frame.right, frame.y(share), RULE)
            if place % across == 0:
                drawing.text(
                    left - 5, frame.y(share) + 4, f"{share:.0%}", anchor="end", colour=FAINT, size=10
                )
        for severity in range(SEVERITIES[-1] + 1):
            drawing.text(
                frame.x(severity), frame.y(0) + 14, str(severity), anchor="middle", colour=FAINT, size=10
            )
        for index, (_, measured) in enumerate(models):
            tested = measured["corruptions"]
            heights = [tested["clean_accuracy"], *tested["accuracy"][name]]
            drawing.curve(
                [(frame.x(at), frame.y(share)) for at, share in enumerate(heights)], colour_of(index)
            )
    return drawing.svg("Accuracy over the severity of each corruption; 0 is the face as it is")


def affect_chart(told: NDArray[np.float64], labels: NDArray[np.floating[Any]]) -> str:
    """How valence and arousal (N, 2) were labelled, and what was answered: darker where more images lie."""
    side, gap, left, top = 168, 36, 40, 26
    drawing = Drawing(WIDTH, top + side + 40)
    for at, name in enumerate(("valence", "arousal")):
        x0 = left + (side + gap) * at
        drawing.text(x0 + side / 2, top - 9, name, anchor="middle", bold=True)
        counts, _, _ = np.histogram2d(
            np.clip(labels[:, at], -1, 1), np.clip(told[:, at], -1, 1), bins=AFFECT_CELLS, range=[[-1, 1]] * 2
        )
        cell = side / AFFECT_CELLS
        drawing.rectangle(x0, top, side, side, "#f7f8f9")
        # By the root: otherwise one full cell makes all others pale.
        tones = np.sqrt(counts / max(counts.max(), 1))
        for column, row in zip(*np.nonzero(counts), strict=True):
            y = top + side - cell * (row + 1)
            drawing.rectangle(x0 + cell * column, y, cell, cell, shade_of(0.12 + 0.88 * tones[column, row]))
        drawing.line(x0, top + side, x0 + side, top, FAINT, dashed=True)
        for value in (-1, 0, 1):
            share = (value + 1) / 2
            drawing.text(
                x0 + side * share, top + side + 15, f"{value}", anchor="middle", colour=FAINT, size=11
            )
            drawing.text(
                x0 - 6, top + side * (1 - share) + 4, f"{value}", anchor="end", colour=FAINT, size=11
            )
        drawing.text(x0 + side / 2, top + side + 32, "label", anchor="middle", colour=FAINT)
    drawing.text(13, top + side / 2, "answer", anchor="middle", colour=FAINT, turned=True)
    return drawing.svg("Valence and arousal: answers over labels")


class _Frame:
    """The part of a drawing in which values have places."""

    def __init__(
        self,
        drawing: Drawing,
        left: float,
        right: float,
        top: float,
        height: float,
        range_x: tuple[float, float],
        range_y: tuple[float, float],
    ) -> None:
        self.drawing = drawing
        self.left, self.right, self.top, self.height = left, right, top, height
        self.range_x, self.range_y = range_x, range_y

    def x(self, value: float) -> float:
        low, high = self.range_x
        return self.left + (self.right - self.left) * (value - low) / (high - low)

    def y(self, value: float) -> float:
        low, high = self.range_y
        return self.top + self.height * (1 - (value - low) / (high - low))

    def grid(
        self, columns: Sequence[float], rows: Sequence[float] | NDArray[Any] = (), *, labelled_x: bool = True
    ) -> None:
        """Lines with percentages beside and below them."""
        for share in rows if len(rows) else columns:
            if share < self.range_y[0] - 1e-9:
                continue
            self.drawing.line(self.left, self.y(share), self.right, self.y(share))
            self.drawing.text(
                self.left - 6, self.y(share) + 4, f"{share:.0%}", anchor="end", colour=FAINT, size=11
            )
        for share in columns:
            self.drawing.line(self.x(share), self.top, self.x(share), self.top + self.height)
            if labelled_x:
                self.drawing.text(
                    self.x(share), self.top + self.height + 15, f"{share:.0%}", anchor="middle", colour=INK,
                    size=11,
                )  # fmt: skip
