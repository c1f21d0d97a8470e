"""The FER+ protocol on drawn faces in every layout, and on the real validation split where it is at hand."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from drawn import drawn_face, write_ferplus
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError
from esrface.evaluation import ferplus, judged
from esrface.evaluation.blocks import to_markdown
from esrface.evaluation.details import details
from esrface.evaluation.model_report import model_report
from esrface.evaluation.picture import draw_confusion
from esrface.evaluation.report import confusion_png, predictions_csv
from esrface.recognizer import Recognizer

DRAWN = ["Happy", "Sad", "NF", "Neutral", "Anger", "Happy", "unknown", "Surprise"]
"""Labels of the miniature split; two of the eight images have none."""
KEYS = ["accuracy", "mean_recall", "recall", "ece", "images", "protocol", "model", "deduplicated"]


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, detector="none", threads=1)


@pytest.mark.parametrize("layout", ["original", "microsoft", "zip"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_every_layout_is_judged_alike(
    tmp_path: Path, recognizer: Recognizer, layout: str, split: str
) -> None:
    write_ferplus(tmp_path, layout, split, DRAWN)
    result = ferplus.evaluate_ferplus(tmp_path, split, recognizer)
    assert [EMOTIONS[label] for label in result.labels] == [name for name in DRAWN if name in EMOTIONS]
    faces = [np.repeat(drawn_face(e, i)[..., None], 3, axis=2) for i, e in enumerate(DRAWN) if e in EMOTIONS]
    expected = recognizer.predict(faces)
    assert [EMOTIONS[i] for i in result.answers.emotion] == [answer.emotion for answer in expected]
    record = result.to_dict()
    assert list(record) == KEYS
    assert record["accuracy"] == np.mean([a.emotion == e for a, e in zip(expected, _labelled(), strict=True)])
    assert record["images"] == 6
    assert record["model"] == "tiny"
    assert record["deduplicated"] is None
    assert list(record["recall"]) == list(EMOTIONS)
    assert record["recall"]["Contempt"] is None
    present = [share for share in record["recall"].values() if share is not None]
    assert len(present) == 5
    assert record["mean_recall"] == pytest.approx(np.mean(present))
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def _labelled() -> list[str]:
    return [name for name in DRAWN if name in EMOTIONS]


def test_duplicates_in_training_and_within_the_split_are_left_out(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    # Training holds the drawing of seed 3, valid's fourth image; valid's second image is copied to its sixth.
    write_ferplus(tmp_path, "microsoft", "valid", DRAWN)
    write_ferplus(tmp_path, "microsoft", "train", ["Neutral", "Fear"], first_seed=3)
    valid = tmp_path / "FER2013Valid"
    shutil.copy(valid / "fer0000001.png", valid / "fer0000005.png")
    result = ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)
    assert result.names == [f"fer{i:07d}.png" for i in (0, 1, 3, 4, 5, 7)]
    assert result.fresh.tolist() == [True, True, False, True, False, True]
    record = result.to_dict()
    inner = record["deduplicated"]
    assert list(inner) == KEYS
    assert inner["images"] == 4
    assert inner["deduplicated"] is None
    assert inner["accuracy"] == pytest.approx(result.correct[result.fresh].mean())
    assert "without 2 images" in inner["protocol"]
    assert record["images"] == 6


def test_a_copy_of_an_unlabelled_image_is_no_copy_among_those_judged(
    tmp_path: Path, recognizer: Recognizer
) -> None:
    write_ferplus(tmp_path, "microsoft", "valid", ["NF", "Happy"])
    write_ferplus(tmp_path, "microsoft", "train", ["Fear"], first_seed=50)
    valid = tmp_path / "FER2013Valid"
    shutil.copy(valid / "fer0000000.png", valid / "fer0000001.png")
    assert ferplus.evaluate_ferplus(tmp_path, "valid", recognizer).fresh.tolist() == [True]


def test_a_broken_training_split_is_a_warning(tmp_path: Path, recognizer: Recognizer) -> None:
    write_ferplus(tmp_path, "zip", "valid", DRAWN)
    (tmp_path / "FER2013Train.zip").write_bytes(b"torn")
    result = ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)
    assert result.to_dict()["deduplicated"] is None
    assert any("FER2013Train.zip" in line for line in result.warnings)


def test_counts_unlike_the_published_are_warnings(tmp_path: Path, recognizer: Recognizer) -> None:
    write_ferplus(tmp_path, "zip", "valid", DRAWN)
    listed, labelled = ferplus.evaluate_ferplus(tmp_path, "valid", recognizer).warnings
    assert listed == "the valid split lists 8 images, published are 3579"
    assert labelled.startswith("the label rule leaves 6 valid images, published are 3191 (Neutral 1 inst")
    assert ferplus.PUBLISHED_LISTED["valid"] == 3579
    assert sum(ferplus.PUBLISHED_MAJORITY["valid"]) == 3191


def test_the_test_split_has_no_published_counts_to_compare(tmp_path: Path, recognizer: Recognizer) -> None:
    write_ferplus(tmp_path, "zip", "test", DRAWN)
    result = ferplus.evaluate_ferplus(tmp_path, "test", recognizer)
    assert result.warnings == ()
    assert "FER+ test (PrivateTest), 8 classes, label rule majority: 6 of 8 images" in result.protocol


def test_label_rules_differ_where_no_emotion_has_a_majority() -> None:
    votes = np.array(
        [
            [5, 0, 0, 5, 0, 0, 0, 0, 0, 0],  # a tie of neutral and sadness: the first in network order
            [2, 0, 0, 3, 0, 0, 0, 0, 3, 2],  # sadness ties with unknown
            [0, 0, 0, 2, 0, 0, 0, 0, 5, 3],  # mostly unknown
            [0, 9, 0, 1, 0, 0, 0, 0, 0, 0],
        ],
        dtype=np.int16,
    )
    assert ferplus.labels_by_rule(votes, "majority").tolist() == [-1, -1, -1, 1]
    assert ferplus.labels_by_rule(votes, "distribution").tolist() == [0, 2, -1, 1]


def test_vote_and_mirror_are_part_of_the_protocol(tmp_path: Path, tiny_model: Path) -> None:
    write_ferplus(tmp_path, "zip", "valid", DRAWN)
    with Recognizer(tiny_model, detector="none", mirror=True, vote="plurality", threads=1) as mirrored:
        result = ferplus.evaluate_ferplus(tmp_path, "valid", mirrored, vote="plurality")
        expected = mirrored.predict([drawn_face(e, i) for i, e in enumerate(DRAWN) if e in EMOTIONS])
    assert [EMOTIONS[i] for i in result.answers.emotion] == [answer.emotion for answer in expected]
    assert "mirror on, vote plurality" in result.protocol


def test_what_cannot_be_judged_is_one_clear_line(tmp_path: Path, recognizer: Recognizer) -> None:
    with pytest.raises(DataError, match="no FER"):
        ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)
    write_ferplus(tmp_path, "zip", "valid", ["NF", "unknown"])
    with pytest.raises(DataError, match="leaves none of the 2 valid images"):
        ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)
    with pytest.raises(InputError, match="did you mean 'valid'"):
        ferplus.evaluate_ferplus(tmp_path, "vaild", recognizer)
    with pytest.raises(InputError, match="majority"):
        ferplus.evaluate_ferplus(tmp_path, "valid", recognizer, label_rule="majorty")


def test_a_listed_file_that_is_missing_is_an_error(tmp_path: Path, recognizer: Recognizer) -> None:
    names = write_ferplus(tmp_path, "original", "valid", DRAWN)
    (tmp_path / "Images" / "FER2013Valid" / names[3]).unlink()
    with pytest.raises(DataError, match=names[3]):
        ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)


def test_progress_counts_the_images_to_the_end(
    tmp_path: Path, recognizer: Recognizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged, "BATCH", 4)
    write_ferplus(tmp_path, "zip", "valid", DRAWN)
    steps: list[tuple[str, int, int]] = []
    ferplus.evaluate_ferplus(tmp_path, "valid", recognizer, progress=lambda *step: steps.append(step))
    assert [step[1:] for step in steps if step[0] == "recognising"] == [(4, 6), (6, 6)]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory, recognizer: Recognizer) -> ferplus.FerPlusEvaluation:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "zip", "valid", DRAWN * 5)
    write_ferplus(root, "zip", "train", ["Neutral", "Happy"], first_seed=3)
    return ferplus.evaluate_ferplus(root, "valid", recognizer)


def test_report_agrees_with_itself(evaluation: ferplus.FerPlusEvaluation) -> None:
    measured = details(evaluation)
    assert json.loads(json.dumps(measured, allow_nan=False))["accuracy"] == evaluation.figures().accuracy
    confusion = [list(counts.values()) for counts in measured["confusion"].values()]
    assert np.trace(confusion) / np.sum(confusion) == pytest.approx(measured["accuracy"])
    reliability = measured["reliability"]
    gaps = [part["images"] * abs(part["accuracy"] - part["confidence"]) for part in reliability]
    assert sum(gaps) / measured["images"] == pytest.approx(measured["ece"])
    steps = {s["coverage"]: s["accuracy"] for s in measured["uncertainty"]["accuracy_at_coverage"]}
    assert steps[1.0] == pytest.approx(measured["accuracy"])
    branches = measured["branches"]
    assert branches["mean_accuracy"] + branches["ensemble_gain"] == pytest.approx(measured["accuracy"])
    assert len(branches["accuracy"]) == 9


def test_report_page_states_figures_protocol_and_warnings(evaluation: ferplus.FerPlusEvaluation) -> None:
    page = to_markdown(model_report("tiny", evaluation, details(evaluation)))
    assert f"| accuracy | {100 * evaluation.figures().accuracy:.2f} % |" in page
    assert evaluation.protocol in page
    assert "> **Warning:** the valid split lists 40 images" in page
    assert "| Contempt | 0 | - | - |" in page
    assert "(charts/confusion.svg)" in page
    assert " nan" not in page


def test_predictions_hold_a_row_an_image(evaluation: ferplus.FerPlusEvaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(predictions_csv(evaluation))))
    assert len(rows) == len(evaluation.labels) == 30
    right = sum(row["label"] == row["emotion"] for row in rows)
    assert right / 30 == pytest.approx(evaluation.figures().accuracy)
    assert sum(row["fresh"] == "true" for row in rows) == evaluation.fresh.sum() < 30
    for row in rows:
        shares = {name: float(row[f"p_{name.lower()}"]) for name in EMOTIONS}
        assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
        assert max(shares, key=shares.get) == row["emotion"]
        assert float(row["confidence"]) == pytest.approx(max(shares.values()))


def test_confusion_png_is_a_picture(evaluation: ferplus.FerPlusEvaluation) -> None:
    picture = Image.open(io.BytesIO(confusion_png(evaluation)))
    assert picture.format == "PNG"
    assert picture.mode == "RGB"
    assert min(picture.size) > 600


def test_confusion_picture_shades_by_the_share_of_the_row() -> None:
    confusion = np.zeros((8, 8), dtype=np.int64)
    confusion[0, 0], confusion[1, 1], confusion[1, 2], confusion[2, 2] = 1000, 1, 1, 3
    pixels = np.asarray(draw_confusion(confusion, title="drawn")).astype(int)

    def shade(row: int, column: int) -> int:
        from esrface.evaluation.picture import CELL, LEFT, TOP

        return int(pixels[TOP + row * CELL + 5, LEFT + column * CELL + 5].sum())

    assert shade(0, 0) == shade(2, 2)  # both are their whole row, whatever the counts
    assert shade(1, 1) == shade(1, 2)
    assert shade(0, 0) < shade(1, 1) < shade(0, 1)
    assert shade(0, 1) == 3 * 255
    assert shade(7, 7) not in (shade(0, 0), shade(0, 1))  # no images: neither 100 % nor 0 %


def test_confusion_picture_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"\(8, 8\), got \(7, 7\)"):
        draw_confusion(np.zeros((7, 7), dtype=np.int64), title="")


@pytest.mark.skipif("ESRFACE_FERPLUS" not in os.environ, reason="needs ESRFACE_FERPLUS: a folder with FER+")
def test_real_validation_split_alone_has_the_published_counts(tmp_path: Path, recognizer: Recognizer) -> None:
    data = Path(os.environ["ESRFACE_FERPLUS"])
    for name in ("FER2013Valid.zip", "FER2013Valid", "Images/FER2013Valid", "Labels/FER2013Valid"):
        if (data / name).exists():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).symlink_to((data / name).resolve())
    result = ferplus.evaluate_ferplus(tmp_path, "valid", recognizer)
    assert result.warnings == ()
    assert result.listed == 3579
    assert result.figures().images == 3191
    assert np.bincount(result.labels).tolist() == [1180, 862, 348, 411, 60, 25, 289, 16]
    assert result.to_dict()["deduplicated"] is None
