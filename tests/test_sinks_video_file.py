"""The annotated video: as long as the input, at its times, with its sound, and playable whatever happens."""

from __future__ import annotations

import errno
import os
import resource
import signal
import struct
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import av
import numpy as np
import pytest

import video_fixtures
from esrface import InputError, OutputError, Recognizer, open_video
from esrface.sinks import RunSettings
from esrface.sinks.frames import Clip
from esrface.sinks.mp4 import Mp4Writer, choose_encoder
from esrface.sinks.resuming import Position, ResumeFile
from esrface.sinks.video_file import AnnotatedVideo
from esrface.video import Frame
from processes import PATIENCE_S
from unprivileged import reachable_folder, unprivileged
from video_fixtures import (
    Image,
    MjpegServer,
    SquareDetector,
    numbered,
    read_number,
    square_frame,
    write_video,
)

mjpeg_server = video_fixtures.mjpeg_server
SETTINGS = RunSettings({"model": "tiny"})
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, SquareDetector(), threads=1)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with sound, whose frames can be told apart."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_with_sound(path, [square_frame(number) for number in range(60)], rate=30)


def write_with_sound(
    path: Path,
    frames: list[Image],
    *,
    rate: int = 25,
    codec: str = "aac",
    sound_s: float = 0.0,
    pictures_s: float = 0.0,
) -> Path:
    """A video with a tone of 440 Hz; where pictures and sound begin in seconds."""
    with av.open(str(path), "w") as output:
        video: Any = output.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "bf": "0"})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        audio: Any = output.add_stream(codec, rate=48000, layout="mono")
        length = 48000 // rate
        for number, pixels in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            picture.pts, picture.time_base = number + round(pictures_s * rate), Fraction(1, rate)
            output.mux(video.encode(picture))
            begin = round(sound_s * 48000) + number * length
            wave = 0.3 * np.sin(2 * np.pi * 440 * (begin + np.arange(length)) / 48000)
            block = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            block.sample_rate, block.pts, block.time_base = 48000, begin, Fraction(1, 48000)
            output.mux(audio.encode(block))
        output.mux(video.encode(None))
        output.mux(audio.encode(None))
    return path


def copy(source: Any, target: Path, recognizer: Recognizer, mode: str = "refuse", **options: Any) -> Path:
    with (
        AnnotatedVideo(target, SETTINGS, mode=mode) as sink,
        open_video(source, recognizer, skipped=True, **options) as video,
    ):
        path = source if isinstance(source, Path) else None
        sink.begin(Clip(video.name, PurePath("clip"), path, video.info, video.live))
        for frame in video:
            sink.add(frame)
        sink.end()
    return target


def pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def times(path: Path, kind: str = "video") -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(**{kind: 0})]


def sound(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


def durations(path: Path) -> tuple[float, float | None]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return container.duration / av.time_base, float(stream.duration * stream.time_base)


def boxes(path: str) -> list[bytes]:
    """Names of the parts that an MP4 file consists of."""
    data, place, names = Path(path).read_bytes(), 0, []
    while place < len(data):
        names.append(data[place + 4 : place + 8])
        place += int.from_bytes(data[place : place + 4], "big")
    return names


def framed(image: Image, x: int, y: int) -> bool:
    """Whether something was drawn on the grey ground about there."""
    part = image[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].astype(int)
    return bool((abs(part - 60).max(axis=2) > 60).any())


@pytest.mark.parametrize("options", [{}, {"frames": 5}, {"fps": 3}, {"every": 50}, {"detect_every": 4}])
def test_every_source_frame_at_its_time_with_the_same_sound(
    clip: Path, tmp_path: Path, recognizer: Recognizer, options: dict[str, Any]
) -> None:
    made = copy(clip, tmp_path / "out.mp4", recognizer, **options)
    assert times(made) == pytest.approx(times(clip), abs=1e-5)
    assert durations(made) == pytest.approx(durations(clip), abs=1e-3)
    assert sound(made) == sound(clip)
    assert times(made, "audio") == pytest.approx(times(clip, "audio"), abs=1e-5)
    for number, (one, other) in enumerate(zip(pictures(made), pictures(clip), strict=True)):
        x = 40 + abs(number % 160 - 80)
        # The middle of the face, where nothing is drawn.
        assert (
            np.median(np.abs(one[60:100, x + 10 : x + 54].astype(int) - other[60:100, x + 10 : x + 54])) < 6
        )


def test_browsers_play_it(clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    made = copy(clip, tmp_path / "out.mp4", recognizer)
    with av.open(str(made)) as container:
        coding = container.streams.video[0].codec_context
        assert (coding.name, coding.pix_fmt) == ("h264", "yuv420p")
        # BT.709 in all three places, limited range.
        assert (coding.colorspace, coding.color_primaries, coding.color_trc, coding.color_range) == (
            1,
            1,
            1,
            1,
        )
        keys = [packet.pts * packet.time_base for packet in container.demux(video=0) if packet.is_keyframe]
    assert keys[:2] == [0, 1]
    # An ordinary file in the end: an index, and no fragments that players would have to read through.
    assert b"moof" not in boxes(str(made))
    assert boxes(str(made))[-1] == b"moov"


@pytest.mark.parametrize("options", [{}, {"frames": 5}, {"detect_every": 3}])
def test_boxes_lie_on_the_face_in_every_frame(
    clip: Path, tmp_path: Path, recognizer: Recognizer, options: dict[str, Any]
) -> None:
    made = pictures(copy(clip, tmp_path / "out.mp4", recognizer, **options))
    first = 5 if "frames" in options else 0
    for number, image in enumerate(made[:54]):
        left = 40 + abs(number % 160 - 80)
        drawn = [x for x in range(8, 300) if framed(image, x, 98)]
        if number < first:
            assert abs(min(drawn) - left) <= 4, "before the first processed frame nothing is drawn"
        else:
            # The frame stands on the square's left edge, 4 pixels (the detector's grain) and a line about it.
            assert abs(min(drawn) - left) <= 8, number


def test_frame_without_faces_is_left_as_it_is(tmp_path: Path, recognizer: Recognizer) -> None:
    grey = write_video(tmp_path / "grey.mp4", [np.full((96, 128, 3), 90, np.uint8)] * 5)
    made = copy(grey, tmp_path / "out.mp4", recognizer)
    assert all(np.abs(image.astype(int) - 90).max() < 6 for image in pictures(made))


def test_colours_come_through(tmp_path: Path, recognizer: Recognizer) -> None:
    bars = np.repeat(
        np.array([[[190, 40, 30], [30, 180, 60], [40, 60, 190], [120, 120, 120]]], np.uint8), 80, 0
    )
    bars = np.repeat(bars, 80, 1)
    with closing(Mp4Writer(tmp_path / "bars.mp4", (320, 80), rate=25)) as writer:
        for number in range(3):
            writer.write(bars, number / 25)
    with av.open(str(tmp_path / "bars.mp4")) as container:
        frame = next(container.decode(video=0))
        back = frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray()
    assert np.abs(back[20:60, 20::80][:, :4].astype(int) - bars[20:60, 20::80][:, :4]).max() < 8


@pytest.mark.parametrize("size_wh", [(321, 241), (64, 49), (3, 3)])
def test_odd_sizes_get_a_pixel_more(tmp_path: Path, recognizer: Recognizer, size_wh: tuple[int, int]) -> None:
    odd = write_video(
        tmp_path / "odd.mkv",
        (square_frame(n, (321, 241))[: size_wh[1], : size_wh[0]] for n in range(8)),
        codec="ffv1",
        pixels="yuv444p",
    )
    made = pictures(copy(odd, tmp_path / "out.mp4", recognizer))
    width, height = size_wh
    assert {image.shape for image in made} == {(height + height % 2, width + width % 2, 3)}
    assert len(made) == 8
    # The pixel added continues the picture instead of being a black line.
    assert np.abs(made[3][:, -1].astype(int) - made[3][:, -2]).mean() < 12


def test_variable_frame_rate_keeps_its_timestamps(tmp_path: Path, recognizer: Recognizer) -> None:
    stamps = [0, 40, 50, 51, 400, 1433, 1466, 3000]
    uneven = write_video(tmp_path / "vfr.mkv", (square_frame(n) for n in range(8)), stamps=stamps)
    made = copy(uneven, tmp_path / "out.mp4", recognizer, every=3)
    assert times(made) == pytest.approx([stamp / 1000 for stamp in stamps], abs=1e-5)


def test_rotated_video_is_upright(tmp_path: Path, recognizer: Recognizer) -> None:
    upright = [numbered(n, (96, 64)) for n in range(6)]
    phone = write_video(tmp_path / "phone.mp4", [np.ascontiguousarray(np.rot90(i)) for i in upright])
    content = bytearray(phone.read_bytes())
    at = content.index(b"tkhd") + 44
    # As phones write it: to be turned clockwise.
    content[at : at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    phone.write_bytes(content)
    made = pictures(copy(phone, tmp_path / "out.mp4", recognizer))
    assert {image.shape for image in made} == {(64, 96, 3)}
    assert [read_number(image) for image in made] == list(range(6))


def test_sound_that_begins_apart_from_the_pictures_stays_where_it_is(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    late = tmp_path / "late.ts"
    # MPEG-TS counts from any time: here pictures from 100.5 s on, sound from 100 s on.
    write_with_sound(late, [numbered(n) for n in range(50)], sound_s=100.0, pictures_s=100.52)
    made = copy(late, tmp_path / "out.mp4", recognizer)
    with av.open(str(late)) as container:
        start = container.start_time / av.time_base
    assert times(made) == pytest.approx([t - start for t in times(late)], abs=1e-4)
    assert times(made, "audio")[0] == pytest.approx(times(late, "audio")[0] - start, abs=1e-3)
    assert times(made)[0] - times(made, "audio")[0] == pytest.approx(0.52, abs=0.03)


@pytest.mark.parametrize(
    ("suffix", "codec", "kept"),
    [
        (".mkv", "pcm_s16le", "aac"),
        (".mkv", "libopus", "opus"),
        (".mkv", "ac3", "aac"),
        (".mkv", "flac", "flac"),
        (".avi", "libmp3lame", "mp3float"),
        (".ts", "aac", "aac"),
    ],
)
def test_sound_is_copied_where_browsers_play_it_and_else_coded_anew(
    tmp_path: Path, recognizer: Recognizer, suffix: str, codec: str, kept: str
) -> None:
    source = tmp_path / f"in{suffix}"
    write_with_sound(source, [numbered(n) for n in range(50)], codec=codec)
    made = copy(source, tmp_path / "out.mp4", recognizer)
    with av.open(str(made)) as container:
        assert container.streams.audio[0].codec_context.name == kept
        waves = [frame.to_ndarray() for frame in container.decode(audio=0)]
    heard = np.concatenate([wave.reshape(1, -1) for wave in waves], axis=1)[0].astype(float)
    assert len(heard) / 48000 == pytest.approx(2.0, abs=0.08)
    # The tone is still there: its frequency is that of most zero crossings.
    middle = heard[24000:72000]
    assert ((middle[1:] >= 0) != (middle[:-1] >= 0)).sum() / 2 == pytest.approx(440, rel=0.02)


def test_size_that_changes_midway_is_fitted_in(tmp_path: Path) -> None:
    with closing(Mp4Writer(tmp_path / "out.mp4", (160, 120), rate=25)) as writer:
        writer.write(np.full((120, 160, 3), 200, np.uint8), 0.0)
        writer.write(np.full((320, 160, 3), 200, np.uint8), 0.04)
    first, second = pictures(tmp_path / "out.mp4")
    assert first.shape == second.shape == (120, 160, 3)
    assert second[60, 80].min() > 180
    assert second[60, 10].max() < 30


def test_camera_is_recorded_as_it_was_processed(
    tmp_path: Path, recognizer: Recognizer, mjpeg_server: Callable[..., MjpegServer]
) -> None:
    server = mjpeg_server((12, "end"), pause_s=0.05)
    shown: list[Frame] = []
    with (
        AnnotatedVideo(tmp_path / "out.mp4", SETTINGS) as sink,
        open_video(f"http://{server.address}/", recognizer, skipped=True, every=2) as video,
    ):
        sink.begin(Clip(video.name, PurePath("cam"), None, video.info, video.live))
        with suppress(InputError):  # It does not say goodbye.
            for frame in video:
                shown.append(frame)
                sink.add(frame)
    assert all(frame.processed for frame in shown)
    made = times(tmp_path / "out.mp4")
    assert made == pytest.approx([frame.time_s for frame in shown], abs=1e-4)


def test_kill_leaves_a_video_that_plays_up_to_the_last_moments(tmp_path: Path) -> None:
    target = tmp_path / "out.mp4"
    program = """
        import sys, time
        from pathlib import Path
        import numpy as np
        from esrface.sinks.mp4 import Mp4Writer
        from video_fixtures import numbered
        writer = Mp4Writer(Path(sys.argv[1]), (320, 240), rate=25)
        for number in range(250):
            writer.write(numbered(number % 256, (320, 240)), number / 25)
        print("written", flush=True)
        time.sleep(3600)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(target)], stdout=subprocess.PIPE, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    process.kill()
    process.wait()
    process.stdout.close()
    got = [read_number(image) for image in pictures(target)]
    # Nine of the ten seconds at least, less what the encoder looks ahead.
    assert len(got) >= 250 - 25 - 20
    assert got == list(range(len(got)))


def test_stopped_run_leaves_a_whole_video_of_what_came(
    clip: Path, tmp_path: Path, recognizer: Recognizer
) -> None:
    class StoppedError(BaseException):
        pass

    def run() -> None:
        with AnnotatedVideo(target, SETTINGS) as sink, open_video(clip, recognizer) as video:
            sink.begin(Clip(video.name, PurePath("clip"), clip, video.info))
            for frame in video:
                sink.add(frame)
                if frame.number == 29:
                    raise StoppedError

    target = tmp_path / "out.mp4"
    with pytest.raises(StoppedError):
        run()
    assert times(target) == pytest.approx(times(clip)[:30], abs=1e-5)
    assert times(target, "audio")[-1] < 1.0
    assert boxes(str(target))[-1] == b"moov"


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """No file can grow over so many bytes: what a full disk is like."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


def write_noise(target: Path) -> None:
    noise = np.random.default_rng(1)
    with closing(Mp4Writer(target, (160, 120), rate=25)) as writer:
        for number in range(50):
            writer.write(noise.integers(0, 255, (120, 160, 3), dtype=np.uint8), number / 25)


@pytest.mark.parametrize(("missing", "left"), [(0.4, 25), (20, 50)])
def test_full_disk_keeps_what_was_written(tmp_path: Path, missing: float, left: int) -> None:
    """Also where only the index, which is written last, has no room."""
    write_noise(tmp_path / "fits.mp4")
    size = (tmp_path / "fits.mp4").stat().st_size
    target = tmp_path / "out.mp4"
    limit = round(size * (1 - missing)) if missing < 1 else size - round(missing)
    with largest_file(limit), pytest.raises(OutputError, match=r"cannot write .*out\.mp4: .* larger"):
        write_noise(target)
    assert len(pictures(target)) == left
    assert b"moof" in boxes(str(target))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_device_is_one_line(clip: Path, recognizer: Recognizer) -> None:
    with pytest.raises(OutputError, match="cannot write /dev/full: no space left") as raised:
        copy(clip, Path("/dev/full"), recognizer)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.ENOSPC


def test_pipe_gets_fragments(tmp_path: Path, clip: Path, recognizer: Recognizer) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        copy(clip, pipe, recognizer, mode="overwrite")
        data = reader.communicate(timeout=PATIENCE_S)[0]
    (tmp_path / "got.mp4").write_bytes(data)
    assert times(tmp_path / "got.mp4") == pytest.approx(times(clip), abs=1e-5)
    assert sound(tmp_path / "got.mp4") == sound(clip)


def test_what_exists_is_refused_or_replaced(clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    target = tmp_path / "out.mp4"
    target.write_bytes(b"precious")
    with pytest.raises(OutputError, match=r"it exists already \(--overwrite replaces it, --resume"):
        copy(clip, target, recognizer)
    assert target.read_bytes() == b"precious"
    copy(clip, target, recognizer, mode="overwrite")
    assert len(times(target)) == 60


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("out.avi", "refuse", "name ends in .mp4"),
        ("missing\0.mp4", "refuse", "no name of a file"),
        ("file/out.mp4", "refuse", "a part of its path is a file"),
    ],
)
def test_targets_that_cannot_be(
    clip: Path, tmp_path: Path, recognizer: Recognizer, name: str, mode: str, message: str
) -> None:
    (tmp_path / "file").write_text("no folder")
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(OutputError, match=message):
        copy(clip, tmp_path / name, recognizer, mode=mode)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_unwritable_folder_is_told_before_anything_is_read() -> None:
    with reachable_folder() as folder:
        sink = AnnotatedVideo(folder / "out.mp4", SETTINGS)
        with unprivileged(), pytest.raises(OutputError, match="permission denied"):
            sink.__enter__()


def test_the_input_itself_is_never_written_to(clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    same = tmp_path / "clip.mp4"
    same.write_bytes(clip.read_bytes())
    (tmp_path / "link.mp4").symlink_to(same)
    with pytest.raises(OutputError, match="it is the video itself"):
        copy(same, tmp_path / "link.mp4", recognizer, mode="overwrite")
    assert same.read_bytes() == clip.read_bytes()


def test_one_video_only(clip: Path, tmp_path: Path) -> None:
    with AnnotatedVideo(tmp_path / "out.mp4", SETTINGS) as sink:
        sink.begin(Clip("a", PurePath("a"), clip, video_fixtures.SourceInfo()))
        with pytest.raises(OutputError, match="it holds one video"):
            sink.begin(Clip("b", PurePath("b"), clip, video_fixtures.SourceInfo()))
    assert not (tmp_path / "out.mp4").exists(), "nothing came, nothing is left"


def test_resuming_writes_an_unfinished_video_anew_and_leaves_a_finished_one(
    clip: Path, tmp_path: Path, recognizer: Recognizer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    target = tmp_path / "out.mp4"
    with AnnotatedVideo(target, SETTINGS) as sink, open_video(clip, recognizer) as video:
        sink.begin(Clip(video.name, PurePath("clip"), clip, video.info))
        for _, frame in zip(range(20), video, strict=False):
            sink.add(frame)
    assert len(times(target)) == 20
    with AnnotatedVideo(target, SETTINGS, mode="resume") as sink, open_video(clip, recognizer) as video:
        assert sink.done(video.name, PurePath("clip"), 0) == 0
        sink.begin(Clip(video.name, PurePath("clip"), clip, video.info))
        for frame in video:
            sink.add(frame)
        sink.end()
        ResumeFile(target).keep(video.name, Position(60, finished=True))
    assert "out.mp4 is written anew: a video cannot be continued" in caplog.text
    assert times(target) == pytest.approx(times(clip), abs=1e-5)
    whole = target.read_bytes()
    with AnnotatedVideo(target, SETTINGS, mode="resume") as sink:
        assert sink.done(str(clip), PurePath("clip"), 0) == 60
        sink.begin(Clip(str(clip), PurePath("clip"), clip, video_fixtures.SourceInfo()))
        sink.end()
    assert target.read_bytes() == whole
    other = RunSettings({"model": "another"})
    with pytest.raises(OutputError, match="model was tiny and is another now"):
        AnnotatedVideo(target, other, mode="resume").__enter__()
    assert target.read_bytes() == whole


def test_names_that_are_no_utf8(clip: Path, tmp_path: Path, recognizer: Recognizer) -> None:
    target = Path(os.fsdecode(bytes(tmp_path) + b"/caf\xe9 %03d.mp4"))
    copy(clip, target, recognizer)
    assert target.stat().st_size > 1000


def test_other_encoders_step_in(caplog: pytest.LogCaptureFixture) -> None:
    assert choose_encoder(av) == "libx264"
    assert choose_encoder(av, ("nothing_like_it", "libvpx-vp9")) == "libvpx-vp9"
    assert "VP9" in caplog.text
    with pytest.raises(Exception, match="no encoder for videos"):
        choose_encoder(av, ("nothing_like_it",))


def test_times_that_do_not_go_on_are_moved_on(tmp_path: Path) -> None:
    with closing(Mp4Writer(tmp_path / "out.mp4", (64, 48), rate=25)) as writer:
        for number in range(5):
            writer.write(numbered(number), 1.0)
    assert [read_number(image) for image in pictures(tmp_path / "out.mp4")] == list(range(5))


def test_closing_comes_soon(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "out.mp4", (320, 240), rate=25)
    for number in range(100):
        writer.write(numbered(number, (320, 240)), number / 25)
    # Work and not time, which others may take; the encoder's threads count.
    started = time.process_time()
    writer.close()
    assert time.process_time() - started < 2
