"""AffectNet and CK+ on miniatures, against figures worked out apart from the code."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from drawn_protocols import write_prepared_affectnet, write_prepared_ckplus
from esrface.cli import main
from esrface.datasets.ckplus import ckplus_trial
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError
from esrface.evaluation import metrics
from esrface.evaluation.affectnet import AffectNetEvaluation, evaluate_affectnet
from esrface.evaluation.ckplus import CkPlusEvaluation, evaluate_ckplus
from esrface.evaluation.report import predictions_csv
from esrface.recognizer import Recognizer


@pytest.fixture(scope="module")
def affectnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared_affectnet(tmp_path_factory.mktemp("affectnet"), {"validation": 2, "training": 1})


@pytest.fixture(scope="module")
def ckplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared_ckplus(tmp_path_factory.mktemp("ckplus"))


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model, detector="none", threads=1)


@pytest.fixture(scope="module")
def judged(affectnet: Path, recognizer: Recognizer) -> AffectNetEvaluation:
    return evaluate_affectnet(affectnet, "validation", recognizer)


def test_affectnet_leaves_out_what_shows_no_emotion(judged: AffectNetEvaluation) -> None:
    assert judged.listed == 17
    assert np.bincount(judged.labels).tolist() == [2] * 8
    assert "16 of 17 images" in judged.protocol
    assert judged.warnings[0].startswith("the validation set has 500 images of each emotion as published")


def test_affectnet_answers_are_those_that_users_get(
    judged: AffectNetEvaluation, affectnet: Path, recognizer: Recognizer
) -> None:
    pictures = [affectnet / "Validation" / name for name in judged.names]
    expected = recognizer.predict(pictures)
    assert [EMOTIONS[i] for i in judged.answers.emotion] == [answer.emotion for answer in expected]
    again = [view(1.0) for view in judged.views([3, 0])]
    assert [answer.confidence for answer in recognizer.predict(again)] == pytest.approx(
        [expected[3].confidence, expected[0].confidence], abs=1e-6
    )


def test_seven_emotions_leave_contempt_out_of_labels_and_answers(judged: AffectNetEvaluation) -> None:
    extra = judged.extra()
    shares = judged.answers.branch_probabilities[judged.labels != 7][:, :, :7]
    # The mean of the branches' probabilities over seven emotions, each branch's adding up to one.
    renewed = (shares / shares.sum(axis=2, keepdims=True)).mean(axis=1)
    assert extra["images_7"] == 14
    assert extra["accuracy_7"] == np.mean(renewed.argmax(axis=1) == judged.labels[judged.labels != 7])


def test_affect_is_measured_against_the_names_of_the_files(judged: AffectNetEvaluation) -> None:
    affect = judged.extra()["affect"]
    labels = np.array([[int(part) / 1000 for part in name[:-4].split("s")[-2:]] for name in judged.names])
    told = judged.answers.affect
    assert affect["images"] == 16
    assert affect["source"] == "circumplex"
    assert affect["valence"]["rmse"] == pytest.approx(
        np.sqrt(np.mean((told[:, 0] - labels[:, 0]) ** 2)), 1e-5
    )
    x, y = told[:, 1], labels[:, 1]
    ccc = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert affect["arousal"]["ccc"] == pytest.approx(ccc, rel=1e-4)


def test_a_trained_layer_for_affect_is_used(affectnet: Path, make_model: object) -> None:
    model = make_model(affect=True, affect_source="network")  # type: ignore[operator]
    with Recognizer(model, detector="none", threads=1) as recognizer:
        found = evaluate_affectnet(affectnet, "training", recognizer)
    assert found.extra()["affect"]["source"] == "network"
    assert found.warnings == ()  # only the validation set has a published count


def test_affectnet_predictions_hold_labels_and_answers(judged: AffectNetEvaluation) -> None:
    rows = list(csv.DictReader(io.StringIO(predictions_csv(judged))))
    assert [float(row["label_valence"]) for row in rows] == pytest.approx(judged.faces.affect[:, 0].tolist())
    assert [float(row["arousal"]) for row in rows] == pytest.approx(judged.answers.affect[:, 1], abs=1e-5)


def test_affectnet_without_values_has_no_affect(tmp_path: Path, recognizer: Recognizer) -> None:
    write_prepared_affectnet(tmp_path, {"validation": 1})
    for path in (tmp_path / "Validation").rglob("*.jpg"):
        number, expression = path.name.split("s")[:2]
        # The other separator, as the original's README writes it.
        path.rename(path.with_name(f"{number}_{expression}_-2000_-2000.jpg"))
    found = evaluate_affectnet(tmp_path, "validation", recognizer)
    assert found.extra()["affect"] is None
    assert "label_valence" in predictions_csv(found).splitlines()[0]


def test_affectnet_without_copies(tmp_path: Path, tiny_model: Path, recognizer: Recognizer) -> None:
    write_prepared_affectnet(tmp_path, {"validation": 2})
    faces = sorted((tmp_path / "Validation" / "0").glob("*.jpg"))
    training = tmp_path / "Training_Labeled" / "0"
    assert evaluate_affectnet(tmp_path, "validation", recognizer).to_dict()["deduplicated"] is None
    # Repeated within the set under another number; in training, even without a usable label there.
    faces[4].write_bytes(faces[1].read_bytes())
    write_prepared_affectnet(tmp_path, {"automatic": 1, "training": 1})
    (training / "0000900s10s-2000s-2000.jpg").write_bytes(faces[6].read_bytes())
    found = evaluate_affectnet(tmp_path, "validation", recognizer)
    assert np.flatnonzero(~found.fresh).tolist() == [4, 6]
    record = found.to_dict()
    inner = record["deduplicated"]
    assert (record["images"], inner["images"], inner["deduplicated"]) == (16, 14, None)
    assert inner["accuracy"] == pytest.approx(found.correct[found.fresh].mean())
    assert inner["protocol"].endswith(
        "; without 2 images whose files are in the training set or repeated within these"
    )
    assert evaluate_affectnet(tmp_path, "training", recognizer).fresh is None, "what was learnt is not new"
    # Its fourth face is drawn like the one that was copied into training.
    automatic = evaluate_affectnet(tmp_path, "automatic", recognizer)
    assert np.flatnonzero(~automatic.fresh).tolist() == [3]
    (training / "no-face.jpg").write_bytes(b"")
    warned = evaluate_affectnet(tmp_path, "validation", recognizer)
    assert warned.fresh is None
    assert "the training set cannot be used" in warned.warnings[-1]


def test_affectnet_bad_input_is_one_line(
    affectnet: Path, tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["evaluate", "affectnet", "--model", str(tiny_model), "--data"]
    assert main([*command, str(tmp_path)]) == 2
    assert "no Validation here; prepare it with: esrface data affectnet" in capsys.readouterr().err
    assert main([*command, str(affectnet), "--set", "validatoin"]) == 2
    assert "did you mean 'validation'?" in capsys.readouterr().err
    write_prepared_affectnet(tmp_path, {"validation": 1})
    next((tmp_path / "Validation" / "0").glob("*s3s*")).write_bytes(b"torn")
    assert main([*command, str(tmp_path), "--json"]) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1


def test_ckplus_takes_every_labelled_frame(ckplus: Path, recognizer: Recognizer) -> None:
    found = evaluate_ckplus(ckplus, recognizer)
    assert len(found.labels) == 80
    assert np.bincount(found.labels, minlength=8).tolist() == [20, 30, 0, 30, 0, 0, 0, 0]
    assert "all subjects: 80 of 80 frames, 10 subjects" in found.protocol
    assert "its first as neutral" in found.protocol
    assert found.to_dict()["recall"]["Fear"] is None


def test_ckplus_folds_hold_their_subjects_only(ckplus: Path, recognizer: Recognizer) -> None:
    found = evaluate_ckplus(ckplus, recognizer, split="test", trial=3)
    trial = ckplus_trial(evaluate_ckplus(ckplus, recognizer).faces.subjects.tolist(), 3)
    assert set(found.faces.subjects) == set(trial.test)
    assert not set(found.faces.subjects) & {name for fold in trial.training for name in fold}
    assert "test fold of trial 3: 8 of 80 frames, 1 subject;" in found.protocol
    with pytest.raises(InputError, match="give both, or neither"):
        evaluate_ckplus(ckplus, recognizer, trial=3)


def test_ckplus_without_copies(tmp_path: Path, recognizer: Recognizer) -> None:
    data = write_prepared_ckplus(tmp_path)
    frames = data / "cohn-kanade-images"
    for path in frames.rglob("*.png"):
        # Drawn anew, since those of the miniature show the same face again and again.
        seed = int("".join(filter(str.isdigit, path.stem)))
        cv2.imwrite(str(path), np.random.default_rng(seed).integers(0, 256, (96, 96), dtype=np.uint8))
    everyone = evaluate_ckplus(data, recognizer)
    assert everyone.fresh.all()
    session = frames / "S005" / "001"
    copied = (session / "S005_001_00000005.png").read_bytes()
    (session / "S005_001_00000004.png").write_bytes(copied)
    (frames / "S007" / "002" / "S007_002_00000001.png").write_bytes(copied)
    found = evaluate_ckplus(data, recognizer)
    # In the order of a session: its last three frames, then the neutral one.
    copies = ["S005/001/S005_001_00000005.png", "S007/002/S007_002_00000001.png"]
    assert [name for name, new in zip(found.names, found.fresh, strict=True) if not new] == copies
    inner = found.to_dict()["deduplicated"]
    assert inner["images"] == 78
    assert inner["protocol"].endswith("; without 2 images whose pixels are repeated within these")
    # S005 is tested in trial 0, where S007 is trained on.
    trial = evaluate_ckplus(data, recognizer, split="test", trial=0)
    assert (trial.fresh.sum(), len(trial.fresh)) == (6, 8)
    assert "among the trial's training frames or repeated" in trial.to_dict()["deduplicated"]["protocol"]


def test_intervals_of_ckplus_come_from_people(ckplus: Path, recognizer: Recognizer) -> None:
    found: CkPlusEvaluation = evaluate_ckplus(ckplus, recognizer)
    people = np.unique(found.groups)
    share = np.array([found.correct[found.groups == person].mean() for person in people])
    low, high = found.accuracy_interval()
    # All subjects have as many frames here, so a resample's accuracy is a mean of theirs.
    drawn = np.random.default_rng(1).choice(share, (4000, len(share))).mean(axis=1)
    assert [low, high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.02)


def test_ckplus_command(ckplus: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["evaluate", "ckplus", "--data", str(ckplus), "--model", str(tiny_model), "--threads", "1"]
    assert main([*command, "--trial", "0", "--neutral", "fourth_last", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["images"] == 8
    assert "its fourth-last as neutral, test fold of trial 0" in record["protocol"]
    assert main([*command, "--split", "valid"]) == 2
    assert "give --trial too" in capsys.readouterr().err
    assert main([*command, "--trial", "10"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_unprepared_ckplus_says_how_to_prepare_it(tmp_path: Path, recognizer: Recognizer) -> None:
    with pytest.raises(DataError, match="no folder cohn-kanade-images here"):
        evaluate_ckplus(tmp_path, recognizer)


def test_concordance_by_hand() -> None:
    # Means 2 and 3, variances 2/3 each, covariance 2/3: 2 * 2/3 / (4/3 + 1) = 4/7.
    one, other = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    assert metrics.concordance(one, other) == pytest.approx(4 / 7)
    assert metrics.concordance(one, one) == pytest.approx(1)
    assert metrics.concordance(one, -one + 4) == pytest.approx(-1)
    assert np.isnan(metrics.concordance(np.ones(3), np.ones(3)))
    assert metrics.root_mean_square_error(one, other) == pytest.approx(1)
