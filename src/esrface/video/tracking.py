"""Who is who from frame to frame: a number for every face, kept while the person stays in the shot.

Faces found in a frame are assigned to the tracks as a whole (``assignment.py``), by where a track's motion
says that it will be, by size, and by looks. All times are seconds of the stream, so that sampling changes
nothing but how much there is to see.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.detection import Detection
from esrface.results import Box
from esrface.video.appearance import Look, blend, likeness, look_of
from esrface.video.assignment import assign
from esrface.video.motion import Motion, start
from esrface.video.swaps import SIDE, View, is_swapped, view_of

MEMORY_S = 2.0
"""A face out of sight for longer than this comes back as a new one."""

MEMORY_FRAMES = 2
"""... unless so few frames were looked at meanwhile."""

GATE = 3.5
"""A face is not looked for farther from where it should be than this many standard deviations."""

SIZE_SPREAD = 0.2
"""Standard deviation of the logarithm of a face's side between two looks."""

LOOKS_WEIGHT = 12.0
"""What a difference in looks of 1 costs (places and sizes cost half their squared deviations)."""

LIKE = 0.1
"""A face seen a moment ago may look no less like itself than this ..."""

VERY_LIKE = 0.42
"""... and one that was out of sight, is far from where it should be, or is new in all its parts, no less."""

OUT_OF_SIGHT_S = 0.35
"""From which time on a face counts as having been out of sight."""

TOUCHING = 0.2
"""Two faces spoil one another's looks when their boxes, made larger by this share on each side (heads are
larger than faces), overlap."""

LOOKS_TIME_S = 0.7
"""Time constant of the memory of looks, for a face that looks like itself: one that is going behind something
changes its memory little."""


@dataclass(frozen=True, eq=False)
class Track:
    """One person, as last seen."""

    track_id: int
    time_s: float
    missed: int
    """How many frames were looked at since, without finding it."""
    motion: Motion
    look: Look
    view: View | None
    """In that frame; None if somebody else was in the way."""


class Tracker:
    """Gives the faces of each frame in turn their track's number.

    Every face has one from its first frame on. Tracks are immutable records, so that a snapshot
    (``tracks``, ``next_id``) costs nothing; ``pack`` makes it JSON-ready.
    """

    def __init__(self, state: dict[str, Any] | None = None) -> None:
        self.tracks: tuple[Track, ...] = ()
        self.next_id = 1
        if state is not None:
            self.tracks = tuple(_unpack_track(plain) for plain in state["tracks"])
            self.next_id = int(state["next_id"])

    def cut(self) -> None:
        """A new shot begins: nobody from before is here."""
        self.tracks = ()

    def update(self, image: NDArray[np.uint8], found: Sequence[Detection], time_s: float) -> list[int]:
        """The track of each face found in an RGB image (H, W, 3) uint8, in their order.

        Args:
            image: The frame, for the looks.
            found: Faces in pixels of ``image``.
            time_s: Of the frame; not before that of the last call.
        """
        looks = [look_of(image, detection.box) for detection in found]
        spoilt = _touching([detection.box for detection in found])
        pairs = assign(self._costs(image, found, looks, spoilt, time_s))
        views = [None if bad else view_of(image, d.box) for d, bad in zip(found, spoilt, strict=True)]
        kept: dict[int, Track] = {}
        ids = [0] * len(found)
        for row, column in pairs:
            track = self.tracks[row]
            seen = _seen(track, found[column].box, looks[column], time_s, spoilt[column])
            kept[row] = replace(seen, view=views[column])
            ids[column] = track.track_id
        tracks = [kept.get(row) or replace(t, missed=t.missed + 1) for row, t in enumerate(self.tracks)]
        for column, detection in enumerate(found):
            if not ids[column]:
                ids[column] = self.next_id
                self.next_id += 1
                motion = start(*_place(detection.box))
                tracks.append(Track(ids[column], time_s, 0, motion, looks[column], views[column]))
        self.tracks = tuple(t for t in tracks if time_s - t.time_s <= MEMORY_S or t.missed <= MEMORY_FRAMES)
        return ids

    def _costs(
        self,
        image: NDArray[np.uint8],
        found: Sequence[Detection],
        looks: Sequence[Look],
        spoilt: Sequence[bool],
        time_s: float,
    ) -> NDArray[np.float64]:
        cost = np.full((len(self.tracks), len(found)), np.inf)
        if not found:
            return cost
        places = np.array([_place(detection.box) for detection in found])
        all_looks = np.stack(looks)
        for row, track in enumerate(self.tracks):
            unseen = time_s - track.time_s
            now = track.motion.after(unseen)
            sides = np.sqrt(now.side * places[:, 2])
            away = np.hypot(places[:, 0] - now.x, places[:, 1] - now.y) / sides / now.spread
            grown = np.abs(np.log(places[:, 2] / now.side)) / (SIZE_SPREAD * (1 + unseen))
            like = likeness(track.look, all_looks)
            needed = np.where((away > GATE / 2) | (unseen > OUT_OF_SIGHT_S), VERY_LIKE, LIKE)
            # Who is half behind somebody looks like nobody: there, being more alike than others is enough.
            allowed = (away <= GATE) & (grown <= GATE) & ((like >= needed) | np.array(spoilt))
            if track.view is not None and not track.missed and unseen <= OUT_OF_SIGHT_S:
                # Hidden, lit or turned all at once, or somebody else: it takes time to say, for few faces.
                for column in np.flatnonzero(allowed & (like < VERY_LIKE) & ~np.array(spoilt)).tolist():
                    allowed[column] = not is_swapped(track.view, image, found[column].box)
            # The logarithm: a track that may be anywhere has less of a claim to this very place.
            price = (away**2 + grown**2) / 2 + 2 * math.log(now.spread) + LOOKS_WEIGHT * (1 - like)
            cost[row, allowed] = price[allowed]
        return cost


def pack(tracks: Sequence[Track], next_id: int) -> dict[str, Any]:
    """A snapshot of a tracker, JSON-ready, for ``Tracker(state)``."""
    return {"next_id": next_id, "tracks": [_pack_track(track) for track in tracks]}


def _pack_track(track: Track) -> dict[str, Any]:
    look = _text(track.look.astype("<f4"))
    view = None if track.view is None else [list(track.view.box), _text(track.view.grey)]
    return {**vars(track), "motion": vars(track.motion), "look": look, "view": view}


def _unpack_track(plain: dict[str, Any]) -> Track:
    look = np.frombuffer(base64.b64decode(plain["look"]), dtype="<f4").astype(np.float32)
    view = None
    # Runs that were begun before there were views can be gone on with.
    if plain.get("view") is not None:
        box, grey = plain["view"]
        view = View(Box(*box), np.frombuffer(base64.b64decode(grey), dtype=np.uint8).reshape(SIDE, SIDE))
    return Track(**{**plain, "motion": Motion(**plain["motion"]), "look": look, "view": view})


def _text(numbers: NDArray[Any]) -> str:
    return base64.b64encode(numbers.tobytes()).decode("ascii")


def _seen(track: Track, box: Box, look: Look, time_s: float, spoilt: bool) -> Track:
    elapsed = time_s - track.time_s
    like = float(likeness(track.look, look[None])[0])
    trust = 0.0 if spoilt else min(1.0, max(0.0, (like - VERY_LIKE) / (1 - VERY_LIKE)))
    share = trust * (1 - math.exp(-elapsed / LOOKS_TIME_S))
    motion = track.motion.after(elapsed).seen(*_place(box))
    kept = blend(track.look, look, share) if share else track.look
    return replace(track, time_s=time_s, missed=0, motion=motion, look=kept)


def _place(box: Box) -> tuple[float, float, float]:
    """Centre and side (square root of the area)."""
    return (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, math.sqrt(box.area)


def _touching(boxes: Sequence[Box]) -> list[bool]:
    """For each box, whether it nearly overlaps another one."""
    touching = [False] * len(boxes)
    for i, one in enumerate(boxes):
        for j, other in enumerate(boxes[:i]):
            near_x = TOUCHING * (one.width + other.width)
            near_y = TOUCHING * (one.height + other.height)
            apart = (
                max(one.x0, other.x0) - min(one.x1, other.x1) >= near_x
                or max(one.y0, other.y0) - min(one.y1, other.y1) >= near_y
            )
            if not apart:
                touching[i] = touching[j] = True
    return touching
