"""Models with classes beyond the eight emotions: in every answer, file, picture, page and figure."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from conftest import write_model
from drawn import drawn_face, write_ferplus
from drawn_sets import write_folder, write_picture
from esrface import EMOTIONS, InputError, Recognizer
from esrface.annotate import annotate
from esrface.annotate_tracks import TrackPainter
from esrface.canvas import on_dark
from esrface.cli import main
from esrface.datasets.folder import class_counts
from esrface.emotions import CIRCUMPLEX, EMOTION_COLORS, NEW_CLASS_COLORS, color_of, colors_of
from esrface.ensemble import combine_arrays, entropy
from esrface.errors import DataError
from esrface.evaluation.comparison import comparison
from esrface.evaluation.comparison_report import comparison_report
from esrface.evaluation.details import details
from esrface.evaluation.ferplus import evaluate_ferplus
from esrface.evaluation.folder import evaluate_folder
from esrface.evaluation.judged import with_robustness
from esrface.evaluation.report import confusion_png, report_files
from esrface.results import Box
from esrface.rows import columns
from esrface.saliency import Saliency
from esrface.sheet import branch_sheet, draw_emotions, emotion_sheet
from esrface.video.smoothing import Smoother
from made_faces import make_face
from report_pages import clip_report, data_of, made_frame, tracked

# A name that CSV has to quote, and one that is also a column's.
NEW = ("Deep, deep thought", "emotion")
CLASSES = (*EMOTIONS, *NEW)
NEW_COLUMNS = ["p_deep__deep_thought", "p_emotion"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("ten"), emotions=list(CLASSES), name="ten")


@pytest.fixture(scope="module")
def recognizer(model: Path) -> Recognizer:
    return Recognizer(model, detector="none", threads=1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    for seed, emotion in enumerate(EMOTIONS):
        write_picture(folder / f"{seed}.png", drawn_face(emotion, seed, 96))
    return folder


def rgb(seed: int = 0) -> NDArray[np.uint8]:
    return np.repeat(drawn_face("Happy", seed, 96)[..., None], 3, axis=2)


def test_answers_name_all_classes_and_new_ones_have_no_place_on_the_circumplex(
    recognizer: Recognizer,
) -> None:
    [face] = recognizer(rgb(), saliency=True)
    said = face.expression
    assert said.emotions == CLASSES
    assert said.branch_probabilities.shape == (9, 10)
    assert list(face.to_dict()["probabilities"]) == list(CLASSES)
    assert sum(face.to_dict()["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    valence = sum(float(p) * CIRCUMPLEX[index][0] for index, p in enumerate(said.probabilities[:8]))
    assert said.valence == pytest.approx(valence, abs=1e-6)
    assert face.saliency is not None
    assert face.saliency.emotions == CLASSES
    [explained] = recognizer(rgb(), saliency=True, emotion="emotion")
    assert explained.saliency is not None
    maps = np.maximum(face.saliency.class_maps[:, 9], 0).mean(axis=0)
    assert explained.saliency.ensemble == pytest.approx(maps / maps.max(), abs=1e-6)
    with pytest.raises(InputError, match="unknown emotion 'emotio': did you mean 'emotion'"):
        recognizer(rgb(), saliency=True, emotion="emotio")


def test_uncertainty_is_a_share_of_the_most_that_so_many_classes_allow() -> None:
    answers = combine_arrays(np.zeros((1, 9, 10)), None)
    assert answers.probabilities[0] == pytest.approx(np.full(10, 0.1))
    for vote in ("mean", "plurality"):
        logits = np.zeros((1, 9, 10))
        logits[..., 9] = 5
        assert combine_arrays(logits, None, vote=vote).emotion.tolist() == [9]
    assert entropy(np.full((1, 10), 0.1))[0] == pytest.approx(1)


def test_rows_have_the_new_columns_right_behind_contempt() -> None:
    eight, ten = columns(branches=2), columns(branches=2, emotions=CLASSES)
    assert [name for name in ten if name not in eight] == [
        *NEW_COLUMNS, *(f"b1_{name}" for name in NEW_COLUMNS), *(f"b2_{name}" for name in NEW_COLUMNS),
    ]  # fmt: skip
    for before in ("", "b1_", "b2_"):
        place = ten.index(f"{before}p_contempt")
        assert list(ten[place + 1 : place + 4]) == [
            *(before + name for name in NEW_COLUMNS),
            f"{before}valence",
        ]


def test_every_file_of_the_command_holds_them(
    model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pyarrow = pytest.importorskip("pyarrow.parquet")
    out = {name: tmp_path / f"rows.{name}" for name in ("csv", "jsonl", "parquet")}
    arguments = ["image", str(pictures), "--model", str(model), "--detector", "none", "--branches", "--json"]
    named = [word for name, path in out.items() for word in (f"--{name}", str(path))]
    assert main([*arguments, *named, "-o", str(tmp_path / "original"), "--threads", "1"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    schema = json.loads(files("esrface").joinpath("schema/picture.schema.json").read_text())
    for record in records:
        jsonschema.Draft202012Validator(schema).validate(record)
    with out["csv"].open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(columns(branches=9, emotions=CLASSES))
    table = pyarrow.read_table(out["parquet"])
    assert str(table.schema.field("p_emotion").type) == "float"
    assert str(table.schema.field("b3_emotion").type) == "string"
    lines = [json.loads(line) for line in out["jsonl"].read_text().splitlines()]
    for record, row, line, cells in zip(records, rows, lines, table.to_pylist(), strict=True):
        face = record["faces"][0]
        for name, column in zip(NEW, NEW_COLUMNS, strict=True):
            assert float(row[column]) == line[column] == face["probabilities"][name]
            assert cells[column] == pytest.approx(face["probabilities"][name])
        assert row["emotion"] == line["emotion"] == cells["emotion"] == face["emotion"]
        original = tmp_path / "original" / f"{Path(record['source']).stem}.csv"
        head, values = csv.reader(original.open(encoding="utf-8", newline=""))
        assert len(head) == len(values) == 1 + 3 * 10
        assert values[1] == face["emotion"]


def test_rows_of_a_model_with_other_classes_are_not_gone_on_with(
    model: Path, tiny_model: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def recognise(which: Path, *more: str) -> int:
        rows = ["--csv", str(tmp_path / "rows.csv"), "--threads", "1", *more]
        return main(["image", str(pictures), "--detector", "none", "--model", str(which), *rows])

    assert recognise(model) == 0
    assert recognise(model, "--resume") == 0
    capsys.readouterr()
    assert recognise(tiny_model, "--resume") == 2
    assert "cannot resume" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 3, 8, 20])
def test_new_classes_have_colours_of_their_own(count: int) -> None:
    emotions = (*EMOTIONS, *(f"Class {number}" for number in range(count)))
    colors = colors_of(emotions)
    assert colors[:8] == EMOTION_COLORS
    assert [color_of(name, emotions) for name in emotions] == list(colors)
    for index, color in enumerate(colors[:16]):
        for other in colors[index + 1 : 16]:
            assert np.abs(np.subtract(color, other)).sum() > 60
    assert set(colors[16:]) <= set(NEW_CLASS_COLORS)


def has(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> int:
    return int((pixels == np.array(color, np.uint8)).all(axis=2).sum())


@pytest.mark.parametrize("name", ["Deep, deep thought", "a class whose name is longer than its face is wide"])
def test_pictures_show_them_in_their_colour(name: str) -> None:
    emotions = (*EMOTIONS, name)
    face = make_face(name, box=Box(60, 80, 220, 240), emotions=emotions)
    wall = np.full((360, 480, 3), 128, np.uint8)
    assert has(annotate(wall, [face]), NEW_CLASS_COLORS[0]) > 500
    assert has(TrackPainter().paint(wall, [tracked(face)]), NEW_CLASS_COLORS[0]) > 10


@pytest.mark.parametrize("count", [1, 3, 8])
def test_sheets_have_a_row_for_each_class(count: int) -> None:
    new = ("Confused by the question that was asked", *(f"Class {number}" for number in range(count - 1)))
    emotions = (*EMOTIONS, *new)
    maps = np.random.default_rng(0).normal(size=(9, len(emotions), 6, 6)).astype(np.float32)
    made = make_face(new[0], emotions=emotions)
    said = made.expression
    saliency = Saliency(maps, said.emotion, said.branch_emotions, emotions)
    face = replace(made, saliency=saliency)
    canvas = draw_emotions(rgb(), face)
    texts = [text for text, _ in canvas.texts]
    assert all(name in texts for name in (*EMOTIONS, *new[1:]))
    assert any(text.startswith("Confu") and text.endswith("asked") for text in texts)
    for text, place in canvas.texts:
        assert place.right <= canvas.width, text
    for sheet in (branch_sheet(rgb(), face), emotion_sheet(rgb(), face)):
        assert has(sheet, on_dark(NEW_CLASS_COLORS[0])) > 50


def test_smoothed_answers_are_of_the_same_classes(recognizer: Recognizer) -> None:
    one, other = recognizer.predict([rgb(1), rgb(2)])
    smoother = Smoother(1.0)
    assert smoother.smooth(1, 0.0, one).emotions == CLASSES
    mixed = smoother.smooth(1, 0.1, other)
    share = 1 - np.exp(-0.1)
    expected = one.probabilities + share * (other.probabilities - one.probabilities)
    assert mixed.probabilities == pytest.approx(expected, abs=1e-5)


def test_a_report_counts_and_colours_them(recognizer: Recognizer, tmp_path: Path) -> None:
    faces = [tracked(make_face(name, emotions=CLASSES)) for name in ("emotion", "Happy")]
    frames = [made_frame(number, [faces[number % 4 == 3]]) for number in range(40)]
    data = data_of(clip_report(tmp_path / "r.html", recognizer, [("clip.mp4", frames)]))
    assert data["emotions"] == list(CLASSES)
    assert [tuple(color) for color in data["colors"]] == list(colors_of(CLASSES))
    series = data["clips"][0]["series"][0]
    assert series["shares"]["share"] == pytest.approx([0, 0.25, 0, 0, 0, 0, 0, 0, 0, 0.75])
    assert series["columns"]["p9"][0] == 750
    assert {moment["emotion"] for moment in data["clips"][0]["moments"]["strongest"]} == {1, 9}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of two of the eight emotions and of both new classes, one of them spelled otherwise."""
    root = write_folder(tmp_path_factory.mktemp("own") / "own", {"valid": {"happy": 4, "sad": 4}})
    for name in ("deep, deep THOUGHT", "emotion"):
        for seed in range(4):
            write_picture(root / "valid" / name / f"{seed}.png", drawn_face("Neutral", seed, 48))
    return root


def test_folders_are_judged_over_the_models_classes(recognizer: Recognizer, labelled: Path) -> None:
    found = evaluate_folder(labelled, "valid", recognizer, threads=1)
    said = recognizer.predict([labelled / name for name in found.names])
    assert [CLASSES[label] for label in found.labels] == [
        name for name in ("Happy", "Sad", *NEW) for _ in range(4)
    ]
    assert found.figures().accuracy == np.mean(
        [one.emotion == CLASSES[label] for one, label in zip(said, found.labels, strict=True)]
    )
    assert "4 classes (Happy, Sad, Deep, deep thought, emotion): 16 of 16" in found.protocol
    measured = details(found)
    assert list(measured["recall"]) == list(measured["confusion"]) == list(CLASSES)
    assert sum(measured["confusion"]["emotion"].values()) == 4
    contents = report_files([("ten", with_robustness(found, recognizer))])
    rows = list(csv.DictReader(str(contents["predictions.csv"]).splitlines()))
    assert [row["label"] for row in rows] == [CLASSES[label] for label in found.labels]
    assert list(rows[0])[11:15] == ["p_contempt", *NEW_COLUMNS, "valence"]
    assert "<td>Deep, deep thought</td>" in str(contents["report.html"])
    with PIL.Image.open(io.BytesIO(confusion_png(found))) as picture:
        assert picture.width > 92 * len(CLASSES)


def test_models_of_different_classes_are_compared_by_name(
    recognizer: Recognizer, labelled: Path, tmp_path: Path
) -> None:
    more = write_model(tmp_path, emotions=[*EMOTIONS, "Ardent", *NEW], name="eleven")
    with Recognizer(more, detector="none", threads=1) as other:
        models = [("ten", recognizer), ("eleven", other)]
        judged = [(name, evaluate_folder(labelled, "valid", one, threads=1)) for name, one in models]
    compared = comparison(judged)
    assert compared["differences"][0]["accuracy"] == pytest.approx(
        judged[1][1].figures().accuracy - judged[0][1].figures().accuracy
    )
    blocks = comparison_report([(name, details(one)) for name, one in judged], compared)
    assert any("Ardent" in str(block) for block in blocks)


def test_a_folder_whose_class_the_model_lacks_is_one_line(labelled: Path, tiny_model: Path) -> None:
    with Recognizer(tiny_model, detector="none", threads=1) as eight, pytest.raises(DataError) as caught:
        evaluate_folder(labelled, "valid", eight, threads=1)
    assert "the model 'tiny' has no class for the folders 'deep, deep THOUGHT', 'emotion', only Neut" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)


def test_on_a_data_set_of_the_eight_new_classes_count_as_wrong(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ferplus(tmp_path, "original", "valid", [*EMOTIONS[:7]] * 3)
    found = evaluate_ferplus(tmp_path, "valid", recognizer)
    answers = replace(found.answers, emotion=np.full(21, 9))
    answers.emotion[:7] = range(7)
    strange = replace(found, answers=answers)
    assert strange.figures().accuracy == pytest.approx(1 / 3)
    assert strange.figures().recall["Neutral"] == pytest.approx(1 / 3)
    assert strange.figures().recall["emotion"] is None
    assert details(strange)["confusion"]["Neutral"]["emotion"] == 2
    assert class_counts(strange.labels, 10).tolist() == [3] * 7 + [0] * 3


def test_the_card_is_explained_with_all_classes(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "info", str(model), "--json"]) == 0
    card: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert card["emotions"] == list(CLASSES)
    assert main(["models", "info", str(model)]) == 0
    assert "Contempt, Deep, deep thought, emotion" in " ".join(capsys.readouterr().out.split())
