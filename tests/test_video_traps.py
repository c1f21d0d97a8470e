"""Whole videos that look cut short, other videos under an old name, stops at bad moments."""

from __future__ import annotations

import json
import nturl2path
import shutil
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import video_fixtures
from esrface import InputError, Recognizer, open_video
from esrface.cli import clip_run, main
from esrface.cli.clips import name_clips
from esrface.sinks import resuming
from esrface.sinks.parquet_rows import ParquetRows
from esrface.sinks.resuming import Position, ResumeFile
from esrface.video import open_source
from test_cli_video import rows_of, squares
from video_fixtures import MadeSource, SquareDetector, numbered, square_frame, write_video

demo_clip = video_fixtures.demo_clip
Run = Callable[..., int]


@pytest.fixture
def video(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``esrface video`` in a folder of its own, on the small model, every frame a face."""
    monkeypatch.chdir(tmp_path)
    fixed = ["--model", str(tiny_model), "--threads", "1", "--detector", "none"]
    return lambda *arguments: main(["video", *map(str, arguments), *fixed])


@pytest.fixture
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, SquareDetector(), threads=1)


def other_frame(number: int) -> Any:
    return np.full((240, 320, 3), (20, 90 + number % 3, 200), np.uint8)


@pytest.mark.parametrize("name", ["slow.mkv", "slow.webm", "slow.avi", "slow.flv"])
def test_a_slow_video_is_whole(tmp_path: Path, name: str) -> None:
    codec = {"webm": "libvpx", "flv": "flv", "avi": "mpeg4"}.get(name[5:], "libx264")
    path = write_video(tmp_path / name, map(square_frame, range(5)), rate=1, codec=codec)
    assert len(list(open_source(path).frames())) == 5


def test_a_video_whose_time_begins_late_is_whole_and_as_long_as_it_is(tmp_path: Path) -> None:
    stamps = [10_000 + 40 * number for number in range(40)]
    source = open_source(write_video(tmp_path / "late.mkv", map(square_frame, range(40)), stamps=stamps))
    assert source.info.duration_s == pytest.approx(1.6, abs=0.05)
    times = [frame.time_s for frame in source.frames()]
    assert (len(times), times[0]) == (40, 0)


def test_a_cut_video_is_still_noticed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mkv", map(square_frame, range(60)), rate=10)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 6 // 10])
    with pytest.raises(InputError, match="breaks off"):
        list(open_source(path).frames())


@pytest.mark.parametrize("name", ["short.mkv", "short.webm", "short.flv"])
def test_a_short_video_that_was_cut_is_noticed(tmp_path: Path, name: str) -> None:
    codec = {"webm": "libvpx", "flv": "flv"}.get(name[6:], "libx264")
    frames = map(square_frame, range(25))
    path = write_video(tmp_path / name, frames, rate=25, codec=codec, coding={"g": "5"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 7 // 10])
    with pytest.raises(InputError, match="breaks off after") as caught:
        list(open_source(path).frames())
    # Less is missing than may be at the end of a long one.
    last_s = float(str(caught.value).partition(" breaks off after ")[2].split()[0])
    assert 0.5 < last_s < 0.8


@pytest.mark.parametrize("audio_s", [0.0, 0.1, 2.0])
@pytest.mark.parametrize("name", ["short.mkv", "short.webm", "short.mp4", "short.avi", "short.flv"])
def test_short_videos_are_whole(tmp_path: Path, name: str, audio_s: float) -> None:
    codec = {"webm": "libvpx", "flv": "flv", "avi": "mpeg4"}.get(name[6:], "libx264")
    uneven = [0, 40, 80, 500, 520, 900, 940]
    for count, rate, stamps in ((1, 25, None), (2, 60, None), (7, 30, None), (30, 5, None), (7, 25, uneven)):
        if stamps and name.endswith("avi"):
            continue  # It knows steps of one length only.
        frames = map(square_frame, range(count))
        path = write_video(tmp_path / name, frames, rate=rate, codec=codec, stamps=stamps, audio_s=audio_s)
        assert len(list(open_source(path).frames())) == count


def test_pictures_that_decode_wrong_are_told(tmp_path: Path) -> None:
    coding = {"g": "40", "crf": "10"}
    path = write_video(tmp_path / "a.mkv", map(square_frame, range(40)), coding=coding)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 60] = bytes(np.random.default_rng(0).integers(0, 256, 60, np.uint8))
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"is damaged|breaks off"):
        list(open_source(path).frames())


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("count", [30, 60])
def test_another_video_under_the_name_is_not_gone_on_with(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str], finished: bool, count: int
) -> None:
    squares(tmp_path / "x.mp4", 40)
    options = ["x.mp4", "--every", "4", "--csv", "x.csv"]
    assert video(*options) == 0
    if not finished:
        kept = json.loads(Path(".x.csv.resume.json").read_text())
        kept["clips"]["x.mp4"]["finished"] = False
        Path(".x.csv.resume.json").write_text(json.dumps(kept))
    before = Path("x.csv").read_bytes()
    write_video(tmp_path / "x.mp4", map(other_frame, range(count)))
    capsys.readouterr()
    assert video(*options, "--resume") == 2
    told = capsys.readouterr().err
    assert "another video now" in told or "is not the video that was begun" in told
    assert Path("x.csv").read_bytes() == before


def test_the_library_knows_the_video_that_it_goes_on_with(recognizer: Recognizer) -> None:
    with open_video(MadeSource(20), recognizer) as opened:
        for _ in range(10):
            next(opened)
        checkpoint = opened.checkpoint()
    with open_video(MadeSource(20), recognizer, resume_after=checkpoint) as opened:
        assert [frame.number for frame in opened] == list(range(10, 20))
    with (
        pytest.raises(InputError, match="made is not the video that was begun: frame 9 was another one"),
        open_video(MadeSource(20, make=other_frame), recognizer, resume_after=checkpoint) as opened,
    ):
        list(opened)
    with (
        pytest.raises(InputError, match="made ends after frame 4, and frame 9 was read before"),
        open_video(MadeSource(5), recognizer, resume_after=checkpoint) as opened,
    ):
        list(opened)
    with pytest.raises(InputError, match="resume_after lacks cuts, frame"):
        open_video(MadeSource(5), recognizer, resume_after={"version": 1})


def test_a_picture_that_cannot_be_read_is_told_again_by_the_next_run(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    (tmp_path / "pics").mkdir()
    for number in range(8):
        Image.fromarray(square_frame(number)).save(tmp_path / "pics" / f"{number}.png")
    broken = tmp_path / "pics" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    options = ["pics", "--every", "1", "--csv", "p.csv"]
    for more in ([], ["--resume"], ["--resume"]):
        assert video(*options, *more) == 2
        assert "3.png" in capsys.readouterr().err
    assert [int(row["frame"]) for row in rows_of("p.csv")] == [0, 1, 2, 4, 5, 6, 7]


@pytest.mark.parametrize("moment", ["before it is handed over", "before it is counted"])
def test_no_frame_is_lost_by_a_stop_at_a_bad_moment(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    squares(tmp_path / "a.mp4", 40)
    options = ["a.mp4", "--every", "1"]
    assert video(*options, "--csv", "whole.csv", "-o", "whole") == 0
    if moment == "before it is handed over":
        _stop_at(monkeypatch, clip_run.Video, "__next__", calls=21)
    else:
        _stop_at(monkeypatch, clip_run.ClipPosition, "delivered", calls=21, before=True)
    assert video(*options, "--csv", "cut.csv", "-o", "cut") == 143
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert video(*options, "--csv", "cut.csv", "-o", "cut", "--resume") == 0
    assert Path("cut.csv").read_bytes() == Path("whole.csv").read_bytes()
    assert Path("cut/a.csv").read_bytes() == Path("whole/a.csv").read_bytes()


def _stop_at(
    monkeypatch: pytest.MonkeyPatch, kind: type, name: str, calls: int, *, before: bool = False
) -> None:
    """A signal comes right before or after a method does its work for the so many-th time."""
    original = getattr(kind, name)
    begun = []

    def call(*arguments: Any) -> Any:
        begun.append(name)
        now = len(begun) == calls
        if now and before:
            signal.raise_signal(signal.SIGTERM)
        answer = original(*arguments)
        if now:
            signal.raise_signal(signal.SIGTERM)
        return answer

    monkeypatch.setattr(kind, name, call)


def test_rows_of_a_finished_parquet_file_are_taken_back_whole_or_not_at_all(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    for name in ("a.mp4", "b.mp4"):
        squares(tmp_path / name, 12)
    options = ["--every", "1", "--parquet", "k.parquet"]
    assert video("a.mp4", "b.mp4", "--every", "1", "--parquet", "whole.parquet") == 0
    assert video("a.mp4", *options) == 0
    before = Path("k.parquet").read_bytes()
    encode = ParquetRows.encode

    def stop(self: ParquetRows, rows: Any) -> str:
        if len(rows) > 1:
            signal.raise_signal(signal.SIGTERM)
        return encode(self, rows)

    monkeypatch.setattr(ParquetRows, "encode", stop)
    assert video("b.mp4", *options, "--resume") == 143
    assert Path("k.parquet").read_bytes() == before
    assert not Path("k.parquet.rows.jsonl").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert video("b.mp4", *options, "--resume") == 0
    assert Path("k.parquet").read_bytes() == Path("whole.parquet").read_bytes()


def test_what_is_kept_of_many_clips_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "GOING_ON", 3)
    file = ResumeFile(tmp_path / "rows.csv")
    for number in range(100):
        file.keep(f"{number}.mp4", Position(5, finished=True, checkpoint={"cuts": "x" * 5000}, size=7))
    assert file.path.stat().st_size < 30_000
    again = ResumeFile(tmp_path / "rows.csv")
    again.load()
    assert again.position("0.mp4") == Position(5, finished=True, size=7)
    last = again.position("99.mp4")
    assert last is not None
    assert last.checkpoint is not None


def test_pictures_and_videos_are_told_apart(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    (tmp_path / "mix").mkdir()
    squares(tmp_path / "mix" / "a.mp4", 4)
    assert video("mix") == 2
    assert "the folder holds no pictures; for videos, name them or give a pattern" in capsys.readouterr().err
    Image.fromarray(numbered(1)).save(tmp_path / "mix" / "poster.png")
    assert video("mix/*") == 2
    assert "mix/* matches pictures, which are one clip, and other files" in capsys.readouterr().err
    assert video("mix", "--every", "1", "--csv", "m.csv") == 0
    assert (
        "1 picture is the clip; 1 video in it is left out (a.mp4): name it as well" in capsys.readouterr().err
    )
    shutil.rmtree(tmp_path / "mix")


def test_file_addresses_are_paths(video: Run, tmp_path: Path) -> None:
    (tmp_path / "a b").mkdir()
    clip = squares(tmp_path / "a b" / "50%#1.mp4", 4)
    address = f"file://{tmp_path}/a%20b/50%25%231.mp4"
    [given] = name_clips([address])
    assert (given.source, given.name) == (str(clip), str(clip))
    assert video(address, "--every", "1", "--csv", "rows.csv") == 0
    assert {row["source"] for row in rows_of("rows.csv")} == {str(clip)}
    assert len(list(open_source(address).frames())) == 4


def test_file_addresses_of_another_system_are_paths_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urllib.request, "url2pathname", nturl2path.url2pathname)
    [given] = name_clips(["file:///C:/clips/a%20b.mp4"])
    assert given.source == "C:\\clips\\a b.mp4"
    with pytest.raises(InputError, match=r"^cannot read C:\\clips\\a.mp4: No such file"):
        open_source("file:///C:/clips/a.mp4")
    with pytest.raises(InputError, match=r"^cannot read file:///12:/a.mp4: it leads to no file of this"):
        name_clips(["file:///12:/a.mp4"])


@pytest.mark.parametrize("address", ["http://[x/a.mp4", "file://[x/a.mp4"])
def test_malformed_addresses_are_one_line(
    video: Run, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    assert video(address, "--csv", "w.csv") == 2
    assert capsys.readouterr().err == f"esrface: cannot read {address}: it is no valid address\n"
    with pytest.raises(InputError, match="it is no valid address"):
        open_source(address)


def test_addresses_that_rows_could_not_tell_apart_are_refused(
    video: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    address = "http://127.0.0.1:9/a.mkv?key="
    assert len(name_clips([address + "1", address + "1"])) == 1
    assert video(address + "1", address + "2", "--csv", "w.csv") == 2
    assert "2 addresses are http://127.0.0.1:9/a.mkv?key=***" in capsys.readouterr().err


def test_a_rate_of_pictures_that_is_next_to_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="picture_rate must be a number from 1e-6 on, got 1e-07"):
        open_video(tmp_path, picture_rate=1e-7)
