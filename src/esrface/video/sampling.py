"""Which of a source's frames are processed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from esrface.errors import InputError

ORIGINAL_OF = 30
"""The original program's ``-f N`` is "N frames of every 30"."""

TOLERANCE_S = 0.001
"""Timestamps that a container rounds to milliseconds (33, 67, 100) count as the exact ones (1/30 s)."""


def original_step(frames: int) -> int:
    """Source frames per processed frame for the original's ``-f N``: int(30 / N), at least 1."""
    return max(1, int(ORIGINAL_OF / frames))


@dataclass(frozen=True)
class Sampling:
    """A choice of frames; build it with ``choose_sampling``.

    Of a choice by steps, frame n (from 0) is taken where n mod step = ``phase``. Of a choice by rate, the
    first frame is taken and then the first one of each further 1 / ``fps`` seconds of the stream's time.
    """

    step: int = 1
    phase: int = 0
    fps: float | None = None

    def start(self, state: dict[str, Any] | None = None) -> Sampler:
        """A sampler for one run, or for going on where one with that ``state`` stopped."""
        return Sampler(self, state)


class Sampler:
    """Says of each frame in turn whether it is taken."""

    def __init__(self, sampling: Sampling, state: dict[str, Any] | None = None) -> None:
        self._sampling = sampling
        self._origin: float | None = None if state is None else state["origin"]
        self._last = -1 if state is None else int(state["last"])

    def take(self, number: int, time_s: float) -> bool:
        """Whether the frame of this ordinal (from 0) and time in seconds is processed."""
        fps = self._sampling.fps
        if fps is None:
            return number % self._sampling.step == self._sampling.phase
        if self._origin is None:
            self._origin = time_s
        slot = math.floor((time_s - self._origin + TOLERANCE_S) * fps)
        if slot <= self._last:
            return False
        self._last = slot
        return True

    @property
    def state(self) -> dict[str, Any]:
        """JSON-ready, for ``Sampling.start``."""
        return {"origin": self._origin, "last": self._last}


def choose_sampling(
    frames: int | None = None, fps: float | None = None, every: int | None = None
) -> Sampling:
    """The choice of frames that options mean; without any, every frame.

    Args:
        frames: As the original counts: of every int(30 / N) source frames the last one, whatever the file's
            rate (5: frames 5, 11, 17, ...; above 30: every frame). Overridden by the other two.
        fps: Frames per second of stream time; above the stream's own rate: every frame.
        every: One frame in so many, from the first on (3: frames 0, 3, 6, ...).

    Raises:
        InputError: A value out of range, or both ``fps`` and ``every``.
    """
    _check("frames", frames, whole=True)
    _check("fps", fps, whole=False)
    _check("every", every, whole=True)
    if fps is not None and every is not None:
        raise InputError("fps and every both say which frames to take: give one of them")
    if fps is not None:
        return Sampling(fps=float(fps))
    if every is not None:
        return Sampling(step=every)
    if frames is None:
        return Sampling()
    step = original_step(frames)
    return Sampling(step=step, phase=step - 1)


def _check(name: str, value: float | None, *, whole: bool) -> None:
    if value is None:
        return
    kind = "a whole number from 1 on" if whole else "a number above 0"
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or (whole and not isinstance(value, int)) or not 0 < value < math.inf:
        raise InputError(f"{name} must be {kind}, got {value!r}")
