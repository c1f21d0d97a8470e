"""Cameras and live streams: late frames are dropped, stalls end, lost connections come back, secrets stay."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import video_fixtures
from esrface import InputError, Recognizer, open_video
from esrface.video import SourceInfo, SourceOptions, open_source, safe_name
from esrface.video.addresses import scrub
from esrface.video.live import LiveSource
from processes import PATIENCE_S, until
from video_fixtures import MadeSource, MjpegServer, SquareDetector, square_frame

mjpeg_server = video_fixtures.mjpeg_server
ServerStarter = Callable[..., MjpegServer]


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, SquareDetector(), threads=1)


def read(url: str, at_most: int = 1000, **options: Any) -> tuple[list[int], list[float], str | None]:
    source = open_source(url, SourceOptions(**options))
    assert source.live
    numbers, times = [], []
    try:
        for frame in source.frames():
            assert frame.image().shape == (240, 320, 3)
            numbers.append(frame.number)
            times.append(frame.time_s)
            if len(numbers) == at_most:
                source.stop()
    except InputError as error:
        return numbers, times, str(error)
    return numbers, times, None


def test_mjpeg_camera_that_hangs_up(mjpeg_server: ServerStarter) -> None:
    server = mjpeg_server((30, "end"))
    numbers, times, problem = read(f"http://{server.address}/stream")
    assert problem == f"http://{server.address}/stream broke off: the connection was closed"
    assert len(numbers) >= 29
    assert numbers == list(range(len(numbers)))
    assert times[0] == 0
    assert times == sorted(times)


def test_stall_is_an_error_after_its_time(mjpeg_server: ServerStarter) -> None:
    server = mjpeg_server((20, "stall"))
    numbers, _, problem = read(f"http://{server.address}/", stall_s=1.5)
    assert len(numbers) >= 18
    assert problem == f"http://{server.address}/ stalls: no frame for 1.5 s"


def test_comes_back_after_a_stall_and_an_end(
    mjpeg_server: ServerStarter, caplog: pytest.LogCaptureFixture
) -> None:
    # On a busy machine a connection may take longer than a stall, hence the attempts to spare.
    server = mjpeg_server((20, "stall"), (0, "refuse"), (20, "end"))
    with caplog.at_level(logging.WARNING, "esrface"):
        numbers, times, problem = read(f"http://{server.address}/", 45, stall_s=1.5, reconnect=9)
    # Three connections' frames at least under one count; time went on during the stall.
    assert numbers == list(range(45))
    assert problem is None
    assert times == sorted(times)
    assert max(b - a for a, b in pairwise(times)) > 1.5
    for told in ("stalls: no frame for 1.5 s; connecting again (1 of 9)", "connecting again (2 of 9)"):
        assert told in caplog.text


def test_gives_up_after_so_many_attempts_in_a_row(
    mjpeg_server: ServerStarter, caplog: pytest.LogCaptureFixture
) -> None:
    server = mjpeg_server((5, "end"), (0, "refuse"))
    numbers, _, problem = read(f"http://{server.address}/", reconnect=2)
    assert len(numbers) >= 4
    assert len(server.requests) == 3
    assert "broke off: the connection was closed; connecting again (1 of 2)" in caplog.text
    assert problem is not None
    assert problem.endswith("gave up after 2 attempts to connect again")


class MadeFeed:
    """A connection that gives so many frames and then breaks, or ends."""

    info = SourceInfo()

    def __init__(self, count: int, *, breaks: bool) -> None:
        self._count, self._breaks = count, breaks

    def pictures(self) -> Iterator[Callable[[], Any]]:
        """As they come."""
        for number in range(self._count):
            yield partial(square_frame, number)
        if self._breaks:
            raise InputError("made broke off")

    def close(self) -> None:
        """Nothing to free."""


def without_waiting(counts: list[int], reconnect: int, *, breaks: bool) -> tuple[int, list[float], str]:
    """Connections that give so many frames each, then none at all: how many frames came, what was waited
    for before each attempt, and how it ended."""
    # Not without end: who never gave up would go on for ever.
    plan = [*counts, *[0] * 2 * reconnect]
    source = LiveSource("made", lambda: MadeFeed(plan.pop(0), breaks=breaks), reconnect)
    waits: list[float] = []
    source._stopped.wait = waits.append  # type: ignore[assignment, method-assign]
    came: list[int] = []
    with pytest.raises(InputError) as caught:
        came.extend(frame.number for frame in source.frames())
    return len(came), waits, str(caught.value)


@pytest.mark.parametrize(("breaks", "reason"), [(True, "made broke off"), (False, "made gave no frame")])
def test_connections_that_give_no_frame_are_failed_attempts(breaks: bool, reason: str) -> None:
    came, waits, problem = without_waiting([2], 3, breaks=breaks)
    assert (came, len(waits)) == (2, 3)
    assert problem == f"{reason}; gave up after 3 attempts to connect again"


def test_pauses_between_attempts_double_until_a_frame_comes() -> None:
    came, waits, _ = without_waiting([1, 0, 0, 1], 8, breaks=True)
    assert came == 2
    assert waits == [0.5, 1, 2, 0.5, 1, 2, 4, 8, 10, 10, 10]


@pytest.mark.parametrize(
    ("then", "reason"), [("refuse", "it is no video, or one"), ("end", "the connection was closed$")]
)
def test_stream_in_which_there_is_nothing(mjpeg_server: ServerStarter, then: str, reason: str) -> None:
    server = mjpeg_server((0, then))
    with pytest.raises(InputError, match=f"^cannot read http://{server.address}/: {reason}"):
        open_source(f"http://{server.address}/")


def test_no_answer_at_all(mjpeg_server: ServerStarter) -> None:
    server = mjpeg_server((0, "stall"))
    with pytest.raises(InputError, match=r"no answer for 0\.5 s"):
        open_source(f"http://{server.address}/", SourceOptions(stall_s=0.5))


def test_credentials_open_the_camera_and_appear_nowhere(
    mjpeg_server: ServerStarter, recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    server = mjpeg_server((15, "end"), (0, "refuse"), locked=True)
    url = f"http://anna:geheim%40@{server.address}/video?channel=2&token=t0ps3cret"
    seen: list[str] = []

    def watch() -> None:
        video = open_video(url, recognizer, reconnect=1)
        seen.extend([video.name, repr(video), repr(video._source)])
        for frame in video:
            seen.extend([repr(frame), str(frame.to_dict())])

    with caplog.at_level(logging.DEBUG), pytest.raises(InputError) as caught:
        watch()
    seen += [str(caught.value), repr(caught.value.__cause__), repr(caught.value.__context__), caplog.text]
    assert "Authorization: Basic" in server.requests[0]
    assert "token=t0ps3cret" in server.requests[0]
    assert f"http://{server.address}/video?channel=2&token=***" in caplog.text
    for text in seen:
        for secret in ("anna", "geheim", "t0ps3cret"):
            assert secret not in text
    # Nor in a traceback that nobody caught.
    code = f"import esrface\nesrface.open_video('http://anna:geheim@{server.address}/?pwd=x17', None)"
    done = subprocess.run([sys.executable, "-"], input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "cannot read http://" in done.stderr
    for secret in ("anna", "geheim", "x17"):
        assert secret not in done.stderr


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("rtsp://me:pass@cam.example:554/h264?subtype=1", "rtsp://cam.example:554/h264?subtype=1"),
        ("rtsp://me:p@ss@cam.example/x", "rtsp://cam.example/x"),
        ("rtsp://me@cam.example/x", "rtsp://cam.example/x"),
        ("http://cam.example/a?user=u&password=p&n=1", "http://cam.example/a?user=***&password=***&n=1"),
        ("rtsp://cam.example/user=u&passwd=p&ch=1.sdp", "rtsp://cam.example/user=***&passwd=***&ch=1.sdp"),
        ("https://cam.example/live.m3u8?api_key=k#t", "https://cam.example/live.m3u8?api_key=***#t"),
        ("http://cam.example/mail@home", "http://cam.example/mail@home"),
        ("clips/user=me@home.mp4", "clips/user=me@home.mp4"),
        (Path("clip.mp4"), "clip.mp4"),
        (0, "camera 0"),
    ],
)
def test_safe_name(source: Any, name: str) -> None:
    assert safe_name(source) == name


def test_messages_of_libraries_are_scrubbed() -> None:
    url = "rtsp://me:pass@cam.example/x"
    assert scrub(f"error opening {url}\n", url) == "error opening rtsp://cam.example/x\\n"


@pytest.mark.parametrize("camera", [0, 97])
def test_missing_camera_is_one_line(camera: int) -> None:
    code = (
        "import esrface\ntry:\n"
        f"    esrface.open_video({camera})\nexcept esrface.InputError as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    if not done.stdout:
        pytest.skip("there is a camera")
    assert done.stdout.startswith(f"camera {camera} cannot be opened: is it connected")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_missing_device_is_one_line() -> None:
    with pytest.raises(InputError, match=r"cannot read /dev/video97: no such file or folder"):
        open_source("/dev/video97")


def test_live_source_drops_frames_rather_than_fall_behind(recognizer: Recognizer) -> None:
    gate = threading.Semaphore(20)
    source = MadeSource(200, live=True, gate=gate)
    lags = []
    with open_video(source, recognizer) as video:
        for frame in video:
            lags.append(video.frames_read - frame.number)
            # Ten come while one is worked on.
            gate.release(10)
            assert until(lambda: video.frames_read >= min(200, 20 + 10 * len(lags)))
    # A reader ten times too slow is never more than what is under way behind: 5 or so steps.
    assert 5 < len(lags) < 60
    assert max(lags) < 80
    assert video.dropped > 100
    assert video.dropped + len(lags) <= 200
    # The end is not lost.
    assert frame.number == 199


def test_sampling_is_no_dropping(recognizer: Recognizer) -> None:
    gate = threading.Semaphore(10)
    numbers = []
    with open_video(MadeSource(40, live=True, gate=gate), recognizer, every=10) as video:
        for frame in video:
            numbers.append(frame.number)
            gate.release(10)
    assert numbers == [0, 10, 20, 30]
    assert video.dropped == 0


def test_mjpeg_camera_through_the_whole_pipeline(mjpeg_server: ServerStarter, recognizer: Recognizer) -> None:
    server = mjpeg_server((100_000, "end"))
    begin = time.monotonic()
    with open_video(f"http://{server.address}/", recognizer) as video:
        assert video.checkpoint() is None
        for frame in video:
            assert frame.faces[0].track_id == 1
            if frame.number >= 30:
                break
    # Stopped in the middle, without waiting for the rest of the half hour.
    assert time.monotonic() - begin < PATIENCE_S


def test_stopping_while_a_camera_stalls_does_not_hang(
    mjpeg_server: ServerStarter, recognizer: Recognizer
) -> None:
    server = mjpeg_server((20, "stall"))
    with open_video(f"http://{server.address}/", recognizer, stall_s=2 * PATIENCE_S) as video:
        for frame in video:
            if frame.number >= 5:
                break
        begin = time.monotonic()
    assert time.monotonic() - begin < PATIENCE_S


def test_what_has_passed_live_cannot_be_taken_up_again(recognizer: Recognizer) -> None:
    with open_video(MadeSource(3), recognizer) as video:
        next(video)
        checkpoint = video.checkpoint()
    with pytest.raises(InputError, match="is live"):
        open_video(MadeSource(3, live=True), recognizer, resume_after=checkpoint)


@pytest.mark.parametrize(
    ("options", "named"),
    [({"stall_s": 0}, "stall_s"), ({"reconnect": -1}, "reconnect"), ({"picture_rate": 0}, "picture_rate")],
)
def test_options_out_of_range(options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        SourceOptions(**options)
