"""What a source of frames is: one protocol for files, streams, pictures and cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from esrface.errors import InputError

STDIN = "-"

PICTURE_RATE = 25.0
"""Frames per second that pictures in a row count as, as in most programs."""

STALL_S = 10.0
"""A stream that gives no frame for so long has stalled."""


@dataclass(frozen=True)
class SourceInfo:
    """What a source says of itself before it is read; containers can be wrong, so all of it is a hint."""

    size_wh: tuple[int, int] | None = None
    """Width and height in square pixels, as frames are kept: where the file says that they are to be turned
    by a quarter, those of upright frames are the other way round."""
    frame_rate: float | None = None
    """Frames per second on average."""
    frames: int | None = None
    """How many there are."""
    duration_s: float | None = None
    """Length in seconds."""
    has_audio: bool = False
    """Whether there is sound beside the pictures."""


class SourceFrame(Protocol):
    """One decoded frame; its pixels are made when they are asked for."""

    @property
    def number(self) -> int:
        """Ordinal in presentation order from 0."""

    @property
    def time_s(self) -> float:
        """Presentation time in seconds from the start; never less than that of the frame before."""

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, upright, with square pixels. To be called once.

        Raises:
            InputError: This frame cannot be used; those after it may.
        """


class Source(Protocol):
    """An opened source. ``frames`` may be read in another thread than it was opened in; once."""

    @property
    def name(self) -> str:
        """How it is called in rows and messages, without credentials."""

    @property
    def live(self) -> bool:
        """Whether it goes on by itself, so that what is not taken in time is lost."""

    @property
    def info(self) -> SourceInfo:
        """What it says of itself."""

    def frames(self) -> Iterator[SourceFrame]:
        """All frames in order.

        Raises:
            InputError: After the last frame that could be read, where the source breaks off, is damaged,
                stalls or holds no frames.
        """

    def stop(self) -> None:
        """Ask ``frames``, which may be waiting in another thread, to end soon. Safe to repeat."""

    def close(self) -> None:
        """Let go of it, once nobody reads any more. Safe to repeat."""


@dataclass(frozen=True)
class SourceOptions:
    """How a source is opened; what does not apply to its kind has no effect."""

    live: bool | None = None
    """None: cameras and streams without an end are live, all else is not."""
    stall_s: float = STALL_S
    """Seconds without a frame after which a stream, pipe or camera counts as stalled; above 0."""
    reconnect: int = 0
    """How many times in a row a live source that stalled, ended or broke is opened again."""
    picture_rate: float = PICTURE_RATE
    """Frames per second that a folder or pattern of pictures counts as."""
    threads: int | None = None
    """For the decoder; None: see ``esrface.threads``."""

    def __post_init__(self) -> None:
        if not is_number(self.stall_s) or not self.stall_s > 0:
            raise InputError(f"stall_s must be a number of seconds above 0, got {self.stall_s!r}")
        if isinstance(self.reconnect, bool) or not isinstance(self.reconnect, int) or self.reconnect < 0:
            raise InputError(f"reconnect must be a whole number from 0 on, got {self.reconnect!r}")
        if not is_number(self.picture_rate) or not 1e-6 <= self.picture_rate < float("inf"):
            raise InputError(f"picture_rate must be a number from 1e-6 on, got {self.picture_rate!r}")


def is_number(value: object) -> bool:
    """Whether it is a whole or decimal number."""
    return isinstance(value, Real) and not isinstance(value, bool)
