"""Videos with a beginning and an end: every frame with its exact time, and where the file breaks off."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.errors import InputError
from esrface.video.clock import Clock
from esrface.video.container import Container, load_av, reason_of_error, usable_rate
from esrface.video.sources import SourceOptions
from esrface.video.upright import DisplayMatrix, Matrix, upright_rgb

if TYPE_CHECKING:
    from av import VideoFrame

_DURATION_FIRST = ("matroska,webm", "flv")
"""Formats that say in their first bytes how long they are and say nothing where they are cut short."""

_SLACK_S = 0.5
"""How much shorter than announced such a file may be: writers round, and the last picture may stay long."""

_SLACK_SHARE = 0.1
"""No more than this share of the length where pictures come at a steady rate: half of a short clip might be
missing otherwise."""

_SLACK_FRAMES = 3
"""At least so many frames: what is announced is the end of the last one, or of one or two more."""

_STEADY = 1.5
"""So many usual intervals lie between pictures of a steady rate at most; times may be whole milliseconds."""

_log = logging.getLogger("esrface")


@dataclass(frozen=True)
class DecodedFrame:
    """A frame of a container; see ``esrface.video.sources.SourceFrame``."""

    number: int
    time_s: float
    _name: str
    _frame: VideoFrame
    _pixel_aspect: Fraction | None
    _matrix: Matrix | None

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, upright; InputError where the frame cannot be converted."""
        try:
            return upright_rgb(self._frame, self._pixel_aspect, self._matrix)
        except (InputError, ValueError, OSError, MemoryError) as error:
            place = f"{self._name} at {self.time_s:.2f} s: frame {self.number}"
            raise InputError(f"{place} cannot be used ({reason_of_error(error)})") from None


class ContainerSource:
    """A container with a beginning and an end; see ``esrface.video.sources.Source``."""

    live = False

    def __init__(self, container: Container, *, path: str | None = None) -> None:
        self.name = container.name if path is None else path
        self.info = container.info
        self._shown = container.name
        self._container = container
        self._clock = Clock(usable_rate(container.stream))
        self._display = DisplayMatrix()
        self._path = path
        self._size = _file_size(path)
        self._frames = 0
        self._packets = 0
        self._damage: list[tuple[float, str]] = []
        self._last_s = 0.0
        self._interval_s = 0.0
        self._longest_s = 0.0
        self._told_damage = False
        self._stopped = False

    def frames(self) -> Iterator[DecodedFrame]:
        """All frames that decode; then InputError where some did not or the file breaks off."""
        av = load_av()
        try:
            yield from self._decode(av)
            problem = None if self._stopped else self._problem()
        except (av.FFmpegError, OSError) as error:
            problem = self._broken_off(self._container.reason(error))
        finally:
            self.close()
        if problem is not None:
            raise InputError(problem)

    def stop(self) -> None:
        """``frames`` ends with the next packet."""
        self._stopped = True

    def close(self) -> None:
        """Close the container."""
        self._container.close()

    def _decode(self, av: ModuleType) -> Iterator[DecodedFrame]:
        for packet in self._container.packets():
            if self._stopped:
                return
            self._packets += packet.size > 0
            if packet.is_corrupt:
                self._missing()
            try:
                decoded = packet.decode()
            except av.EOFError:
                continue
            except av.FFmpegError as error:
                self._damage.append((self._last_s, self._container.reason(error)))
                continue
            for frame in decoded:
                if frame.is_corrupt:
                    self._damaged()
                yield self._frame(frame)

    def _damaged(self) -> None:
        """A picture was decoded from incomplete data: wrong somewhere."""
        if not self._frames or self._container.opened.format.name == "mpegts":
            # Cut out of a longer recording, in which what it refers to came before.
            if not self._told_damage:
                _log.warning("%s: pictures are incomplete after %.2f s", self._shown, self._last_s)
            self._told_damage = True
        elif not self._damage or self._damage[-1][0] != self._last_s:
            self._damage.append((self._last_s, "a picture is incomplete"))

    def _missing(self) -> None:
        if self._container.opened.format.name == "mpegts":
            # There, recordings that were joined look the same.
            _log.warning("%s: data may be missing after %.2f s", self._shown, self._last_s)
        else:
            self._damage.append((self._last_s, "data is missing"))

    def _frame(self, frame: VideoFrame) -> DecodedFrame:
        stream = self._container.stream
        base = frame.time_base or stream.time_base
        stamp = None if frame.pts is None or not base else frame.pts * base - self._container.origin
        fine = self._clock.irregular == 0
        before_s, self._last_s = self._last_s, float(self._clock.tell(stamp))
        self._interval_s = self._last_s - before_s
        # The first one may be late: the container begins with its sound.
        self._longest_s = max(self._longest_s, self._interval_s if self._frames else 0.0)
        if fine and self._clock.irregular and stamp is not None:
            told = "%s: timestamps go back at %.2f s; time goes on from there"
            _log.warning(told, self._shown, self._last_s)
        self._frames += 1
        return DecodedFrame(
            *(self._frames - 1, self._last_s, self._shown),
            *(frame, stream.sample_aspect_ratio, self._display.of(frame)),
        )

    def _problem(self) -> str | None:
        """What is to be said at the end: nothing decoded, cut short, or damaged on the way."""
        opened = self._container.opened
        if not self._frames:
            why = f" ({self._damage[0][1]})" if self._damage else ""
            return f"cannot read {self._shown}: it holds no frame that can be decoded{why}"
        promised = self._promised()
        if 0 < self._packets < promised and opened.format.name != "avi":
            return self._broken_off(f"{promised - self._packets} of {promised} frames are missing")
        announced = self._announced_s()
        if announced is not None and self._last_s < announced - self._slack_s(announced):
            return self._broken_off(f"it should go on until {announced:.2f} s")
        if self._damage:
            at, why = self._damage[0]
            places = f"{len(self._damage)} places" if len(self._damage) > 1 else "one place"
            return (
                f"{self._shown} is damaged in {places}, first after {at:.2f} s ({why}); "
                f"the {self._frames} frames that decode were read"
            )
        if self._size is not None and _file_size(self._path) != self._size:
            _log.warning(
                "%s grew while it was read: it was read up to %.2f s, for the rest read it again",
                *(self._shown, self._last_s),
            )
        return None

    def _promised(self) -> int:
        """How many packets the file's head names; an edit list may leave some of its frames out."""
        stream = self._container.stream
        listed = len(stream.index_entries)
        return min(stream.frames, listed) if listed else stream.frames

    def _slack_s(self, announced_s: float) -> float:
        rate = usable_rate(self._container.stream)
        usual_s = 0.0 if rate is None else float(1 / rate)
        steady = self._longest_s <= _STEADY * usual_s
        slack_s = min(_SLACK_S, _SLACK_SHARE * announced_s) if steady and usual_s else _SLACK_S
        return max(slack_s, _SLACK_FRAMES * max(self._interval_s, usual_s))

    def _broken_off(self, why: str) -> str:
        if not self._frames:
            return f"cannot read {self._shown}: {why}"
        return f"{self._shown} breaks off after {self._last_s:.2f} s ({self._frames} frames were read): {why}"

    def _announced_s(self) -> float | None:
        """Time of the last frame by the file's head, where the format has such a thing; None: unknown."""
        opened = self._container.opened
        if opened.format.name == "avi" and self._container.stream.frames:
            # Its "frames" are steps of time, in some of which the last picture is repeated.
            return float(self._container.stream.frames * (self._container.stream.time_base or 0))
        if opened.format.name not in _DURATION_FIRST:
            return None
        said = _tagged_duration(self._container.stream.metadata.get("DURATION", ""))
        if said is None and not opened.streams.audio and (self.info.duration_s or 0) > 0:
            said = self.info.duration_s
        if said is not None and opened.format.name == "matroska,webm":
            # There, the time of the end and not a length.
            said -= float(self._container.origin)
        # An absurd length is the file's mistake and not a missing part.
        return said if said is not None and said < 10 * self._last_s + 3600 else None


def open_file(path: str, options: SourceOptions) -> ContainerSource:
    """A video file. The path is taken as it stands, whatever characters are in it."""
    return ContainerSource(file_container(path, options), path=path)


def file_container(path: str, options: SourceOptions) -> Container:
    """The container in a file; InputError where there is none that holds a video."""
    target: Any = "file:" + path
    try:
        path.encode("utf-8")
        with Path(path).open("rb"):
            pass
    except UnicodeEncodeError:
        target = Path(path).open("rb")  # noqa: SIM115 - read by the container until it is closed
    except OSError as error:
        raise InputError(f"cannot read {printable(path)}: {error.strerror}") from None
    # A file may not make FFmpeg read other files or addresses (playlists can name them).
    whitelist = {"protocol_whitelist": "file,crypto,data"} if isinstance(target, str) else {}
    return Container(target, printable(path), options, options=whitelist)


def _tagged_duration(text: str) -> float | None:
    """Seconds of Matroska's ``00:01:23.450000000``."""
    parts = text.split(":")
    if len(parts) != 3:
        return None
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return None
    return hours * 3600 + minutes * 60 + seconds


def _file_size(path: str | None) -> int | None:
    try:
        return None if path is None else os.stat(path).st_size  # noqa: PTH116 - paths stay text
    except OSError:
        return None
