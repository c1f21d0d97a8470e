"""Where a run leaves what is to be seen, and the window finds it: the newest scene, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections import deque

from esrface.screen.scene import Scene

KEPT_BYTES = 200_000_000
"""How much of the pictures before may be kept, to go back to."""


class Stage:
    """Scenes from the run's thread to the window's. All methods may be called from any thread.

    A recording or a camera runs on by itself until somebody pauses; with ``by_hand`` every scene waits.

    Args:
        by_hand: Every scene waits for ``step``, and those before can be seen again.
    """

    def __init__(self, *, by_hand: bool = False) -> None:
        self.by_hand = by_hand
        self._changed = threading.Condition()
        self._scenes: deque[Scene] = deque()
        self._held: Scene | None = None
        self._back = 0
        self._steps = 0
        self._paused = by_hand
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nothing is to follow."""
        return self._closed

    @property
    def paused(self) -> bool:
        """Whether somebody has paused what would run on by itself."""
        return self._paused and not self.by_hand

    def close(self) -> None:
        """Nothing is to follow: whoever waits goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def show(self, scene: Scene, *, live: bool = False) -> None:
        """This is to be seen now; of what is ``live`` only if nobody has paused. Never waits."""
        with self._changed:
            self._scenes.append(scene)
            if self._held is not None and (self._steps or not live):
                self._held = scene
            if live or self.by_hand:
                # A step that was asked for while this one was under way is not meant for it.
                self._steps = 0
            while len(self._scenes) > 1 and not self._may_keep():
                self._scenes.popleft()
            # Somebody may be looking at one of those that went.
            self._back = min(self._back, len(self._scenes) - 1)

    def wait_turn(self) -> None:
        """Wait while somebody has paused and has not asked for another step."""
        with self._changed:
            while self._paused and not self._steps and not self._closed:
                self._changed.wait(0.5)
            if self._paused and self._steps:
                self._steps -= 1

    def wait_until(self, moment: float) -> None:
        """Wait until ``time.monotonic()`` is there, or the stage is closed."""
        with self._changed:
            while not self._closed and (rest := moment - time.monotonic()) > 0:
                self._changed.wait(rest)

    def current(self) -> Scene | None:
        """What is to be seen; None before the first scene."""
        with self._changed:
            if self._held is not None:
                return self._held
            return self._scenes[-1 - self._back] if self._scenes else None

    def toggle_pause(self) -> None:
        """Pause, or go on; by hand it is a step."""
        if self.by_hand:
            self.step()
            return
        with self._changed:
            self._paused = not self._paused
            self._steps = 0
            # Cameras go on meanwhile, unseen.
            self._held = self.newest if self._paused else None
            self._changed.notify_all()

    def step(self) -> None:
        """One scene further. What runs by itself pauses there."""
        with self._changed:
            if self._back:
                self._back -= 1
                return
            if not self._paused:
                self._paused, self._held = True, self.newest
                return
            self._steps = 1
            self._changed.notify_all()

    def step_back(self) -> None:
        """The scene before, where scenes come by hand and it is still there."""
        with self._changed:
            if self.by_hand and self._back < len(self._scenes) - 1:
                self._back += 1

    @property
    def newest(self) -> Scene | None:
        """The last scene that came."""
        return self._scenes[-1] if self._scenes else None

    def _may_keep(self) -> bool:
        return self.by_hand and sum(scene.image.nbytes for scene in self._scenes) <= KEPT_BYTES
