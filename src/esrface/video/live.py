"""Cameras and streams that go on by themselves: they may stall, end, and come back."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.errors import InputError
from esrface.video.addresses import address_parts, file_of, safe_name
from esrface.video.container import Container, load_av
from esrface.video.files import ContainerSource, open_file
from esrface.video.sources import Source, SourceInfo, SourceOptions
from esrface.video.upright import DisplayMatrix, upright_rgb

FIRST_WAIT_S = 0.5
"""Pause before the first attempt to reconnect; each further one doubles it."""

MAX_WAIT_S = 10.0
"""Longest pause between two attempts to reconnect."""

_ALWAYS_LIVE = frozenset({"rtsp", "rtsps", "rtp", "udp", "srt", "rtmp", "rtmps", "tcp", "mms", "mmsh"})

_PROBE = {"analyzeduration": "1000000"}
"""Microseconds of a live stream that may be looked at before the first frame comes out."""

_log = logging.getLogger("esrface")

Pixels = Callable[[], NDArray[np.uint8]]


class Feed(Protocol):
    """One connection to a live source."""

    @property
    def info(self) -> SourceInfo:
        """What it says of itself."""

    def pictures(self) -> Iterator[Pixels]:
        """A function that makes the pixels, for each frame as it arrives; InputError where it breaks."""

    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True)
class LiveFrame:
    """A frame of a live source; see ``esrface.video.sources.SourceFrame``."""

    number: int
    time_s: float
    _name: str
    _pixels: Pixels

    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB, upright."""
        try:
            return self._pixels()
        except (ValueError, OSError, cv2.error) as error:
            raise InputError(
                f"{self._name} at {self.time_s:.2f} s: frame {self.number} cannot be used"
            ) from error


class LiveSource:
    """Frames as they arrive, over as many connections as it takes; see ``sources.Source``.

    Times are those of arrival, since the first frame; numbers go on after a new connection.

    Args:
        name: How it is called, without credentials.
        connect: Makes a connection, or raises InputError.
        reconnect: How many attempts in a row are made where a connection breaks, stalls or ends; the row ends
            with the next frame, not with a connection that may give none.
    """

    live = True

    def __init__(self, name: str, connect: Callable[[], Feed], reconnect: int) -> None:
        self.name = name
        self._connect = connect
        self._reconnect = reconnect
        self._stopped = threading.Event()
        self._attempts, self._pause_s = 0, FIRST_WAIT_S
        self._feed: Feed | None = connect()
        self.info = self._feed.info

    def frames(self) -> Iterator[LiveFrame]:
        """All frames; ends with InputError unless the source came to its end by itself."""
        number, start = 0, 0.0
        while self._feed is not None:
            problem: str | None = None
            first = number
            try:
                for pixels in self._feed.pictures():
                    self._attempts, self._pause_s = 0, FIRST_WAIT_S
                    now = time.monotonic()
                    start = start or now
                    yield LiveFrame(number, now - start, self.name, pixels)
                    number += 1
                    if self._stopped.is_set():
                        return
            except InputError as error:
                problem = str(error)
            finally:
                self._feed.close()
            if self._stopped.is_set():
                return
            if problem is None and number == first:
                problem = f"{self.name} gave no frame"
            self._feed = self._come_back(problem)

    def stop(self) -> None:
        """``frames`` ends with the next frame, or when waiting for it comes to its end."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connection."""
        if self._feed is not None:
            self._feed.close()

    def _come_back(self, problem: str | None) -> Feed | None:
        """A new connection; None where the end was one and is final; InputError where it was none."""
        while self._attempts < self._reconnect:
            self._attempts += 1
            said = problem or f"{self.name} ended"
            _log.warning("%s; connecting again (%d of %d)", said, self._attempts, self._reconnect)
            if self._stopped.wait(self._pause_s):
                return None
            self._pause_s = min(2 * self._pause_s, MAX_WAIT_S)
            try:
                return self._connect()
            except InputError as error:
                problem = str(error)
        if problem is None:
            return None
        tried = f"; gave up after {self._reconnect} attempts to connect again" if self._reconnect else ""
        raise InputError(problem + tried)


class CameraFeed:
    """A camera of this machine through OpenCV.

    Args:
        camera: Its number, or its device's path.
        name: For messages.
    """

    def __init__(self, camera: int | str, name: str) -> None:
        self._name = name
        with _quiet_opencv():
            if isinstance(camera, str) and sys.platform == "linux":
                # No other way of reading: they would take any device for a file.
                self._capture = cv2.VideoCapture(camera, cv2.CAP_V4L2)
            else:
                self._capture = cv2.VideoCapture(camera)
        if not self._capture.isOpened():
            raise InputError(f"{name} cannot be opened: is it connected, and is no other program using it?")
        width, height = (
            int(self._capture.get(which)) for which in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        )
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.info = SourceInfo(
            size_wh=(width, height) if width > 0 and height > 0 else None,
            frame_rate=rate if 0 < rate <= 1000 else None,
        )

    def pictures(self) -> Iterator[Pixels]:
        """As they come; a camera has no end, so not giving one more is an error."""
        while True:
            with _quiet_opencv():
                came, bgr = self._capture.read()
            if not came:
                raise InputError(f"{self._name} gives no more pictures: was it disconnected?")
            yield _flipped(bgr)

    def close(self) -> None:
        """Free the camera."""
        self._capture.release()


class StreamFeed:
    """A live stream of the network through PyAV."""

    def __init__(self, container: Container, stall_s: float) -> None:
        self._container = container
        self._stall_s = stall_s
        # A frame is wanted when it is there, not when others follow.
        container.stream.thread_type = "SLICE"
        self.info = container.info

    def pictures(self) -> Iterator[Pixels]:
        """As they come, damaged packets left out."""
        av = load_av()
        display = DisplayMatrix()
        try:
            for packet in self._container.packets():
                try:
                    decoded = packet.decode()
                except (av.EOFError, av.InvalidDataError):
                    continue
                for frame in decoded:
                    aspect = self._container.stream.sample_aspect_ratio
                    yield partial(upright_rgb, frame, aspect, display.of(frame))
        except av.ExitError:
            raise InputError(f"{self._container.name} stalls: no frame for {self._stall_s:g} s") from None
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{self._container.name} broke off: {self._container.reason(error)}") from None

    def close(self) -> None:
        """Close the connection."""
        self._container.close()


def open_camera(camera: int | str, options: SourceOptions) -> Source:
    """A camera by its number or device; InputError where there is none."""
    name = safe_name(camera) if isinstance(camera, int) else f"camera {printable(camera)}"
    return LiveSource(name, lambda: CameraFeed(camera, name), options.reconnect)


def open_stream(url: str, options: SourceOptions) -> Source:
    """What an address leads to: a live stream, or a video that happens to lie elsewhere."""
    path = file_of(url)
    if path is not None:
        return open_file(path, options)
    scheme = address_parts(url).scheme
    surely_live = scheme in _ALWAYS_LIVE or options.live is True
    settings = {"rtsp_transport": "tcp"} if scheme in ("rtsp", "rtsps") else {}

    def connect(probe: dict[str, str]) -> Container:
        name = safe_name(url)
        try:
            container = Container(
                url, name, options, timeout_s=options.stall_s, options={**settings, **probe}
            )
        except InputError as error:
            if "mmediate exit" in str(error):
                raise InputError(f"cannot read {name}: no answer for {options.stall_s:g} s") from None
            raise
        return container

    first = connect(_PROBE if surely_live else {})
    live = surely_live if options.live is None else options.live
    if options.live is None and not surely_live:
        live = _is_endless(first)
    if not live:
        return ContainerSource(first)
    # The first connection is there already; later ones are made anew.
    waiting = [first]

    def feed() -> Feed:
        return StreamFeed(waiting.pop() if waiting else connect(_PROBE), options.stall_s)

    return LiveSource(safe_name(url), feed, options.reconnect)


def _is_endless(container: Container) -> bool:
    """Whether something read over http has no length: a camera's pictures, or a broadcast."""
    opened = container.opened
    return opened.format.name == "mpjpeg" or ((opened.duration or 0) <= 0 and opened.size <= 0)


def _flipped(bgr: NDArray[Any]) -> Pixels:
    return lambda: np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV prints warnings of its own where a camera is missing; ours is the one line."""
    logging_ = getattr(getattr(cv2, "utils", None), "logging", None)
    if logging_ is None or os.environ.get("OPENCV_LOG_LEVEL"):
        yield
        return
    before = logging_.getLogLevel()
    logging_.setLogLevel(logging_.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging_.setLogLevel(before)
