"""Videos, cameras and heads for the tests of video: made here, or from the public-domain pictures."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from esrface import Box
from esrface.detection import Detection
from esrface.video import SourceInfo

Image = NDArray[np.uint8]
TOOL = Path(__file__).parent.parent / "tools" / "make_demo_clip.py"


def load_tool() -> ModuleType:
    """``tools/make_demo_clip.py`` as a module."""
    if "make_demo_clip" not in sys.modules:
        spec = importlib.util.spec_from_file_location("make_demo_clip", TOOL)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["make_demo_clip"] = module
        spec.loader.exec_module(module)
    return sys.modules["make_demo_clip"]


@pytest.fixture(scope="session")
def demo_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo clip: see the tool for what happens in it."""
    path = tmp_path_factory.mktemp("demo") / "demo.mp4"
    load_tool().make_clip(path)
    return path


class SquareDetector:
    """A detector at the outer boundary: one face, around what is brighter than 200 in red."""

    name = "square"

    def detect(self, image: Image) -> list[Detection]:
        """The face, or none."""
        thin = image[::4, ::4, 0]
        if not (thin > 200).any():
            return []
        rows, columns = np.nonzero(thin > 200)
        box = Box(*(4 * int(v) for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)))
        return [Detection(box, 0.9)]


def square_frame(number: int, size_wh: tuple[int, int] = (320, 240)) -> Image:
    """A frame in whose square ``SquareDetector`` sees a face, which goes to and fro."""
    frame = np.full((size_wh[1], size_wh[0], 3), 60, np.uint8)
    x = abs(number % 160 - 80)
    frame[40:104, 40 + x : 104 + x] = (230, 180, 150)
    frame[60:70, 50 + x : 94 + x, 1] = number % 200
    return frame


@dataclass(frozen=True)
class MadeFrame:
    """A frame of ``MadeSource``."""

    number: int
    time_s: float
    make: Callable[[int], Image]

    def image(self) -> Image:
        """Its pixels."""
        return self.make(self.number)


@dataclass
class MadeSource:
    """A source at the outer boundary whose frames are made as they are asked for."""

    count: int
    make: Callable[[int], Image] = square_frame
    rate: float = 30.0
    live: bool = False
    gate: threading.Semaphore | None = None
    """Each frame waits for leave to come."""
    fail_at: int | None = None
    name: str = "made"
    info: SourceInfo = field(default_factory=SourceInfo)
    closed: bool = False
    stopped: bool = False

    def frames(self) -> Iterator[MadeFrame]:
        """All of them, or as many as come before the failure or the stop."""
        for number in range(self.count):
            if number == self.fail_at:
                raise RuntimeError("the source burst")
            if self.stopped:
                return
            if self.gate is not None:
                self.gate.acquire()
            yield MadeFrame(number, number / self.rate, self.make)

    def stop(self) -> None:
        """Remember it."""
        self.stopped = True

    def close(self) -> None:
        """Remember it."""
        self.closed = True


def numbered(number: int, size_wh: tuple[int, int] = (64, 48)) -> Image:
    """A picture whose number can be read back after lossy coding, see ``read_number``."""
    frame = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    for bit in range(8):
        if number >> bit & 1:
            frame[: size_wh[1] // 2, bit * size_wh[0] // 8 : (bit + 1) * size_wh[0] // 8] = 255
    return frame


def read_number(image: Image) -> int:
    """The number in a picture of ``numbered``, whatever its size is now."""
    height, width = image.shape[:2]
    return sum((int(image[height // 4, (2 * bit + 1) * width // 16].mean()) > 127) << bit for bit in range(8))


def write_video(
    path: Path,
    frames: Iterable[Image],
    *,
    rate: int = 30,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    stamps: list[int] | None = None,
    aspect: Fraction | None = None,
    audio_s: float = 0.0,
    coding: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A video file; ``stamps`` are presentation times in milliseconds (else by the rate)."""
    with av.open(str(path), "w", options=options) as output:
        stream: Any = None
        sound: Any = None
        for number, frame in enumerate(frames):
            if stream is None:
                fast = {"preset": "ultrafast", "g": "30"} if codec == "libx264" else {}
                stream = output.add_stream(codec, rate=rate, options={**fast, **(coding or {})})
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pixels
                if aspect is not None:
                    stream.codec_context.sample_aspect_ratio = aspect
                if stamps is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                # Before the first picture is written: the file's head names all streams.
                sound = _add_sound(output) if audio_s else None
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            if stamps is not None:
                picture.pts, picture.time_base = stamps[number], Fraction(1, 1000)
            output.mux(stream.encode(picture))
        if stream is not None:
            output.mux(stream.encode(None))
        if audio_s:
            _write_sound(output, sound or _add_sound(output), audio_s)
    return path


def _add_sound(output: Any) -> Any:
    codec, rate = ("libopus", 48000) if output.format.name == "webm" else ("aac", 44100)
    return output.add_stream(codec, rate=rate, layout="mono")


def _write_sound(output: Any, sound: Any, seconds: float) -> None:
    rate = sound.rate
    for begin in range(0, int(rate * seconds), 1024):
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = rate, begin, Fraction(1, rate)
        output.mux(sound.encode(block))
    output.mux(sound.encode(None))


class MjpegServer:
    """A camera of the network on loopback: JPEGs without end over http, which can stall and come back.

    Args:
        plan: What each connection does in turn: how many frames it sends, then ``"end"``, ``"stall"`` or
            ``"refuse"`` (closes before the first byte). The last one is repeated.
        pause_s: Between frames.
        locked: Whether it asks for a password (any will do); those attempts are no connections.
    """

    def __init__(self, plan: list[tuple[int, str]], pause_s: float = 0.02, *, locked: bool = False) -> None:
        self._plan = plan
        self._pause_s = pause_s
        self._locked = locked
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._stopping = threading.Event()
        self.requests: list[str] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """``127.0.0.1:port``."""
        return f"127.0.0.1:{self._listener.getsockname()[1]}"

    def close(self) -> None:
        """Let go of the port and of whoever is connected."""
        self._stopping.set()
        self._listener.close()
        self._thread.join(60)

    def _serve(self) -> None:
        self._listener.settimeout(0.1)
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            # One may stall while another comes.
            threading.Thread(target=self._attend, args=(connection,), daemon=True).start()

    def _attend(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            request = connection.recv(4096).decode("latin-1")
            if self._locked and "Authorization: Basic" not in request:
                connection.sendall(b"HTTP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm=cam\r\n\r\n")
                return
            index = min(len(self.requests), len(self._plan) - 1)
            self.requests.append(request)
            self._answer(connection, *self._plan[index])

    def _answer(self, connection: socket.socket, count: int, then: str) -> None:
        if then == "refuse":
            return
        connection.sendall(
            b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame\r\n\r\n"
        )
        for number in range(count):
            data = cv2.imencode(".jpg", square_frame(number)[..., ::-1])[1].tobytes()
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            connection.sendall(head.encode() + data + b"\r\n")
            if self._stopping.wait(self._pause_s):
                return
        if then == "stall":
            # However long the test takes: hanging up would be another story.
            self._stopping.wait()


@pytest.fixture
def mjpeg_server() -> Iterator[Callable[..., MjpegServer]]:
    """Function that starts a server, which is closed after the test."""
    servers: list[MjpegServer] = []

    def start(*plan: tuple[int, str], pause_s: float = 0.02, locked: bool = False) -> MjpegServer:
        servers.append(MjpegServer(list(plan), pause_s, locked=locked))
        return servers[-1]

    yield start
    for server in servers:
        server.close()
