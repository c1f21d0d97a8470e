"""Where the faces are and whose they are, frame by frame: detection, cuts, tracks, and boxes in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.detection import Detection, Detector
from esrface.detection.checked import find_faces
from esrface.results import Box
from esrface.video.cuts import CutDetector, pack_cuts
from esrface.video.tracking import Tracker, pack


@dataclass(frozen=True, eq=False)
class Hit:
    """A face in a frame."""

    detection: Detection
    track_id: int | None
    detected: bool = True
    """False: placed between two detections."""


@dataclass(frozen=True)
class LeftOut:
    """Frames that could not be converted."""

    first: str = ""
    """What is to be said of the first one."""
    count: int = 0


@dataclass(frozen=True, eq=False)
class Look:
    """A frame that was looked at."""

    number: int
    time_s: float
    image: NDArray[np.uint8]
    hits: list[Hit]
    """Largest first."""
    state: Snapshot | None
    """From where the run can be taken up again; None for a frame in between."""
    processed: bool = True
    """False: the frame only passed by (``Looker.skip``)."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A looker's state after a frame with detection; made at no cost, packed when it is needed."""

    number: int
    time_s: float
    sampler: dict[str, Any]
    tracks: tuple[Any, int] | None
    cuts: Any
    hits: Sequence[Hit]
    size_wh: tuple[int, int]
    left_out: LeftOut

    def pack(self) -> dict[str, Any]:
        """JSON-ready, for ``Looker``."""
        return {
            "frame": self.number,
            "time_s": self.time_s,
            "size_wh": list(self.size_wh),
            "sampler": self.sampler,
            "tracker": None if self.tracks is None else pack(*self.tracks),
            "cuts": pack_cuts(self.cuts),
            "hits": [_pack_hit(hit) for hit in self.hits],
            "left_out": [self.left_out.first, self.left_out.count],
        }


@dataclass(frozen=True, eq=False)
class _Pending:
    """A frame that waits for the detection after it."""

    number: int
    time_s: float
    image: NDArray[np.uint8]
    sampler: dict[str, Any] | None
    """None: it is not processed."""

    def look(self, hits: list[Hit]) -> Look:
        """It with these faces, or with none where it is not processed."""
        processed = self.sampler is not None
        return Look(self.number, self.time_s, self.image, hits if processed else [], None, processed)


class Looker:
    """Takes frames in order and gives them back in order, at most ``detect_every`` - 1 of them later.

    Args:
        detector: Is called with every ``detect_every``-th frame, the first one after a cut, and the last one.
        track: Whether faces get numbers. Without, every frame must be detected.
        detect_every: 1: in each frame. Else faces found both before and after a frame are placed in between,
            by the time.
        state: A packed ``Snapshot``, to go on from there.
    """

    def __init__(
        self, detector: Detector, *, track: bool, detect_every: int, state: dict[str, Any] | None = None
    ) -> None:
        self._detector = detector
        self._every = detect_every
        self._tracker: Tracker | None = None
        self._cuts = CutDetector(None if state is None else state["cuts"])
        if track:
            self._tracker = Tracker(None if state is None else state["tracker"])
        self._pending: list[_Pending] = []
        self._undetected = 0
        self._last: tuple[float, Sequence[Hit]] | None = None
        self._size_wh: tuple[int, int] | None = None
        self.left_out = LeftOut()
        """So far, those before ``state`` included."""
        if state is not None:
            self.left_out = LeftOut(*state.get("left_out", ()))
            self._last = state["time_s"], [_unpack_hit(plain) for plain in state["hits"]]
            self._size_wh = state["size_wh"][0], state["size_wh"][1]

    def look(
        self, number: int, time_s: float, image: NDArray[np.uint8], sampler: dict[str, Any]
    ) -> list[Look]:
        """Take a frame (RGB (H, W, 3) uint8); the frames that are ready by now."""
        released: list[Look] = []
        if self._begins_shot(image):
            released = self._held()
        frame = _Pending(number, time_s, image, sampler)
        if self._last is not None and self._undetected + 1 < self._every:
            self._pending.append(frame)
            self._undetected += 1
            return released
        return released + self._detect(frame, sampler)

    def leave_out(self, why: str) -> None:
        """A frame cannot be converted."""
        self.left_out = LeftOut(self.left_out.first or why, self.left_out.count + 1)

    def skip(self, number: int, time_s: float, image: NDArray[np.uint8]) -> list[Look]:
        """Take a frame that is not processed: it comes out in its place, without faces."""
        frame = _Pending(number, time_s, image, None)
        if not self._pending:
            return [frame.look([])]
        self._pending.append(frame)
        return []

    def flush(self) -> list[Look]:
        """The frames that still wait, when no other follows."""
        passing: list[Look] = []
        while self._pending:
            frame = self._pending.pop()
            if frame.sampler is not None:
                return [*self._detect(frame, frame.sampler), *passing]
            passing.insert(0, frame.look([]))
        return passing

    def _begins_shot(self, image: NDArray[np.uint8]) -> bool:
        size_wh = image.shape[1], image.shape[0]
        resized = self._size_wh not in (None, size_wh)
        self._size_wh = size_wh
        if self._tracker is None:
            return False
        return self._cuts.is_cut(image) or resized

    def _held(self) -> list[Look]:
        """What waits when a shot ends: the faces of the last detection, where they were."""
        before = [] if self._last is None else self._last[1]
        hits = [Hit(hit.detection, hit.track_id, False) for hit in before]
        held = [frame.look(hits) for frame in self._pending]
        self._pending, self._undetected, self._last = [], 0, None
        if self._tracker is not None:
            self._tracker.cut()
        return held

    def _detect(self, frame: _Pending, sampler: dict[str, Any]) -> list[Look]:
        number, time_s, image = frame.number, frame.time_s, frame.image
        found = find_faces(self._detector, image)
        ids: Sequence[int | None] = [None] * len(found)
        tracks = None
        if self._tracker is not None:
            ids = self._tracker.update(image, found, time_s)
            tracks = self._tracker.tracks, self._tracker.next_id
        hits = [Hit(detection, track_id) for detection, track_id in zip(found, ids, strict=True)]
        between = self._between(time_s, hits)
        self._pending, self._undetected, self._last = [], 0, (time_s, hits)
        size_wh = image.shape[1], image.shape[0]
        cuts = self._cuts.snapshot()
        state = Snapshot(number, time_s, sampler, tracks, cuts, hits, size_wh, self.left_out)
        return [*between, Look(number, time_s, image, hits, state)]

    def _between(self, until_s: float, hits: Sequence[Hit]) -> list[Look]:
        if self._last is None:
            return []
        since_s, before = self._last
        after = {hit.track_id: hit.detection for hit in hits}
        both = [(hit, after[hit.track_id]) for hit in before if hit.track_id in after]
        looks = []
        for frame in self._pending:
            share = (frame.time_s - since_s) / (until_s - since_s) if until_s > since_s else 1.0
            placed = [Hit(_mix(hit.detection, then, share), hit.track_id, False) for hit, then in both]
            placed.sort(key=lambda hit: -hit.detection.box.area)
            looks.append(frame.look(placed))
        return looks


def _mix(one: Detection, other: Detection, share: float) -> Detection:
    box = Box(*(round(a + share * (b - a)) for a, b in zip(one.box, other.box, strict=True)))
    landmarks = None
    if one.landmarks is not None and other.landmarks is not None:
        landmarks = one.landmarks + np.float32(share) * (other.landmarks - one.landmarks)
    return Detection(box, one.score + share * (other.score - one.score), landmarks)


def _pack_hit(hit: Hit) -> list[Any]:
    points = hit.detection.landmarks
    return [
        list(hit.detection.box),
        hit.detection.score,
        None if points is None else points.tolist(),
        hit.track_id,
    ]


def _unpack_hit(plain: list[Any]) -> Hit:
    box, score, points, track_id = plain
    landmarks = None if points is None else np.array(points, dtype=np.float32)
    return Hit(Detection(Box(*box), score, landmarks), track_id)
