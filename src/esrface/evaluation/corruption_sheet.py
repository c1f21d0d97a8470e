"""One face under every corruption at every severity, as a picture to look at."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface.evaluation.corruptions import SEVERITIES, TITLES, corrupt_view
from esrface.evaluation.framing import View
from esrface.labels import font

CELL, GAP, LEFT, TOP = 96, 6, 128, 30
"""Of a face, between faces, and of the margins that hold names and severities, in pixels."""

INK, PAPER = (28, 32, 38), (255, 255, 255)


def draw_corruptions(view: View, *, seed: int = 0) -> Image.Image:
    """A row for each corruption, the face as it is on the left and then severities 1-5, RGB."""
    columns = 1 + len(SEVERITIES)
    size = (LEFT + columns * (CELL + GAP), TOP + len(TITLES) * (CELL + GAP))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    for column in range(columns):
        heading = str(column) if column else "as it is"
        draw.text((_x(column) + CELL // 2, TOP - 10), heading, INK, font(14), anchor="ms")
    for row, (name, title) in enumerate(TITLES.items()):
        y = TOP + row * (CELL + GAP)
        draw.text((LEFT - 10, y + CELL // 2), title, INK, font(14), anchor="rm")
        faces = [view(1.0), *(corrupt_view(view, name, severity, seed=seed) for severity in SEVERITIES)]
        for column, face in enumerate(faces):
            sheet.paste(_fitted(face), (_x(column), y))
    return sheet


def _x(column: int) -> int:
    return LEFT + column * (CELL + GAP)


def _fitted(face: NDArray[np.uint8]) -> Image.Image:
    larger = max(face.shape[:2]) < CELL
    way = cv2.INTER_LINEAR if larger else cv2.INTER_AREA
    return Image.fromarray(cv2.resize(face, (CELL, CELL), interpolation=way))
