"""Clips one after the other, frame by frame into all outputs; what fails is kept for the end."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from esrface._names import printable
from esrface._numbers import counted
from esrface.cli.clips import GivenClip
from esrface.cli.positions import ClipPosition, Positions
from esrface.cli.streams import ReaderGone
from esrface.errors import EsrfaceError, InputError, OutputError
from esrface.sinks import Clip, FrameSink
from esrface.sinks.resuming import Position
from esrface.video import Frame, Video

_log = logging.getLogger("esrface")

OpenClip = Callable[[str | int, dict[str, Any] | None], Video]
"""Opens a source, to go on after a checkpoint or from its beginning."""


class View(Protocol):
    """Shows frames to somebody; ``ReaderGone`` when nobody is there any more."""

    def begin(self, clip: Clip) -> None:
        """Another clip begins."""

    def show(self, frame: Frame) -> None:
        """The next processed frame."""


@dataclass
class ClipTally:
    """What came of a run."""

    clips: int = 0
    """How many were opened."""
    kept: int = 0
    """Clips whose results were all there before."""
    frames: int = 0
    """Processed ones."""
    resumed: int = 0
    """Processed frames that were there before."""
    with_face: int = 0
    faces: int = 0
    tracks: int = 0
    dropped: int = 0
    """Frames of live sources that there was no time for."""
    abstained: int = 0
    emotions: Counter[str] = field(default_factory=Counter)
    """Faces by emotion."""
    affect_sources: set[str] = field(default_factory=set)
    failures: list[str] = field(default_factory=list)
    """One line each."""
    our_fault: bool = False
    """Whether one of the failures is a fault of this program."""

    @property
    def exit_code(self) -> int:
        """0, or 2 if anything failed, or 1 if that was a fault of ours."""
        return 1 if self.our_fault else 2 if self.failures else 0

    def count(self, frame: Frame, abstain_below: float | None) -> None:
        """Count a processed frame."""
        self.frames += 1
        self.with_face += bool(frame.faces)
        self.faces += len(frame.faces)
        for face in frame.faces:
            answer = face.expression
            self.emotions[answer.emotion] += 1
            self.affect_sources.add(answer.affect_source)
            self.abstained += abstain_below is not None and answer.confidence < abstain_below


class ClipRun:
    """Opens clips and hands their frames to all sinks and views. A context manager, which closes all.

    Args:
        open_clip: Called for one clip at a time.
        sinks: Not entered yet: that is done when there is something to write, so that a camera that is
            missing leaves no empty files.
        views: Where every processed frame is shown.
        resume: Whether outputs are continued.
        after_each: Called with the video and the tally after each frame.
        abstain_below: For the tally.
    """

    def __init__(
        self,
        open_clip: OpenClip,
        sinks: Sequence[FrameSink],
        views: Sequence[View],
        *,
        resume: bool,
        after_each: Callable[[Video, Frame, ClipTally], Any],
        abstain_below: float | None = None,
    ) -> None:
        self.tally = ClipTally()
        self._open_clip = open_clip
        self._sinks = list(sinks)
        self._views = list(views)
        self._resume = resume
        self._after_each = after_each
        self._abstain_below = abstain_below
        self._positions = Positions(resume=resume)
        self._entered: ExitStack | None = None
        self._video: Video | None = None
        self._halted = False

    def __enter__(self) -> ClipRun:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The outputs first: a video whose source hangs may take its time.
        try:
            if self._entered is not None:
                self._entered.__exit__(kind, error, trace)
        finally:
            self._close_video()

    def halt(self) -> None:
        """Let nothing follow what has come so far; from any thread, and without waiting for the run."""
        self._halted = True
        video = self._video
        if video is not None:
            video.close()

    def go(self, clips: Sequence[GivenClip]) -> None:
        """Go through all clips, in order.

        Raises:
            OutputError: An output cannot be opened or written.
            ReaderGone: Nobody is left to read any of the outputs.
        """
        if self._resume:
            self._enter()
        for given in clips:
            if self._halted:
                return
            outputs = [sink.output(given.place) for sink in self._sinks]
            start, done = Position(0), [0] * len(outputs)
            if self._resume:
                done = [
                    sink.done(given.name, given.place, self._positions.whole(given, output))
                    for sink, output in zip(self._sinks, outputs, strict=True)
                ]
                if self._positions.is_finished(given, outputs, done):
                    self.tally.kept += 1
                    continue
                start = self._positions.start(given, outputs, done)
            try:
                clip = self._open(given, outputs, start)
            except EsrfaceError as error:
                self._fail(given, error)
                self._close_video()
                continue
            self._enter()
            if self._begin(given, clip):
                pairs = zip(self._sinks, outputs, strict=True)
                kept = [output for sink, output in pairs if sink.resumable]
                position = self._positions.take_up(given, kept, start)
                self._frames(given, position, dict(zip(map(id, self._sinks), done, strict=True)))
            self._close_video()

    def _enter(self) -> None:
        if self._entered is None:
            self._entered = ExitStack()
            for sink in self._sinks:
                self._entered.enter_context(sink)

    def _open(self, given: GivenClip, outputs: Sequence[Path], start: Position) -> Clip:
        path = given.path
        for output in outputs:
            with suppress(OSError):
                if path is not None and output.exists() and output.samefile(path):
                    raise OutputError(f"cannot write {printable(output)}: it is the input itself")
        video = self._video = self._open_clip(given.source, start.checkpoint)
        if video.live and self._resume:
            raise InputError(
                f"{printable(video.name)} is live: what has passed cannot be taken up again; leave out "
                "--resume"
            )
        return Clip(video.name, given.place, path, video.info, video.live)

    def _begin(self, given: GivenClip, clip: Clip) -> bool:
        """Whether all outputs take the clip."""
        self.tally.clips += 1
        try:
            for sink in self._sinks:
                sink.begin(clip)
        except OutputError as error:
            self._fail(given, error)
            return False
        for view in self._views:
            view.begin(clip)
        return True

    def _frames(self, given: GivenClip, position: ClipPosition, done: dict[int, int]) -> None:
        """All frames of the open video, into all outputs."""
        video = self._video
        assert video is not None
        tally = self.tally
        tally.resumed += position.frames
        tracks: set[int | None] = set()
        whole, delivered = False, True
        try:
            while not self._halted:
                try:
                    frame = next(video, None)
                except Exception as error:
                    if not self._halted:
                        self._fail(given, error)
                    break
                if frame is None:
                    whole = not self._halted
                    break
                delivered = False
                self._deliver(frame, position.frames, done)
                delivered = True
                if not frame.processed:
                    continue
                position.delivered(frame.number, video)
                tally.count(frame, self._abstain_below)
                tracks.update(frame.track_ids)
                self._after_each(video, frame, tally)
            if whole:
                if not position.frames:
                    told = "%s: none of its %s was taken; --every 1 takes all"
                    _log.warning(told, printable(video.name), counted(video.frames_read, "frame"))
                for sink in self._sinks:
                    sink.end()
                position.finish(video)
        finally:
            tally.tracks += len(tracks - {None})
            tally.dropped += video.dropped
            if delivered and not whole:
                with suppress(OutputError):
                    position.keep(video)

    def _deliver(self, frame: Frame, index: int, done: dict[int, int]) -> None:
        """Hand a frame to those who lack it; ``index``: how many processed ones came before it."""
        for sink in list(self._sinks):
            if index >= done.get(id(sink), 0) and (frame.processed or sink.needs_skipped):
                try:
                    sink.add(frame)
                except BrokenPipeError:
                    self._leave(self._sinks, sink)
        for view in list(self._views) if frame.processed else []:
            try:
                view.show(frame)
            except (ReaderGone, BrokenPipeError):
                self._leave(self._views, view)

    def _leave(self, group: list[Any], gone: Any) -> None:
        """Nobody reads this one any more; ReaderGone if it was the last."""
        group.remove(gone)
        if not self._sinks and not self._views:
            raise ReaderGone

    def _fail(self, given: GivenClip, error: Exception) -> None:
        """Note why a clip is not done."""
        if isinstance(error, EsrfaceError):
            line = str(error)
        elif isinstance(error, MemoryError):
            line = f"cannot read {printable(given.name)}: not enough memory for it"
        else:
            what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            line = f"internal error on {printable(given.name)}: {what} (--debug shows where)"
            self.tally.our_fault = True
        self.tally.failures.append(line)
        _log.debug("%s", line, exc_info=error)

    def _close_video(self) -> None:
        if self._video is not None:
            self._video.close()
            self._video = None
