"""One's own pictures: names in any case, tables, what cannot be read, and what is refused in one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn import drawn_face
from drawn_sets import write_folder, write_picture
from esrface.datasets.folder import emotion_of, list_folder, splits_of
from esrface.datasets.folder_pictures import NO_FACE, load_faces, read_pictures, summarise_skipped
from esrface.emotions import EMOTIONS
from esrface.errors import DataError


@pytest.mark.parametrize(
    ("name", "emotion"),
    [
        ("happy", "Happy"), ("HAPPINESS", "Happy"), ("Joy", "Happy"), ("sadness", "Sad"), ("Angry", "Anger"),
        ("surprised", "Surprise"), ("fearful", "Fear"), ("Disgusted", "Disgust"), ("neutral", "Neutral"),
        ("contempt", "Contempt"), ("03_happy", "Happy"), ("anger-2", "Anger"), (" Fear ", "Fear"),
        ("bored", None), ("3", None), ("", None), ("happy sad", None),
    ],
)  # fmt: skip
def test_names_mean_emotions_in_any_case(name: str, emotion: str | None) -> None:
    assert emotion_of(name) == emotion


def test_every_emotion_is_known_by_its_own_name() -> None:
    assert [emotion_of(name) for name in EMOTIONS] == list(EMOTIONS)


def test_folders_of_one_emotion_are_one_class_and_splits_have_other_names(tmp_path: Path) -> None:
    write_folder(tmp_path, {"Training": {"sad": 2, "Sadness": 1, "HAPPY": 3}, "val": {"sad": 1}})
    (tmp_path / "Training" / ".thumbs").mkdir()
    (tmp_path / "Training" / "HAPPY" / "notes.txt").write_text("no picture")
    listed = list_folder(tmp_path, "train")
    assert listed.counts.tolist() == [0, 3, 3, 0, 0, 0, 0, 0]
    names = [picture.name for picture in listed.pictures]
    assert names[:3] == [f"Training/HAPPY/00{index}.png" for index in range(3)]
    assert names[3] == "Training/Sadness/000.png"
    assert list_folder(tmp_path, "valid").counts.sum() == 1
    assert splits_of(tmp_path) == ("train", "valid")


def test_a_table_of_pictures_wherever_they_are(tmp_path: Path) -> None:
    write_picture(tmp_path / "a b" / "ä.png", drawn_face("Happy", 1))
    write_picture(tmp_path / "sad.png", drawn_face("Sad", 1))
    table = tmp_path / "faces.csv"
    table.write_text(
        f"id,Label,PATH,split\n1,joy,a b/ä.png,train\n\n2,Sad,{tmp_path / 'sad.png'},VALID\n"
        "3,sad,gone.png,train\n",
        encoding="utf-8-sig",
    )
    listed = list_folder(table, "train")
    assert [(picture.name, picture.label) for picture in listed.pictures] == [
        ("a b/ä.png", 1),
        ("gone.png", 2),
    ]
    faces = load_faces(listed, 48)
    assert faces.names == ["a b/ä.png"]
    assert "gone.png: No such file" in faces.skipped[0]
    assert len(list_folder(table, "valid").pictures) == 1
    assert splits_of(table) == ("train", "valid")


def test_pictures_of_any_size_and_kind_become_grey_faces_of_one_size(tmp_path: Path) -> None:
    face = drawn_face("Happy", 5, 96)
    write_picture(tmp_path / "train" / "happy" / "grey.png", face)
    write_picture(tmp_path / "train" / "happy" / "colour.bmp", cv2.cvtColor(face, cv2.COLOR_GRAY2BGR))
    write_picture(tmp_path / "train" / "happy" / "tall.jpg", cv2.resize(face, (120, 400)))
    faces = load_faces(list_folder(tmp_path, "train"), 48)
    assert faces.pixels.shape == (3, 48, 48)
    assert faces.pixels.dtype == np.uint8
    np.testing.assert_array_equal(faces.pixels[0], faces.pixels[1])
    expected = cv2.resize(face, (48, 48), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(faces.pixels[1], expected)
    assert np.abs(faces.pixels[2].astype(int) - expected).mean() < 6


def test_what_cannot_be_read_is_skipped_and_counted_or_stops(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"happy": 3}})
    (tmp_path / "train" / "happy" / "001.png").write_bytes(b"torn")
    (tmp_path / "train" / "happy" / "004.jpg").write_bytes(b"")
    listed = list_folder(tmp_path, "train")
    faces = load_faces(listed, 48)
    assert faces.names == ["train/happy/000.png", "train/happy/002.png"]
    summary = summarise_skipped(faces.skipped, len(listed.pictures))
    assert summary is not None
    assert summary.startswith("2 of 4 pictures skipped (2 unreadable), the first: cannot read ")
    assert "001.png" in summary
    with pytest.raises(DataError, match=r"001\.png.*\(--strict\)$"):
        load_faces(listed, 48, strict=True)


def test_faces_that_are_looked_for_and_not_found_are_counted_apart(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"happy": 3}})
    (tmp_path / "train" / "happy" / "000.png").write_bytes(b"torn")

    pictures = list_folder(tmp_path, "train").pictures
    dark, _ = sorted(read.crop.mean() for read in read_pictures(pictures) if read.crop is not None)

    def cut(picture: np.ndarray) -> np.ndarray | None:
        return picture[:24] if picture.mean() > dark else None

    faces = load_faces(list_folder(tmp_path, "train"), 24, cut=cut)
    assert len(faces) == 1
    summary = summarise_skipped(faces.skipped, 3)
    assert summary is not None
    assert "(1 unreadable, 1 without a face)" in summary
    assert any(line.endswith(NO_FACE) for line in faces.skipped)


def test_copies_are_known_by_their_content(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"happy": 2}})
    shutil.copy(tmp_path / "train" / "happy" / "001.png", tmp_path / "train" / "happy" / "again.png")
    digests = load_faces(list_folder(tmp_path, "train"), 48).digests
    assert digests[1] == digests[2]
    assert digests[0] != digests[1]


def test_an_empty_class_folder_is_a_problem_that_the_caller_judges(tmp_path: Path) -> None:
    write_folder(tmp_path, {"valid": {"happy": 1, "sad": 0}})
    listed = list_folder(tmp_path, "valid")
    assert len(listed.pictures) == 1
    assert len(listed.problems) == 1
    assert "valid/sad" in listed.problems[0]
    assert "holds no pictures" in listed.problems[0]


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: shutil.rmtree(root), "no such folder or CSV file"),
        (lambda root: None, "no folder train here; it holds no folders"),
        (lambda root: (root / "happy").mkdir(), "folders of emotions stand right in it: move them into "),
        (lambda root: (root / "train").mkdir(), "no folders of emotions here"),
        (
            lambda root: [
                (root / "train" / name).mkdir(parents=True)
                for name in ("happy", "deep-thought", "Deep thought")
            ],
            "names of folders must not hold both 'Deep thought' and 'deep-thought': each would have the "
            "column p_deep_thought; rename one",
        ),
        (lambda root: (root / "train" / "a\x07b").mkdir(parents=True), r"printable texts without blanks"),
    ],
)
def test_what_is_no_data_set_is_one_line(tmp_path: Path, prepare: object, said: str) -> None:
    root = tmp_path / "pictures"
    root.mkdir()
    prepare(root)  # type: ignore[operator]
    with pytest.raises(DataError) as caught:
        list_folder(root, "train")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_line_on_a_folder_without_classes_names_the_eight_and_their_synonyms(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir(parents=True)
    with pytest.raises(DataError) as caught:
        list_folder(tmp_path, "train")
    for word in (*EMOTIONS, "sadness", "angry", "happiness", "fearful"):
        assert word in str(caught.value)


def test_other_names_are_new_classes_behind_the_eight(tmp_path: Path) -> None:
    picture = drawn_face("Neutral", 1)
    for place in ("train/zoned out", "train/Bored", "training/bored", "train/smiling", "valid/BORED"):
        write_picture(tmp_path / place / "a.png", picture)
    listed = list_folder(tmp_path, "train")
    assert listed.emotions == (*EMOTIONS, "Bored", "zoned out")
    assert listed.counts.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 2, 1]
    assert listed.doubts == ()
    valid = list_folder(tmp_path, "valid", emotions=listed.emotions)
    assert [picture.label for picture in valid.pictures] == [8]
    with pytest.raises(
        DataError, match="the model 'plain' has no class for the folder 'BORED', only Neutral, Happy, "
    ) as caught:
        list_folder(tmp_path, "valid", emotions=EMOTIONS, of="the model 'plain'")
    assert "\n" not in str(caught.value)


def test_labels_of_a_table_are_new_classes_without_the_blanks_around_them(tmp_path: Path) -> None:
    table = tmp_path / "faces.csv"
    table.write_text(
        "path,label,split\na.png, Deep thought,train\nb.png,deep thought ,train\nc.png,joy,train\n"
    )
    listed = list_folder(table, "train")
    assert listed.emotions == (*EMOTIONS, "Deep thought")
    assert [picture.label for picture in listed.pictures] == [8, 8, EMOTIONS.index("Happy")]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("hapy", "Happy"),
        ("Supprise", "Surprise"),
        ("03_angery", "Anger"),
        ("hapiness", "Happy"),
        ("bored", None),
        ("tired", None),
        ("Thinking", None),
        ("calm", None),
        ("laughing", None),
    ],
)
def test_a_slip_for_one_of_the_eight_is_told(tmp_path: Path, name: str, meant: str | None) -> None:
    (tmp_path / "train" / name).mkdir(parents=True)
    expected = f"folder '{name}' is taken as a new class; if you mean {meant} rename it"
    assert list_folder(tmp_path, "train").doubts == (() if meant is None else (expected,))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\na.png,happy\n", "it lacks split"),
        ("path,label,split\na.png,happy\n", "line 2 has 2 of 3 cells"),
        ("path,label,split\na.png,happy,trian\n", "line 2: unknown split 'trian': did you mean 'train'?"),
        ("path,label,split\n\na.png, ,train\n", "line 3 has no label"),
        ("path,label,split\n,happy,train\n", "line 2 has no path"),
        ("path,label,split\na.png,a\x07b,train\n", "names of labels must be printable texts without blanks"),
        (
            "path;label;split\na.png;happy;train\n",
            ": its cells are separated by semicolons, save it with com",
        ),
        ("path\tlabel\tsplit\na.png\thappy\ttrain\n", "its cells are separated by tabs, save it with commas"),
        ("path,label,split\na.png,happy,valid\n", "no line has the split train"),
        ("", "it lacks path, label, split"),
    ],
)
def test_a_table_that_is_wrong_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    table = tmp_path / "faces.csv"
    table.write_text(text)
    with pytest.raises(DataError) as caught:
        list_folder(table, "train")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_table_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "faces.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(DataError, match="no CSV of UTF-8 text"):
        list_folder(tmp_path / "faces.csv", "train")
