"""Reports: what they say is what was recognised, they are whole whatever happens, and stay small."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import Any

import cv2
import numpy as np
import pytest

import video_fixtures
from esrface import OutputError, Recognizer
from esrface.cli import main
from esrface.emotions import EMOTIONS
from esrface.report.collect import MAX_CLIPS, ClipCollector, Limits
from esrface.report.facts import RESPONSIBLE_USE, RunFacts
from esrface.report.gallery import Gallery
from esrface.report.key_moments import APART_S, KeyMoments
from esrface.report.log import FrameLog
from esrface.report.page import ASSETS, SCRIPTS
from esrface.report.shares import MIN_BLOCKS, shares
from esrface.report.steps import Steps
from esrface.sinks import PictureReport
from made_faces import make_face
from processes import PATIENCE_S, heed_signals, until
from report_pages import IMAGE, clip_report, data_of, happy, made_frame, tracked
from video_fixtures import MjpegServer, SquareDetector, square_frame, write_video

demo_clip = video_fixtures.demo_clip
mjpeg_server = video_fixtures.mjpeg_server
Run = Callable[..., int]


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, SquareDetector(), threads=1)


@pytest.fixture
def run(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``esrface`` in a folder of its own, on the small model."""
    monkeypatch.chdir(tmp_path)

    def run(command: str, *arguments: str | Path) -> int:
        return main([command, "--model", str(tiny_model), "--threads", "2", "--quiet", *map(str, arguments)])

    return run


def squares(path: Path, count: int) -> Path:
    return write_video(path, (square_frame(number) for number in range(count)))


# What it says


def test_a_report_says_what_the_rows_say(run: Run, demo_clip: Path, tiny_model: Path) -> None:
    assert run("video", demo_clip, "--every", "5", "--report", "a.html", "--csv", "a.csv") == 0
    page = Path("a.html").read_text("utf-8")
    data = data_of(page)
    with Path("a.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    (clip,) = data["clips"]
    everybody, *tracks = clip["series"]
    faces = [row for row in rows if row["emotion"]]
    assert clip["whole"] is True
    assert clip["frame"] == sorted({int(row["frame"]) for row in rows})
    assert clip["with_face"] == len({row["frame"] for row in faces})
    assert {one["track"] for one in tracks} == {int(row["track_id"]) for row in faces}
    counts = Counter(row["emotion"] for row in faces)
    assert everybody["shares"]["share"] == pytest.approx(
        [counts[name] / len(faces) for name in EMOTIONS], abs=1e-4
    )
    # One frame a step: the track's values are the rows', and where it was not seen there is a gap.
    for series in tracks:
        own = {int(row["frame"]): row for row in faces if int(row["track_id"]) == series["track"]}
        for step, number in enumerate(clip["frame"]):
            index = step - series["first"]
            column = series["columns"]["valence"]
            value = column[index] if 0 <= index < len(column) else None
            expected = None if number not in own else float(own[number]["valence"]) * 1000
            assert value == (None if expected is None else pytest.approx(expected, abs=0.6))
    empty = [step for step, time_s in enumerate(clip["time_s"]) if 7.1 < time_s < 7.9]
    assert empty
    assert all(everybody["columns"]["p0"][step - everybody["first"]] is None for step in empty)
    assert all(one["url"].startswith("data:image/jpeg;base64,") for one in clip["pictures"])
    assert all(one["heat"] for kind in clip["moments"].values() for one in kind)
    card = Recognizer(tiny_model).card
    assert card.sha256 in page
    assert RESPONSIBLE_USE in page


def test_a_step_holds_mean_lowest_and_highest_of_its_frames() -> None:
    """Against a plain loop over all faces."""
    random = np.random.default_rng(7)
    seen = []
    with FrameLog(None) as log:
        for ordinal in range(50):
            faces = []
            for track in (4, 9):
                if not (track == 9 and 20 <= ordinal < 31) and ordinal > track:
                    face = make_face(
                        EMOTIONS[int(random.integers(8))],
                        confidence=float(random.uniform(0.3, 0.99)),
                        valence=float(random.uniform(-1.2, 1.2)),
                    )
                    faces.append((face, track))
                    seen.append((ordinal, track, face.expression))
            log.add(3 * ordinal, ordinal / 10, faces)
        steps = Steps(log, [4, 9], at_most=20, last_s=4.9).to_dict()
    assert steps["frames_per_step"] == 3
    assert steps["frame"] == list(range(0, 150, 9))
    for series in steps["series"]:
        for step in range(17):
            index = step - series["first"]
            inside = [
                answer
                for ordinal, track, answer in seen
                if ordinal // 3 == step and series["track"] in (None, track)
            ]
            columns = series["columns"]
            if not 0 <= index < len(columns["p0"]):
                assert not inside
                continue
            if not inside:
                assert columns["valence"][index] is None
                continue
            values = [answer.valence for answer in inside]
            assert columns["valence"][index] == pytest.approx(1000 * np.mean(values), abs=0.6)
            assert columns["valence_low"][index] == pytest.approx(1000 * min(values), abs=0.6)
            assert columns["valence_high"][index] == pytest.approx(1000 * max(values), abs=0.6)
            happy = [answer.probabilities[1] for answer in inside]
            assert columns["p1"][index] == pytest.approx(1000 * np.mean(happy), abs=0.6)
    assert any(value is None for value in steps["series"][2]["columns"]["p0"]), "the gap is missing"


def test_intervals_count_blocks_and_not_frames() -> None:
    """200 blocks of 30 equal answers tell as much as 200 answers."""
    random = np.random.default_rng(0)
    one_way = random.random(200) < 0.3
    counts = np.zeros((200, 8), np.int64)
    counts[one_way, 1] = 30
    counts[~one_way, 0] = 30
    answer = shares(counts)
    share = answer["share"][1]
    width = answer["high"][1] - answer["low"][1]
    assert width == pytest.approx(2 * 1.96 * np.sqrt(share * (1 - share) / 200), rel=0.12)
    assert answer["low"][1] < share < answer["high"][1]
    few = shares(np.ones((MIN_BLOCKS - 1, 8), np.int64))
    assert (few["low"], few["high"]) == (None, None)


def test_key_moments_are_the_strongest_the_changed_and_the_uncertain(recognizer: Recognizer) -> None:
    moments = KeyMoments(recognizer, 3)
    for number in range(200):
        time_s = number / 20
        name, confidence = ("Neutral", 0.8) if time_s < 5 else ("Happy", 0.9)
        if number == 160:
            name, confidence = "Fear", 0.97
        if number in (40, 42, 150):
            confidence = 0.35 + number / 10_000
        moments.add(IMAGE, make_face(name, confidence=confidence), time_s=time_s, frame=number, track=1)
    chosen = moments.chosen()
    assert chosen["strongest"][0].frame == 160
    assert [one.expression.emotion for one in chosen["strongest"]] == ["Fear", "Happy"]
    # Two uncertain frames a tenth of a second apart are one moment: the more uncertain one.
    assert [one.frame for one in chosen["uncertain"]][:2] == [40, 150]
    (change, *others) = chosen["changed"]
    assert 5.0 <= change.time_s <= 6.0
    assert change.note == "Neutral → Happy"
    times = [one.time_s for one in (change, *others)]
    assert all(abs(a - b) >= APART_S for a in times for b in times if a is not b)
    plain = moments.to_dict()
    assert plain["changed"][0]["heat"].startswith("data:image/jpeg")


def test_a_model_without_class_maps_gives_moments_without_heat(make_model: Callable[..., Path]) -> None:
    moments = KeyMoments(Recognizer(make_model("plain", maps=False)), 2)
    moments.add(IMAGE, make_face("Anger"), time_s=0.0, track=1)
    (one,) = moments.to_dict()["strongest"]
    assert one["heat"] is None
    assert one["face"]


def test_names_cannot_leave_their_place(run: Run, tmp_path: Path) -> None:
    """A path that ends the script, opens another one and turns the direction of writing."""
    name = (
        "\u202ea<" + "/" + "script><script>alert(1)<" + "/" + 'script><img src=x onerror="alert(2)">&amp;.mp4'
    )
    (tmp_path / name).parent.mkdir(parents=True)
    squares(tmp_path / name, 6)
    assert run("video", name, "--detector", "none", "--every", "1", "--report", "a.html") == 0
    page = Path("a.html").read_text("utf-8")
    # The data, and the one script of ours.
    assert page.lower().count("<script") == 2
    assert page.lower().count("</script") == 2
    assert "<img src=x" not in page
    assert "\u202e" not in page
    assert data_of(page)["clips"][0]["source"] == name.replace("\u202e", "\\u202e")


def test_everything_stands_in_the_page() -> None:
    for name in SCRIPTS:
        assert "</script" not in (ASSETS / name).read_text("utf-8").lower(), name
    shipped = {path.name for path in ASSETS.iterdir()}
    assert shipped == {*SCRIPTS, "page.html", "page.css", "charts.LICENSE.txt"}
    licences = (ASSETS / "charts.LICENSE.txt").read_text("utf-8")
    for words in ("Apache License", "Baidu", "Redistribution and use", "Mike Bostock"):
        assert words in licences


# How large it gets


def test_a_page_has_a_size_that_no_length_exceeds(recognizer: Recognizer, tmp_path: Path) -> None:
    """Four times the frames make no larger page, and no peak is lost."""
    limits = Limits(steps=100, cells=300, tracks=3, pictures=10, moments=1)

    def collected(count: int) -> dict[str, Any]:
        clip = ClipCollector("a", recognizer, tmp_path, limits=limits)
        try:
            for number in range(count):
                calm = happy(0.6, 1 + number // 500, valence=0.1)
                peak = happy(0.6, 1 + number // 500, valence=0.9)
                clip.add(made_frame(number, [peak if number == count // 2 else calm]))
            return clip.to_dict(whole=True)
        finally:
            clip.close()

    short, long = collected(1_000), collected(4_000)
    for clip in (short, long):
        assert len(clip["time_s"]) <= 100
        assert 5 <= len(clip["pictures"]) <= 10
        assert len(clip["series"]) <= 4
        assert max(clip["series"][0]["columns"]["valence_high"]) == 900
    assert long["tracks"] == 8
    assert sum(len(one["columns"]["p0"]) for one in long["series"][1:]) <= 300
    assert not list(tmp_path.iterdir()), "temporary files have no names"


def test_many_videos_share_the_room_and_the_rest_is_counted(recognizer: Recognizer, tmp_path: Path) -> None:
    count = MAX_CLIPS + 3
    clips = [(f"{index}.mp4", [made_frame(0, [happy()])]) for index in range(count)]
    data = data_of(clip_report(tmp_path / "a.html", recognizer, clips, count=count))
    assert [clip["source"] for clip in data["clips"]] == [f"{index}.mp4" for index in range(MAX_CLIPS)]
    assert data["left_out"] == 3
    shared = Limits().shared(count)
    assert shared.steps * MAX_CLIPS <= 2 * Limits().steps
    assert shared.pictures * MAX_CLIPS <= Limits().pictures


def test_of_very_many_faces_some_are_drawn_by_lot(
    recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("esrface.report.gallery.FACES", 40)
    gallery = Gallery(recognizer)
    for number in range(400):
        gallery.add(f"{number}.jpg", IMAGE, [make_face(EMOTIONS[number % 8])])
    plain = gallery.to_dict()
    assert len(plain["shown"]) == 40
    assert plain["shares"]["share"] == [0.125] * 8
    numbers = [one["number"] for one in plain["shown"]]
    assert numbers == sorted(numbers)
    assert 10 <= sum(number < 200 for number in numbers) <= 30


# Pictures


def test_pictures_get_a_gallery(run: Run, tmp_path: Path, face_picture: np.ndarray) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("b", "a"):
        cv2.imwrite(str(folder / f"{name}.png"), face_picture[..., ::-1])
    cv2.imwrite(str(folder / "nobody.png"), np.zeros((64, 64, 3), np.uint8))
    assert run("image", "in", "--report", "a.html", "--abstain-below", "0.99") == 0
    data = data_of(Path("a.html"))
    assert (data["kind"], data["pictures"], data["with_face"], data["faces"]) == ("pictures", 3, 2, 2)
    assert [one["source"] for one in data["shown"]] == ["in/a.png", "in/b.png"]
    assert data["unsure"] == 2
    assert data["moments"]["uncertain"][0]["where"] == "in/a.png"
    assert "changed" not in data["moments"]


def test_pictures_that_all_fail_leave_no_page(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert run("image", "a.jpg", "--report", "a.html") == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg"]


# Being there, whole, whatever happens


def test_a_video_that_breaks_off_has_its_report(run: Run, tmp_path: Path) -> None:
    squares(tmp_path / "a.mkv", 60)
    whole = (tmp_path / "a.mkv").read_bytes()
    (tmp_path / "a.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    assert run("video", "a.mkv", "--detector", "none", "--every", "1", "--report", "a.html") == 2
    page = Path("a.html").read_text("utf-8")
    assert page.endswith("</html>\n")
    (clip,) = data_of(page)["clips"]
    assert clip["whole"] is False
    assert 10 < clip["frames"] < 60


def test_ctrl_c_writes_the_report(
    tiny_model: Path, tmp_path: Path, mjpeg_server: Callable[..., MjpegServer]
) -> None:
    server = mjpeg_server((100_000, "end"))
    words = ["webcam", "-w", f"http://{server.address}/", "--model", tiny_model, "--detector", "none"]
    line = [sys.executable, "-m", "esrface", *words, "--every", "1", "--report", "a.html", "--csv", "a.csv"]
    process = subprocess.Popen(line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_signals)
    rows = tmp_path / "a.csv"
    assert until(lambda: rows.exists() and rows.read_bytes().count(b"\n") >= 20)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "esrface: stopped by SIGINT"
    page = (tmp_path / "a.html").read_text("utf-8")
    assert page.endswith("</html>\n")
    (clip,) = data_of(page)["clips"]
    assert clip["live"] is True
    # The signal may come when one of them has got a frame and the other has not.
    assert abs(clip["frames"] - (rows.read_bytes().count(b"\n") - 1)) <= 1
    assert not list(tmp_path.glob(".*.part"))


def test_what_exists_is_refused_before_the_work(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    squares(tmp_path / "a.mp4", 6)
    (tmp_path / "a.html").write_text("mine")
    options = ["--detector", "none", "--every", "1", "--report"]
    for command, source in (("video", "a.mp4"), ("image", "missing.jpg")):
        if command == "image":
            cv2.imwrite("missing.jpg", IMAGE)
        assert run(command, source, *(options if command == "video" else ["--report"]), "a.html") == 2
        assert "cannot write a.html: it exists already" in capsys.readouterr().err
        assert (tmp_path / "a.html").read_text() == "mine"
    assert run("video", "a.mp4", *options, "a.html", "--overwrite") == 0
    assert len(data_of(Path("a.html"))["clips"]) == 1
    assert run("video", "a.mp4", *options, "a.txt", "--csv", "a.csv") == 2
    assert capsys.readouterr().err == "esrface: cannot write a.txt: a report's name ends in .html\n"
    assert not Path("a.csv").exists()
    assert run("video", "a.mp4", *options, "b.html", "--resume") == 2
    assert "--resume continues files" in capsys.readouterr().err


def test_a_report_leaves_no_hidden_file_beside_it(run: Run, tmp_path: Path) -> None:
    squares(tmp_path / "a.mp4", 6)
    options = ["a.mp4", "--detector", "none", "--every", "1"]
    assert run("video", *options, "--report", "out/a.html") == 0
    assert [path.name for path in Path("out").iterdir()] == ["a.html"]
    assert run("video", *options, "--report", "rows/a.html", "--csv", "rows/a.csv") == 0
    left = {"a.html", "a.csv", "a.csv.meta.json", ".a.csv.resume.json"}
    assert {path.name for path in Path("rows").iterdir()} == left


def test_resuming_keeps_the_rows_and_writes_the_report_anew(run: Run, tmp_path: Path) -> None:
    squares(tmp_path / "a.mp4", 12)
    options = ["a.mp4", "--detector", "none", "--every", "1", "--csv", "a.csv"]
    assert run("video", *options) == 0
    rows = Path("a.csv").read_bytes()
    for _ in range(2):
        assert run("video", *options, "--report", "a.html", "--resume") == 0
        assert Path("a.csv").read_bytes() == rows
        assert data_of(Path("a.html"))["clips"][0]["frames"] == 12
    cv2.imwrite("a.png", IMAGE)
    assert run("image", "a.png", "--detector", "none", "--csv", "p.csv") == 0
    rows = Path("p.csv").read_bytes()
    assert (
        run("image", "a.png", "--detector", "none", "--csv", "p.csv", "--report", "p.html", "--resume") == 0
    )
    assert Path("p.csv").read_bytes() == rows
    assert data_of(Path("p.html"))["pictures"] == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    squares(tmp_path / "a.mp4", 6)
    assert run("video", "a.mp4", "--detector", "none", "--every", "1", "--report", "/dev/full") == 2
    assert capsys.readouterr().err == (
        "esrface: cannot write /dev/full: no space left on the device; free some, or write to another place\n"
    )


def test_a_run_without_anything_to_show_leaves_nothing(recognizer: Recognizer, tmp_path: Path) -> None:
    facts = RunFacts.of(recognizer, {})
    with PictureReport(tmp_path / "a.html", facts, recognizer):
        pass
    assert not list(tmp_path.iterdir())
    with pytest.raises(OutputError, match="it is a folder"), PictureReport(tmp_path, facts, recognizer):
        pass


def test_a_clip_without_faces_or_without_tracks(recognizer: Recognizer, tmp_path: Path) -> None:
    nobody = [made_frame(number) for number in range(3)]
    lost = [made_frame(number, [tracked(make_face("Sad"), 0)]) for number in range(3)]
    data = data_of(clip_report(tmp_path / "a.html", recognizer, [("a", nobody), ("b", lost)], count=2))
    assert [clip["faces"] for clip in data["clips"]] == [0, 3]
    assert [len(clip["series"]) for clip in data["clips"]] == [1, 1]
    assert os.fspath(PurePath(data["clips"][1]["source"])) == "b"
