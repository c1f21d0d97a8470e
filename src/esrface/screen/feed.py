"""Turns what a run brings - frames or pictures - into scenes for the window."""

from __future__ import annotations

import time

from esrface._names import printable
from esrface.screen.scene import History, Scene, numbered
from esrface.screen.stage import Stage
from esrface.sinks.base import Picture
from esrface.sinks.frames import Clip
from esrface.video.frames import Frame


class ClipFeed:
    """Shows the processed frames of clips; only the newest is kept, and nobody waits for the window.

    Args:
        stage: Where to.
        real_time: A recording is not shown faster than it is, which holds up the run: where the window is
            the only output.
    """

    def __init__(self, stage: Stage, *, real_time: bool) -> None:
        self._stage = stage
        self._real_time = real_time
        self._history = History()
        self._title, self._stem, self._live = "", "", False
        self._origin: float | None = None

    def begin(self, clip: Clip) -> None:
        """Another clip begins, which has no past."""
        self._title, self._stem, self._live = printable(clip.source), clip.place.stem, clip.live
        self._history = History()
        self._origin = None

    def show(self, frame: Frame) -> None:
        """Show the next processed frame."""
        scene = Scene(
            self._title,
            frame.image,
            frame.faces,
            f"{frame.time_s:.2f} s, frame {frame.number}",
            self._history.add(frame),
            f"{self._stem}-{frame.number:06d}",
        )
        if self._real_time and not self._live:
            self._wait_for(frame.time_s)
        self._stage.show(scene, live=self._live)
        if not self._live:
            self._stage.wait_turn()

    def _wait_for(self, time_s: float) -> None:
        """Wait for a frame's time; one that comes late makes all that follow as late."""
        now = time.monotonic()
        if self._origin is None or now > self._origin + time_s:
            self._origin = now - time_s
        self._stage.wait_until(self._origin + time_s)


class PictureFeed:
    """Shows pictures, each until somebody goes on to the next."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._count = 0

    def __call__(self, picture: Picture) -> None:
        """Show a picture and wait."""
        if picture.image is None:
            raise ValueError("a window needs the picture's pixels")
        self._count += 1
        title = printable(picture.source)
        faces = numbered(picture.faces)
        scene = Scene(
            title, picture.image, faces, f"picture {self._count}", None, f"{picture.place.stem}-screen"
        )
        self._stage.show(scene)
        self._stage.wait_turn()
