"""Files, folders and pipes: exact times, upright pictures, and one clear line for whatever is wrong."""

from __future__ import annotations

import logging
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from esrface import DependencyError, InputError
from esrface.video import SourceOptions, open_source
from esrface.video.clock import Clock
from esrface.video.upright import square_size, turned
from video_fixtures import numbered, read_number, write_video

CLIP_FRAMES = 60


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in a file whose index stands first, so that a part of it can be read."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, map(numbered, range(CLIP_FRAMES)), movflags="faststart")


def read_all(source: str | Path, **options: object) -> tuple[list[int], list[float], str | None]:
    """Numbers shown, times, and the line at the end, if any; ordinals are checked."""
    shown, times, problem = [], [], None
    opened = open_source(source, SourceOptions(**options))  # type: ignore[arg-type]
    try:
        for index, frame in enumerate(opened.frames()):
            assert frame.number == index
            shown.append(read_number(frame.image()))
            times.append(frame.time_s)
    except InputError as error:
        problem = str(error)
        assert "\n" not in problem
    return shown, times, problem


@pytest.mark.parametrize(
    ("name", "codec", "tolerance"),
    [
        ("a.mp4", "libx264", 0),
        ("a.mkv", "libx264", 0.0005),
        ("a.avi", "mpeg4", 0),
        ("a.ts", "libx264", 0),
        ("a.webm", "libvpx", 0.0005),
    ],
)
def test_every_frame_in_order_with_its_time(tmp_path: Path, name: str, codec: str, tolerance: float) -> None:
    write_video(tmp_path / name, map(numbered, range(20)), codec=codec, rate=25)
    shown, times, problem = read_all(tmp_path / name)
    assert (shown, problem) == (list(range(20)), None)
    assert times == pytest.approx([number / 25 for number in range(20)], abs=tolerance or 1e-12)


def test_avi_with_pictures_that_only_repeat_is_whole(tmp_path: Path) -> None:
    stamps = [40 * n if n < 20 else 40 * n + 120 for n in range(50)]
    write_video(tmp_path / "gap.avi", map(numbered, range(50)), rate=25, stamps=stamps, coding={"bf": "0"})
    shown, _, problem = read_all(tmp_path / "gap.avi")
    assert (shown, problem) == (list(range(50)), None)
    whole = (tmp_path / "gap.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(whole[: whole.index(b"movi") + (whole.index(b"idx1") >> 1)])
    assert "breaks off" in str(read_all(tmp_path / "cut.avi")[2])


def test_variable_frame_rate_is_kept(tmp_path: Path) -> None:
    stamps = [0, 10, 15, 500, 501, 2000]
    write_video(tmp_path / "v.mp4", map(numbered, range(6)), stamps=stamps)
    shown, times, problem = read_all(tmp_path / "v.mp4")
    assert (shown, problem) == (list(range(6)), None)
    assert times == [stamp / 1000 for stamp in stamps]


@pytest.mark.parametrize(
    ("matrix", "turn"),
    [
        # As phones write them: a point (x, y) is shown at (a x + c y, b x + d y).
        ((0, 1, -1, 0), cv2.ROTATE_90_CLOCKWISE),
        ((-1, 0, 0, -1), cv2.ROTATE_180),
        ((0, -1, 1, 0), cv2.ROTATE_90_COUNTERCLOCKWISE),
    ],
)
def test_rotated_phone_video_is_upright(tmp_path: Path, matrix: tuple[int, ...], turn: int) -> None:
    path = write_video(tmp_path / "phone.mp4", [numbered(77)] * 3)
    content = bytearray(path.read_bytes())
    a, b, c, d = (value << 16 for value in matrix)
    at = content.index(b"tkhd") + 4 + 40
    content[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    source = open_source(path)
    image = next(iter(source.frames())).image()
    expected = cv2.rotate(numbered(77), turn)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 8


def test_mirrored_pictures_are_turned_back() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(turned(pixels, (-65536, 0, 0, 65536)), pixels[:, ::-1])
    assert np.array_equal(turned(pixels, (0, 65536, 65536, 0)), pixels.transpose(1, 0, 2))


def test_anamorphic_pixels_become_square(tmp_path: Path) -> None:
    path = write_video(tmp_path / "dv.mp4", [numbered(5, (720, 576))] * 2, aspect=Fraction(64, 45))
    source = open_source(path)
    assert source.info.size_wh == (1024, 576)
    image = next(iter(source.frames())).image()
    assert image.shape == (576, 1024, 3)
    assert read_number(image) == 5


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (Fraction(1, 2), (100, 120)),
        (Fraction(2), (200, 60)),
        (None, (100, 60)),
        (Fraction(0), (100, 60)),
        (Fraction(10000), (100, 60)),
    ],
)
def test_pixel_aspect(aspect: Fraction | None, size: tuple[int, int]) -> None:
    assert square_size((100, 60), aspect) == size


@pytest.mark.parametrize(
    ("name", "size_wh", "pixels", "codec"),
    [
        ("ten_bit.mkv", (64, 48), "yuv420p10le", "libx264"),
        ("full_colour.mkv", (64, 48), "yuv444p", "libx264"),
        ("odd.mkv", (67, 51), "yuv444p", "libx264"),
        ("odd.avi", (67, 51), "rgb24", "png"),
        ("grey.mkv", (64, 48), "gray", "ffv1"),
    ],
)
def test_pixel_formats_and_odd_sizes(
    tmp_path: Path, name: str, size_wh: tuple[int, int], pixels: str, codec: str
) -> None:
    picture = numbered(201, size_wh)
    path = write_video(tmp_path / name, [picture] * 3, pixels=pixels, codec=codec)
    images = [frame.image() for frame in open_source(path).frames()]
    assert [image.shape for image in images] == [picture.shape] * 3
    assert np.abs(images[0].astype(int) - picture).mean() < 6


def test_interlaced_is_decoded_as_it_is(tmp_path: Path) -> None:
    fields = {"x264-params": "interlaced=1:tff=1"}
    write_video(tmp_path / "tv.ts", (numbered(n, (64, 64)) for n in range(10)), coding=fields)
    assert read_all(tmp_path / "tv.ts")[0] == list(range(10))


def test_size_changes_midway(tmp_path: Path) -> None:
    one = write_video(tmp_path / "one.ts", map(numbered, range(5)))
    other = write_video(tmp_path / "other.ts", (numbered(n, (128, 96)) for n in range(5, 10)))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + other.read_bytes())
    frames = list(open_source(joined).frames())
    images = [frame.image() for frame in frames]
    assert [read_number(image) for image in images] == list(range(10))
    assert [image.shape[1] for image in images] == [64] * 5 + [128] * 5
    # The second recording's timestamps begin anew, the times go on.
    times = [frame.time_s for frame in frames]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(9 / 30, abs=0.05)


def test_clock() -> None:
    def times(stamps: list[float | None], rate: int | None = 10) -> list[float]:
        clock = Clock(rate)
        return [float(clock.tell(None if s is None else Fraction(str(s)))) for s in stamps]

    assert times([0, 0.1, 0.25, 0.25]) == [0, 0.1, 0.25, 0.25]
    assert times([None, None, None]) == [0, 0.1, 0.2]
    assert times([1, None, 1.2]) == [1, 1.1, 1.2]
    # One stray timestamp does not move the others; a new beginning does.
    assert times([5, 5.1, 1.0, 5.3, 5.4]) == [5, 5.1, 5.2, 5.3, 5.4]
    assert times([5, 5.1, 0, 0.1, 0.3]) == pytest.approx([5, 5.1, 5.2, 5.3, 5.5])
    for absurd in (None, 0, -25, 90000):
        assert times([None, None], absurd) == [0, 0.04]


def test_stream_without_timestamps(tmp_path: Path) -> None:
    write_video(tmp_path / "raw.h264", map(numbered, range(10)))
    shown, times, problem = read_all(tmp_path / "raw.h264")
    assert (shown, problem) == (list(range(10)), None)
    assert times == sorted(set(times))


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.flv", "cut.avi"])
def test_truncated_file_keeps_what_was_read_and_says_where(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name.endswith("avi") else "libx264"
    options = {"movflags": "faststart"} if name.endswith("mp4") else {}
    rng = np.random.default_rng(1)
    frames = []
    for number in range(CLIP_FRAMES):
        # Noise, so that the frames are what fills the file.
        frames.append(numbered(number, (160, 120)))
        frames[-1][64:] = rng.integers(0, 200, (56, 160, 3))
    path = write_video(tmp_path / name, frames, codec=codec, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    shown, times, problem = read_all(path)
    assert 10 < len(shown) < CLIP_FRAMES
    assert shown == list(range(len(shown)))
    assert problem is not None
    assert f"breaks off after {times[-1]:.2f} s ({len(shown)} frames were read)" in problem


def test_damage_midway_costs_only_what_is_damaged(clip: Path, tmp_path: Path) -> None:
    content = bytearray(clip.read_bytes())
    start = content.index(b"mdat") + 4
    middle = start + (len(content) - start) // 2
    content[middle : middle + 200] = os.urandom(200)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    shown, times, problem = read_all(damaged)
    assert problem is not None
    assert "damaged.mp4 is damaged" in problem
    assert f"the {len(shown)} frames that decode were read" in problem
    assert len(shown) > CLIP_FRAMES / 2
    assert times[-1] > 1.5


def test_index_at_the_end_of_a_cut_file_cannot_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", map(numbered, range(30)))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"a\.mp4: it is no video, or one that is damaged or not finished"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty.mp4", b"", "no video"),
        ("noise.mp4", bytes(range(256)) * 400, "no video"),
        ("zeros.mkv", bytes(100_000), "no video"),
        ("words.txt", b"some words\n" * 500, "nothing that is a video"),
        ("lines.srt", b"1\n00:00:01,000 --> 00:00:04,000\nhello\n", "nothing that is a video"),
    ],
)
def test_not_a_video(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"cannot read .*{name}.*{expected}") as caught:
        open_source(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_only_sound(tmp_path: Path) -> None:
    write_video(tmp_path / "song.m4a", [], audio_s=0.5)
    with pytest.raises(InputError, match=r"song\.m4a: it holds only sound"):
        open_source(tmp_path / "song.m4a")


def test_zero_frames(clip: Path, tmp_path: Path) -> None:
    # All that the index speaks of is missing.
    content = clip.read_bytes()
    (tmp_path / "none.mp4").write_bytes(content[: content.index(b"mdat") + 4])
    shown, _, problem = read_all(tmp_path / "none.mp4")
    assert shown == []
    assert problem is not None
    assert "cannot read" in problem


def test_absurd_metadata_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", map(numbered, range(10)), codec="mpeg4")
    content = bytearray(path.read_bytes())
    # Frames in the main head and in the stream's: minus one and a billion.
    at = content.index(b"avih") + 8
    content[at + 16 : at + 20] = struct.pack("<i", -1)
    path.write_bytes(content)
    source = open_source(path)
    assert source.info.frames is None or source.info.frames > 0
    assert source.info.duration_s is None or source.info.duration_s > 0
    assert len(list(source.frames())) == 10


def test_file_that_grows_is_read_as_far_as_it_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write_video(tmp_path / "a.ts", map(numbered, range(30)))
    whole = path.read_bytes()
    # Packets of transport streams have 188 bytes.
    path.write_bytes(whole[: len(whole) // 188 // 2 * 188])
    source = open_source(path)
    count = 0
    with caplog.at_level(logging.WARNING, "esrface"):
        for _ in source.frames():
            count += 1
            if count == 1:
                with path.open("ab") as file:
                    file.write(whole[-188:])
    assert count > 5
    assert "a.ts grew while it was read" in caplog.text


@pytest.mark.parametrize(
    "name", ["with space.mp4", "-dash.mp4", "50%03d.mp4", "a:b.mp4", "Ünï.MP4", os.fsdecode(b"\xff\xe9.mp4")]
)
def test_odd_file_names(clip: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(clip, tmp_path / name)
    source = open_source(tmp_path / name)
    assert source.name == str(tmp_path / name)
    assert sum(1 for _ in source.frames()) == CLIP_FRAMES


def test_a_file_cannot_name_others(clip: Path, tmp_path: Path) -> None:
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n"
    (tmp_path / "list.m3u8").write_text(playlist)
    with pytest.raises(InputError):
        list(open_source(tmp_path / "list.m3u8").frames())


@pytest.mark.parametrize("camera", [-1, True])
def test_cameras_are_numbered_from_0(camera: int) -> None:
    with pytest.raises(InputError, match=f"cannot read camera {camera}: cameras are numbered from 0 on"):
        open_source(camera)


def test_no_name_is_no_source() -> None:
    with pytest.raises(InputError, match="cannot read '': no such file or folder"):
        open_source("")


def test_missing_file_and_folder_without_pictures(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*nope\.mp4: no such file or folder"):
        open_source(tmp_path / "nope.mp4")
    with pytest.raises(InputError, match="the folder holds no pictures"):
        open_source(tmp_path)
    with pytest.raises(InputError, match="the pattern matches no pictures"):
        open_source(tmp_path / "img_%03d.png")


@pytest.mark.parametrize("pattern", ["", "img_%d.png", "img_*.png"])
def test_pictures_in_the_order_of_their_numbers(tmp_path: Path, pattern: str) -> None:
    for number in (1, 2, 10, 9, 100):
        cv2.imwrite(str(tmp_path / f"img_{number}.png"), numbered(number))
    (tmp_path / "notes.txt").write_text("no picture")
    shown, times, problem = read_all(tmp_path / pattern if pattern else tmp_path, picture_rate=10)
    assert (shown, problem) == ([1, 2, 9, 10, 100], None)
    assert times == [0, 0.1, 0.2, 0.3, 0.4]


def test_padded_pattern_takes_only_padded_names(tmp_path: Path) -> None:
    for name in ("f_001.png", "f_002.png", "f_3.png", "f_1000.png"):
        cv2.imwrite(str(tmp_path / name), numbered(int(name[2:-4]) % 256))
    assert read_all(tmp_path / "f_%03d.png")[0] == [1, 2, 1000 % 256]


def feed(write: Callable[[int], None], path: Path) -> threading.Thread:
    """Somebody who opens a pipe for writing."""

    def run() -> None:
        descriptor = os.open(path, os.O_WRONLY)
        try:
            write(descriptor)
        except BrokenPipeError:
            pass
        finally:
            os.close(descriptor)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipe_and_a_writer_that_dies(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.ts", map(numbered, range(CLIP_FRAMES))).read_bytes()
    os.mkfifo(tmp_path / "pipe")
    feed(lambda descriptor: (os.write(descriptor, content), None)[1], tmp_path / "pipe")
    shown, _, problem = read_all(tmp_path / "pipe")
    assert (shown, problem) == (list(range(CLIP_FRAMES)), None)
    feed(lambda descriptor: (os.write(descriptor, content[: len(content) // 2]), None)[1], tmp_path / "pipe")
    shown, _, _ = read_all(tmp_path / "pipe")
    assert 10 < len(shown) < CLIP_FRAMES
    assert shown == list(range(len(shown)))
    feed(lambda descriptor: None, tmp_path / "pipe")
    with pytest.raises(InputError, match=r"no video.*through a pipe only formats made for streaming"):
        open_source(tmp_path / "pipe")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipe_that_nobody_writes_into_is_not_waited_for_without_end(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe: nothing was written into it for 0\.3 s"):
        open_source(tmp_path / "pipe", SourceOptions(stall_s=0.3))


@pytest.mark.parametrize("how", ["file", "pipe"])
def test_standard_input(clip: Path, tmp_path: Path, how: str) -> None:
    stream = write_video(tmp_path / "a.mkv", map(numbered, range(10)))
    code = (
        "from esrface.video import open_source\n"
        "s = open_source('-')\n"
        "print(s.name, sum(1 for _ in s.frames()))"
    )
    run = [sys.executable, "-c", code]
    if how == "file":
        # A redirected file can be gone back in, so any format will do.
        with clip.open("rb") as file:
            done = subprocess.run(run, stdin=file, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["-", str(CLIP_FRAMES)]
    else:
        done = subprocess.run(run, input=stream.read_bytes(), capture_output=True, check=True)
        assert done.stdout.split() == [b"-", b"10"]
    assert not done.stderr


def test_without_pyav_one_line_names_the_extra(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(
        DependencyError, match=r"need PyAV: in a clone of esrface, pip install .*'\.\[video\]'$"
    ):
        open_source(clip)


def test_library_stays_silent_on_broken_files(clip: Path, tmp_path: Path) -> None:
    content = clip.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    code = (
        "import sys\nfrom esrface.video import open_source\n"
        "from esrface import InputError\n"
        "try:\n    list(open_source(sys.argv[1]).frames())\nexcept InputError:\n    pass"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "cut.mp4")]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")
