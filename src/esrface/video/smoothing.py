"""Answers averaged over a track's last moments, for displays: raw ones flicker."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.errors import InputError
from esrface.results import Expression

_FORGET_S = 10.0
"""A track that was not seen for longer than any tracker remembers needs no memory here either."""


@dataclass(frozen=True, eq=False)
class _Memory:
    time_s: float
    values: NDArray[np.float32]
    """(K, C + 3): each branch's probabilities, valence and arousal; the last column holds the uncertainty."""


class Smoother:
    """Exponential average of each track's probabilities, valence, arousal and uncertainty.

    Args:
        seconds: Time constant: after so long, a change has come through to 63 %. Above 0.
        vote: As the recogniser counts (``esrface.ensemble.VOTES``).
        state: Of another smoother, to go on from there.
    """

    def __init__(self, seconds: float, *, vote: str = "mean", state: dict[str, Any] | None = None) -> None:
        if not 0 < seconds < math.inf:
            raise InputError(f"smooth_s must be a number of seconds above 0, or 0 for off, got {seconds!r}")
        self._seconds = seconds
        self._vote = vote
        self._memory: dict[int, _Memory] = {}
        for track_id, (time_s, branches, data) in (state or {}).items():
            values = np.frombuffer(base64.b64decode(data), dtype="<f4").reshape(branches, -1)
            self._memory[int(track_id)] = _Memory(time_s, values.astype(np.float32))

    def snapshot(self) -> dict[int, Any]:
        """The state now, for ``pack_smoother``; it does not change later."""
        return dict(self._memory)

    def smooth(self, track_id: int, time_s: float, raw: Expression) -> Expression:
        """The average for a track, this answer included; the first one is the answer itself."""
        uncertainty = np.full((len(raw.branch_emotions), 1), raw.uncertainty, dtype=np.float32)
        values = np.concatenate([raw.branch_probabilities, raw.branch_affect, uncertainty], axis=1)
        last = self._memory.get(track_id)
        if last is not None and last.values.shape == values.shape:
            share = 1 - math.exp(-max(0.0, time_s - last.time_s) / self._seconds)
            values = last.values + np.float32(share) * (values - last.values)
        self._memory[track_id] = _Memory(time_s, values)
        if len(self._memory) > 64:
            self._memory = {k: m for k, m in self._memory.items() if time_s - m.time_s <= _FORGET_S}
        return _answer(values, raw, self._vote)


def pack_smoother(snapshot: dict[int, Any]) -> dict[str, Any]:
    """JSON-ready, for ``Smoother(state=...)``."""
    return {
        str(track_id): [
            memory.time_s,
            len(memory.values),
            base64.b64encode(memory.values.astype("<f4").tobytes()).decode("ascii"),
        ]
        for track_id, memory in snapshot.items()
    }


def _answer(values: NDArray[np.float32], raw: Expression, vote: str) -> Expression:
    emotions, count = raw.emotions, len(raw.emotions)
    branches, affect = values[:, :count], values[:, count : count + 2]
    own = branches.argmax(axis=1)
    mean = branches.mean(axis=0)
    # Ties go to the lowest index, as in esrface.ensemble.
    best = int(mean.argmax()) if vote == "mean" else int(np.bincount(own, minlength=count).argmax())
    return Expression(
        emotion=emotions[best],
        confidence=float(mean[best]),
        probabilities=mean,
        valence=float(affect[:, 0].mean()),
        arousal=float(affect[:, 1].mean()),
        affect_source=raw.affect_source,
        agreement=float((own == best).mean()),
        uncertainty=float(values[:, -1].mean()),
        branch_emotions=tuple(emotions[index] for index in own),
        branch_probabilities=branches,
        branch_affect=affect,
        emotions=emotions,
    )
