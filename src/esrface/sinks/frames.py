"""What a sink for the frames of videos and cameras is, and what it is told of them.

A run goes through one clip after the other::

    with sink:
        sink.output(place)              # where a clip's results go; asked before anything is opened
        have = sink.done(source, place, whole)  # only to resume: how many processed frames are there
        sink.begin(clip)
        sink.add(frame)                 # in order; after resuming, those from number ``have`` on (from 0)
        sink.end()                      # all of them came

A clip that breaks off, or a run that is stopped, gets no ``end`` (another ``begin`` may follow all the same);
``__exit__`` closes what is open, so that what came is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from esrface.video import Frame, SourceInfo


@dataclass(frozen=True)
class Clip:
    """A video, stream or camera whose frames are about to come."""

    source: str
    """Its name in rows, without credentials: ``esrface.video.Video.name``."""
    place: PurePath
    """Name for its outputs below an output folder; relative."""
    path: Path | None
    """The file or folder that it is read from; None for streams, pipes and cameras."""
    info: SourceInfo = field(repr=False)
    """What it says of itself: hints."""
    live: bool = False
    """Whether it goes on by itself, so that frames were left out and none comes again."""


class FrameSink(Protocol):
    """Takes the frames of a run in order; see the module."""

    needs_skipped: bool
    """Whether ``add`` gets the frames that sampling left out, too (``Frame.processed`` is False)."""
    resumable: bool
    """Whether it may have something of an earlier run. How far a clip has come is kept for no other."""

    def __enter__(self) -> FrameSink:
        """Open the output; OutputError where it may be neither replaced nor continued."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Complete the output, for whatever reason the run ends."""
        ...

    def output(self, place: PurePath) -> Path:
        """The file that the results of the clip at ``place`` go into; the same at each call."""
        ...

    def done(self, source: str, place: PurePath, whole: int) -> int:
        """How many of a clip's processed frames are there already; 0 where the clip must start anew.

        Asked after ``__enter__`` and before ``begin``, when resuming.

        Args:
            source: The clip's name.
            place: The clip's.
            whole: So many were there and complete when that was last written down. What came later may be
                torn, and does not count then.
        """
        ...

    def begin(self, clip: Clip) -> None:
        """A clip begins; OutputError where this one cannot be written (others may)."""
        ...

    def add(self, frame: Frame) -> None:
        """The next frame; OutputError where it cannot be written, and nothing can follow then."""
        ...

    def end(self) -> None:
        """The clip is over, all of its frames came."""
        ...
