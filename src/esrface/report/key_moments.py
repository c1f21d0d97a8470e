"""The moments of a run that are worth a look: the strongest, the most changed, the most uncertain answers.

They are chosen while the run goes on, so that only their faces are kept: a moment of a kind is dropped when
a better one comes and there are enough, or when a better one comes close to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esrface._numbers import percent
from esrface.errors import ModelError
from esrface.overlay import overlay_heat
from esrface.report.small_pictures import FACE_SIDE, data_url, jpeg, shrunk
from esrface.results import Expression, Face
from esrface.saliency import ensemble_map

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer

STRONGEST, CHANGED, UNCERTAIN = "strongest", "changed", "uncertain"

APART_S = 2.0
"""Moments of a kind and a person that are closer together count as one."""

BRIEF_S, LONG_S = 0.25, 1.5
"""A change is how far the mean over the last quarter of a second is from that over some seconds: the faces'
flicker from frame to frame is none."""

LEAST_CHANGE = 0.2
"""Share of the probability that has moved to other emotions, for a moment to count as a change."""

FAR_FROM_BEST = 0.3
"""An uncertain moment must be at least this share as uncertain as the most uncertain one."""

FORGET_S = 10.0
"""A track not seen for so long starts anew."""

CROP_SIDE = 288
"""Faces wait for the end as pictures of this side at most: more than networks look at."""


@dataclass
class Moment:
    """A face that may be shown as a key moment."""

    kind: str
    score: float
    """The higher the better, within its kind."""
    where: str | None
    """The picture; None in a video."""
    time_s: float | None
    """Presentation time; None for pictures."""
    frame: int
    """The frame's number; 0 for pictures."""
    track: int
    """0: none."""
    expression: Expression
    note: str
    """What makes it one, in a few words, if the answer does not say it."""
    crop: NDArray[np.uint8]
    """What the network was shown, RGB (h, w, 3) uint8, perhaps shrunk."""


@dataclass
class _Habit:
    """A track's mean probabilities, long and brief, up to a time."""

    time_s: float
    since_s: float
    long: NDArray[np.float64]
    brief: NDArray[np.float64]


@dataclass
class _Pool:
    """The best moments of a kind so far."""

    at_most: int
    apart: bool
    """Whether two of the same person must not be close to each other."""
    moments: list[Moment] = field(default_factory=list)

    def place(self, score: float, time_s: float | None, track: int) -> int | None:
        """Where a moment with that score goes: an index to replace, the pool's length to add; None: out."""
        if self.apart and time_s is not None:
            for index, other in enumerate(self.moments):
                if other.track == track and abs(time_s - (other.time_s or 0.0)) < APART_S:
                    return index if score > other.score else None
        if len(self.moments) < self.at_most:
            return len(self.moments)
        if not self.moments:
            return None
        worst = min(range(len(self.moments)), key=lambda index: self.moments[index].score)
        return worst if score > self.moments[worst].score else None


class KeyMoments:
    """Chooses moments out of faces that come in order.

    Args:
        recognizer: Cuts the faces out and, at the end, says where the network looked.
        at_most: So many of each kind.
    """

    def __init__(self, recognizer: Recognizer, at_most: int) -> None:
        self._recognizer = recognizer
        self._at_most = at_most
        self._habits: dict[int, _Habit] = {}
        # The best of each emotion, so that one that is everywhere leaves room for the others.
        self._strongest = {name: _Pool(min(1, at_most), apart=False) for name in recognizer.card.emotions[1:]}
        self._pools = {
            CHANGED: _Pool(at_most, apart=True),
            UNCERTAIN: _Pool(at_most, apart=True),
        }

    def add(
        self,
        image: NDArray[np.uint8],
        face: Face,
        *,
        where: str | None = None,
        time_s: float | None = None,
        frame: int = 0,
        track: int = 0,
    ) -> None:
        """Take a face in ``image`` (RGB (H, W, 3) uint8); the others as in ``Moment``."""
        answer = face.expression
        offers = []
        if answer.emotion in self._strongest:
            pool = self._strongest[answer.emotion]
            offers.append((pool, STRONGEST, answer.confidence, ""))
        note = f"uncertainty {answer.uncertainty:.2f}"
        offers.append((self._pools[UNCERTAIN], UNCERTAIN, answer.uncertainty, note))
        if time_s is not None and track:
            changed = self._change(track, time_s, answer)
            if changed is not None and changed[0] >= LEAST_CHANGE:
                offers.append((self._pools[CHANGED], CHANGED, *changed))
        crop: NDArray[np.uint8] | None = None
        for pool, kind, score, note in offers:
            index = pool.place(score, time_s, track)
            if index is None:
                continue
            if crop is None:
                crop = shrunk(self._recognizer.crop(image, face), CROP_SIDE).copy()
            moment = Moment(kind, score, where, time_s, frame, track, answer, note, crop)
            pool.moments[index : index + 1] = [moment]

    def chosen(self) -> dict[str, list[Moment]]:
        """The moments of each kind, best first."""
        kinds: dict[str, Iterable[Moment]] = {
            STRONGEST: (moment for pool in self._strongest.values() for moment in pool.moments),
            **{kind: pool.moments for kind, pool in self._pools.items()},
        }
        chosen = {
            kind: sorted(moments, key=lambda moment: -moment.score)[: self._at_most]
            for kind, moments in kinds.items()
        }
        doubtful = chosen[UNCERTAIN]
        chosen[UNCERTAIN] = [one for one in doubtful if one.score >= FAR_FROM_BEST * doubtful[0].score]
        return chosen

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: a list of moments for each kind, best first, with their pictures."""
        chosen = self.chosen()
        moments = [moment for kind in chosen.values() for moment in kind]
        heats = self._heats(moments)
        plain = [_plain(moment, heat) for moment, heat in zip(moments, heats, strict=True)]
        rest = iter(plain)
        return {kind: [next(rest) for _ in chosen[kind]] for kind in chosen}

    def _heats(self, moments: list[Moment]) -> list[NDArray[np.float32] | None]:
        """Where the network looked; None where the model does not tell."""
        if not moments:
            return []
        try:
            maps = self._recognizer.class_maps([moment.crop for moment in moments])
        except ModelError:
            return [None] * len(moments)
        answers = [moment.expression for moment in moments]
        return list(ensemble_map(maps, np.array([one.emotions.index(one.emotion) for one in answers])))

    def _change(self, track: int, time_s: float, answer: Expression) -> tuple[float, str] | None:
        """How much a track has just changed, 0-1, and from what to what; None if it is not known yet."""
        p = answer.probabilities.astype(np.float64)
        habit = self._habits.get(track)
        if habit is None or time_s - habit.time_s > FORGET_S:
            if len(self._habits) > 64:
                old = time_s - FORGET_S
                self._habits = {name: one for name, one in self._habits.items() if one.time_s > old}
            self._habits[track] = _Habit(time_s, time_s, p, p)
            return None
        passed, habit.time_s = max(0.0, time_s - habit.time_s), time_s
        habit.long = habit.long + (1 - math.exp(-passed / LONG_S)) * (p - habit.long)
        habit.brief = habit.brief + (1 - math.exp(-passed / BRIEF_S)) * (p - habit.brief)
        if time_s - habit.since_s < BRIEF_S:
            return None
        before, now = habit.long, habit.brief
        names = answer.emotions
        change = float(np.abs(now - before).sum() / 2)
        first, then = int(before.argmax()), int(now.argmax())
        if first == then:
            note = f"{names[then]} {percent(before[then])} → {percent(now[then])}"
        else:
            note = f"{names[first]} → {names[then]}"
        return change, note


def _plain(moment: Moment, heat: NDArray[np.float32] | None) -> dict[str, Any]:
    face = shrunk(moment.crop, FACE_SIDE)
    answer = moment.expression
    return {
        "where": moment.where,
        "time_s": None if moment.time_s is None else round(moment.time_s, 3),
        "frame": moment.frame,
        "track": moment.track or None,
        "emotion": answer.emotions.index(answer.emotion),
        "confidence": round(answer.confidence, 6),
        "uncertainty": round(answer.uncertainty, 6),
        "agreement": round(answer.agreement, 6),
        "valence": round(answer.valence, 3),
        "arousal": round(answer.arousal, 3),
        "note": moment.note,
        "face": data_url(jpeg(face)),
        "heat": None if heat is None else data_url(jpeg(overlay_heat(face, heat))),
    }
