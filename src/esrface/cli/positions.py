"""Where a clip stands in each of a run's outputs: kept while it goes on, and looked up to resume."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from esrface.cli.clips import GivenClip
from esrface.sinks.resuming import Position, ResumeFile
from esrface.video import Video

INTERVAL_S = 2.0
"""How often a position is kept: as much work is lost at most."""


class Positions:
    """The positions of a run's clips in all of its outputs.

    Args:
        resume: Whether those that an earlier run kept count.
    """

    def __init__(self, *, resume: bool) -> None:
        self._resume = resume
        self._files: dict[Path, ResumeFile] = {}

    def whole(self, given: GivenClip, output: Path) -> int:
        """How many frames of a clip an output had when its position was last kept."""
        position = self._file(output).position(given.name)
        return 0 if position is None else position.frames

    def is_finished(self, given: GivenClip, outputs: Sequence[Path], done: Sequence[int]) -> bool:
        """Whether every output has all of a clip; ``done``: how many frames of it they have."""
        positions = self._known(given, outputs)
        return bool(outputs) and all(
            position is not None and position.finished and have >= position.frames
            for position, have in zip(positions, done, strict=True)
        )

    def start(self, given: GivenClip, outputs: Sequence[Path], done: Sequence[int]) -> Position:
        """The latest place before which no output lacks anything; the beginning, if need be."""
        positions = [known for known in self._known(given, outputs) if known is not None]
        going = [position for position in positions if not position.finished]
        if len(positions) == len(outputs) and going:
            first = min(going, key=lambda position: position.frames)
            if first.checkpoint is not None and first.frames <= min(done):
                return first
        return Position(0)

    def _known(self, given: GivenClip, outputs: Sequence[Path]) -> list[Position | None]:
        """The clip's position in each output; one whose file has another size since is not finished."""
        positions = [self._file(output).position(given.name) for output in outputs]
        size = given.size
        return [
            replace(known, finished=False)
            if known is not None and size is not None and known.size is not None and size != known.size
            else known
            for known in positions
        ]

    def take_up(self, given: GivenClip, outputs: Sequence[Path], start: Position) -> ClipPosition:
        """What keeps the position of a clip whose frames are about to be written."""
        return ClipPosition(given, [self._file(output) for output in outputs], start)

    def _file(self, output: Path) -> ResumeFile:
        if output not in self._files:
            self._files[output] = ResumeFile(output)
            if self._resume:
                self._files[output].load()
            else:
                self._files[output].clear()
        return self._files[output]


class ClipPosition:
    """Counts a clip's frames and keeps its position now and then.

    Args:
        given: The clip.
        files: Where to keep it.
        start: From where on it is counted.
    """

    def __init__(self, given: GivenClip, files: Sequence[ResumeFile], start: Position) -> None:
        self._counted: tuple[int, list[int]] = start.frames, []
        """Frames before the last known place, and the numbers of those since: together, as a signal may come
        between any two statements."""
        self._source = given.name
        # Before it is read: what is written into it meanwhile may not have been.
        self._size = given.size
        self._files = files
        self._last = start
        self._kept = time.monotonic()

    @property
    def frames(self) -> int:
        """Processed frames so far, those of earlier runs included."""
        before, since = self._counted
        return before + len(since)

    def delivered(self, number: int, video: Video) -> None:
        """All outputs have got this frame, the last one that came out of the video."""
        self._counted[1].append(number)
        if time.monotonic() - self._kept >= INTERVAL_S:
            self.keep(video)

    def keep(self, video: Video) -> None:
        """Keep the position after the last frame, unless it is known already."""
        self._kept = time.monotonic()
        before, position = self._last, self._position(video)
        if position is not before:
            self._write(position)

    def finish(self, video: Video) -> None:
        """The clip came to its end, and every output has all of it."""
        position = self._position(video)
        checkpoint = position.checkpoint if position.frames == self.frames else None
        self._write(Position(self.frames, finished=True, checkpoint=checkpoint, size=self._size))

    def _position(self, video: Video) -> Position:
        before, since = self._counted
        checkpoint = video.checkpoint() if self._files and since else None
        # It may be of a frame that came out and was not handed over when the run was stopped.
        if checkpoint is not None and checkpoint["frame"] <= since[-1]:
            later = [number for number in since if number > checkpoint["frame"]]
            before += len(since) - len(later)
            self._last = Position(before, checkpoint=checkpoint)
            self._counted = before, later
        return self._last

    def _write(self, position: Position) -> None:
        for file in self._files:
            file.keep(self._source, position)
