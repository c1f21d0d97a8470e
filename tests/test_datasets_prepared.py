"""AffectNet, CK+ and FER+ from what their authors hand out, on miniature sets; and what `data check` says."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn import drawn_face, write_ferplus
from drawn_sets import write_affectnet, write_ckplus, write_fer2013, write_folder, write_picture
from esrface.cli import main
from esrface.datasets import affectnet as affectnet_module
from esrface.datasets.affectnet import (
    face_name,
    list_affectnet,
    pre_process_affect_net,
    prepare_affectnet,
)
from esrface.datasets.ckplus import ckplus_folds, ckplus_trial, list_ckplus, load_ckplus, prepare_ckplus
from esrface.datasets.fer2013 import prepare_ferplus
from esrface.datasets.ferplus import SPLIT_FOLDERS, load_ferplus, majority_labels
from esrface.datasets.preparation import SKIPPED
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError, OutputError

ROWS = [
    ("1/a.jpg", 0, 0.1, -0.25),
    ("1/b.png", 7, -0.653, 0.653),
    ("2/c.jpg", 10, -2.0, -2.0),
    ("2/d.jpg", 6, -1.0, 1.0),
]
"""(file, expression, valence, arousal) of a miniature AffectNet."""


@pytest.fixture
def affectnet(tmp_path: Path) -> Path:
    return write_affectnet(tmp_path / "AffectNet", ROWS, "Manually_training.csv")


# AffectNet


def test_where_nothing_can_be_prepared_that_is_an_error(
    affectnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["data", "affectnet", "--set", "training", "--annotations", str(affectnet), "--threads", "1"]
    # Pictures that are not unpacked: as many lines would say so as the table has.
    (tmp_path / "empty").mkdir()
    assert main([*words, "--images", str(tmp_path / "empty"), "--out", str(tmp_path / "one")]) == 2
    said = capsys.readouterr().err
    assert "none of 4 could be prepared" in said
    assert f"the first is line 2, 1/a.jpg: cannot read {tmp_path / 'empty' / '1' / 'a.jpg'}" in said
    assert said.count("\n") == 1
    table = affectnet / "Manually_training.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    assert main([*words, "--images", str(affectnet), "--out", str(tmp_path / "two")]) == 2
    assert "no picture is listed" in capsys.readouterr().err


def test_faces_are_cut_out_and_named_by_their_labels(affectnet: Path, tmp_path: Path) -> None:
    done = prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training", threads=2)
    folder = tmp_path / "out" / "Training_Labeled"
    assert (done.folder, done.written, done.kept, done.skipped) == (folder, 4, 0, ())
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg")) == [
        "0/0000000s0s100s-250.jpg",
        "0/0000001s7s-653s653.jpg",
        "0/0000002s10s-2000s-2000.jpg",
        "0/0000003s6s-1000s1000.jpg",
    ]
    listed = list_affectnet(tmp_path / "out", "training")
    assert listed.expressions.tolist() == [0, 7, 10, 6]
    np.testing.assert_allclose(listed.affect[[0, 1, 3]], [[0.1, -0.25], [-0.653, 0.653], [-1, 1]], atol=1e-6)
    assert np.isnan(listed.affect[2]).all()
    assert listed.counts["Contempt"] == 1
    assert listed.counts["No-Face"] == 1
    faces = listed.read(np.array([3, 0]))
    assert faces.shape == (2, 96, 96, 3)
    # The whole box and nothing else: red everywhere, in RGB; JPEG smears the blue around a little inwards.
    assert faces[..., 0].min() > 150
    assert faces[:, 8:-8, 8:-8, 0].min() > 190
    assert faces[..., 1:].max() < 60


def test_folders_hold_500_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert affectnet_module.PER_FOLDER == 500
    monkeypatch.setattr(affectnet_module, "PER_FOLDER", 5)
    root = write_affectnet(tmp_path / "AffectNet", [("a.jpg", 1, 0.0, 0.0)] * 11, "Manually_validation.csv")
    (root / "Manually_Annotated_Images" / "a.jpg").rename(root / "a.jpg")
    shutil.rmtree(root / "Manually_Annotated_Images")  # the pictures may stand right there as well
    prepare_affectnet(root, root / "Manually_validation.csv", tmp_path / "out", "validation", threads=2)
    folders = {path.name: len(list(path.iterdir())) for path in (tmp_path / "out" / "Validation").iterdir()}
    assert folders == {"0": 5, "1": 5, "2": 1}
    assert len(list_affectnet(tmp_path / "out", "validation")) == 11


def test_what_cannot_be_prepared_is_told_and_moves_nothing(affectnet: Path, tmp_path: Path) -> None:
    table = affectnet / "Manually_training.csv"
    table.write_text(
        table.read_text()
        + "1/gone.jpg,0,0,10,10,,1,0,0\n"
        + "1/a.jpg,NULL,NULL,NULL,NULL,,10,-2,-2\n"
        + "1/a.jpg,300,0,10,10,,1,0,0\n"
        + "1/a.jpg,0,0,10,10,,11,0,0\n"
        + "1/a.jpg,0,0,10,10,,1,1.5,0\n"
        + "1/a.jpg,0,0,10,10,,1,nan,0\n"
        + "1/a.jpg,0,0,10,10,,happy,0,0\n"
        + "1/a.jpg,-20,-20,200,200,,1,0,0\n"
    )
    (affectnet / "Manually_Annotated_Images" / "1" / "b.png").write_bytes(b"torn")
    done = prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training", threads=2)
    assert done.written == 4
    reasons = dict(done.skipped)
    assert len(reasons) == 8
    for which, why in {
        "line 3, 1/b.png": "not a picture",
        "line 6, 1/gone.jpg": "no such file",
        "line 7, 1/a.jpg": "no face box",
        "line 8, 1/a.jpg": "lies outside its 200x160 pixels",
        "line 9, 1/a.jpg": "labels out of range: expression 11",
        "line 10, 1/a.jpg": "labels out of range",
        "line 11, 1/a.jpg": "labels out of range",
        "line 12, 1/a.jpg": "is no number",
    }.items():
        assert why in reasons[which]
    with (done.folder / SKIPPED).open(newline="") as file:
        assert [tuple(row.values()) for row in csv.DictReader(file)] == list(done.skipped)
    numbers = [path.name[:7] for path in list_affectnet(tmp_path / "out", "training").paths]
    assert numbers == ["0000000", "0000002", "0000003", "0000011"]
    with pytest.raises(DataError, match=r"line 3, 1/b\.png.*--strict"):
        prepare_affectnet(affectnet, affectnet, tmp_path / "strict", "training", strict=True)


def test_a_stopped_run_goes_on_where_it_was(affectnet: Path, tmp_path: Path) -> None:
    def stop(done: int, _: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training", progress=stop)
    first = tmp_path / "out" / "Training_Labeled" / "0" / face_name(0, 0, 0.1, -0.25)
    assert first.exists()
    content = first.read_bytes()
    (first.parent / ".0123456789abcdef.part").write_bytes(b"half")
    (first.parent / face_name(3, 6, -1, 1)).unlink(missing_ok=True)
    with pytest.raises(OutputError, match="--resume goes on there"):
        prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training")
    done = prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training", resume=True)
    assert done.kept >= 1
    assert done.written + done.kept == 4
    assert first.read_bytes() == content
    assert len(list(first.parent.iterdir())) == 4


def test_the_originals_call_works(affectnet: Path) -> None:
    done = pre_process_affect_net(str(affectnet), str(affectnet), 1)
    assert done.folder == affectnet / "Training_Labeled"
    assert done.written == 4
    assert pre_process_affect_net(affectnet, affectnet, 1).kept == 4
    with pytest.raises(InputError, match="set_index must be 0, 1 or 2"):
        pre_process_affect_net(affectnet, affectnet, 3)
    with pytest.raises(DataError, match="automatically_annotated"):
        pre_process_affect_net(affectnet, affectnet, 0)


def test_names_with_underscores_are_read_as_well(tmp_path: Path) -> None:
    folder = tmp_path / "Validation" / "12"
    for name in ("0000007_3_-500_1000.jpg", "0000003s0s0s-2000.jpg", "0000011_10_-2000_-2000.JPEG"):
        write_picture(folder / name, np.zeros((96, 96, 3), np.uint8))
    listed = list_affectnet(tmp_path, "validation")
    assert [path.name[:7] for path in listed.paths] == ["0000003", "0000007", "0000011"]
    assert listed.expressions.tolist() == [0, 3, 10]
    np.testing.assert_array_equal(listed.affect[:, 0], np.float32([0, -0.5, np.nan]))
    write_picture(folder / "0000013s0s0s0.png", np.zeros((48, 48, 3), np.uint8))
    listed = list_affectnet(tmp_path, "validation")
    with pytest.raises(DataError, match="48x48 pixels, expected 96x96"):
        listed.read(np.array([3]))


@pytest.mark.parametrize(
    "name", ["face.jpg", "0000001s11s0s0.jpg", "0000001s1s1001s0.jpg", "0000001s1s0.jpg"]
)
def test_names_out_of_range_are_refused(tmp_path: Path, name: str) -> None:
    write_picture(tmp_path / "Validation" / "0" / name, np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(DataError, match=f"1 file is not named .* the first is .*{name}"):
        list_affectnet(tmp_path, "validation")


def test_a_table_without_a_column_is_one_line(affectnet: Path, tmp_path: Path) -> None:
    table = affectnet / "Manually_training.csv"
    table.write_text(table.read_text().replace("face_width", "width"))
    with pytest.raises(DataError, match=r"columns .*; it lacks face_width$"):
        prepare_affectnet(affectnet, affectnet, tmp_path / "out", "training")


# CK+

SESSIONS = [(f"S{number:03}", "001", "Happy") for number in range(5, 17)]


def test_folds_are_dealt_by_subject_and_no_subject_is_in_two() -> None:
    subjects = [f"S{number:03}" for number in (9, 3, 3, 1, 5, 7, 11, 13, 15, 17, 19, 21, 23)]
    folds = ckplus_folds(subjects)
    assert folds[0] == ("S001", "S021")
    assert folds[1] == ("S003", "S023")
    assert sorted(subject for fold in folds for subject in fold) == sorted(set(subjects))
    trial = ckplus_trial(subjects, 9)
    assert trial.test == folds[9]
    assert trial.valid == folds[0]
    assert trial.training == folds[1:5]
    assert ckplus_trial(subjects, 2).training == (folds[0], folds[1], folds[4], folds[5])
    with pytest.raises(InputError, match="trials 0 to 9"):
        ckplus_trial(subjects, 10)
    with pytest.raises(DataError, match="3 subjects with labels are too few"):
        ckplus_folds(["S001", "S002", "S003"])


def test_faces_of_ckplus_are_found_and_its_frames_labelled(tmp_path: Path) -> None:
    root = write_ckplus(
        tmp_path / "CK+",
        [("S005", "001", "Happy"), ("S005", "002", None), ("S010", "004", "Contempt")],
        frames=6,
    )
    done = prepare_ckplus(root, tmp_path / "out", threads=2)
    assert (done.written, done.skipped) == (2, ())
    frames = sorted(path.name for path in (tmp_path / "out" / "cohn-kanade-images").rglob("S005_001*.png"))
    assert frames == [f"S005_001_{number:08}.png" for number in (1, 3, 4, 5, 6)]
    faces = load_ckplus(tmp_path / "out")
    assert [EMOTIONS[label] for label in faces.labels[:4]] == ["Happy"] * 3 + ["Neutral"]
    assert [EMOTIONS[label] for label in faces.labels[4:]] == ["Contempt"] * 3 + ["Neutral"]
    assert faces.names[2:4] == ["S005/001/S005_001_00000006.png", "S005/001/S005_001_00000001.png"]
    assert faces.subjects.tolist() == ["S005"] * 4 + ["S010"] * 4
    assert faces.pixels.shape == (8, 96, 96)
    assert faces.pixels.mean() > 120  # the drawing's bright skin, not the dark wall
    late = load_ckplus(tmp_path / "out", neutral="fourth_last")
    assert late.names[3] == "S005/001/S005_001_00000003.png"
    again = prepare_ckplus(root, tmp_path / "out", resume=True)
    assert (again.written, again.kept) == (0, 2)


def test_a_session_without_a_face_is_left_out_as_a_whole(tmp_path: Path) -> None:
    root = write_ckplus(tmp_path / "CK+", [("S005", "001", "Happy"), ("S006", "001", "Sad")])
    blank = np.full((240, 320), 90, np.uint8)
    write_picture(root / "cohn-kanade-images" / "S006" / "001" / "S006_001_00000005.png", blank)
    done = prepare_ckplus(root, tmp_path / "out")
    assert done.skipped == (("S006/001", "no face was found in S006_001_00000005.png"),)
    assert [session.subject for session in list_ckplus(tmp_path / "out")] == ["S005"]
    assert not list((tmp_path / "out").rglob("S006*"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: shutil.rmtree(root / "Emotion"), "no folder Emotion here"),
        (
            lambda root: shutil.rmtree(root / "cohn-kanade-images" / "S005"),
            "1 labelled session has less than 4",
        ),
        (lambda root: next(root.rglob("*_emotion.txt")).write_text("8.0"), "a number from 1 to 7, got 8"),
        (lambda root: next(root.rglob("*_emotion.txt")).write_text("happy"), "holds no number"),
        (lambda root: next(root.rglob("*_emotion.txt")).unlink(), "no label files"),
        (lambda root: None, "prepare CK+ first"),
    ],
)
def test_a_ckplus_that_is_not_whole_is_one_line(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    root = write_ckplus(tmp_path / "CK+", [("S005", "001", "Happy")])
    spoil(root)
    with pytest.raises(DataError) as caught:
        load_ckplus(root)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


# FER+

FACES = [
    ("Training", "Happy", "fer0000000.png"),
    ("Training", "Sad", None),
    ("Training", "Fear", "fer0000002.png"),
    ("PublicTest", "Anger", "fer0000003.png"),
    ("PrivateTest", "unknown", "fer0000004.png"),
]


def faces_for_tables() -> list[tuple[str, str, str | None]]:
    return [(usage, emotion if emotion in EMOTIONS else "Neutral", name) for usage, emotion, name in FACES]


def test_ferplus_is_made_from_its_two_tables(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, faces_for_tables())
    done = prepare_ferplus(pixels, votes, tmp_path / "out", threads=2)
    assert (done.written, done.skipped) == (4, ())
    train = load_ferplus(tmp_path / "out", "train")
    assert train.names == ["fer0000000.png", "fer0000002.png"]
    np.testing.assert_array_equal(train.pixels[0], drawn_face("Happy", 0))
    assert [EMOTIONS[label] for label in majority_labels(train.votes)] == ["Happy", "Fear"]
    assert load_ferplus(tmp_path / "out", "valid").votes.tolist() == [[0, 0, 0, 0, 10, 0, 0, 0, 0, 0]]
    assert prepare_ferplus(pixels, votes, tmp_path / "out", resume=True).kept == 4


def test_faces_of_ferplus_that_are_torn_are_left_out_of_the_labels(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, faces_for_tables())
    lines = pixels.read_text().splitlines()
    lines[1] = lines[1].replace(" ", " 999 ", 1)
    pixels.write_text("\n".join(lines))
    done = prepare_ferplus(pixels, votes, tmp_path / "out")
    assert done.skipped == (("line 2, fer0000000.png", "expected 2304 numbers from 0 to 255"),)
    assert load_ferplus(tmp_path / "out", "train").names == ["fer0000002.png"]


def test_names_that_are_none_of_pictures_are_left_out_and_repeated_ones_refused(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, faces_for_tables())
    text = votes.read_text()
    votes.write_text(text.replace("fer0000002.png", "fer2"))
    done = prepare_ferplus(pixels, votes, tmp_path / "one")
    assert done.skipped == (("line 4, fer2", "its name does not end in .png"),)
    assert load_ferplus(tmp_path / "one", "train").names == ["fer0000000.png"]
    votes.write_text(text.replace("fer0000002.png", "fer0000000.png"))
    with pytest.raises(DataError, match=r"line 4 names fer0000000\.png a second time"):
        prepare_ferplus(pixels, votes, tmp_path / "two")


def test_tables_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, faces_for_tables())
    lines = pixels.read_text().splitlines()
    pixels.write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match="do not belong together: one of them ends at line 6"):
        prepare_ferplus(pixels, votes, tmp_path / "one")
    pixels.write_text("\n".join([lines[0], *lines[2:], lines[1]]))
    with pytest.raises(DataError, match="their column Usage differs at line 4"):
        prepare_ferplus(pixels, votes, tmp_path / "two")
    assert not (tmp_path / "two" / "FER2013Train" / "label.csv").exists()


# The commands


def test_commands_prepare_and_check(
    affectnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (affectnet / "Manually_Annotated_Images" / "2" / "d.jpg").unlink()
    prepare = [
        "data",
        "affectnet",
        "--images",
        "AffectNet",
        "--annotations",
        "AffectNet",
        "--set",
        "training",
    ]
    assert main([*prepare, "--out", "out", "--threads", "1"]) == 0
    seen = capsys.readouterr()
    assert seen.out == ""
    skipped, last = seen.err.splitlines()
    assert skipped.startswith("esrface: skipped line 5, 2/d.jpg: cannot read ")
    assert "Training_Labeled: 3 prepared, 1 skipped (see skipped.csv there)" in last
    assert main([*prepare, "--out", "out"]) == 2
    assert "--resume goes on there" in capsys.readouterr().err
    assert main(["data", "check", "affectnet", "--data", "out", "--json"]) == 0
    seen = capsys.readouterr()
    record = json.loads(seen.out)
    assert record["splits"]["Training_Labeled"]["images"] == 3
    assert record["splits"]["Training_Labeled"]["classes"]["Contempt"] == 1
    assert len(record["warnings"]) == seen.err.count("\n") == 2  # the sets that are not there
    next(Path("out").rglob("*.jpg")).write_bytes(b"")
    assert main(["data", "check", "affectnet", "--data", "out"]) == 2
    assert "1 file is empty" in capsys.readouterr().err

    write_ckplus(tmp_path / "CK+", SESSIONS)
    assert main(["data", "ckplus", "--data", "CK+", "--out", "faces"]) == 0
    assert "faces: 12 prepared" in capsys.readouterr().err
    assert main(["data", "check", "ckplus", "--data", "faces"]) == 0
    table = capsys.readouterr().err.splitlines()
    assert table[0].split() == [word for fold in range(10) for word in ("fold", str(fold))]
    assert next(line for line in table if line.startswith("Happy")).split()[1:3] == ["6", "6"]

    write_fer2013(tmp_path, faces_for_tables())
    make = ["data", "ferplus", "--pixels", "fer2013.csv", "--votes", "fer2013new.csv", "--out", "ferplus"]
    assert main(make) == 0
    capsys.readouterr()
    assert main(["data", "check", "ferplus", "--data", "ferplus", "--json"]) == 0
    splits = json.loads(capsys.readouterr().out)["splits"]
    assert splits["train"] == {
        "images": 2, "left_out": 0, "classes": {name: int(name in ("Happy", "Fear")) for name in EMOTIONS},
    }  # fmt: skip


def test_check_of_ferplus_names_splits_that_are_missing_and_images_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ferplus(tmp_path, "zip", "valid", ["Happy", "NF", "Sad"])
    assert main(["data", "check", "ferplus", "--data", str(tmp_path)]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["esrface: warning: no train split here", "esrface: warning: no test split here"]
    assert lines[-1].split() == ["left", "out", "1"]
    (tmp_path / "FER2013Valid.zip").unlink()
    assert main(["data", "check", "ferplus", "--data", str(tmp_path)]) == 2
    assert "expected FER2013Train.zip" in capsys.readouterr().err


@pytest.mark.parametrize(("split", "missing"), [("train", "valid"), ("valid", "train")])
def test_check_of_ferplus_takes_the_folder_of_one_split_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str, missing: str
) -> None:
    write_ferplus(tmp_path, "microsoft", split, ["Happy", "NF", "Sad"])
    folder = tmp_path / SPLIT_FOLDERS[split]
    assert main(["data", "check", "ferplus", "--data", str(folder), "--json"]) == 0
    seen = capsys.readouterr()
    [(name, found)] = json.loads(seen.out)["splits"].items()
    assert (name, found["images"], found["left_out"]) == (split, 2, 1)
    assert f"esrface: warning: no {missing} split here" in seen.err


def test_check_of_a_folder_reads_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_folder(tmp_path, {"train": {"happy": 3, "sad": 2}, "valid": {"happy": 2, "anger": 0}})
    (tmp_path / "train" / "sad" / "001.png").write_bytes(cv2.imencode(".png", drawn_face("Sad", 1))[1][:200])
    assert main(["data", "check", "folder", "--data", str(tmp_path), "--threads", "1"]) == 0
    seen = capsys.readouterr()
    assert "warning: train: 1 of 5 pictures skipped (1 unreadable)" in seen.err
    assert "anger: the folder holds no pictures" in seen.err
    rows = {line.split()[0]: line.split()[1:] for line in seen.err.splitlines()}
    assert rows["Happy"] == ["3", "2"]
    assert rows["usable"] == ["4", "2"]
    (tmp_path / "train" / "fear").mkdir()
    assert main(["data", "check", "folder", "--data", str(tmp_path)]) == 2
    assert "fear: the folder holds no pictures" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "give a task: affectnet, ckplus, ferplus, check"),
        (["chek"], "unknown task 'chek': did you mean 'check'?"),
        (["check", "ferpls", "--data", "x"], "did you mean 'ferplus'?"),
        (["check", "ferplus", "--data", "nowhere"], "nowhere: no such file or folder"),
        (["affectnet", "--images", "x", "--annotations", "x", "--out", "y", "--set", "train"], "'training'?"),
        (
            ["affectnet", "--images", "x", "--annotations", "x", "--out", "y", "--set", "training"],
            "x: no annot",
        ),
        (["ckplus", "--data", "x", "--out", "y"], "x: no folder cohn-kanade-images here"),
        (["ferplus", "--pixels", "x", "--votes", "x", "--out", "y"], "cannot read x: No such file"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", *arguments]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert said in seen.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists() or os.name == "nt", reason="needs /dev/full")
def test_a_disk_that_cannot_be_written_is_one_line(
    affectnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").write_text("a file")
    prepare = ["data", "affectnet", "--images", str(affectnet), "--annotations", str(affectnet)]
    assert main([*prepare, "--set", "training", "--out", str(tmp_path / "out" / "in")]) == 2
    seen = capsys.readouterr().err
    assert seen.count("\n") == 1
    assert "cannot write" in seen
