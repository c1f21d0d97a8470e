"""What to write beside each face of a picture, how large and where: geometry only, nothing is drawn here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from esrface._numbers import percent
from esrface.emotions import EMOTIONS
from esrface.results import Box, Face

SMALLEST_FONT = 10
"""Pixels; smaller letters are no longer read with ease."""
SMALLEST_FULL_FONT = 13
"""Below this the lines of a full label, which are smaller than the name, would not be legible."""
PROMINENT = 0.5
"""Faces at least this large, relative to the largest one, decide how much the labels of a picture say."""
ENOUGH_FIT = 0.85
"""Share of the prominent faces that must find a free place before a level of detail is used."""

WIDEST_NUMBER = "+0.00"

LONGEST_NAME = 10.0
"""Width of a class's name as it is drawn at most, in letters' heights: some 19 letters."""

DETAILS = ("full", "share", "name")
"""Levels of detail: emotion, confidence, valence and arousal; emotion and confidence; emotion only."""


@dataclass(frozen=True)
class Label:
    """A label's place and measures, all in pixels."""

    face: int
    """Index of the face it belongs to."""
    detail: str
    plate: Box
    """The background; inside the picture wherever the picture is large enough to hold it."""
    font_size: int
    small_size: int
    padding: int
    """Left and right of the text."""
    padding_y: int
    """Above and below it."""
    gap: int
    line_height: int
    small_line_height: int


def label_text(face: Face, detail: str, unsure: bool) -> tuple[str, str]:
    """(emotion, confidence) as written; the confidence is empty where there is no room for it."""
    name = class_text(face.expression.emotion) + ("?" if unsure else "")
    return name, "" if detail == "name" else percent(face.expression.confidence)


def affect_note(face: Face) -> str:
    """What must stand beside valence and arousal that no trained layer gave; else empty."""
    return "(from the emotions)" if face.expression.affect_source == "circumplex" else ""


def font(size: int) -> Any:
    """Pillow's own font (Aileron, CC0) at a size in pixels: no font file is needed anywhere.

    It has Latin letters, digits, ``%``, ``+`` and ``-`` but no true minus sign.
    """
    return _load_font(size)


@lru_cache(maxsize=64)
def _load_font(size: int) -> Any:
    return ImageFont.load_default(size)


def text_size(text: str, size: int) -> tuple[int, int]:
    """(width, height) in pixels that a line of text takes."""
    left, top, right, bottom = font(size).getbbox(text)
    return round(right - left), round(bottom - top)


def class_text(emotion: str) -> str:
    """A class's name as it is drawn: new classes may be called anything, and at any length."""
    return emotion if emotion in EMOTIONS else shortened(emotion, 1, LONGEST_NAME)


@lru_cache(maxsize=256)
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


def writable(text: str) -> str:
    """The text in letters that the font has: accents are dropped, what is left unknown is ``?``."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else "?" for c in plain)


def place_labels(size_wh: tuple[int, int], faces: Sequence[Face], unsure: Sequence[bool]) -> list[Label]:
    """Find a place for each face's label.

    One level of detail is used for the whole picture if nearly all prominent faces have room for it; a face
    without room says less, and one whose label could only lie on another label has none.
    """
    largest = max((face.box.width for face in faces), default=0)
    prominent = {i for i, face in enumerate(faces) if face.box.width >= PROMINENT * largest}
    for level, detail in enumerate(DETAILS):  # noqa: B007 - the level found is used below
        labels = _place_all(size_wh, faces, unsure, detail, set(range(len(faces))), ())
        if len(prominent & {label.face for label in labels}) >= ENOUGH_FIT * len(prominent):
            break
    for lesser, inside in [(detail, False) for detail in DETAILS[level + 1 :]] + [(DETAILS[-1], True)]:
        missing = set(range(len(faces))) - {label.face for label in labels}
        labels += _place_all(size_wh, faces, unsure, lesser, missing, labels, inside=inside)
    return sorted(labels, key=lambda label: label.face)


def _place_all(
    size_wh: tuple[int, int],
    faces: Sequence[Face],
    unsure: Sequence[bool],
    detail: str,
    wanted: set[int],
    taken: Sequence[Label],
    *,
    inside: bool = False,
) -> list[Label]:
    """Labels for those of the ``wanted`` faces that have room beside the labels lying there already.

    With ``inside`` a label may lie on its own face, along an edge of the box.
    """
    # Rows of x0, y0, x1, y1: the faces, then the plates; the rest is empty and overlaps with nothing.
    obstacles = np.zeros((2 * len(faces), 4), dtype=np.int64)
    lying = [*(face.box for face in faces), *(label.plate for label in taken)]
    obstacles[: len(lying)] = np.array(lying).reshape(-1, 4)
    count = len(lying)
    labels = []
    for index in sorted(wanted, key=lambda i: -faces[i].box.area):
        label = _measure(size_wh, index, faces[index], detail, unsure[index])
        if label is None:
            continue
        if inside:
            obstacles[index] = 0
        for place in _places(size_wh, faces[index].box, label, inside):
            if not _overlaps(place, obstacles).any():
                obstacles[count] = place
                count += 1
                labels.append(replace(label, plate=place))
                break
        obstacles[index] = faces[index].box
    return labels


def _measure(size_wh: tuple[int, int], index: int, face: Face, detail: str, unsure: bool) -> Label | None:
    """The label's measures with its plate at (0, 0), or None where this detail does not suit the face."""
    box, longest = face.box, max(size_wh)
    wanted = max(box.width * 0.115, longest * 0.0085, SMALLEST_FULL_FONT)
    size = max(SMALLEST_FONT, round(min(wanted, longest * 0.035, box.width * 0.3)))
    if detail == "full" and size < SMALLEST_FULL_FONT:
        return None
    small = max(SMALLEST_FONT, round(size * 0.72))
    pad, pad_y = max(2, round(size * 0.36)), max(2, round(size * 0.27))
    line, small_line, gap = round(size * 1.02), round(small * 1.3), round(size * 0.28)
    name, share = label_text(face, detail, unsure)
    width = 3 * pad + max(2, round(size * 0.22)) + text_size(name, size)[0]
    if share:
        width += round(size * 0.55) + text_size(share, size)[0]
    height = 2 * pad_y + line
    if detail == "full":
        words = text_size("valence", small)[0] + text_size(WIDEST_NUMBER, small)[0]
        width = max(width, words + 4 * pad + round(size * 3.2))
        height += gap + 2 * small_line
        if affect_note(face):
            width = max(width, text_size(affect_note(face), small)[0] + 2 * pad)
            height += small_line
    limit = {"full": 2.0, "share": 2.5, "name": 3.0}[detail] * box.width
    if width > size_wh[0] or height > size_wh[1] or (width > limit and size > SMALLEST_FONT):
        return None
    return Label(index, detail, Box(0, 0, width, height), size, small, pad, pad_y, gap, line, small_line)


def _places(size_wh: tuple[int, int], box: Box, label: Label, inside: bool) -> Iterator[Box]:
    """Places for a plate, best first; all within the picture."""
    width, height = label.plate.width, label.plate.height
    off = max(2, label.padding_y)
    left, right, centre = box.x0, box.x1 - width, (box.x0 + box.x1 - width) // 2
    middle = (box.y0 + box.y1 - height) // 2
    rows = (box.y0 + off, box.y1 - height - off) if inside else (box.y0 - off - height, box.y1 + off)
    corners = [(x, y) for y in rows for x in (left, centre, right)]
    if not inside:
        sides = (box.x1 + off, box.x0 - off - width)
        corners += [(x, y) for y in (box.y0, middle, box.y1 - height) for x in sides]
    for x, y in corners:
        x = min(max(x, 0), size_wh[0] - width)
        y = min(max(y, 0), size_wh[1] - height)
        yield Box(x, y, x + width, y + height)


def _overlaps(place: Box, others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which of the boxes (n, 4) share a pixel with ``place``."""
    x0, y0, x1, y1 = others.T
    overlapping: NDArray[np.bool_] = (place.x0 < x1) & (x0 < place.x1) & (place.y0 < y1) & (y0 < place.y1)
    return overlapping
