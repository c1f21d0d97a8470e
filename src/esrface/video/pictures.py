"""Pictures in a row as a video: a folder, or a pattern of names."""

from __future__ import annotations

import glob
import logging
import mimetypes
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface.errors import InputError
from esrface.images import load_image
from esrface.sources import has_picture_suffix
from esrface.video.sources import SourceInfo

_log = logging.getLogger("esrface")

_NUMBERED = re.compile(r"%0?(\d*)d")


@dataclass(frozen=True)
class PictureFrame:
    """One picture; see ``esrface.video.sources.SourceFrame``."""

    number: int
    time_s: float
    path: str

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, upright by its EXIF; InputError where it cannot be read."""
        return load_image(self.path)


class PictureSequence:
    """Pictures in the order of the numbers in their names (2 before 10); see ``sources.Source``.

    A picture that cannot be read keeps its number and is told at the end. Gaps in the numbers are none in
    time: the next picture follows.

    Args:
        source: A folder (its own pictures, not those of its subfolders), a pattern for ``glob``, or one with
            a number in the manner of ``img_%03d.png``.
        rate: Pictures per second.
        live: See ``SourceOptions``.

    Raises:
        InputError: There are none.
    """

    def __init__(self, source: str, rate: float, *, live: bool = False) -> None:
        self.name = source
        self.live = live
        self._paths = sorted(picture_paths(source), key=_natural)
        self._tell_of_videos()
        self._rate = Fraction(rate).limit_denominator(1_000_000)
        if not self._paths:
            if Path(source).is_dir():
                why = "the folder holds no pictures; for videos, name them or give a pattern such as '*.mp4'"
            else:
                why = "the pattern matches no pictures"
            raise InputError(f"cannot read {printable(source)}: {why}")
        self.info = SourceInfo(
            frame_rate=float(rate), frames=len(self._paths), duration_s=float(len(self._paths) / self._rate)
        )

    def _tell_of_videos(self) -> None:
        """Say so where a folder of pictures holds videos, which are no part of the clip."""
        if not self._paths or not Path(self.name).is_dir():
            return
        with os.scandir(self.name) as entries:
            videos = sorted(entry.name for entry in entries if _is_video(entry.name))
        if videos:
            more, them = ("", "it") if len(videos) == 1 else (" …", "them")
            _log.warning(
                "%s: its %s the clip; %s left out (%s%s): name %s as well",
                printable(self.name),
                counted(len(self._paths), "picture is", "pictures are"),
                counted(len(videos), "video in it is", "videos in it are"),
                *(printable(videos[0]), more, them),
            )

    def frames(self) -> Iterator[PictureFrame]:
        """Each picture; it is read when its pixels are asked for."""
        for number, path in enumerate(self._paths):
            yield PictureFrame(number, float(number / self._rate), path)

    def stop(self) -> None:
        """Nothing is waited for."""

    def close(self) -> None:
        """Nothing is held open."""


def picture_paths(source: str) -> list[str]:
    """The pictures that a folder or pattern stands for, in no order.

    Raises:
        InputError: The folder cannot be read.
    """
    if Path(source).is_dir():
        with os.scandir(source) as entries:
            return [
                entry.path
                for entry in entries
                if not entry.name.startswith("._") and has_picture_suffix(entry.name)
            ]
    if _NUMBERED.search(source):
        folder, name = os.path.split(source)
        parts = _NUMBERED.split(name)
        # Literal text and widths alternate.
        pattern = "".join(
            re.escape(part) if index % 2 == 0 else rf"\d{{{max(1, int(part or 1))},}}"
            for index, part in enumerate(parts)
        )
        try:
            names = os.listdir(folder or os.curdir)  # noqa: PTH208
        except OSError as error:
            raise InputError(f"cannot read {printable(source)}: {error.strerror}") from None
        return [os.path.join(folder, name) for name in names if re.fullmatch(pattern, name)]  # noqa: PTH118
    return [path for path in glob.glob(source, recursive=True) if Path(path).is_file()]  # noqa: PTH207


def _natural(path: str) -> list[tuple[int, int, str]]:
    """Digits compare as numbers, all else as text."""
    pieces = re.split(r"(\d+)", path)
    return [(0, int(piece), piece) if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def _is_video(name: str) -> bool:
    kind = mimetypes.guess_type(name)[0]
    return not name.startswith("._") and kind is not None and kind.startswith("video/")
