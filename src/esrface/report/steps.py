"""A clip's faces as the lines of a timeline, which has room for so many steps only.

The rule: a clip of n processed frames is cut into steps of k frames each, where k is the smallest number that
gives no more than ``at_most`` steps. For each track, and for everybody together, a step holds the mean of
what it says of its frames and, for valence, arousal, uncertainty and agreement, also the lowest and the
highest value, so that no peak is lost. A step in which a face was in no frame is a gap. With k = 1 each step
is a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.report.log import AFFECT_UNIT, UNIT, FrameLog
from esrface.report.shares import block_length, shares

EVERYBODY = 0
"""Row of everybody together; the tracks follow."""

_SCALE = 1_000
"""Values in the page are thousandths."""

_VALUES = ("valence", "arousal", "uncertainty", "agreement")


class Steps:
    """The lines of a clip's timeline.

    Args:
        log: All that was recognised.
        tracks: The tracks that get lines of their own.
        at_most: Steps, from 1 on.
        last_s: Time of the last processed frame.
    """

    def __init__(self, log: FrameLog, tracks: Sequence[int], *, at_most: int, last_s: float) -> None:
        self.frames_per_step = max(1, -(-log.frames.count // at_most))
        self.count = -(-log.frames.count // self.frames_per_step)
        self.block_s = block_length(last_s)
        self._tracks = list(tracks)
        rows = len(self._tracks) + 1
        size, classes = rows * self.count, len(log.emotions)
        self._faces = np.zeros(size, np.int64)
        self._p = np.zeros((size, classes))
        self._sum = np.zeros((size, len(_VALUES)))
        self._low = np.full((size, len(_VALUES)), np.inf)
        self._high = np.full((size, len(_VALUES)), -np.inf)
        self._blocks = np.zeros((rows, int(last_s // self.block_s) + 1, classes), np.int64)
        self._numbers, self._times = self._read_frames(log)
        self._read_faces(log)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready: the steps' first frames and times, and ``series``, everybody's first."""
        return {
            "frames_per_step": self.frames_per_step,
            "block_s": round(self.block_s, 3),
            "frame": self._numbers[:: self.frames_per_step].tolist(),
            "time_s": [round(float(time), 3) for time in self._times[:: self.frames_per_step]],
            "series": [self._series(row) for row in range(len(self._tracks) + 1)],
        }

    def _read_frames(self, log: FrameLog) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        chunks = list(log.frames.chunks())
        empty = np.zeros(0)
        numbers = np.concatenate([chunk["number"] for chunk in chunks] or [empty]).astype(np.int64)
        return numbers, np.concatenate([chunk["time_s"] for chunk in chunks] or [empty])

    def _read_faces(self, log: FrameLog) -> None:
        tracks = np.array(self._tracks, np.int64)
        order = np.argsort(tracks)
        for chunk in log.faces.chunks():
            faces = chunk[chunk["ordinal"] < log.frames.count]
            self._add(faces, np.zeros(len(faces), np.int64))
            if len(tracks):
                place = np.searchsorted(tracks[order], faces["track"]).clip(max=len(tracks) - 1)
                row = order[place]
                known = tracks[row] == faces["track"]
                self._add(faces[known], row[known] + 1)

    def _add(self, faces: NDArray[Any], row: NDArray[np.int64]) -> None:
        """Add faces (n,) to the steps of their rows (n,)."""
        if not len(faces):
            return
        ordinal = faces["ordinal"].astype(np.int64)
        place = row * self.count + ordinal // self.frames_per_step
        values = np.column_stack(
            [
                faces["affect"] / AFFECT_UNIT,
                faces["uncertainty"] / UNIT,
                faces["agreement"] / UNIT,
            ]
        )
        # Sorted by place, what belongs together lies together.
        order = np.argsort(place, kind="stable")
        place, values = place[order], values[order]
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        at = place[starts]
        self._faces[at] += np.diff(starts, append=len(place))
        self._p[at] += np.add.reduceat(faces["p"][order] / UNIT, starts)
        self._sum[at] += np.add.reduceat(values, starts)
        self._low[at] = np.minimum(self._low[at], np.minimum.reduceat(values, starts))
        self._high[at] = np.maximum(self._high[at], np.maximum.reduceat(values, starts))
        block = (self._times[ordinal] // self.block_s).astype(np.int64).clip(0, self._blocks.shape[1] - 1)
        np.add.at(self._blocks, (row, block, faces["emotion"]), 1)

    def _series(self, row: int) -> dict[str, Any]:
        """One line from its first step to its last; None where there is a gap."""
        span = slice(row * self.count, (row + 1) * self.count)
        filled = np.flatnonzero(self._faces[span])
        first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, -1)
        at = np.arange(first, last + 1) + row * self.count
        faces = self._faces[at]
        there = faces > 0
        means, few = np.maximum(faces, 1)[:, None], self.frames_per_step == 1 and row != EVERYBODY
        columns = {
            f"p{index}": _column(values, there) for index, values in enumerate((self._p[at] / means).T)
        }
        for index, name in enumerate(_VALUES):
            columns[name] = _column(self._sum[at, index] / means[:, 0], there)
            if not few:
                columns[f"{name}_low"] = _column(self._low[at, index], there)
                columns[f"{name}_high"] = _column(self._high[at, index], there)
        return {
            "track": None if row == EVERYBODY else self._tracks[row - 1],
            "first": first,
            "columns": columns,
            "shares": shares(self._blocks[row]),
        }


def _column(values: NDArray[np.float64], there: NDArray[np.bool_]) -> list[int | None]:
    """Values in thousandths, None where there is no face."""
    whole = np.rint(_SCALE * np.where(there, values, 0.0)).astype(np.int64).tolist()
    return [value if known else None for value, known in zip(whole, there.tolist(), strict=True)]
