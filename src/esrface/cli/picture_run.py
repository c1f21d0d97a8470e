"""Pictures one after the other, each into all outputs; what fails is kept for the end."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from esrface._names import printable
from esrface._ordered import ordered_map
from esrface.cli.streams import ReaderGone
from esrface.errors import EsrfaceError, OutputError
from esrface.images import load_image
from esrface.recognizer import Recognizer
from esrface.sinks import Picture, Sink
from esrface.sources import PictureSource

_log = logging.getLogger("esrface")

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)

View = Callable[[Picture], None]
"""Shows a picture to somebody; ``ReaderGone`` when nobody is there any more."""


@dataclass
class Tally:
    """What came of a run."""

    pictures: int = 0
    faces: int = 0
    abstained: int = 0
    kept: int = 0
    """Pictures whose results were all there before."""
    failures: list[str] = field(default_factory=list)
    """One line each."""
    our_fault: bool = False
    """Whether one of the failures is a fault of this program."""
    affect_sources: set[str] = field(default_factory=set)

    @property
    def exit_code(self) -> int:
        """0, or 2 if anything failed, or 1 if that was a fault of ours."""
        return 1 if self.our_fault else 2 if self.failures else 0


@dataclass(frozen=True)
class Job:
    """A picture to be recognised, and the sinks that lack its results."""

    source: PictureSource
    sinks: Sequence[Sink]
    problem: OutputError | None = None


class PictureRun:
    """Recognises pictures and hands each to the sinks that want it and to all views.

    Args:
        recognizer: Used from several threads.
        sinks: Entered already.
        views: Where every picture is shown.
        max_pixels: Larger pictures are refused.
        abstain_below: For the tally.
        saliency: Whether faces carry their saliency maps.
        shown: Whether a view needs the pictures' pixels.
    """

    def __init__(
        self,
        recognizer: Recognizer,
        sinks: Sequence[Sink],
        views: Sequence[View],
        *,
        max_pixels: int,
        abstain_below: float | None = None,
        saliency: bool = False,
        shown: bool = False,
    ) -> None:
        self.tally = Tally()
        self._recognizer = recognizer
        self._sinks = list(sinks)
        self._views = list(views)
        self._max_pixels = max_pixels
        self._abstain_below = abstain_below
        self._saliency = saliency
        self._keeps_pixels = shown or any(sink.needs_image for sink in sinks)
        self._halted = False

    def halt(self) -> None:
        """Let nothing follow the picture at hand; from any thread, and without waiting for it."""
        self._halted = True

    def go(
        self, sources: Iterable[PictureSource], *, workers: int, after_each: Callable[[Tally], Any]
    ) -> None:
        """Recognise all pictures, in order.

        Raises:
            OutputError: The disk is full, or an output that all pictures share cannot be written.
            ReaderGone: Nobody is left to read any of the outputs.
        """
        # Decoded pictures are large, their faces are not.
        ahead = workers + 1 if self._keeps_pixels else 4 * workers
        with closing(
            ordered_map(self._recognise, self._jobs(sources), workers=workers, ahead=ahead)
        ) as results:
            for job, future in results:
                if self._halted:
                    return
                picture = self._outcome(job, future)
                if picture is not None:
                    self._deliver(job, picture)
                after_each(self.tally)

    def _jobs(self, sources: Iterable[PictureSource]) -> Iterator[Job]:
        for source in sources:
            try:
                sinks = [sink for sink in self._sinks if sink.wants(source.name, source.relative)]
            except OutputError as error:
                yield Job(source, (), error)
                continue
            if self._sinks and not sinks:
                self.tally.kept += 1
            else:
                yield Job(source, sinks)

    def _recognise(self, job: Job) -> Picture:
        """In one of several threads."""
        if job.problem is not None:
            raise job.problem
        source = job.source
        pixels = load_image(source.read(), max_pixels=self._max_pixels, name=source.name)
        height, width = pixels.shape[:2]
        faces = self._recognizer(pixels, saliency=self._saliency)
        return Picture(
            source.name, source.relative, (width, height), faces, pixels if self._keeps_pixels else None
        )

    def _outcome(self, job: Job, future: Future[Picture]) -> Picture | None:
        """The picture, or None after noting why there is none."""
        error = future.exception()
        if error is None:
            return future.result()
        name = printable(job.source.name)
        if isinstance(error, EsrfaceError):
            line = str(error)
        elif isinstance(error, MemoryError):
            line = f"cannot read {name}: not enough memory for it (--max-pixels refuses such)"
        else:
            what = printable(" ".join(f"{type(error).__name__}: {error}".split()))
            line = f"internal error on {name}: {what} (--debug shows where)"
            self.tally.our_fault = True
        self.tally.failures.append(line)
        _log.debug("%s", line, exc_info=error)
        return None

    def _deliver(self, job: Job, picture: Picture) -> None:
        targets: list[tuple[list[Any], Any, View]] = [
            *((self._sinks, sink, sink.write) for sink in job.sinks if sink in self._sinks),
            *((self._views, view, view) for view in self._views),
        ]
        failed = False
        for group, target, write in targets:
            try:
                write(picture)
            except (ReaderGone, BrokenPipeError):
                group.remove(target)
                if not self._sinks and not self._views:
                    raise ReaderGone from None
            except OutputError as error:
                # A view is one stream, and nothing can follow what did not fit into it.
                if getattr(target, "shared", True) or _is_disk_full(error):
                    raise
                self.tally.failures.append(str(error))
                failed = True
        if not failed:
            self._count(picture)

    def _count(self, picture: Picture) -> None:
        expressions = [face.expression for face in picture.faces]
        self.tally.pictures += 1
        self.tally.faces += len(expressions)
        if self._abstain_below is not None:
            self.tally.abstained += sum(answer.confidence < self._abstain_below for answer in expressions)
        self.tally.affect_sources.update(answer.affect_source for answer in expressions)


def _is_disk_full(error: OutputError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in DISK_FULL
