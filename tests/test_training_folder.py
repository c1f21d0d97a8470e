"""Training on one's own pictures: from nothing and from a model, killed, resumed, refused, and used."""

from __future__ import annotations

import csv
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawn import drawn_face
from drawn_sets import write_folder, write_picture

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)  # tiny networks: a second thread would only wait

from esrface import Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.emotions import EMOTIONS  # noqa: E402
from esrface.errors import DataError, ModelError  # noqa: E402
from esrface.evaluation.folder import evaluate_folder  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.training.folder import FolderConfig, FolderRun, from_nothing, train_folder  # noqa: E402
from esrface.training.folder_export import export_folder_run  # noqa: E402
from esrface.training.run import METRICS, WEIGHTS  # noqa: E402

GENTLE = Augmentation(rotation_deg=5, shear=0, erase_probability=0, contrast=(0.9, 1.1), brightness=0.05)
SHORT = FolderConfig(
    init=None, network="tiny", epochs=8, batch=8, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", augmentation=GENTLE,
)  # fmt: skip
LEARNT = ("Happy", "Sad", "Surprise")
ALL_SHOWN = {name.lower(): 4 for name in EMOTIONS}


def tiny() -> NetworkConfig:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), dropout=0.1)


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    """A network that trains in seconds, known by the name ``tiny``."""
    NETWORKS["tiny"] = tiny  # type: ignore[index]
    yield
    del NETWORKS["tiny"]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("own") / "pictures"
    return write_folder(
        root,
        {
            "train": {"happy": 21, "sadness": 21, "Surprised": 21},
            "valid": {"happy": 8, "sad": 8, "surprise": 8},
        },
    )


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> FolderRun:
    """A run from nothing with its model file."""
    run = train_folder(data, tmp_path_factory.mktemp("runs") / "first", SHORT)
    export_folder_run(run, name="first", threads=1)
    return run


def curve(run: Path) -> list[dict[str, str]]:
    with (run / METRICS).open(newline="") as file:
        return [
            {key: value for key, value in row.items() if key not in ("seconds", "images_per_s")}
            for row in csv.DictReader(file)
        ]


def rgb(emotion: str, seed: int) -> np.ndarray:
    return np.repeat(drawn_face(emotion, seed)[..., None], 3, axis=2)


def test_it_learns_and_the_card_says_what_evaluation_finds(trained: FolderRun, data: Path) -> None:
    with Recognizer(trained.folder, detector="none", threads=1) as recognizer:
        found = evaluate_folder(data, "valid", recognizer, threads=1).to_dict()
        card = recognizer.card
        answers = recognizer.predict([rgb(emotion, 900) for emotion in LEARNT])
    assert found["accuracy"] > 0.9
    assert [answer.emotion for answer in answers] == list(LEARNT)
    for figure in ("accuracy", "mean_recall", "ece", "images"):
        assert card.scores[0][figure] == pytest.approx(found[figure], abs=1e-6)
    assert card.name == "first"
    assert "3 classes (Happy, Sad, Surprise): 24 of 24 pictures; whole pictures" in found["protocol"]
    assert card.protocol["training_pictures"]["Sad"] == 21
    assert card.temperature == 1.0  # 24 pictures are too few to fit it
    assert "too few" in card.protocol["calibration"]


def test_emotions_without_pictures_are_never_answered(trained: FolderRun) -> None:
    absent = [EMOTIONS.index(name) for name in EMOTIONS if name not in LEARNT]
    with Recognizer(trained.folder, detector="none", threads=1) as recognizer:
        answers = recognizer.answers([rgb(emotion, seed) for emotion in EMOTIONS for seed in (1, 2)])
        assert recognizer.card.protocol["absent_emotions"] == [EMOTIONS[index] for index in absent]
    assert answers.branch_probabilities[:, :, absent].max() == 0.0
    assert np.isfinite(answers.probabilities).all()


def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    trained: FolderRun, data: Path, tmp_path: Path
) -> None:
    def kill(what: str, done: int, _total: int) -> None:
        if what == "epoch 3/8" and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_folder(data, tmp_path / "torn", SHORT, progress=kill)
    assert len(curve(tmp_path / "torn")) == 2
    resumed = train_folder(data, tmp_path / "torn", SHORT, resume=True)
    assert curve(tmp_path / "torn") == curve(trained.folder)
    assert (resumed.best, resumed.epochs) == (trained.best, trained.epochs)
    assert (tmp_path / "torn" / WEIGHTS).read_bytes() == (trained.folder / WEIGHTS).read_bytes()
    assert not list(tmp_path.rglob("*.part"))
    # Once more changes nothing, and another configuration is refused.
    again = train_folder(data, tmp_path / "torn", SHORT, resume=True)
    assert again.epochs == trained.epochs
    with pytest.raises(DataError, match=r"another configuration \(batch 8 != 4\)"):
        train_folder(data, tmp_path / "torn", replace(SHORT, batch=4), resume=True)
    with pytest.raises(DataError, match="--resume"):
        train_folder(data, tmp_path / "torn", SHORT)


def test_fine_tuning_begins_with_what_the_model_knows_and_stops_when_nothing_improves(
    trained: FolderRun, data: Path, tmp_path: Path
) -> None:
    config = replace(SHORT, init=str(trained.folder), lr=1e-9, epochs=20, patience=2)
    run = train_folder(data, tmp_path / "second", config)
    assert run.before is not None
    assert run.before.accuracy == pytest.approx(
        [float(row["accuracy"]) for row in curve(trained.folder)][trained.best - 1], abs=1e-4
    )
    # A rate of nothing improves nothing: the start is kept, and two epochs are enough to see that.
    assert (run.best, run.epochs) == (0, 2)
    export_folder_run(run, name="second", threads=1)
    faces = [rgb(emotion, seed) for emotion in LEARNT for seed in (70, 71)]
    with Recognizer(trained.folder, threads=1) as one, Recognizer(tmp_path / "second", threads=1) as other:
        before, after = one.forward(faces).logits, other.forward(faces).logits
        card = other.card
    shown = [EMOTIONS.index(name) for name in LEARNT]
    np.testing.assert_allclose(after[..., shown], before[..., shown], atol=0.02)
    assert card.protocol["start"]["model"] == "first"
    assert card.training_data[1].use == "training and validation (of first, the start)"
    assert card.input.std == (64.0,)


def test_fine_tuning_learns_an_emotion_that_the_start_never_answers(
    trained: FolderRun, tmp_path: Path
) -> None:
    write_folder(tmp_path / "more", {"train": {"anger": 24, "happy": 24}, "valid": {"anger": 8, "happy": 8}})
    run = train_folder(tmp_path / "more", tmp_path / "run", replace(SHORT, init=str(trained.folder)))
    assert run.before is not None
    assert run.before.accuracy <= 0.5
    model = export_folder_run(run, name="angry", threads=1)
    assert model.evaluation.figures().accuracy > 0.9
    assert run.absent == tuple(name for name in EMOTIONS if name not in ("Anger", "Happy"))


def test_the_report_needs_nothing_else_and_names_figures_and_settings(trained: FolderRun) -> None:
    page = (trained.folder / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=(?!["']data:)""", page)
    assert "data:image/png;base64," in page
    accuracy = f"{100 * trained_accuracy(trained):.2f} %"
    for text in (accuracy, "Never answered", "Contempt", "branch_lr_factor", "<svg", "epoch was chosen"):
        assert text in page
    assert "<script" not in page


def trained_accuracy(run: FolderRun) -> float:
    return float(json.loads((run.folder / "card.json").read_text())["scores"][0]["accuracy"])


def test_pictures_that_cannot_be_used_are_told_and_copies_left_out(tmp_path: Path) -> None:
    write_folder(
        tmp_path, {"train": {"happy": 6, "sad": 6}, "valid": {"happy": 2, "sad": 2, "fear": 1, "anger": 0}}
    )
    (tmp_path / "train" / "happy" / "003.png").write_bytes(b"torn")
    shutil.copy(tmp_path / "valid" / "sad" / "001.png", tmp_path / "train" / "sad" / "copy.png")
    config = replace(SHORT, epochs=1, batch=4)
    warned: list[str] = []
    run = train_folder(tmp_path, tmp_path / "run", config, warn=warned.append)
    assert tuple(warned) == run.faces.warnings
    assert (len(run.faces.training), len(run.faces.valid), run.faces.copies) == (11, 5, 1)
    said = "\n".join(run.faces.warnings)
    assert "anger: the folder holds no pictures" in said
    assert "train: 1 of 13 pictures skipped (1 unreadable), the first: " in said
    assert "train: 1 picture left out since valid has the same file" in said
    assert "valid has 1 picture of Fear, train none: it can only be got wrong" in said
    card = export_folder_run(run, name="few", threads=1).file.card
    assert card.protocol["skipped"] == {"train": 1, "valid": 0}
    assert card.protocol["copies_left_out"] == 1
    with pytest.raises(DataError, match="--strict"):
        train_folder(tmp_path, tmp_path / "strict", config, strict=True)
    assert not (tmp_path / "strict").exists()


def test_faces_are_looked_for_on_request(tmp_path: Path, face_picture: np.ndarray) -> None:
    portrait = np.ascontiguousarray(face_picture[:300, 80:380, ::-1])
    for split, shift in (("train", 0), ("valid", 3)):
        for index in range(3):
            brighter = np.clip(portrait.astype(int) + 5 * index + shift, 0, 255).astype(np.uint8)
            write_picture(tmp_path / split / "happy" / f"{index}.png", brighter)
            write_picture(tmp_path / split / "sad" / f"{index}.png", brighter[:, ::-1])
    write_picture(tmp_path / "valid" / "sad" / "wall.png", np.full((200, 200), 90, np.uint8))
    run = train_folder(tmp_path, tmp_path / "run", replace(SHORT, epochs=1, batch=4, detect=True))
    assert len(run.faces.valid) == 6
    assert any("(1 without a face)" in line for line in run.faces.warnings)
    # The face fills the crop: nothing of the room around her is left.
    whole = train_folder(tmp_path, tmp_path / "whole", replace(SHORT, epochs=1, batch=4))
    assert run.faces.training.pixels.std() != pytest.approx(whole.faces.training.pixels.std(), rel=0.02)
    evaluation = export_folder_run(run, name="found", threads=1).evaluation
    assert "largest detected face" in evaluation.protocol
    assert len(evaluation.skipped) == 1


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"train": {"happy": 9, "sad": 0}, "valid": {"happy": 2}}, "sad: the folder holds no pictures"),
        ({"train": {"happy": 9}, "valid": {"happy": 2}}, "at least two classes"),
        ({"train": {"happy": 9, "sad": 9}}, "no folder valid here; it holds train"),
        ({"train": {"happy": 9, "sad": 9}, "valid": {"happy": 1}}, "at least two usable pictures in valid"),
        (
            {"train": {"happy": 2, "sad": 2}, "valid": {"happy": 2}},
            "4 training pictures are less than one batch of 8: give more, or lower --batch",
        ),
    ],
)
def test_what_cannot_be_learnt_from_is_one_line_and_leaves_nothing(
    splits: dict[str, dict[str, int]], said: str, tmp_path: Path
) -> None:
    write_folder(tmp_path, splits)
    with pytest.raises(DataError) as caught:
        train_folder(tmp_path, tmp_path / "run", SHORT)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_refusal_says_what_became_of_the_pictures(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"happy": 9, "sad": 2}, "valid": {"happy": 2, "sad": 2}})
    for picture in (tmp_path / "train" / "sad").iterdir():
        picture.write_bytes(b"no picture")
    reason = r"none of the 2 training pictures of Sad can be used \(train: 2 of 11 pictures skipped"
    with pytest.raises(DataError, match=reason):
        train_folder(tmp_path, tmp_path / "run", SHORT)
    for source in sorted((tmp_path / "valid" / "sad").iterdir()):
        shutil.copy(source, tmp_path / "train" / "sad" / source.name)
    for left in (tmp_path / "train" / "sad").iterdir():
        if left.read_bytes() == b"no picture":
            left.unlink()
    with pytest.raises(DataError, match="train: 2 pictures left out since valid has the same files"):
        train_folder(tmp_path, tmp_path / "run", SHORT)


def test_models_that_cannot_be_trained_further_are_refused(
    data: Path, tmp_path: Path, make_model: Any
) -> None:
    with pytest.raises(ModelError, match="does not describe its network layer by layer"):
        train_folder(data, tmp_path / "run", replace(SHORT, init=str(make_model("variant"))))
    colour = make_model(
        "colour",
        input={"size": 48, "channels": 1, "color": "gray", "mean": [0], "std": [1], "resize": "linear"},
    )
    card = json.loads((colour / "card.json").read_text())
    card["input"] |= {"channels": 3, "color": "bgr", "mean": [0, 0, 0], "std": [1, 1, 1]}
    (colour / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match="only grey models"):
        train_folder(data, tmp_path / "run", replace(SHORT, init=str(colour)))
    with pytest.raises(ModelError, match="did you mean 'esr9-fer'"):
        train_folder(data, tmp_path / "run", replace(SHORT, init="esr9-fr"))
    assert not (tmp_path / "run").exists()


def test_the_command_trains_and_every_command_takes_the_run(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NETWORKS, from_nothing().network, lambda: replace(tiny(), name="esr9-small"))
    train = ["train", "folder", "--data", str(data), "--init", "none", "--epochs", "2", "--batch", "8"]
    fixed = ["--threads", "1", "--precision", "fp32"]
    assert main([*train, *fixed]) == 0
    seen = capsys.readouterr()
    assert seen.out == ""
    lines = seen.err.splitlines()
    assert lines[0] == "classes with their training pictures: Happy 21, Sad 21, Surprise 21"
    assert re.match(r"epoch 1/2: loss .* images/s, best so far", lines[1])
    assert lines[-1].startswith("runs/pictures: accuracy ")
    assert "try: esrface image photo.jpg --model runs/pictures" in lines[-1]
    run = tmp_path / "runs" / "pictures"
    assert {path.name for path in run.iterdir()} == {
        "card.json", "checkpoint.pt", "config.yaml", "metrics.csv", "model.onnx", "report.html", WEIGHTS,
    }  # fmt: skip
    evaluate = ["evaluate", "folder", "--data", str(data), "--model", str(run), "--threads", "1", "--json"]
    assert main(evaluate) == 0
    record = json.loads(capsys.readouterr().out)
    keys = ["accuracy", "mean_recall", "recall", "ece", "images", "protocol", "model", "deduplicated"]
    assert list(record) == keys
    assert (record["model"], record["images"]) == ("pictures", 24)
    assert record["deduplicated"]["images"] == 24
    picture = str(data / "valid" / "happy" / "000.png")
    assert main(["image", picture, "--detector", "none", "--model", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "pictures"
    assert main(["models", str(run)]) == 0
    assert "absentemotions[Neutral,Fear" in "".join(capsys.readouterr().out.split())
    # A second run there is refused, the same recipe elsewhere gives the same weights.
    assert main([*train, *fixed]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    recipe = ["--recipe", str(run / "config.yaml"), "--out", "again", "--threads", "1"]
    assert main(["train", "folder", "--data", str(data), *recipe]) == 0
    assert (tmp_path / "again" / WEIGHTS).read_bytes() == (run / WEIGHTS).read_bytes()
    # What cannot get better is said to be what it was.
    capsys.readouterr()
    idle = ["--init", str(run), "--lr", "1e-9", "--patience", "1", "--out", "idle", "--threads", "1"]
    assert main(["train", "folder", "--data", str(data), *idle]) == 0
    assert "no epoch was better on these validation pictures than pictures is" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["folder", "--data", "nowhere"], "nowhere: no such folder or CSV file"),
        (["folder"], "--data"),
        (["foldr", "--data", "x"], "did you mean 'folder'"),
        ([], "give a data set: ferplus, folder"),
        (["folder", "--data", "x", "--network", "esr9-small"], "--network is for training from nothing"),
        (["folder", "--data", "x", "--init", "esr9-fr"], "unknown model 'esr9-fr': did you mean 'esr9-fer'?"),
        (["folder", "--data", "x", "--patience", "0"], "--patience"),
    ],
)
def test_what_cannot_be_meant_is_one_line_and_leaves_nothing(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert list(tmp_path.iterdir()) == []
