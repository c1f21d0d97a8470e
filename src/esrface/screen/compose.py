"""A whole screen as pixels: input on the left, output on the right, what can be done at the bottom."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from esrface.annotate_tracks import TrackPainter, track_color
from esrface.canvas import INK, PANEL, QUIET_INK, Area, Canvas
from esrface.labels import shortened
from esrface.saliency import Saliency
from esrface.screen.answer import draw_answer
from esrface.screen.branches import draw_branches
from esrface.screen.graph import draw_graph
from esrface.screen.layout import MARGIN, Layout, lay_out
from esrface.screen.parts import RADIUS
from esrface.screen.picture import draw_picture, picture_area
from esrface.screen.scene import Scene, ScreenSettings, shown
from esrface.screen.viewport import WHOLE, Viewport
from esrface.video.frames import TrackedFace

Crop = Callable[[NDArray[np.uint8], TrackedFace], NDArray[np.uint8]]
"""What the network was shown of a face: ``Recognizer.crop``."""

NO_FACE = "No face was found here."
WAITING = "Waiting for the first picture."
HEAD_HEIGHT = 30.0
STATUS_LETTERS = 14.0


class Screen:
    """Draws scenes; remembers where labels were, so that they stay calm from one to the next.

    Args:
        settings: What to show.
        crop: Called with a scene's picture and the chosen face.
    """

    def __init__(self, settings: ScreenSettings, crop: Crop) -> None:
        self._settings = settings
        self._crop = crop
        self._painter = TrackPainter(abstain_below=settings.abstain_below)
        self._size_wh = (0, 0)

    def draw(
        self,
        scene: Scene | None,
        size_wh: tuple[int, int],
        *,
        chosen: int | None = None,
        hint: str = "",
        note: str = "",
        view: Viewport = WHOLE,
    ) -> Canvas:
        """Draw a scene.

        Args:
            scene: None before the first one.
            size_wh: Width and height in pixels.
            chosen: Track whose answer is shown; the largest face's where it is not there.
            hint: What can be done, at the bottom right.
            note: What has just happened, or that the run pauses; at the bottom, marked.
            view: The part that is seen.

        Returns:
            A canvas of ``size_wh`` pixels, which knows its texts.
        """
        if size_wh != self._size_wh:
            self._painter = TrackPainter(abstain_below=self._settings.abstain_below)
            self._size_wh = size_wh
        past = None if scene is None else scene.past
        layout = lay_out(
            size_wh,
            branches=self._settings.branches,
            plot=self._settings.plot and past is not None,
        )
        seen = view.seen(layout.width, layout.height)
        canvas = Canvas(layout.width, layout.height, layout.scale * view.zoom, seen)
        face = None if scene is None else scene.find(chosen)
        if scene is None:
            canvas.text(layout.width / 2, layout.status.y / 2, WAITING, 22, QUIET_INK, "mm")
        else:
            self._draw_parts(canvas, layout, scene, face, chosen)
        _draw_status(canvas, layout, scene, hint, note, view)
        return canvas

    def _draw_parts(
        self, canvas: Canvas, layout: Layout, scene: Scene, face: TrackedFace | None, chosen: int | None
    ) -> None:
        draw_picture(canvas, scene, layout.picture, self._painter, face)
        if face is None:
            output = layout.output
            canvas.panel(output._replace(height=80), RADIUS, PANEL)
            canvas.text(output.x + output.width / 2, output.y + 40, NO_FACE, 20, INK, "mm")
        else:
            self._draw_output(canvas, layout, scene, face)
        if layout.plot is not None and scene.past is not None:
            draw_graph(canvas, layout.plot, scene.past, chosen if face is None else face.track_id)

    def face_at(self, scene: Scene, size_wh: tuple[int, int], x: float, y: float) -> TrackedFace | None:
        """The smallest face at a place of the whole screen, both 0-1."""
        plot = self._settings.plot and scene.past is not None
        layout = lay_out(size_wh, branches=self._settings.branches, plot=plot)
        area = picture_area(scene, layout.picture)
        across = (x * layout.width - area.x) / area.width * scene.image.shape[1]
        down = (y * layout.height - area.y) / area.height * scene.image.shape[0]
        hit = [
            face
            for face in scene.faces
            if face.box.x0 <= across < face.box.x1 and face.box.y0 <= down < face.box.y1
        ]
        return min(hit, key=lambda face: face.box.area, default=None)

    def _draw_output(self, canvas: Canvas, layout: Layout, scene: Scene, face: TrackedFace) -> None:
        output = layout.output
        _draw_head(canvas, output._replace(height=HEAD_HEIGHT), scene, face)
        body = output._replace(y=output.y + HEAD_HEIGHT, height=output.height - HEAD_HEIGHT)
        expression, maps = shown(face), None
        if self._settings.saliency and face.saliency is not None:
            # What is shown may be smoothed: the maps explain the emotions beside them.
            maps = Saliency(
                face.saliency.class_maps,
                expression.emotion,
                expression.branch_emotions,
                expression.emotions,
            )
        draw = draw_branches if self._settings.branches else draw_answer
        draw(canvas, body, self._crop(scene.image, face), expression, maps, self._settings)


def _draw_head(canvas: Canvas, area: Area, scene: Scene, face: TrackedFace) -> None:
    """Whose answer follows."""
    y = area.y + 9
    color = track_color(face.track_id)
    canvas.panel(Area(area.x, y - 9, 6, 18), 3, color)
    name = "Face" if face.track_id is None else f"Face {face.track_id}"
    canvas.text(area.x + 16, y, name, 18, color)
    if len(scene.faces) > 1:
        canvas.text(area.right, y, f"one of {len(scene.faces)} here", 14, QUIET_INK, "rm")


def _draw_status(
    canvas: Canvas, layout: Layout, scene: Scene | None, hint: str, note: str, view: Viewport
) -> None:
    """The line at the bottom; it stays where it is when everything else is enlarged."""
    if view.zoom == 1:
        _write_status(canvas, layout.status, scene, hint, note)
        return
    strip = Canvas(layout.width, layout.status.height, layout.scale)
    hint = f"{view.zoom:.1f} x   0: whole   {hint}"
    _write_status(strip, layout.status._replace(y=0), scene, hint, note)
    seen = view.seen(layout.width, layout.height)
    high = layout.status.height / view.zoom
    canvas.put_part(Area(seen.x, seen.bottom - high, seen.width, high), strip.pixels())


def _write_status(canvas: Canvas, area: Area, scene: Scene | None, hint: str, note: str) -> None:
    canvas.panel(area, 0, PANEL)
    right = area.right - MARGIN
    if hint:
        right = canvas.text(right, area.middle, hint, STATUS_LETTERS, QUIET_INK, "rm").x - MARGIN
    left = area.x + MARGIN
    if note:
        text = shortened(note, STATUS_LETTERS, (right - left) * 0.6)
        chip = canvas.text(left + 10, area.middle, text, STATUS_LETTERS, INK)
        canvas.panel(Area(left, area.y + 7, chip.width + 20, area.height - 14), 6, (24, 92, 140))
        canvas.texts.pop()
        left = canvas.text(left + 10, area.middle, text, STATUS_LETTERS, INK).right + 10 + MARGIN
    if scene is None:
        return
    if scene.place:
        place = shortened(scene.place, STATUS_LETTERS, max(right - left, 1))
        right = canvas.text(right, area.middle, place, STATUS_LETTERS, INK, "rm").x - MARGIN
    if right - left > 40:
        title = shortened(scene.title, STATUS_LETTERS, right - left)
        canvas.text(left, area.middle, title, STATUS_LETTERS, INK)
