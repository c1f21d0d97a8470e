"""``esrface video`` and ``webcam`` as people and scripts meet them, on a small real model."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import video_fixtures
from esrface import Recognizer, open_video
from esrface.cli import main
from esrface.detection import Detection, create_detector
from esrface.results import mapped_arousal
from esrface.rows import columns, frame_record
from esrface.video import DETECTION_SIZE, Frame, open_source
from processes import PATIENCE_S, heed_signals, until
from video_fixtures import MjpegServer, load_tool, square_frame, write_video

demo_clip = video_fixtures.demo_clip
mjpeg_server = video_fixtures.mjpeg_server
tool = load_tool()

Run = Callable[..., int]
COMMAND = [sys.executable, "-m", "esrface"]


@pytest.fixture
def video(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``esrface video`` in a folder of its own, on the small model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str | Path, command: str = "video") -> int:
        return main([command, "--model", str(tiny_model), "--threads", "2", *map(str, arguments)])

    return run


@pytest.fixture
def clip(demo_clip: Path, tmp_path: Path) -> Path:
    """The demo clip as ``clip.one.mp4`` in the current folder."""
    shutil.copy(demo_clip, tmp_path / "clip.one.mp4")
    return Path("clip.one.mp4")


@pytest.fixture(scope="module")
def frames(demo_clip: Path, tiny_model: Path) -> list[Frame]:
    """What the library says of every tenth frame."""
    recognizer = Recognizer(tiny_model, create_detector(detection_size=DETECTION_SIZE, threads=1), threads=1)
    with open_video(demo_clip, recognizer, every=10) as opened:
        return list(opened)


def squares(path: Path, count: int, **options: Any) -> Path:
    return write_video(path, (square_frame(number) for number in range(count)), **options)


def rows_of(path: Path | str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def frames_told(err: str) -> int:
    """The number of frames in a run's summary."""
    found = re.search(r"^([\d,]+) frames, 100% with a face", err, re.MULTILINE)
    assert found is not None, err
    return int(found[1].replace(",", ""))


def last_lines(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    return shown.err


# What comes out


def test_the_originals_csv_to_the_letter(video: Run, clip: Path, tiny_model: Path) -> None:
    """Against a loop written as the original's: grab int(30 / 5) frames, keep the last, call, write."""
    assert video("-i", clip, "-o", "out") == 0
    recognizer = Recognizer(tiny_model, create_detector(detection_size=DETECTION_SIZE))
    names = ["Ensemble", *(f"Branch_{branch}" for branch in range(9))]
    expected = [
        ["Timestamp(sec)", *(f"{n}_{part}" for n in names for part in ("Emotion", "Arousal", "Valence"))]
    ]
    source = iter(open_source(clip).frames())
    grabbed = [list(step) for step in zip(*[source] * 6, strict=False)]
    for *_, frame in grabbed:
        faces = recognizer(frame.image())
        row = [str(frame.number / 30)]
        if faces:
            answer = max(faces, key=lambda face: face.box.area).expression
            arousal = mapped_arousal(answer.branch_affect[:, 1])
            row += [answer.emotion, str(arousal.mean()), str(answer.branch_affect[:, 0].mean())]
            for branch in range(9):
                valence = answer.branch_affect[branch, 0]
                row += [answer.branch_emotions[branch], str(arousal[branch]), str(valence)]
        else:
            row += ["None"] * 30
        expected.append(row)
    written = [line.split(",") for line in Path("out/clip.csv").read_text("ascii").splitlines()]
    assert written == expected
    assert len(written) == 51
    empty = [float(row[0]) for row in written[1:] if row[1] == "None"]
    assert empty == [n / 30 for n in range(5, 300, 6) if tool.EMPTY_S <= n / 30 < tool.LAST_S]


def test_rows_are_what_the_library_says(video: Run, clip: Path, frames: list[Frame]) -> None:
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    files = ["--csv", "a.csv", "--jsonl", "b.jsonl", "--parquet", "c.parquet"]
    assert video(clip, "--every", "10", "--branches", *files) == 0
    rows = [json.loads(line) for line in Path("b.jsonl").read_text("ascii").splitlines()]
    assert [list(row) for row in rows] == [list(columns(branches=9))] * len(rows)
    expected = [(frame, index) for frame in frames for index in range(max(1, len(frame.faces)))]
    assert len(rows) == len(expected) > len(frames)
    for row, (frame, index) in zip(rows, expected, strict=True):
        assert (row["source"], row["frame"], row["time_s"]) == (str(clip), frame.number, frame.time_s)
        if not frame.faces:
            assert {row[name] for name in columns(branches=9)[3:]} == {None}
            continue
        face = frame.faces[index].to_dict()
        assert (row["face"], row["track_id"], row["emotion"]) == (index, face["track_id"], face["emotion"])
        assert [row[key] for key in ("x0", "y0", "x1", "y1")] == face["box"]
        assert row["p_happy"] == face["probabilities"]["Happy"]
        assert row["b9_valence"] == face["branches"][8]["valence"]
    assert [{k: v or None for k, v in row.items()} for row in rows_of("a.csv")] == [
        {k: None if v is None else str(v) for k, v in row.items()} for row in rows
    ]
    table = pyarrow.parquet.read_table("c.parquet")
    assert tuple(table.column_names) == columns(branches=9)
    for row, there in zip(rows, table.to_pylist(), strict=True):
        assert {k: np.float32(v) if isinstance(v, float) else v for k, v in row.items() if k != "time_s"} == {
            k: np.float32(v) if isinstance(v, float) else v for k, v in there.items() if k != "time_s"
        }
        assert row["time_s"] == there["time_s"]
    assert json.loads(table.schema.metadata[b"esrface"])["settings"]["every"] == 10
    assert not list(Path.cwd().glob("*.rows.jsonl*"))


def test_json_is_one_object_a_frame(
    video: Run, clip: Path, frames: list[Frame], capsys: pytest.CaptureFixture[str]
) -> None:
    assert video(clip, "--every", "10", "--json") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    expected = [
        frame_record(str(clip), (640, 360), "tiny", f.faces, frame=f.number, time_s=f.time_s) for f in frames
    ]
    assert [json.loads(line) for line in shown.out.splitlines()] == expected
    assert list(expected[0])[:4] == ["schema_version", "source", "frame", "time_s"]


def test_without_outputs_there_is_a_table_and_a_summary(
    video: Run, clip: Path, frames: list[Frame], capsys: pytest.CaptureFixture[str]
) -> None:
    assert video(clip, "--every", "10") == 0
    lines = last_lines(capsys).splitlines()
    shown = [frame for frame in frames for _ in range(max(1, len(frame.faces)))]
    table, summary = lines[1 : 1 + len(shown)], lines[1 + len(shown) :]
    assert lines[0].split()[:4] == ["Time", "and", "track", "Emotion"]
    assert [line for line in table if line.endswith("no face")] == [
        f"{frame.time_s:8.2f} s" + line[10:]
        for frame, line in zip(shown, table, strict=True)
        if not frame.faces
    ]
    assert table[0].split()[:4] == ["0.00", "s", "#1", frames[0].faces[0].expression.emotion]
    faces = [face for frame in frames for face in frame.faces]
    share = round(100 * sum(bool(frame.faces) for frame in frames) / len(frames))
    tracks = len({face.track_id for face in faces})
    assert summary[0] == f"30 frames, {share}% with a face, {len(faces)} faces, {tracks} tracks"
    named = re.findall(r"(\w+) (\d+)%", summary[1])
    counts = {name: sum(face.expression.emotion == name for face in faces) for name, _ in named}
    assert sum(counts.values()) == len(faces)
    assert [int(p) for _, p in named] == [round(100 * count / len(faces)) for count in counts.values()]
    assert re.fullmatch(r"\d+\.\d\d s \(\d+\.\d frames/s\), tiny with yunet", summary[2])


def test_several_videos_share_a_row_file_and_have_csvs_of_their_own(video: Run, tmp_path: Path) -> None:
    for name in ("one/a.mp4", "two/a.mp4"):
        (tmp_path / name).parent.mkdir()
        squares(tmp_path / name, 12)
    (tmp_path / "pictures").mkdir()
    for number in range(3):
        cv2.imwrite(f"pictures/{number}.png", square_frame(number))
    sources = ["one/a.mp4", "two/a.mp4", "pictures", "one/a.mp4"]
    assert video(*sources, "--detector", "none", "--fps", "10", "--csv", "all.csv", "-o", "out") == 0
    rows = rows_of("all.csv")
    assert list(dict.fromkeys(row["source"] for row in rows)) == sources[:3]
    assert [row["frame"] for row in rows] == ["0", "3", "6", "9"] * 2 + ["0"]
    found = {str(path.relative_to("out")): len(rows_of(path)) for path in Path("out").rglob("*.csv")}
    assert found == {"one/a.csv": 4, "two/a.csv": 4, "pictures.csv": 1}


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        ([], [5, 11, 17, 23, 29]),
        (["-f", "10"], [2, 5, 8, 11, 14, 17, 20, 23, 26, 29]),
        (["-f", "31", "--max-faces", "1"], list(range(30))),
        (["-f", "5", "--every", "7"], [0, 7, 14, 21, 28]),
        (["--frames", "5", "--fps", "6"], [0, 5, 10, 15, 20, 25]),
    ],
)
def test_sampling_options(video: Run, tmp_path: Path, options: list[str], taken: list[int]) -> None:
    squares(tmp_path / "a.mp4", 30)
    assert video("a.mp4", "--detector", "none", *options, "--csv", "a.csv", "--quiet") == 0
    assert [int(row["frame"]) for row in rows_of("a.csv")] == taken


def test_a_clip_too_short_for_its_sampling_is_told(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 3)
    assert video("a.mp4", "--csv", "a.csv") == 0
    assert last_lines(capsys) == "esrface: a.mp4: none of its 3 frames was taken; --every 1 takes all\n"


def test_standard_input_and_a_pipe_to_the_next_program(tiny_model: Path, tmp_path: Path) -> None:
    squares(tmp_path / "a.mkv", 60)
    command = [
        *COMMAND,
        "video",
        "--model",
        str(tiny_model),
        "--detector",
        "none",
        "--every",
        "1",
        "-",
        "--json",
    ]
    with (tmp_path / "a.mkv").open("rb") as file:
        sent = subprocess.Popen(["cat"], stdin=file, stdout=subprocess.PIPE)
        done = subprocess.run(
            command, stdin=sent.stdout, capture_output=True, timeout=PATIENCE_S, check=False
        )
        sent.wait()
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr, len(lines)) == (0, b"", 60)
    assert {line["source"] for line in lines} == {"-"}
    head = subprocess.run(
        f"{' '.join(command)} < a.mkv | head -n 1", shell=True, cwd=tmp_path, capture_output=True, check=False
    )
    assert json.loads(head.stdout) == lines[0]
    assert head.stderr == b""


# Going on


def killed_after(rows: int, command: list[str], folder: Path, log: Path) -> int | None:
    """Run a command until its log has so many lines, then kill it; the exit code if it ended before."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL)
    until(lambda: process.poll() is not None or lines(log) >= rows)
    ended = process.poll()
    process.kill()
    process.wait()
    return ended


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_kill_and_resume_give_what_an_uninterrupted_run_gives(
    video: Run, clip: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed with -9 in the crossing and after the cut; boxes between detections, and tracks, go on."""
    pytest.importorskip("pyarrow")
    options = ["--every", "2", "--detect-every", "3"]

    def outputs(folder: str) -> list[str]:
        names = ("a.csv", "b.jsonl", "c.parquet")
        files = zip(("--csv", "--jsonl", "--parquet"), (f"{folder}/{name}" for name in names), strict=True)
        return [*(word for pair in files for word in pair), "-o", f"{folder}/out"]

    assert video(clip, *options, *outputs("whole")) == 0
    script = (
        "import sys; from esrface.cli import main, positions; positions.INTERVAL_S = 0.0; sys.exit(main())"
    )
    resumed = [str(clip), *options, *outputs("cut"), "--resume"]
    chosen = ["--model", str(tiny_model), "--threads", "2"]
    command = [sys.executable, "-c", script, "video", *resumed, *chosen]
    log = tmp_path / "cut" / "b.jsonl"
    for rows in (60, 130):
        assert killed_after(rows, command, tmp_path, log) is None
        kept = log.read_bytes()
        assert kept.count(b"\n") >= rows
        assert (tmp_path / "cut/c.parquet.rows.jsonl").read_bytes()[:2000] == kept[:2000]
        position = json.loads((tmp_path / "cut/.b.jsonl.resume.json").read_text())["clips"][str(clip)]
        assert position["frames"] > 0
        with log.open("ab") as file:
            file.write(b'{"source":"clip.one.mp4","fra')
    capsys.readouterr()
    assert video(*resumed) == 0
    before = re.search(r"(\d+) frames done before", last_lines(capsys))
    assert before is not None
    assert int(before[1]) > 60
    for name in ("a.csv", "b.jsonl", "c.parquet", "out/clip.csv"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert video(*resumed) == 0
    assert last_lines(capsys).splitlines()[0] == "1 video done before"
    left = {path.name for path in (tmp_path / "cut").rglob("*")}
    assert left == {
        *("a.csv", "b.jsonl", "c.parquet", "out", "clip.csv", ".esrface.json"),
        *("a.csv.meta.json", "b.jsonl.meta.json"),
        *(f".{name}.resume.json" for name in ("a.csv", "b.jsonl", "c.parquet", "clip.csv")),
    }


def test_a_stopped_run_goes_on_right_where_its_rows_end(
    video: Run, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 150)
    options = ["a.mp4", "--detector", "none", "--every", "1"]
    # Slow enough to be stopped in between.
    slow = "esrface.video.Frame.__post_init__ = lambda frame: time.sleep(0.01 if frame.number < 50 else 0.5)"
    script = f"import sys, time, esrface.video; {slow}; from esrface.cli import main; sys.exit(main())"
    chosen = ["--model", str(tiny_model), "--threads", "2"]
    command = [sys.executable, "-c", script, "video", *options, *chosen, "--csv", "cut.csv"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert until(lambda: lines(tmp_path / "cut.csv") > 30)
    process.terminate()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM
    done = len(rows_of(tmp_path / "cut.csv"))
    assert 30 <= done < 150
    # The last one may have been on its way through the outputs.
    assert done - frames_told(err) in (0, 1)
    assert video(*options, "--csv", "cut.csv", "--resume") == 0
    shown = last_lines(capsys)
    before = re.search(r"(\d+) frames done before", shown)
    kept = int(before[1]) if before else 0
    # All of them, unless one was on its way: then it goes on from where that was last written down.
    assert kept == done or (kept < done and frames_told(err) < done)
    assert shown.startswith(f"{150 - kept} frames, ")
    assert video(*options, "--csv", "whole.csv") == 0
    assert (tmp_path / "cut.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_an_output_that_lost_rows_or_is_new_gets_all_of_them(video: Run, tmp_path: Path) -> None:
    squares(tmp_path / "a.mp4", 24)
    squares(tmp_path / "b.mp4", 24)
    common = ["--detector", "none", "--every", "4"]
    assert video("a.mp4", "b.mp4", *common, "--csv", "whole.csv", "-o", "whole") == 0
    assert video("a.mp4", *common, "--csv", "rows.csv") == 0
    assert video("a.mp4", "b.mp4", *common, "--csv", "rows.csv", "-o", "out", "--resume") == 0
    Path("out/b.csv").unlink()
    assert video("a.mp4", "b.mp4", *common, "--csv", "rows.csv", "-o", "out", "--resume") == 0
    assert Path("rows.csv").read_bytes() == Path("whole.csv").read_bytes()
    for name in ("a.csv", "b.csv"):
        assert Path("out", name).read_bytes() == Path("whole", name).read_bytes()


def test_a_finished_parquet_file_takes_another_video(video: Run, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    squares(tmp_path / "a.mp4", 12)
    squares(tmp_path / "b.mp4", 12)
    options = ["--detector", "none", "--every", "4", "--abstain-below", "0.5"]
    assert video("a.mp4", "b.mp4", *options, "--parquet", "whole.parquet") == 0
    assert video("a.mp4", *options, "--parquet", "rows.parquet") == 0
    assert video("a.mp4", "b.mp4", *options, "--parquet", "rows.parquet", "--resume") == 0
    assert Path("rows.parquet").read_bytes() == Path("whole.parquet").read_bytes()
    before = Path("rows.parquet").stat().st_mtime_ns
    assert video("a.mp4", "b.mp4", *options, "--parquet", "rows.parquet", "--resume") == 0
    assert Path("rows.parquet").stat().st_mtime_ns == before


def test_a_finished_annotated_video_is_not_made_again(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 12)
    options = ["a.mp4", "--detector", "none", "--every", "4", "--save-video", "drawn.mp4"]
    assert video(*options) == 0
    before = Path("drawn.mp4").stat().st_mtime_ns
    capsys.readouterr()
    rows = ["--csv", "rows.csv"]
    # Rows that are new get all frames, the video beside them stays as it is.
    for more, done in (([], True), (rows, False), (rows, True)):
        assert video(*options, *more, "--resume") == 0
        assert ("1 video done before" in last_lines(capsys)) == done
        assert Path("drawn.mp4").stat().st_mtime_ns == before
    assert len(rows_of("rows.csv")) == 3


def test_a_file_that_has_grown_is_gone_on_with(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = squares(tmp_path / "whole.ts", 60, coding={"g": "10"}).read_bytes()
    path = tmp_path / "a.ts"
    options = ["a.ts", "--detector", "none", "--every", "2", "--csv", "a.csv", "--resume"]
    # Packets of 188 bytes; a recorder has written half of them.
    path.write_bytes(whole[: 188 * (len(whole) // 376)])
    video(*options)
    before = rows_of("a.csv")
    assert 5 < len(before) < 25
    path.write_bytes(whole)
    capsys.readouterr()
    assert video(*options) == 0
    assert last_lines(capsys).startswith(f"{30 - len(before)} frames, 100% with a face")
    assert [int(row["frame"]) for row in rows_of("a.csv")] == list(range(0, 60, 2))
    # The frame at the end of what was there may have been torn; all others are as they were.
    assert rows_of("a.csv")[: len(before) - 1] == before[:-1]
    assert video(*options) == 0
    assert last_lines(capsys).startswith("1 video done before")


def test_a_file_that_has_grown_is_drawn_anew(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = squares(tmp_path / "whole.ts", 60, coding={"g": "10"}).read_bytes()
    path = tmp_path / "a.ts"
    options = ["a.ts", "--detector", "none", "--every", "4", "--save-video", "drawn.mp4"]
    path.write_bytes(whole[: 188 * (len(whole) // 376)])
    video(*options)
    path.write_bytes(whole)
    capsys.readouterr()
    assert video(*options, "--resume") == 0
    assert "drawn.mp4 is written anew" in capsys.readouterr().err
    drawn = open_source("drawn.mp4")
    assert sum(1 for _ in drawn.frames()) == 60
    drawn.close()


def test_resuming_refuses_what_differs(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 12)
    options = ["a.mp4", "--detector", "none", "--csv", "a.csv", "-o", "out"]
    assert video(*options) == 0
    content = Path("a.csv").read_bytes()
    for more, line in (
        ([], "cannot write a.csv: it exists already (--overwrite replaces it, --resume goes on with it)"),
        (["--resume", "--every", "2"], "every was not set and is 2 now"),
        (["--resume", "--detect-every", "2"], "detect_every was 1 and is 2 now"),
        (["--resume", "--vote", "plurality"], "vote was mean and is plurality now"),
    ):
        capsys.readouterr()
        assert video(*options, *more) == 2
        shown = last_lines(capsys)
        assert line in shown
        assert len(shown.splitlines()) == 1
        assert Path("a.csv").read_bytes() == content
    squares(tmp_path / "a.mp4", 6)
    assert video(*options, "--overwrite") == 0
    assert [row["frame"] for row in rows_of("a.csv")] == ["5"]


def test_another_video_under_the_same_name_is_noticed(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 12)
    assert video("a.mp4", "--detector", "none", "--every", "3", "--csv", "a.csv") == 0
    Path(".a.csv.resume.json").unlink()
    text = Path("a.csv").read_text().replace("a.mp4,9,", "a.mp4,10,")
    Path("a.csv").write_text(text)
    capsys.readouterr()
    assert video("a.mp4", "--detector", "none", "--every", "3", "--csv", "a.csv", "--resume") == 2
    assert "cannot resume a.csv: its last row is of frame 10, frame 9 was to come" in last_lines(capsys)


# What goes wrong


def test_an_existing_file_of_any_clip_is_refused_before_the_run(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a.mp4", "b.mp4"):
        squares(tmp_path / name, 12)
    (tmp_path / "out").mkdir()
    (tmp_path / "out/b.csv").write_text("mine\n")
    options = ["a.mp4", "b.mp4", "--detector", "none", "-o", "out", "--csv", "rows.csv"]
    assert video(*options) == 2
    ways = "(--overwrite replaces it, --resume goes on with it)"
    assert last_lines(capsys) == f"esrface: cannot write out/b.csv: it exists already {ways}\n"
    assert (tmp_path / "out/b.csv").read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.mp4", "b.csv", "b.mp4", "out"]
    assert video(*options, "--overwrite") == 0
    assert (tmp_path / "out/a.csv").read_bytes() == (tmp_path / "out/b.csv").read_bytes()


def test_what_is_no_video_is_one_line_and_leaves_nothing(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.mp4").write_text("no video")
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    write_video(tmp_path / "sound.mp4", [], audio_s=0.5)
    for source, line in (
        ("notes.mp4", "esrface: cannot read notes.mp4: it is no video, or one that is damaged"),
        ("empty.mp4", "esrface: cannot read empty.mp4: "),
        ("missing.mp4", "esrface: cannot read missing.mp4: no such file or folder"),
        ("folder", "esrface: cannot read folder: the folder holds no pictures"),
        ("sound.mp4", "esrface: cannot read sound.mp4: it holds only sound"),
        ("\x1b\n.mp4", "esrface: cannot read \\x1b\\n.mp4: no such file or folder"),
    ):
        assert video(source, "--csv", "a.csv", "-o", "out") == 2
        shown = last_lines(capsys)
        assert shown.startswith(line)
        assert len(shown.splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "empty.mp4",
        "folder",
        "notes.mp4",
        "sound.mp4",
    ]


def test_a_video_that_breaks_off_keeps_its_rows_and_the_others_are_done(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = squares(tmp_path / "a.mp4", 60, movflags="faststart")
    path.write_bytes(path.read_bytes()[: int(0.7 * path.stat().st_size)])
    squares(tmp_path / "b.mp4", 30)
    assert video("a.mp4", "gone.mp4", "b.mp4", "--detector", "none", "--every", "1", "--csv", "a.csv") == 2
    rows = rows_of("a.csv")
    read = sum(row["source"] == "a.mp4" for row in rows)
    assert 15 < read < 60
    assert len(rows) == read + 30
    lines = last_lines(capsys).splitlines()
    assert lines[0] == "2 failures:"
    assert lines[1].startswith(f"  a.mp4 breaks off after {(read - 1) / 30:.2f} s")
    assert lines[2] == "  cannot read gone.mp4: no such file or folder"
    assert lines[3].startswith(f"{len(rows)} frames, 100% with a face")
    assert "2 failed" in lines[3]
    resumed = ["a.mp4", "b.mp4", "--detector", "none", "--every", "1", "--csv", "a.csv", "--resume"]
    assert video(*resumed) == 2
    assert rows_of("a.csv") == rows


def test_parquet_without_its_extra_is_one_line_and_leaves_nothing(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 6)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert video("a.mp4", "--csv", "a.csv", "--parquet", "a.parquet") == 2
    assert last_lines(capsys).startswith(
        "esrface: Parquet files need PyArrow: in a clone of esrface, "
        "pip install -c constraints.txt '.[parquet]'"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


class Bursting:
    """A detector at the outer boundary that fails after some frames."""

    name = "bursting"

    def __init__(self) -> None:
        self.left = 20

    def detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        self.left -= 1
        if self.left < 0:
            raise RuntimeError("the detector burst")
        return []


def test_a_fault_of_ours_keeps_the_rows_and_never_hangs(
    video: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 60)
    squares(tmp_path / "b.mp4", 10)
    monkeypatch.setattr("esrface.cli.video_run.create_detector", lambda *_, **__: Bursting())
    assert video("a.mp4", "b.mp4", "--every", "1", "--csv", "a.csv") == 1
    assert [row["frame"] for row in rows_of("a.csv")] == [str(number) for number in range(20)]
    lines = last_lines(capsys).splitlines()
    told = "RuntimeError: the detector burst (--debug shows where)"
    assert lines[1:3] == [f"  internal error on {name}: {told}" for name in ("a.mp4", "b.mp4")]
    assert lines[3].startswith("20 frames, 0% with a face, 0 faces, 0 tracks")


def test_a_missing_camera_is_one_line_and_leaves_nothing(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for camera in ("97", "/dev/null"):
        assert video("-w", camera, "--csv", "a.csv", command="webcam") == 2
        shown = last_lines(capsys)
        assert shown == (
            f"esrface: camera {camera} cannot be opened: is it connected, and is no other program using it?\n"
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["video"], "esrface video: give a video, a folder or pattern of pictures, a URL, or - for"),
        (["video", "-w", "0"], "esrface video: give a video"),
        (["video", "a.mp4", "-w", "0"], "esrface video: -w names a camera: use esrface webcam -w N"),
        (
            ["webcam", "-w", "{clip}"],
            "esrface webcam: {clip} is a file and no camera: use esrface video {clip}",
        ),
        (
            ["video", "a", "--fps", "2", "--every", "2"],
            "esrface video: --fps and --every both say which frames",
        ),
        (["video", "a", "--resume", "--overwrite"], "esrface video: --overwrite starts anew and --resume"),
        (["video", "a", "--resume"], "esrface video: --resume continues files: name them with --csv"),
        (["webcam", "--resume"], "esrface webcam: unknown option '--resume'"),
        (["video", "a", "--csv", "x", "--jsonl", "./x"], "esrface video: two outputs name the same file"),
        (["video", "a", "--fps", "0"], "esrface video: Invalid value for '--fps': expected a number above 0"),
        (
            ["video", "a", "--fps", "inf"],
            "esrface video: Invalid value for '--fps': expected a number above 0",
        ),
        (
            ["video", "a", "-f", "0"],
            "esrface video: Invalid value for '-f' / '--frames': expected a whole num",
        ),
        (
            ["video", "a", "--smooth", "-1"],
            "esrface video: Invalid value for '--smooth': expected a number of",
        ),
        (["video", "a", "--detection-size", "9999"], "esrface: detection_size must be a whole number"),
        (["video", "{clip}", "--csv", "{clip}"], "esrface: cannot write {clip}: it is an input of this run"),
        (
            ["video", "{clip}", "--csv", "{clip}", "--overwrite"],
            "esrface: cannot write {clip}: it is an input",
        ),
        (["video", "{clip}", "-o", "{clip}"], "esrface"),
    ],
)
def test_what_cannot_be_meant(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    line: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([argument.format(clip=clip) for argument in arguments]) == 2
    assert last_lines(capsys).startswith(line.format(clip=clip))
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_ends_the_run_and_keeps_what_was_written(
    video: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 30)
    assert video("a.mp4", "--detector", "none", "--csv", "/dev/full", "--jsonl", "b.jsonl") == 2
    assert last_lines(capsys).splitlines()[-1].startswith("esrface: cannot write /dev/full: no space left")


@pytest.mark.skipif(os.name != "posix", reason="no limits on files here")
def test_a_disk_that_fills_up_keeps_whole_rows(video: Run, tiny_model: Path, tmp_path: Path) -> None:
    squares(tmp_path / "a.mp4", 90)
    script = (
        "import resource, sys; from esrface.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); sys.exit(main())"
    )
    options = ["a.mp4", "--detector", "none", "--every", "1", "--jsonl", "a.jsonl"]
    command = [sys.executable, "-c", script, "video", *options, "--model", str(tiny_model), "--threads", "2"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "esrface: cannot write a.jsonl: the file would be larger than allowed here"
    )
    content = (tmp_path / "a.jsonl").read_bytes()
    rows = [json.loads(line) for line in content.splitlines()]
    assert content.endswith(b"\n")
    assert [row["frame"] for row in rows] == list(range(len(rows)))
    assert done.stderr.splitlines()[0].startswith(f"{len(rows)} frames, 100% with a face")
    assert video(*options, "--resume") == 0
    rows = [json.loads(line) for line in (tmp_path / "a.jsonl").read_bytes().splitlines()]
    assert [row["frame"] for row in rows] == list(range(90))


# Cameras


@pytest.fixture
def stream(mjpeg_server: Callable[..., MjpegServer]) -> MjpegServer:
    """A camera that asks for a password and goes on without end."""
    return mjpeg_server((100_000, "end"), pause_s=0.01, locked=True)


def test_ctrl_c_closes_all_and_sums_up_and_no_credential_is_anywhere(
    tiny_model: Path, tmp_path: Path, stream: MjpegServer
) -> None:
    pytest.importorskip("pyarrow")
    url = f"http://guest:s3cret@{stream.address}/cam.mjpg?token=t0ken"
    options = ["--model", str(tiny_model), "--detector", "none", "--every", "1", "--debug"]
    files = ["--csv", "a.csv", "--jsonl", "b.jsonl", "--parquet", "c.parquet", "-o", "out"]
    command = [*COMMAND, "webcam", "-w", url, *options, *files]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_signals,
    )
    assert until(lambda: lines(tmp_path / "a.csv") > 20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, out) == (130, "")
    assert re.match(r"\d+ frames, 100% with a face, \d+ faces, \d+ tracks?", err)
    assert err.splitlines()[-1] == "esrface: stopped by SIGINT"
    rows = rows_of(tmp_path / "a.csv")
    assert len(rows) >= 20
    import pyarrow.parquet

    [original] = (tmp_path / "out").glob("*.csv")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d\.csv", original.name)
    # The last frame may have been on its way through the outputs, which come in this order.
    counts = [
        len(rows_of(original)),
        len(rows),
        lines(tmp_path / "b.jsonl"),
        pyarrow.parquet.read_table(tmp_path / "c.parquet").num_rows,
        frames_told(err),
    ]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] - counts[-1] <= 1
    times = [float(row["time_s"]) for row in rows]
    assert times[0] < 1
    assert times == sorted(times)
    assert {row["source"] for row in rows} == {f"http://{stream.address}/cam.mjpg?token=***"}
    everything = err + "".join(
        f"{path} {path.read_bytes()!r}" for path in tmp_path.rglob("*") if path.is_file()
    )
    for secret in ("s3cret", "t0ken", "guest"):
        assert secret not in everything


def test_frames_that_there_is_no_time_for_are_counted(
    video: Run, mjpeg_server: Callable[..., MjpegServer], capsys: pytest.CaptureFixture[str]
) -> None:
    server = mjpeg_server((200, "end"), pause_s=0.0)
    assert video(f"http://{server.address}/", "--every", "1", "--csv", "a.csv") == 2
    told, broke, summary, *_ = last_lines(capsys).splitlines()
    assert (told, broke) == ("1 failure:", f"  http://{server.address}/ broke off: the connection was closed")
    numbers = [int(row["frame"]) for row in rows_of("a.csv")]
    assert numbers == sorted(set(numbers))
    dropped = re.search(r", (\d+) dropped", summary)
    assert dropped is not None
    assert int(dropped[1]) + len(numbers) == 200


def test_a_stream_that_stalls_comes_back_or_is_one_line(
    video: Run, mjpeg_server: Callable[..., MjpegServer], capsys: pytest.CaptureFixture[str]
) -> None:
    server = mjpeg_server((10, "stall"), (15, "end"), (0, "refuse"))
    url = f"http://u:pw@{server.address}/"
    options = ["--detector", "none", "--every", "1", "--stall", "2"]
    assert video(url, *options, "--reconnect", "1", "--csv", "a.csv") == 2
    lines = last_lines(capsys)
    assert f"http://{server.address}/ stalls: no frame for 2 s; connecting again (1 of 1)" in lines
    assert "gave up after 1 attempts" in lines
    assert "pw" not in lines
    numbers = [int(row["frame"]) for row in rows_of("a.csv")]
    assert numbers[-1] > 10
    assert video(url, *options, "--csv", "a.csv", "--resume") == 2


def test_live_sources_cannot_be_resumed(
    video: Run, mjpeg_server: Callable[..., MjpegServer], capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://{mjpeg_server((20, 'end')).address}/"
    options = [url, "--detector", "none", "--csv", "a.csv"]
    assert video(*options) == 2
    before = Path("a.csv").read_bytes()
    capsys.readouterr()
    assert video(*options, "--resume") == 2
    assert "is live: what has passed cannot be taken up again" in last_lines(capsys)
    assert Path("a.csv").read_bytes() == before


# What the terminal shows


def test_progress_on_a_terminal_only(tiny_model: Path, tmp_path: Path) -> None:
    pty = pytest.importorskip("pty")
    squares(tmp_path / "a.mp4", 300)
    script = (
        "import sys; from esrface.cli import main, video_progress\n"
        "video_progress.PATIENCE_S = 0.0; options = sys.argv[1:]\n"
        "main([*options, '--csv', 'a.csv']); print('quiet:', file=sys.stderr)\n"
        "main([*options, '--csv', 'b.csv', '--quiet'])"
    )
    options = ["video", "a.mp4", "--model", str(tiny_model), "--detector", "none", "--every", "1"]
    near, far = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    command = [sys.executable, "-c", script, *options]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=far, env=environment)
    os.close(far)
    text = b""
    try:
        while more := os.read(near, 4096):
            text += more
    except OSError:  # The end, on Linux.
        pass
    os.close(near)
    assert process.wait(PATIENCE_S) == 0
    told, quiet = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text.decode()).split("quiet:")
    assert re.search(r"a\.mp4  \d+ frames, \d+ faces, \d+\.\d frames/s", told)
    assert re.search(r"\d+:\d\d:\d\d", told)
    assert quiet.strip() == ""
