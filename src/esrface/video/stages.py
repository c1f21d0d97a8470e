"""The three steps from a source to frames, each of which runs in a thread of its own."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.detection import Detection
from esrface.errors import InputError
from esrface.results import Face
from esrface.video.channel import Channel
from esrface.video.frames import Frame, TrackedFace
from esrface.video.looking import Look, Looker
from esrface.video.sampling import Sampler
from esrface.video.smoothing import Smoother
from esrface.video.sources import Source, SourceFrame

BATCH_FRAMES = 8
"""Frames whose faces go through the network together, at most; fewer if no more are ready."""

FACES = 8
"""Faces that go through the network together: calls are no smaller, since each face gains by the others."""

Located = tuple[NDArray[np.uint8], Detection]
"""A frame and a face in it."""

Taken = tuple[SourceFrame, dict[str, Any] | None]
"""A frame to be processed, and the sampler's state after it; None: it is not processed and only passes by."""

_log = logging.getLogger("esrface")


class Expresser(Protocol):
    """What is needed of a ``Recognizer`` after detection."""

    def express(self, located: Any, *, saliency: bool = False, emotion: str | None = None) -> list[Face]:
        """See ``esrface.Recognizer.express``."""


def read(
    source: Source,
    sampler: Sampler,
    after: int,
    outbox: Channel[Taken],
    count: Callable[[int], None],
    *,
    skipped: bool = False,
    recognise: Callable[[SourceFrame], None] | None = None,
) -> None:
    """Decode; pass on the frames after number ``after`` that sampling takes; the others too if ``skipped``.

    ``count`` is told of each decoded frame how many there are by now; ``recognise`` gets frame ``after`` and
    raises InputError where it is another one than it was.
    """
    number = -1
    try:
        with closing(source.frames()) as frames:  # type: ignore[type-var]
            for frame in frames:
                number = frame.number
                count(number + 1)
                if number == after and recognise is not None:
                    recognise(frame)
                if number <= after:
                    continue
                wanted = sampler.take(frame.number, frame.time_s)
                if (wanted or skipped) and not outbox.put((frame, sampler.state if wanted else None)):
                    return
    finally:
        source.close()
    if number < after:
        raise InputError(
            f"{printable(source.name)} ends after frame {number}, and frame {after} was read before: it is "
            "another video now; start anew"
        )


def look(inbox: Channel[Taken], looker: Looker, outbox: Channel[Look]) -> None:
    """Convert, detect, track. Frames that cannot be converted are left out, and told at the end."""
    problem: BaseException | None = None
    while True:
        try:
            taken = inbox.get()
        except Exception as error:
            # The frames before the break are still to come out.
            problem = error
            break
        if not taken:
            break
        for frame, sampler in taken:
            try:
                image = frame.image()
            except InputError as error:
                _log.warning("%s", error)
                looker.leave_out(str(error))
                continue
            if sampler is None:
                ready_now = looker.skip(frame.number, frame.time_s, image)
            else:
                ready_now = looker.look(frame.number, frame.time_s, image, sampler)
            for ready in ready_now:
                if not outbox.put(ready):
                    return
    for ready in looker.flush():
        if not outbox.put(ready):
            return
    if problem is not None:
        raise problem
    left_out = looker.left_out
    if left_out.count:
        more = f" (and {left_out.count - 1} more)" if left_out.count > 1 else ""
        raise InputError(f"{left_out.first}{more}; all other frames were read")


def express(
    inbox: Channel[Look],
    recognizer: Expresser,
    smoother: Smoother | None,
    saliency: bool,
    outbox: Channel[Frame],
    *,
    workers: int = 1,
) -> None:
    """Recognise; the faces of frames that are ready together go through the network together.

    More than ``FACES`` of them are shared out among ``workers`` calls side by side.
    """
    state: Any = None
    with ThreadPoolExecutor(max(1, workers - 1), "esrface-express") as others:

        def ask(part: Sequence[Located]) -> list[Face]:
            return recognizer.express(part, saliency=saliency)

        while looks := inbox.get(BATCH_FRAMES):
            first, *more = _shares([(one.image, hit.detection) for one in looks for hit in one.hits], workers)
            under_way = [others.submit(ask, part) for part in more]
            found = ask(first) if first else []
            faces = iter([*found, *(face for share in under_way for face in share.result())])
            for one in looks:
                tracked = tuple(_tracked(next(faces), one.time_s, smoother, hit) for hit in one.hits)
                if one.state is not None:
                    state = one.state, None if smoother is None else smoother.snapshot()
                if not outbox.put(Frame(one.number, one.time_s, one.image, tracked, state, one.processed)):
                    return


def _shares(located: Sequence[Located], workers: int) -> list[Sequence[Located]]:
    """At least one share and at most ``workers``, of a multiple of ``FACES`` each but for the last."""
    size = FACES * max(1, math.ceil(len(located) / FACES / workers))
    return [located[start : start + size] for start in range(0, max(1, len(located)), size)]


def _tracked(face: Face, time_s: float, smoother: Smoother | None, hit: Any) -> TrackedFace:
    smoothed = None
    if smoother is not None and hit.track_id is not None:
        smoothed = smoother.smooth(hit.track_id, time_s, face.expression)
    return TrackedFace(
        face.box,
        face.detection_score,
        face.landmarks,
        face.expression,
        face.saliency,
        track_id=hit.track_id,
        smoothed=smoothed,
        detected=hit.detected,
    )
