"""Scenes for the tests of the screen and of its window: drawn pictures, faces made by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from drawn import drawn_face
from esrface.emotions import EMOTIONS
from esrface.results import Box
from esrface.saliency import Saliency
from esrface.screen.scene import Moment, Scene
from esrface.video import TrackedFace
from made_faces import make_face

Image = NDArray[np.uint8]

BOXES = (Box(60, 60, 220, 260), Box(330, 90, 450, 240), Box(500, 40, 600, 160))
EMOTIONS_SHOWN = ("Happy", "Contempt", "Surprise")


def drawn_room(faces: int = 2) -> Image:
    """(360, 640, 3) uint8 RGB: as many drawn faces before a wall as there are boxes wanted."""
    wall = np.full((360, 640, 3), (96, 120, 140), np.uint8)
    for number, box in enumerate(BOXES[:faces]):
        drawn = cv2.resize(drawn_face(EMOTIONS_SHOWN[number], number), (box.width, box.height))
        wall[box.y0 : box.y1, box.x0 : box.x1] = drawn[..., None] * np.array([1.0, 0.9, 0.8])
    return wall


def tracked(
    number: int, *, branches: int = 9, affect_source: str = "circumplex", new: tuple[str, ...] = ()
) -> TrackedFace:
    """The face in the box of that number (from 0) with maps; its track is one more.

    Of a model with ``new`` classes it shows one of them, as long as there are some.
    """
    emotions = (*EMOTIONS, *new)
    made = make_face(
        (*new, *EMOTIONS_SHOWN)[number],
        confidence=0.75 - 0.2 * number,
        valence=0.5 - 0.6 * number,
        branches=branches,
        dissenters=branches // 4,
        affect_source=affect_source,
        box=BOXES[number],
        emotions=emotions,
    )
    maps = np.random.default_rng(number).normal(size=(branches, len(emotions), 6, 6)).astype(np.float32)
    expression = made.expression
    saliency = Saliency(maps, expression.emotion, expression.branch_emotions, emotions)
    return TrackedFace(made.box, 0.9, None, expression, saliency, track_id=number + 1)


def moments(count: int, tracks: Sequence[int] = (1, 2)) -> tuple[Moment, ...]:
    """A past in which the first track is gone for five frames."""
    past = []
    for number in range(count):
        there = [track for track in tracks if track != 1 or not 20 <= number < 25]
        wave = float(np.sin(number / 6))
        past.append(Moment(number / 5, dict.fromkeys(there, (0.5 + 0.3 * wave, wave * 0.8))))
    return tuple(past)


def scene(
    faces: int = 2,
    *,
    title: str = "room.mp4",
    past: int | None = 40,
    branches: int = 9,
    affect_source: str = "circumplex",
    new: tuple[str, ...] = (),
) -> Scene:
    """A scene with so many faces and so long a past (None: a single picture)."""
    there = tuple(tracked(n, branches=branches, affect_source=affect_source, new=new) for n in range(faces))
    place = "picture 1" if past is None else "7.80 s, frame 234"
    history = None if past is None else moments(past)
    return Scene(title, drawn_room(faces), there, place, history, "room")


def crop(image: Image, face: TrackedFace) -> Image:
    """What a network would be shown."""
    box = face.box
    return image[box.y0 : box.y1, box.x0 : box.x1]


def moved(original: Scene, track_id: int) -> Scene:
    """The scene with its first face in another track."""
    first, *others = original.faces
    return replace(original, faces=(replace(first, track_id=track_id), *others))
