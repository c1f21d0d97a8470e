"""A video as an iterator of frames: decoding, detection and recognition side by side in threads."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from esrface._names import printable
from esrface.detection import create_detector
from esrface.errors import InputError
from esrface.recognizer import Recognizer
from esrface.threads import available_threads
from esrface.video import stages
from esrface.video.channel import Channel
from esrface.video.cuts import CutDetector, thumbnail, unlike
from esrface.video.frames import Frame
from esrface.video.looking import Look, Looker
from esrface.video.opening import open_source
from esrface.video.sampling import choose_sampling
from esrface.video.smoothing import Smoother, pack_smoother
from esrface.video.sources import (
    PICTURE_RATE,
    STALL_S,
    Source,
    SourceFrame,
    SourceInfo,
    SourceOptions,
    is_number,
)

DETECTION_SIZE = 320
"""At which size faces are looked for where nobody says otherwise: finds those from about 1/25 of the
picture's width on, at a tenth of the cost of 1280."""

CHECKPOINT_VERSION = 1

_CHECKPOINT_KEYS = frozenset(
    ("version", "frame", "time_s", "size_wh", "sampler", "tracker", "cuts", "hits", "smoother")
)

QUEUE_BYTES = 64_000_000
"""How much may wait between two steps, as pixels; at least one frame, and no more than ``QUEUE_FRAMES``."""

QUEUE_FRAMES = 8

WORKERS = 2
"""With half of all threads each, two calls side by side use them better than one call with all of them, and
a single face is faster with half of them."""

JOIN_S = 2.0
"""How long closing waits for the threads; what hangs in a network ends by its own limit, later."""


def open_video(
    source: str | os.PathLike[str] | int | Source,
    recognizer: Recognizer | None = None,
    *,
    frames: int | None = None,
    fps: float | None = None,
    every: int | None = None,
    detect_every: int = 1,
    track: bool = True,
    smooth_s: float = 0.0,
    saliency: bool = False,
    skipped: bool = False,
    live: bool | None = None,
    stall_s: float = STALL_S,
    reconnect: int = 0,
    picture_rate: float = PICTURE_RATE,
    resume_after: dict[str, Any] | None = None,
    workers: int | None = None,
) -> Video:
    """Open a video, stream or camera, to be read frame by frame.

    >>> with open_video("clip.mp4", every=2) as video:  # doctest: +SKIP
    ...     for frame in video:
    ...         print(frame.time_s, [(face.track_id, face.expression.emotion) for face in frame.faces])

    Args:
        source: See ``esrface.video.open_source``: a file, a folder or pattern of pictures, an address, a
            pipe, ``"-"``, a camera's number or device. Or a ``Source`` of your own.
        recognizer: None: the default model, and a detector with ``detection_size=320``, which is fast.
            For small faces in large pictures give
            ``Recognizer(detector=create_detector(detection_size=640))``.
        frames: Process N of every 30 source frames, counted as the original does (5: frames 5, 11, 17, ...).
        fps: Process so many frames per second of stream time. Overrides ``frames``.
        every: Process one frame in so many. Overrides ``frames``. Without all three: every frame.
        detect_every: Look for faces in one processed frame out of so many and place them in between (a face
            is there if it was found before and after). More than 1 needs ``track``.
        track: Whether faces get a ``track_id``.
        smooth_s: Time constant in seconds for ``TrackedFace.smoothed``; 0: none.
        saliency: Whether faces carry what the network looked at.
        skipped: Whether the frames that sampling leaves out come out as well, in their places, without faces
            and with ``Frame.processed`` False. Never those of live sources.
        live: Whether frames that are not taken in time are dropped; None: for cameras and endless streams.
        stall_s: Seconds without a frame after which a stream or pipe counts as stalled.
        reconnect: Attempts in a row to connect to a live source again.
        picture_rate: Frames per second that pictures in a folder count as.
        resume_after: What ``Video.checkpoint`` gave in an earlier run over the same source with the same
            options: the frames that follow it come out as they would have then.
        workers: Calls of the recognizer that may run side by side when there are many faces, each with the
            recognizer's threads; None: 2, or 1 where this process may use only one thread.

    Raises:
        InputError: The source cannot be read, or an option is out of range.
        DependencyError: It needs the extra ``video``.
    """
    sampling = choose_sampling(frames, fps, every)
    _check_options(detect_every, track, smooth_s, workers)
    state = _check_checkpoint(resume_after)
    if isinstance(source, (str, os.PathLike, int)):
        source = open_source(source, SourceOptions(live, stall_s, reconnect, picture_rate))
    elif not hasattr(source, "frames"):
        raise InputError(f"expected a path, an address, a camera's number or a Source, got {source!r:.60}")
    try:
        if resume_after is not None and source.live:
            raise InputError(f"{source.name} is live: what has passed cannot be taken up again")
        if recognizer is None:
            threads = max(1, available_threads() // 2)
            detector = create_detector(detection_size=DETECTION_SIZE, threads=threads)
            recognizer = Recognizer(detector=detector, threads=threads)
        looker = Looker(recognizer.detector, track=track, detect_every=detect_every, state=state)
        smoother = None
        if smooth_s:
            remembered = None if state is None else state["smoother"]
            smoother = Smoother(smooth_s, vote=recognizer.vote, state=remembered)
    except BaseException:
        source.close()
        raise
    sampler = sampling.start(None if state is None else state["sampler"])
    after = -1 if state is None else int(state["frame"])
    skipped = skipped and not source.live
    workers = workers or min(WORKERS, available_threads())
    recognise = None if state is None else _same_as_before(state, source.name)
    steps = _Steps(looker, recognizer, smoother, saliency, sampler, after, recognise, skipped, workers)
    return Video(source, steps)


class Video:
    """An open video: a context manager, and an iterator of its frames that can be gone through once.

    Frames come out as they are ready. A source that breaks off raises InputError after the last frame that
    could be read. Leaving it, or dropping the last reference to it, ends its threads.
    """

    def __init__(self, source: Source, steps: _Steps) -> None:
        self._source = source
        self._run = _Run(source, steps)
        self._last: Frame | None = None
        self._ended = False
        # The threads know only the run, so that a video that nobody holds any more comes to its end.
        self._finalizer = weakref.finalize(self, self._run.stop)

    @property
    def name(self) -> str:
        """What the source is called in rows: as it was given, without credentials."""
        return self._source.name

    @property
    def live(self) -> bool:
        """Whether frames that are not taken in time are dropped."""
        return self._source.live

    @property
    def info(self) -> SourceInfo:
        """What the source says of itself: a hint."""
        return self._source.info

    @property
    def frames_read(self) -> int:
        """How many frames were decoded so far; on a file, of ``info.frames``."""
        return self._run.frames_read

    @property
    def dropped(self) -> int:
        """How many frames of a live source were to be processed and were not taken in time."""
        return self._run.taken.dropped

    def checkpoint(self) -> dict[str, Any] | None:
        """From where a run can go on after the last frame that came out: JSON-ready, some kB.

        With ``detect_every`` above 1 it may stand up to so many frames before that frame, so compare
        ``checkpoint()["frame"]`` with what was written. None before the first frame, and for live sources.
        """
        if self._last is None or self._last.state is None or self.live:
            return None
        snapshot, smoother = self._last.state
        packed = None if smoother is None else pack_smoother(smoother)
        return {"version": CHECKPOINT_VERSION, **snapshot.pack(), "smoother": packed}

    def close(self) -> None:
        """End the threads and close the source. Safe to repeat."""
        self._ended = True
        self._run.close()

    def __iter__(self) -> Video:
        return self

    def __next__(self) -> Frame:
        if self._ended:
            raise StopIteration
        self._run.start()
        try:
            frames = self._run.done.get()
        except Exception:
            self.close()
            raise
        if not frames:
            self.close()
            raise StopIteration
        self._last = frames[0]
        return frames[0]

    def __enter__(self) -> Video:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Video({self.name!r}, live={self.live}, {self.info})"


@dataclass(frozen=True)
class _Steps:
    looker: Looker
    recognizer: Recognizer
    smoother: Smoother | None
    saliency: bool
    sampler: Any
    after: int
    recognise: Callable[[SourceFrame], None] | None
    skipped: bool
    workers: int


class _Run:
    """The threads and what lies between them."""

    def __init__(self, source: Source, steps: _Steps) -> None:
        depth = _depth(source)
        self.taken: Channel[stages.Taken] = Channel(1 if source.live else depth, replace=source.live)
        self.looked: Channel[Look] = Channel(1 if source.live else depth)
        self.done: Channel[Frame] = Channel(1 if source.live else depth)
        self.frames_read = 0
        self._source = source
        self._steps = steps
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._stopped = False

    def start(self) -> None:
        """Start the threads, once."""
        with self._lock:
            if self._threads or self._stopped:
                return
            s = self._steps
            self._begin("read", None, self.taken, self._read)
            self._begin(
                "look", self.taken, self.looked, lambda: stages.look(self.taken, s.looker, self.looked)
            )
            self._begin(
                "express",
                self.looked,
                self.done,
                lambda: stages.express(
                    self.looked, s.recognizer, s.smoother, s.saliency, self.done, workers=s.workers
                ),
            )

    def stop(self) -> None:
        """Ask everybody to end; waits for nobody."""
        with self._lock:
            self._stopped = True
            if not self._threads:
                self._source.close()
        self._source.stop()
        for channel in (self.done, self.looked, self.taken):
            channel.close()

    def close(self) -> None:
        """Ask everybody to end and wait, not for ever."""
        self.stop()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(JOIN_S)

    def _read(self) -> None:
        s = self._steps
        stages.read(
            *(self._source, s.sampler, s.after, self.taken, self._count),
            skipped=s.skipped,
            recognise=s.recognise,
        )

    def _count(self, frames: int) -> None:
        self.frames_read = frames

    def _begin(
        self, name: str, inbox: Channel[Any] | None, outbox: Channel[Any], work: Callable[[], None]
    ) -> None:
        def run() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            # Those before it need not go on, those after it learn why nothing follows.
            if inbox is not None:
                inbox.close()
                self._source.stop()
            outbox.finish(error)

        thread = threading.Thread(target=run, name=f"esrface-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()


def _depth(source: Source) -> int:
    """Frames that may wait between two steps."""
    size = source.info.size_wh
    if size is None:
        return QUEUE_FRAMES // 2
    return max(1, min(QUEUE_FRAMES, QUEUE_BYTES // (3 * size[0] * size[1])))


def _check_options(detect_every: int, track: bool, smooth_s: float, workers: int | None) -> None:
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError(f"workers must be a whole number from 1 on, got {workers!r}")
    if isinstance(detect_every, bool) or not isinstance(detect_every, int) or detect_every < 1:
        raise InputError(f"detect_every must be a whole number from 1 on, got {detect_every!r}")
    if detect_every > 1 and not track:
        raise InputError("detect_every above 1 places faces by their tracks: leave track on")
    if not is_number(smooth_s) or not 0 <= smooth_s < float("inf"):
        raise InputError(f"smooth_s must be a number of seconds from 0 on, got {smooth_s!r}")
    if smooth_s and not track:
        raise InputError("smooth_s averages over tracks: leave track on")


def _check_checkpoint(checkpoint: dict[str, Any] | None) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    if not isinstance(checkpoint, dict):
        raise InputError(f"resume_after must be what Video.checkpoint gave, got {checkpoint!r:.60}")
    if checkpoint.get("version") != CHECKPOINT_VERSION:
        raise InputError(
            f"resume_after is of another version of esrface (expected {CHECKPOINT_VERSION}, "
            f"got {checkpoint.get('version')!r}): start anew"
        )
    if missing := _CHECKPOINT_KEYS - checkpoint.keys():
        raise InputError(f"resume_after lacks {', '.join(sorted(missing))}: give what Video.checkpoint gave")
    return checkpoint


def _same_as_before(state: dict[str, Any], name: str) -> Callable[[SourceFrame], None] | None:
    """Raises InputError for a frame unlike the one that the checkpoint is of; None: it kept no picture."""
    before = CutDetector(state["cuts"]).snapshot()[0]
    if before is None:
        return None

    def recognise(frame: SourceFrame) -> None:
        try:
            now = thumbnail(frame.image())
        except InputError:
            return  # A picture that has gone bad since is no other video.
        if unlike(before, now):
            raise InputError(
                f"{printable(name)} is not the video that was begun: frame {frame.number} was another one; "
                "start anew"
            )

    return recognise
