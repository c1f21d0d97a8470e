"""``esrface evaluate folder`` on drawn faces: the figures of FER+'s protocol on pictures of one's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn import drawn_face
from drawn_sets import write_folder, write_picture
from esrface.cli import main
from esrface.emotions import EMOTIONS
from esrface.errors import DataError
from esrface.evaluation.folder import evaluate_folder
from esrface.recognizer import Recognizer

KEYS = ["accuracy", "mean_recall", "recall", "ece", "images", "protocol", "model", "deduplicated"]


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, detector="none", threads=1)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "pictures", {"valid": {"happy": 3, "Sadness": 2, "surprised": 1}})


def arguments(data: Path, model: Path, *more: str) -> list[str]:
    return ["evaluate", "folder", "--data", str(data), "--model", str(model), "--threads", "1", *more]


def test_answers_are_those_that_users_get(data: Path, recognizer: Recognizer) -> None:
    write_picture(data / "valid" / "happy" / "large.jpg", cv2.resize(drawn_face("Happy", 9), (300, 220)))
    found = evaluate_folder(data, "valid", recognizer)
    expected = recognizer.predict([data / name for name in found.names])
    assert [EMOTIONS[index] for index in found.answers.emotion] == [answer.emotion for answer in expected]
    assert [EMOTIONS[label] for label in found.labels] == ["Happy"] * 4 + ["Sad"] * 2 + ["Surprise"]
    record = found.to_dict()
    assert list(record) == KEYS
    assert record["images"] == 7
    assert record["accuracy"] == np.mean(found.correct)
    assert record["recall"]["Fear"] is None
    assert record["deduplicated"] is None
    assert "folder pictures, split valid, 3 classes (Happy, Sad, Surprise): 7 of 7" in record["protocol"]
    assert "whole pictures, no detection; mirror off, vote mean" in record["protocol"]


def test_files_that_training_has_too_are_left_out_apart(data: Path, recognizer: Recognizer) -> None:
    write_folder(data, {"train": {"happy": 1}})
    shutil.copy(data / "valid" / "Sadness" / "000.png", data / "train" / "happy" / "wrong.png")
    shutil.copy(data / "valid" / "happy" / "001.png", data / "valid" / "happy" / "zzz.png")
    found = evaluate_folder(data, "valid", recognizer)
    # The first training picture is drawn like the first happy one here.
    assert found.fresh is not None
    assert [name for name, fresh in zip(found.names, found.fresh, strict=True) if not fresh] == [
        "valid/happy/000.png", "valid/happy/zzz.png", "valid/Sadness/000.png",
    ]  # fmt: skip
    inner = found.to_dict()["deduplicated"]
    assert inner["images"] == 4
    # Byte by byte, not by pixels.
    without = "; without 3 images whose files are in the training split or repeated within these"
    assert inner["protocol"].endswith(without)


def test_what_cannot_be_used_is_counted_and_said(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "valid" / "happy" / "002.png").write_bytes(b"torn")
    (data / "valid" / "fear").mkdir()
    assert main(arguments(data, tiny_model, "--json")) == 0
    seen = capsys.readouterr()
    record = json.loads(seen.out)
    assert record["images"] == 5
    assert "5 of 6 pictures" in record["protocol"]
    lines = seen.err.splitlines()
    assert len(lines) == 2
    assert "fear: the folder holds no pictures" in lines[0]
    assert lines[1].startswith("esrface: warning: 1 of 6 pictures skipped (1 unreadable), the first: cannot")
    assert main(arguments(data, tiny_model, "--strict")) == 2
    assert "(--strict)" in capsys.readouterr().err


def test_faces_are_looked_for_on_request(
    tmp_path: Path, tiny_model: Path, face_picture: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    write_picture(tmp_path / "valid" / "happy" / "portrait.png", face_picture[..., ::-1])
    write_picture(tmp_path / "valid" / "sad" / "wall.png", np.full((120, 120), 90, np.uint8))
    assert main(arguments(tmp_path, tiny_model, "--detect", "--json")) == 0
    seen = capsys.readouterr()
    record = json.loads(seen.out)
    assert record["images"] == 1
    assert "largest detected face" in record["protocol"]
    assert "(1 without a face)" in seen.err
    with Recognizer(tiny_model, threads=1) as finding:
        found = evaluate_folder(tmp_path, "valid", finding, detect=True)
        [face] = finding(face_picture)
    assert found.answers.confidence[0] == pytest.approx(face.expression.confidence, abs=1e-6)
    # The face again, and in a box that is a fifth too large: more of the picture around it.
    [view] = found.views()
    assert np.array_equal(view(1.0), finding.crop(face_picture, face))
    beyond = view(1.2)
    assert beyond.shape[0] == pytest.approx(1.2 * view(1.0).shape[0], abs=2)
    (tmp_path / "valid" / "happy" / "portrait.png").unlink()
    with pytest.raises(DataError, match=r"portrait\.png: No such file or directory, which was there before"):
        list(found.views())


def test_a_table_and_a_report(data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = data / "faces.csv"
    table.write_text("path,label,split\nvalid/happy/000.png,joy,test\nvalid/Sadness/000.png,SAD,test\n")
    out = data / "report"
    assert main(arguments(table, tiny_model, "--split", "test", "--out", str(out), "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert sorted(path.name for path in out.iterdir()) == [
        "charts", "confusion.png", "predictions.csv", "report.html", "report.json", "report.md",
    ]  # fmt: skip
    page = (out / "report.md").read_text(encoding="utf-8")
    assert page.startswith("# tiny on faces.csv, test")
    assert printed["protocol"] in page
    rows = (out / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert rows[1].startswith("valid/happy/000.png,Happy,")
    assert main(arguments(table, tiny_model, "--split", "test", "--out", str(out))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_people_see_a_table(data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(data, tiny_model)) == 0
    seen = capsys.readouterr()
    assert seen.out == ""
    assert "recall Contempt" in seen.err
    assert "6 of 6 pictures" in seen.err


@pytest.mark.parametrize("place", ["report", "happy/report", "../valid/report"])
def test_a_report_among_the_pictures_is_refused(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    assert main(arguments(data, tiny_model, "--out", str(data / "valid" / place))) == 2
    assert "--out lies among the pictures and would count as a class" in capsys.readouterr().err
    assert not (data / "valid" / place).exists()
    assert main(arguments(data, tiny_model, "--out", str(data / "report"))) == 0


def test_nothing_usable_is_one_line(data: Path, recognizer: Recognizer) -> None:
    for path in (data / "valid").rglob("*.png"):
        path.write_bytes(b"torn")
    with pytest.raises(
        DataError, match="no usable picture in the split valid, the first problem: cannot read"
    ):
        evaluate_folder(data, "valid", recognizer)
    with pytest.raises(DataError, match="no folder test here"):
        evaluate_folder(data, "test", recognizer)
