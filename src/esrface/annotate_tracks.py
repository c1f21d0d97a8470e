"""Draw the faces of a video onto its frames, calmly: what belongs to a person changes as little as can be.

Every track keeps its colour; its label keeps its size and its side of the face until it has to give way. For
single pictures see ``esrface.annotate``, which says more.
"""

from __future__ import annotations

import colorsys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from esrface._numbers import percent
from esrface.annotate import INK, PLATE, PLATE_OPACITY, UNSURE, Color, draw_frame, paste_rounded
from esrface.canvas import on_dark
from esrface.emotions import color_of
from esrface.labels import class_text, font, text_size
from esrface.results import Box

if TYPE_CHECKING:
    from esrface.video import TrackedFace

GOLDEN = 0.618034
"""Share of the colour circle between two tracks in a row: neighbours differ, and no two are ever the same."""

SIZE_STEP = 1.2
"""A label's letters change their size only for faces that have grown or shrunk by this factor."""

FORGET_FRAMES = 300
"""So long after it was last drawn, a track's label need not be remembered."""


@dataclass
class _Habit:
    """How a track's label was drawn last."""

    letters: int
    """Height of the letters in pixels."""
    side: int
    """Which of ``_places`` it was in."""
    frame: int


class TrackPainter:
    """Draws frames in their order.

    Args:
        abstain_below: Faces whose confidence is below this get a question mark and a grey chip.
    """

    def __init__(self, *, abstain_below: float | None = None) -> None:
        self._abstain_below = abstain_below
        self._habits: dict[int, _Habit] = {}
        self._frame = 0

    def paint(self, image: NDArray[np.uint8], faces: Sequence[TrackedFace]) -> NDArray[np.uint8]:
        """The picture with a frame in its track's colour and a label for each face.

        Args:
            image: (H, W, 3) uint8 RGB; stays as it is.
            faces: Boxes in its pixels. ``smoothed`` is what is written where there is such.

        Returns:
            (H, W, 3) uint8 RGB; ``image`` itself where there are no faces.
        """
        self._frame += 1
        if not faces:
            return image
        canvas = Image.fromarray(np.ascontiguousarray(image))
        for face in reversed(faces):
            draw_frame(canvas, face.box, track_color(face.track_id))
        taken = [face.box for face in faces]
        for face in faces:
            self._label(canvas, face, taken)
        self._forget()
        return np.asarray(canvas)

    def _label(self, canvas: Image.Image, face: TrackedFace, taken: list[Box]) -> None:
        habit = self._habit(face, canvas.size)
        emotion, sure = self._words(face)
        for texts in ((emotion, sure), (emotion, "")):
            plate = _plate(face.track_id, *texts, self._chip(face), habit.letters)
            places = list(_places(canvas.size, face.box, plate.size, max(2, habit.letters // 5)))
            for side in (habit.side, *range(len(places))):
                if not any(_overlap(places[side], other) for other in taken):
                    habit.side = side
                    taken.append(places[side])
                    canvas.paste(plate, places[side][:2], plate)
                    return
        # In a crowd: on the face's own upper edge, where it hides nobody else.
        place = _inside(canvas.size, face.box, plate.size)
        canvas.paste(plate, place[:2], plate)
        taken.append(place)

    def _habit(self, face: TrackedFace, size_wh: tuple[int, int]) -> _Habit:
        largest = max(12.0, min(size_wh) / 24)
        wanted = min(max(face.box.width * 0.14, 11.0), largest)
        habit = self._habits.get(face.track_id) if face.track_id is not None else None
        if habit is None:
            habit = _Habit(round(wanted), 0, self._frame)
            if face.track_id is not None:
                self._habits[face.track_id] = habit
        if not 1 / SIZE_STEP < habit.letters / wanted < SIZE_STEP:
            habit.letters = round(wanted)
        habit.frame = self._frame
        return habit

    def _words(self, face: TrackedFace) -> tuple[str, str]:
        shown = face.smoothed or face.expression
        return class_text(shown.emotion) + ("?" if self._unsure(face) else ""), percent(shown.confidence)

    def _chip(self, face: TrackedFace) -> Color:
        shown = face.smoothed or face.expression
        return UNSURE if self._unsure(face) else color_of(shown.emotion, shown.emotions)

    def _unsure(self, face: TrackedFace) -> bool:
        shown = face.smoothed or face.expression
        return self._abstain_below is not None and shown.confidence < self._abstain_below

    def _forget(self) -> None:
        if len(self._habits) > 64:
            old = self._frame - FORGET_FRAMES
            self._habits = {track: habit for track, habit in self._habits.items() if habit.frame > old}


def track_color(track_id: int | None) -> Color:
    """RGB of a track: bright, always the same, and unlike that of the tracks before and after it."""
    if track_id is None:
        return INK
    red, green, blue = colorsys.hsv_to_rgb((0.55 + track_id * GOLDEN) % 1.0, 0.62, 1.0)
    return on_dark((round(255 * red), round(255 * green), round(255 * blue)))


@lru_cache(maxsize=512)
def _plate(track_id: int | None, emotion: str, sure: str, chip: Color, letters: int) -> Image.Image:
    """A label (RGBA): the track's number, a chip in the emotion's colour, the emotion, how sure."""
    name = "" if track_id is None else str(track_id)
    pad, gap, bar = round(letters * 0.4), round(letters * 0.45), max(2, round(letters * 0.24))
    # The widest figure that can stand there: the plate must not breathe with the digits.
    widths = [text_size(name, letters)[0], bar, text_size(emotion, letters)[0]]
    widths += [text_size(">99%", letters)[0]] if sure else []
    widths = [width for width in widths if width]
    width, height = 2 * pad + sum(widths) + gap * (len(widths) - 1), round(letters * 1.55)
    plate = Image.new("RGBA", (width, height), (*PLATE, 0))
    paste_rounded(plate, Box(0, 0, width, height), letters * 0.25, (*PLATE, PLATE_OPACITY))
    draw = ImageDraw.Draw(plate)
    x, middle = pad, height // 2
    if name:
        draw.text((x, middle), name, font=font(letters), fill=track_color(track_id), anchor="lm")
        x += widths[0] + gap
    inset = round(letters * 0.3)
    paste_rounded(plate, Box(x, inset, x + bar, height - inset), bar / 2, (*chip, 255))
    x += bar + gap
    draw.text((x, middle), emotion, font=font(letters), fill=INK, anchor="lm")
    if sure:
        draw.text((width - pad, middle), sure, font=font(letters), fill=INK, anchor="rm")
    return plate


def _places(size_wh: tuple[int, int], box: Box, plate_wh: tuple[int, int], off: int) -> Iterator[Box]:
    """Places for a plate beside a face, best first; within the picture where it is large enough."""
    width, height = plate_wh
    above, below = box.y0 - off - height, box.y1 + off
    left, right = box.x0, box.x1 - width
    beside = [(box.x1 + off, box.y0), (box.x0 - off - width, box.y0)]
    beside += [(box.x1 + off, box.y1 - height), (box.x0 - off - width, box.y1 - height)]
    for x, y in [(left, above), (left, below), (right, above), (right, below), *beside]:
        yield _moved_in(size_wh, x, y, width, height)


def _inside(size_wh: tuple[int, int], box: Box, plate_wh: tuple[int, int]) -> Box:
    return _moved_in(size_wh, box.x0, box.y0, *plate_wh)


def _moved_in(size_wh: tuple[int, int], x: int, y: int, width: int, height: int) -> Box:
    x, y = max(0, min(x, size_wh[0] - width)), max(0, min(y, size_wh[1] - height))
    return Box(x, y, x + width, y + height)


def _overlap(one: Box, other: Box) -> bool:
    return one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
