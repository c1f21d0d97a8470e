"""The window's own loop: draws the newest scene at most thirty times a second, and does what keys ask for."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import write_whole
from esrface.screen.compose import Screen
from esrface.screen.scene import Scene
from esrface.screen.sdl import Event, SdlWindow
from esrface.screen.stage import Stage
from esrface.screen.viewport import WHOLE, Viewport

SIZES = {"1": (1920, 1080), "2": (1440, 900), "3": (1024, 768)}
"""What ``-s`` means: width and height."""

LONGEST_S = 1 / 30
"""How often the window looks for something new, and draws at most."""

NOTE_S = 4.0
"""How long a note stays."""

CLICK = 0.006
"""So far, as a share of the window, the pointer may move in a click."""

KEYS = {
    **dict.fromkeys(("escape", "q"), "close"),
    "space": "pause",
    **dict.fromkeys(("right", ".", "pagedown", "return"), "step"),
    **dict.fromkeys(("left", "pageup"), "back"),
    **dict.fromkeys(("n", "tab"), "next"),
    "s": "save",
    **dict.fromkeys(("+", "=", "keypad +"), "in"),
    **dict.fromkeys(("-", "keypad -"), "out"),
    **dict.fromkeys(("0", "keypad 0"), "whole"),
}
"""SDL's names of keys, and what they do."""

HINT = "space: pause   right: step   n: next face   s: save   Esc: end"
HINT_BY_HAND = "any key: next   left: back   n: next face   s: save   Esc: end"
PAUSED = "paused"


class Window:
    """A window on a stage. A context manager; to be used in one thread, the process's first on macOS.

    Args:
        size_wh: Width and height in points.
        folder: Where ``s`` saves pictures.

    Raises:
        DependencyError: The extra ``window`` is missing.
        DeviceError: There is no display.
    """

    def __init__(self, size_wh: tuple[int, int], *, folder: Path = Path()) -> None:
        self._folder = folder
        self._window = SdlWindow("esrface", size_wh)
        self._view = WHOLE
        self._chosen: int | None = None
        self._note, self._note_until = "", 0.0
        self._pressed: tuple[float, float] | None = None
        self._dragged = False
        self._ended = False
        self._pixels: NDArray[np.uint8] | None = None

    def __enter__(self) -> Window:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the window. Safe to repeat."""
        self._window.close()

    def greet(self, screen: Screen) -> None:
        """Say that something will come."""
        self._window.wait(0)
        self._window.show(screen.draw(None, self._window.size_wh).pixels())

    def run(self, screen: Screen, stage: Stage, going_on: Callable[[], bool]) -> None:
        """Show what comes on the stage until somebody closes the window or nothing goes on."""
        last: tuple[object, ...] | None = None
        scene: Scene | None = None
        next_draw = 0.0
        while going_on() and not stage.closed and not self._ended:
            painted = False
            for event in self._window.wait(max(next_draw - time.monotonic(), LONGEST_S / 4)):
                painted |= event.kind == "paint"
                self._react(event, screen, stage, scene)
            now = time.monotonic()
            if self._ended or now < next_draw:
                last = None if painted else last
                continue
            came = stage.current()
            if came is not None and (scene is None or came.title != scene.title):
                self._window.set_title(f"{came.title} - esrface")
            scene = came
            note = self._note if now < self._note_until else PAUSED if stage.paused else ""
            size_wh = self._window.size_wh
            state = (scene, note, size_wh, self._view, self._chosen)
            if state != last or painted:
                last = state
                self._draw(screen, scene, size_wh, note, HINT_BY_HAND if stage.by_hand else HINT)
            # Never more than a third of the time, however large the window: recognition comes first.
            spent = time.monotonic() - now
            next_draw = now + max(LONGEST_S, 3 * spent)

    def _draw(
        self, screen: Screen, scene: Scene | None, size_wh: tuple[int, int], note: str, hint: str
    ) -> None:
        canvas = screen.draw(scene, size_wh, chosen=self._chosen, hint=hint, note=note, view=self._view)
        self._pixels = canvas.pixels()
        self._window.show(self._pixels)

    def _react(self, event: Event, screen: Screen, stage: Stage, scene: Scene | None) -> None:
        if event.kind == "close":
            self._ended = True
        elif event.kind == "key":
            self._press(event, stage, scene)
        elif event.kind == "wheel":
            self._view = self._view.zoomed(event.amount, event.x, event.y)
        elif event.kind == "press":
            self._pressed, self._dragged = (event.x, event.y), False
            if event.amount == 2:
                self._view = WHOLE
        elif event.kind == "move" and self._pressed is not None:
            dx, dy = event.x - self._pressed[0], event.y - self._pressed[1]
            if self._dragged or max(abs(dx), abs(dy)) > CLICK:
                self._view = self._view.moved(dx, dy)
                self._pressed, self._dragged = (event.x, event.y), True
        elif event.kind == "release":
            if not self._dragged and scene is not None:
                face = screen.face_at(scene, self._window.size_wh, *self._view.place(event.x, event.y))
                self._chosen = self._chosen if face is None else face.track_id
            self._pressed = None

    def _press(self, event: Event, stage: Stage, scene: Scene | None) -> None:
        action = KEYS.get(event.key, "step" if stage.by_hand and len(event.key) == 1 else "")
        if action == "close":
            self._ended = True
        elif action == "pause":
            stage.toggle_pause()
        elif action == "step":
            stage.step()
        elif action == "back":
            stage.step_back()
        elif action == "next" and scene is not None and scene.faces:
            self._chosen = _next_track(scene, self._chosen, -1 if event.amount else 1)
        elif action == "save" and scene is not None:
            self._save(scene)
        elif action == "in" or action == "out":
            self._view = self._view.zoomed(2 if action == "in" else -2, 0.5, 0.5)
        elif action == "whole":
            self._view = Viewport()

    def _save(self, scene: Scene) -> None:
        """Write what is seen into a file that is not there yet."""
        if self._pixels is None:
            return
        content = io.BytesIO()
        Image.fromarray(self._pixels).save(content, "PNG", compress_level=3)
        path = _free(self._folder, scene.stem)
        try:
            write_whole(path, content.getvalue())
            self._note = f"saved {printable(path)}"
        except OutputError as error:
            self._note = str(error)
        self._note_until = time.monotonic() + NOTE_S


def _free(folder: Path, stem: str) -> Path:
    """A name that nothing has."""
    number = 1
    while True:
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        if not path.exists():
            return path
        number += 1


def _next_track(scene: Scene, chosen: int | None, step: int) -> int | None:
    """The track after (or before) the chosen one, in the order of their numbers, round and round."""
    tracks = sorted((face.track_id for face in scene.faces), key=lambda track: track or 0)
    now = scene.find(chosen)
    place = tracks.index(now.track_id) if now is not None else -1
    return tracks[(place + step) % len(tracks)]
