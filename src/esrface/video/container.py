"""Containers of video through PyAV: what is opened, and what it says of itself."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from types import ModuleType
from typing import TYPE_CHECKING, Any

from esrface._extras import how_to_install
from esrface._names import printable
from esrface.errors import DependencyError, InputError
from esrface.threads import resolve_threads
from esrface.video.addresses import scrub
from esrface.video.sources import SourceInfo, SourceOptions
from esrface.video.upright import square_size

if TYPE_CHECKING:
    from av import Packet, VideoStream
    from av.container import InputContainer

MAX_DECODER_THREADS = 4
"""More make a decoder hold more frames and are hardly faster."""

_TEXT_CODECS = frozenset({"ansi", "bintext", "xbin", "idf"})
"""Decoders that draw any text file as a picture."""


def load_av() -> ModuleType:
    """PyAV; DependencyError in one line where it is not installed."""
    try:
        import av
    except ImportError:
        raise DependencyError(f"video files and streams need PyAV: {how_to_install('video')}") from None
    return av


class Container:
    """An opened container and the one video stream in it that is read.

    Args:
        target: What PyAV opens: a path with ``file:`` before it, an address, or an object with ``read``.
        name: How messages call it, without credentials.
        timeout_s: For opening and for each frame, where the address is one of a network.
        options: For FFmpeg.

    Raises:
        InputError: It cannot be opened or holds no video.
        DependencyError: PyAV is missing.
    """

    def __init__(
        self,
        target: Any,
        name: str,
        settings: SourceOptions,
        *,
        timeout_s: float | None = None,
        options: dict[str, str] | None = None,
    ) -> None:
        self._av = load_av()
        self.name = name
        self._address = target if isinstance(target, str) else ""
        self._is_remote = timeout_s is not None
        self._container: InputContainer | None = None
        try:
            # Tags in a broken encoding are no reason not to read the pictures. Container options alone:
            # those of streams crash PyAV before 17 where a format finds its streams late.
            opened = self._av.open(
                target, "r", container_options=options or {}, timeout=timeout_s, metadata_errors="replace"
            )
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise InputError(self._cannot(error)) from None
        self._container = opened
        try:
            self.stream = self._choose(opened)
            self.stream.thread_type = "AUTO"
            threads = resolve_threads(settings.threads)
            self.stream.codec_context.thread_count = min(threads, MAX_DECODER_THREADS)
        except BaseException:
            self.close()
            raise
        self.origin = _origin(opened, self.stream)

    @property
    def opened(self) -> InputContainer:
        """PyAV's container; InputError after ``close``."""
        if self._container is None:
            raise InputError(f"{self.name} is closed: open it anew")
        return self._container

    @property
    def info(self) -> SourceInfo:
        """What the container says of itself, less what cannot be true."""
        opened, stream = self.opened, self.stream
        width, height = square_size((stream.width, stream.height), stream.sample_aspect_ratio)
        duration = opened.duration / self._av.time_base if (opened.duration or 0) > 0 else None
        if duration is not None and opened.format.name == "matroska,webm":
            # There, the time of the end and not a length.
            duration = max(duration - float(self.origin), 0.0) or None
        rate = usable_rate(stream)
        frames = stream.frames if stream.frames > 0 else None
        if frames is None and duration is not None and rate is not None:
            frames = round(duration * rate)
        return SourceInfo(
            size_wh=(width, height) if width > 0 and height > 0 else None,
            frame_rate=None if rate is None else float(rate),
            frames=frames,
            duration_s=duration,
            has_audio=bool(opened.streams.audio),
        )

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """The stream's packets, the empty one that ends it included; what PyAV raises where it breaks."""
        return self.opened.demux(self.stream)

    def close(self) -> None:
        """Close it. Safe to repeat."""
        opened, self._container = self._container, None
        if opened is not None:
            with suppress(OSError, ValueError):
                opened.close()

    def reason(self, error: BaseException) -> str:
        """What FFmpeg says went wrong, without addresses."""
        if self._is_remote and getattr(error, "errno", None) == errno.EIO:
            # All that FFmpeg says where the other side hangs up.
            return "the connection was closed"
        return scrub(reason_of_error(error), self._address) if self._address else reason_of_error(error)

    def _choose(self, opened: InputContainer) -> VideoStream:
        streams = [s for s in opened.streams.video if "attached_pic" not in _disposition(s)]
        streams = [s for s in streams if s.codec_context.name not in _TEXT_CODECS]
        if streams:
            return streams[0]
        what = "only sound" if opened.streams.audio else "nothing that is a video"
        raise InputError(f"cannot read {self.name}: it holds {what}")

    def _cannot(self, error: BaseException) -> str:
        if isinstance(error, InputError):
            return str(error)
        if isinstance(error, (self._av.InvalidDataError, self._av.EOFError)):
            return f"cannot read {self.name}: it is no video, or one that is damaged or not finished yet"
        return f"cannot read {self.name}: {self.reason(error)}"


def usable_rate(stream: VideoStream) -> Fraction | None:
    """Frames per second of a stream, or None where what it says is absurd."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and 0 < rate <= 1000:
            return rate
    return None


def _origin(opened: InputContainer, stream: VideoStream) -> Fraction:
    """The stream's time that is the container's start: where players begin to count, sound included."""
    if opened.start_time is None or not stream.time_base:
        return Fraction(0)
    start = Fraction(opened.start_time, 1_000_000)
    if stream.start_time is not None:
        own = stream.start_time * stream.time_base
        # The container's start is rounded to microseconds, the stream's is exact.
        if abs(own - start) < Fraction(1, 500_000):
            return Fraction(own)
    return start


def _disposition(stream: VideoStream) -> str:
    return str(getattr(stream, "disposition", ""))


def reason_of_error(error: BaseException) -> str:
    """The error's own words without number and file name, on one line."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return printable(str(text).splitlines()[0])
