"""The input on the left: the picture as it came, every face framed in its track's colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from esrface.annotate import draw_frame
from esrface.annotate_tracks import TrackPainter
from esrface.canvas import INK, Area, Canvas, fit
from esrface.results import Box
from esrface.screen.parts import sized
from esrface.screen.scene import Scene
from esrface.video.frames import TrackedFace

RADIUS = 6.0

ENLARGED_PIXELS = 4_000_000
"""Up to so many pixels the whole picture is enlarged; beyond, zoomed in, only what is seen of it."""


def picture_area(scene: Scene, room: Area) -> Area:
    """Where the picture lies in its room, keeping its shape."""
    height, width = scene.image.shape[:2]
    return fit((width, height), room)


def draw_picture(
    canvas: Canvas, scene: Scene, room: Area, painter: TrackPainter, chosen: TrackedFace | None
) -> None:
    """Draw the picture and its faces; ``painter`` keeps labels calm from frame to frame.

    Where there are several faces the chosen one has a second, white frame.
    """
    area = picture_area(scene, room)
    width, height = canvas.size_of(area)
    image = scene.image
    if width < 1 or height < 1:
        return
    if width * height <= max(ENLARGED_PIXELS, image.shape[0] * image.shape[1]):
        image = sized(image, (width, height))
    canvas.picture(image, area, RADIUS)
    part = canvas.part_of(area)
    if part is None or not scene.faces:
        return
    pixels, offset = part
    factor = width / scene.image.shape[1], height / scene.image.shape[0]
    faces = _moved(scene.faces, factor, offset, (pixels.shape[1], pixels.shape[0]))
    marked = [face.box for face in faces if chosen is not None and face.track_id == chosen.track_id]
    if marked and len(scene.faces) > 1:
        drawn = Image.fromarray(pixels)
        out = max(3, round(5 * canvas.scale))
        box = marked[0]
        draw_frame(drawn, Box(box.x0 - out, box.y0 - out, box.x1 + out, box.y1 + out), INK)
        pixels = np.asarray(drawn)
    canvas.put_part(area, painter.paint(pixels, faces))


def _moved(
    faces: Sequence[TrackedFace],
    factor: tuple[float, float],
    offset: tuple[int, int],
    size_wh: tuple[int, int],
) -> list[TrackedFace]:
    """The faces in pixels of what is seen; those out of sight are left out."""
    moved = []
    for face in faces:
        x0, x1 = (round(x * factor[0]) - offset[0] for x in (face.box.x0, face.box.x1))
        y0, y1 = (round(y * factor[1]) - offset[1] for y in (face.box.y0, face.box.y1))
        if x1 > 0 and y1 > 0 and x0 < size_wh[0] and y0 < size_wh[1]:
            moved.append(replace(face, box=Box(x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))))
    return moved
