"""Data sets that would teach or measure something else than their owner thinks: refused, or told."""

from __future__ import annotations

import shlex
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn import drawn_face, vote_row, write_ferplus
from drawn_sets import write_affectnet, write_ckplus, write_fer2013, write_folder, write_picture
from esrface._names import printable
from esrface.cli import main
from esrface.datasets.affectnet import list_affectnet, prepare_affectnet
from esrface.datasets.ckplus import list_ckplus, prepare_ckplus
from esrface.datasets.fer2013 import prepare_ferplus
from esrface.datasets.ferplus import load_ferplus
from esrface.datasets.folder import list_folder
from esrface.errors import DataError
from esrface.evaluation.folder import evaluate_folder
from esrface.recognizer import Recognizer

FACES = [
    ("Training", "Happy", "fer0000000.png"),
    ("Training", "Fear", "fer0000001.png"),
    ("PublicTest", "Anger", "fer0000002.png"),
]
"""(Usage, emotion, name) of a miniature FER2013."""

ROWS = [("1/a.jpg", 1, 0.1, -0.25), ("1/b.jpg", 2, -0.5, 0.5), ("2/c.jpg", 3, 0.0, 1.0)]
"""(file, expression, valence, arousal) of a miniature AffectNet."""


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def png(emotion: str, seed: int) -> bytes:
    return cv2.imencode(".png", drawn_face(emotion, seed))[1].tobytes()


# FER+ from its tables


def test_pictures_of_another_table_do_not_get_this_ones_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    write_fer2013(tmp_path, FACES)
    write_fer2013(tmp_path / "other", [(usage, "Sad", name) for usage, _, name in FACES])
    make = ["data", "ferplus", "--votes", "fer2013new.csv", "--out", "fp"]
    assert main([*make, "--pixels", "fer2013.csv"]) == 0
    # The first picture is the same and the second one is still to be written, as after an interruption.
    lines = Path("fer2013.csv").read_text().splitlines()
    other = Path("other/fer2013.csv").read_text().splitlines()
    Path("mixed.csv").write_text("\n".join([*lines[:2], *other[2:]]) + "\n")
    Path("fp/FER2013Train/fer0000001.png").unlink()
    before = contents(tmp_path / "fp")
    capsys.readouterr()
    assert main([*make, "--pixels", "mixed.csv", "--resume"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "esrface: fp/FER2013Valid/fer0000002.png is another picture than the table's: choose another --out\n"
    )
    assert contents(tmp_path / "fp") == before
    assert main([*make, "--pixels", "fer2013.csv", "--resume"]) == 0
    assert "1 prepared, 2 there before" in capsys.readouterr().err


def test_what_stands_in_a_prepared_pictures_place_is_looked_at(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, FACES)
    prepare_ferplus(pixels, votes, tmp_path / "fp")
    place = tmp_path / "fp" / "FER2013Train" / "fer0000001.png"
    small = cv2.imencode(".png", drawn_face("Fear", 1, 24))[1].tobytes()
    for content, why in ((b"", "not a readable"), (b"torn", "not a readable"), (small, "24x24, expected")):
        place.write_bytes(content)
        with pytest.raises(DataError, match=rf"fer0000001\.png is {why}.*: delete it, or choose another"):
            prepare_ferplus(pixels, votes, tmp_path / "fp", resume=True)
    place.unlink()
    place.mkdir()
    with pytest.raises(DataError, match=r"cannot read .*fer0000001\.png: Is a directory"):
        prepare_ferplus(pixels, votes, tmp_path / "fp", resume=True)


def test_tables_that_do_not_belong_together_write_nothing(tmp_path: Path) -> None:
    pixels, votes = write_fer2013(tmp_path, FACES)
    lines = pixels.read_text().splitlines()
    pixels.write_text("\n".join([*lines[:-1], lines[-1].replace("PublicTest", "Training")]))
    with pytest.raises(DataError, match="their column Usage differs at line 4"):
        prepare_ferplus(pixels, votes, tmp_path / "fp")
    assert not (tmp_path / "fp").exists()


# AffectNet


def test_two_faces_of_one_number_are_refused(tmp_path: Path) -> None:
    for name in ("0/0000003s1s0s0.jpg", "0/0000004s1s0s0.jpg", "0/0000003s5s0s0.jpg"):
        write_picture(tmp_path / "Validation" / name, np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(DataError) as caught:
        list_affectnet(tmp_path, "validation")
    assert str(caught.value).endswith(
        "two faces have the number 3, 0/0000003s1s0s0.jpg and 0/0000003s5s0s0.jpg: take one out"
    )


@pytest.mark.parametrize(
    ("correct", "stale"),
    [
        (
            lambda lines: [*lines[:2], lines[2].replace(",2,-0.5", ",4,-0.5"), *lines[3:]],
            "0000001s2s-500s500",
        ),
        (lambda lines: [*lines[:2], lines[2].replace(",2,-0.5", ",2,0.5"), *lines[3:]], "0000001s2s-500s500"),
        (
            lambda lines: [*lines[:2], lines[2].replace(",2,-0.5", ",99,-0.5"), *lines[3:]],
            "0000001s2s-500s500",
        ),
        (lambda lines: lines[:-1], "0000002s3s0s1000"),
    ],
)
def test_faces_that_the_table_does_not_have_are_not_gone_on_with(
    tmp_path: Path, correct: Callable[[list[str]], list[str]], stale: str
) -> None:
    root = write_affectnet(tmp_path / "AffectNet", ROWS, "Manually_training.csv")
    out = tmp_path / "out"
    prepare_affectnet(root, root, out, "training")
    first = out / "Training_Labeled" / "0" / "0000000s1s100s-250.jpg"
    first.unlink()
    before = contents(out)
    table = root / "Manually_training.csv"
    table.write_text("\n".join(correct(table.read_text().splitlines())) + "\n")
    with pytest.raises(DataError) as caught:
        prepare_affectnet(root, root, out, "training", resume=True)
    place = out / "Training_Labeled" / "0" / f"{stale}.jpg"
    assert str(caught.value) == (
        f"{out / 'Training_Labeled'}: 1 face is none of {table}, the first is {place}: "
        "take them out, or choose another --out"
    )
    assert contents(out) == before
    place.unlink()
    done = prepare_affectnet(root, root, out, "training", resume=True)
    assert done.written + done.kept + len(done.skipped) == len(table.read_text().splitlines()) - 1
    assert first.exists()


# FER+ in zip files


def write_zip(path: Path, pictures: dict[str, bytes], labels: list[str]) -> None:
    """A zip of pictures; each label file lists those that stand in its folder's namesakes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in pictures.items():
            archive.writestr(name, content)
        for label in labels:
            folder = Path(label).parent.name
            rows = [
                f'{Path(name).name},"(0, 0, 48, 48)",{",".join(map(str, vote_row("Happy")))}'
                for name in pictures
                if not folder or Path(name).parent.name == folder
            ]
            archive.writestr(label, "\n".join(rows) + "\n")


def test_a_zip_of_several_splits_gives_the_one_that_was_asked_for(tmp_path: Path) -> None:
    folders = ("FER2013Train", "FER2013Valid", "FER2013Test")
    pictures = {f"all/{folder}/a.png": png("Happy", seed) for seed, folder in enumerate(folders)}
    path = tmp_path / "FER2013Valid.zip"
    write_zip(path, pictures, [f"all/{folder}/label.csv" for folder in folders])
    np.testing.assert_array_equal(load_ferplus(tmp_path, "valid").pixels[0], drawn_face("Happy", 1))
    # Labels and pictures apart, as in the original's layout.
    pictures = {f"Images/{folder}/a.png": png("Happy", seed) for seed, folder in enumerate(folders)}
    write_zip(path, pictures, [f"Labels/{folder}/label.csv" for folder in folders])
    np.testing.assert_array_equal(load_ferplus(tmp_path, "valid").pixels[0], drawn_face("Happy", 1))
    # The split's own label file lists a picture that only another split has.
    write_zip(path, {"FER2013Train/a.png": png("Happy", 0)}, ["FER2013Train/label.csv"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("FER2013Valid/label.csv", archive.read("FER2013Train/label.csv"))
        archive.writestr("FER2013Valid/b.png", png("Happy", 1))
    with pytest.raises(DataError, match=r"1 listed picture is missing, the first is a\.png"):
        load_ferplus(tmp_path, "valid")


@pytest.mark.parametrize("label", ["label.csv", "./FER2013Valid/label.csv", "my faces/label.csv"])
def test_a_zip_with_one_label_file_is_read_wherever_its_pictures_are(tmp_path: Path, label: str) -> None:
    with zipfile.ZipFile(tmp_path / "FER2013Valid.zip", "w") as archive:
        archive.writestr(label, f"a.png,box,{','.join(map(str, vote_row('Happy')))}\n")
        archive.writestr("pictures/a.png", png("Happy", 3))
        archive.writestr("./READ ME.txt", "x")
        archive.writestr("__MACOSX/._label.csv", "x")
    np.testing.assert_array_equal(load_ferplus(tmp_path, "valid").pixels[0], drawn_face("Happy", 3))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([], "no label.csv inside; is this the zip of FER2013Valid?"),
        (["FER2013Train/label.csv"], "it holds FER2013Train, not FER2013Valid"),
        (
            ["a/label.csv", "b/label.csv"],
            "2 label.csv inside, a/label.csv and b/label.csv; the split's own is FER2013Valid/label.csv",
        ),
        (
            ["a/FER2013Valid/label.csv", "b/FER2013Valid/label.csv"],
            "2 label.csv inside, a/FER2013Valid/label.csv and b/FER2013Valid/label.csv",
        ),
    ],
)
def test_a_zip_that_may_be_another_split_is_refused(tmp_path: Path, labels: list[str], said: str) -> None:
    write_zip(tmp_path / "FER2013Valid.zip", {"FER2013Valid/a.png": png("Happy", 0)}, labels)
    with pytest.raises(DataError) as caught:
        load_ferplus(tmp_path, "valid")
    assert said in str(caught.value)


def spoil_member(path: Path, name: str, how: str) -> None:
    """Make one member of a zip unreadable: torn, encrypted, or packed in a way that nobody knows."""
    with zipfile.ZipFile(path) as archive:
        local, directory = archive.getinfo(name).header_offset, archive.start_dir
    content = bytearray(path.read_bytes())
    entry = content.index(name.encode(), directory) - 46
    if how == "torn":
        data = local + 30 + len(name)
        content[data : data + 8] = b"\xff" * 8
    elif how == "encrypted":
        content[local + 6] |= 1
        content[entry + 8] |= 1
    else:
        content[local + 8] = content[entry + 10] = 97
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("how", ["torn", "encrypted", "unknown"])
@pytest.mark.parametrize("name", ["FER2013Valid/label.csv", "FER2013Valid/a.png"])
def test_a_zip_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "FER2013Valid.zip"
    write_zip(path, {"FER2013Valid/a.png": png("Happy", 0)}, ["FER2013Valid/label.csv"])
    spoil_member(path, name, how)
    assert main(["data", "check", "ferplus", "--data", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"{path}: not a readable zip file (" in said


# The same picture twice


def test_a_face_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    write_ferplus(tmp_path, "microsoft", "valid", ["Happy", "Sad"])
    labels = tmp_path / "FER2013Valid" / "label.csv"
    lines = labels.read_text().splitlines()
    labels.write_text("\n".join([*lines, "", lines[0]]))
    with pytest.raises(DataError, match=r"label\.csv: line 4 names fer0000000\.png a second time"):
        load_ferplus(tmp_path, "valid")


@pytest.mark.parametrize(
    ("again", "said"),
    [
        ("a.png,sad,train", "line 5 lists a.png again, as sad; line 2 says happy: take one out"),
        ("./a.png,joy,training", "line 5 lists ./a.png again, as in line 2: take one out"),
    ],
)
def test_a_path_that_a_table_lists_twice_in_a_split_is_refused(tmp_path: Path, again: str, said: str) -> None:
    table = tmp_path / "faces.csv"
    table.write_text(f"path,label,split\na.png,happy,train\nb.png,sad,train\na.png,happy,valid\n{again}\n")
    with pytest.raises(DataError) as caught:
        list_folder(table, "train")
    assert str(caught.value) == f"{table}: {said}"
    # A picture of two splits is left out of training; that is not the list's concern.
    assert len(list_folder(table, "valid").pictures) == 1


def test_a_session_of_two_labels_is_refused(tmp_path: Path) -> None:
    root = write_ckplus(tmp_path, [("S005", "001", "Happy"), ("S006", "001", "Sad")])
    label = next((root / "Emotion" / "S006").rglob("*_emotion.txt"))
    shutil.copy(label, label.with_name("copy_emotion.txt"))
    with pytest.raises(DataError) as caught:
        list_ckplus(root)
    assert str(caught.value) == (
        f"{label.parent}: two label files for one session, S006_001_00000005_emotion.txt and "
        "copy_emotion.txt: take one out"
    )


def test_prepared_sessions_of_another_label_are_not_gone_on_with(tmp_path: Path) -> None:
    root = write_ckplus(tmp_path / "CK+", [("S005", "001", "Happy"), ("S006", "001", "Sad")])
    prepare_ckplus(root, tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "Emotion" / "S005")
    write_ckplus(root, [("S006", "001", "Fear")])
    before = contents(tmp_path / "out")
    with pytest.raises(DataError) as caught:
        prepare_ckplus(root, tmp_path / "out", resume=True)
    label = Path("Emotion", "S006", "001", "S006_001_00000005_emotion.txt")
    assert str(caught.value) == (
        f"{tmp_path / 'out'}: 1 label file is none of the data's, the first is {tmp_path / 'out' / label}: "
        "take them out, or choose another --out"
    )
    assert contents(tmp_path / "out") == before


# One's own pictures


def test_pictures_in_no_class_are_told(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"train": {"happy": 2, "sad": 2}, "valid": {"happy": 1, "sad": 1}})
    for index, place in enumerate(("train/a.png", "train/b.JPG", "valid/c.png", "train/._d.png")):
        write_picture(tmp_path / place, drawn_face("Fear", index))
    (tmp_path / "train" / "notes.txt").write_text("no picture")
    line = f"2 pictures lie in {tmp_path / 'train'} itself, in no class: they are left out"
    listed = list_folder(tmp_path, "train")
    assert (listed.loose, listed.doubts, len(listed.pictures)) == ((line,), (line,), 4)
    other = f"1 picture lies in {tmp_path / 'valid'} itself, in no class: it is left out"
    assert main(["data", "check", "folder", "--data", str(tmp_path)]) == 0
    assert [said for said in capsys.readouterr().err.splitlines() if "warning" in said] == [
        f"esrface: warning: {line}",
        f"esrface: warning: {other}",
    ]
    with Recognizer(tiny_model, detector="none", threads=1) as recognizer:
        assert evaluate_folder(tmp_path, "valid", recognizer).warnings == (other,)


def test_class_folders_with_underscores_are_classes(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"sad": 1}})
    for place in ("__happy", "__mine", "__MACOSX", ".hidden"):
        write_picture(tmp_path / "train" / place / "a.png", drawn_face("Happy", 1))
    listed = list_folder(tmp_path, "train")
    assert [listed.emotions[picture.label] for picture in listed.pictures] == ["Happy", "Sad", "__mine"]


def test_blanks_around_a_path_are_left_out_unless_it_has_them(tmp_path: Path) -> None:
    write_picture(tmp_path / " b.png", drawn_face("Happy", 1))
    table = tmp_path / "faces.csv"
    table.write_text("split, label, path\ntrain, happy, a.png \ntrain, happy, b.png\n")
    names = [picture.name for picture in list_folder(table, "train").pictures]
    assert names == ["a.png", " b.png"]
    table.write_text(f"path,label,split\n {'a' * 5000},happy,train\n a\0b,happy,train\n")
    assert len(list_folder(table, "train").pictures) == 2


def test_a_name_that_no_system_takes_is_one_skipped_picture(
    tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(tmp_path, {"train": {"happy": 1}, "valid": {"happy": 1, "sad": 1}})
    table = tmp_path / "faces.csv"
    table.write_text(
        "path,label,split\na\0b.png,happy,train\ntrain/happy/000.png,happy,train\n"
        "valid/happy/000.png,happy,valid\nvalid/sad/000.png,sad,valid\n"
    )
    arguments = ["--data", str(table), "--model", str(tiny_model), "--threads", "1", "--json"]
    assert main(["evaluate", "folder", *arguments]) == 0
    assert capsys.readouterr().err == ""
    assert main(["evaluate", "folder", *arguments, "--split", "train"]) == 0
    assert "1 of 2 pictures skipped (1 unreadable)" in capsys.readouterr().err


def spoil_all(root: Path) -> None:
    for path in (root / "train").rglob("*.png"):
        path.write_bytes(b"torn")


def copy_train(root: Path) -> None:
    shutil.rmtree(root / "valid")
    shutil.copytree(root / "train", root / "valid")


@pytest.mark.parametrize(
    ("counts", "spoil", "said"),
    [
        ({"happy": 2, "sad": 2}, spoil_all, "no usable picture in the split train, the first problem: "),
        ({"happy": 2}, lambda root: None, "training needs pictures of at least two classes"),
        ({"happy": 2, "sad": 2}, copy_train, "all usable pictures of train are in valid too"),
        (
            {"happy": 2, "sad": 1},
            lambda root: shutil.copy(root / "train" / "sad" / "000.png", root / "valid" / "happy" / "z.png"),
            "the only training picture of Sad cannot be used (train: 1 picture is in valid too",
        ),
        (
            {"happy": 2, "sad": 2},
            lambda root: (root / "valid" / "happy" / "001.png").unlink(),
            "training needs at least two usable pictures in valid",
        ),
    ],
)
def test_check_refuses_what_training_would_refuse(
    tmp_path: Path,
    counts: dict[str, int],
    spoil: Callable[[Path], object],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_folder(tmp_path, {"train": counts, "valid": {"happy": 2}})
    spoil(tmp_path)
    assert main(["data", "check", "folder", "--data", str(tmp_path), "--json"]) == 2
    seen = capsys.readouterr()
    assert (seen.out, seen.err.count("\n")) == ("", 1)
    assert f"esrface: {tmp_path}: {said}" in seen.err


def test_check_of_a_table_whose_paths_are_all_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "faces.csv"
    table.write_text("path,label,split\na.png,happy,train\nb.png,sad,train\nc.png,sad,valid\n")
    assert main(["data", "check", "folder", "--data", str(table)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert f"no usable picture in the split train, the first problem: cannot read {tmp_path}/a.png" in said


def test_check_tells_what_the_splits_share_and_lack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_folder(
        tmp_path,
        {
            "train": {"happy": 3, "sad": 3, "surprise": 1},
            "valid": {"happy": 2, "sad": 1, "fear": 1},
            "test": {"happy": 1},
        },
    )
    shutil.copy(tmp_path / "valid" / "happy" / "001.png", tmp_path / "train" / "sad" / "copy.png")
    shutil.copy(tmp_path / "train" / "sad" / "001.png", tmp_path / "test" / "happy" / "copy.png")
    assert main(["data", "check", "folder", "--data", str(tmp_path)]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert [line.removeprefix("esrface: warning: ") for line in warnings] == [
        "1 picture of train is in valid too: training leaves it out",
        "1 picture of train is in test too",
        "valid has no picture of Surprise: how well it is recognised stays unknown",
        "valid has 1 picture of Fear, train none: it can only be got wrong",
    ]


# The last line


@pytest.mark.parametrize("name", ["two\nlines", "a b", "it's", "\x1b[31m"])
def test_the_next_step_is_one_line_that_a_shell_takes(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_fer2013(tmp_path, FACES)
    make = ["data", "ferplus", "--pixels", "fer2013.csv", "--votes", "fer2013new.csv", "--out", name]
    assert main(make) == 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
    words = shlex.split(said.partition("count the classes with: ")[2])
    assert words == ["esrface", "data", "check", "ferplus", "--data", printable(name)]
