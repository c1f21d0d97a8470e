"""Training on folders whose names are none of the eight emotions, and using what comes of it."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from drawn import drawn_face
from drawn_sets import write_folder, write_picture

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)  # tiny networks: a second thread would only wait

from esrface import EMOTIONS, Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.emotions import NEW_CLASS_COLORS  # noqa: E402
from esrface.errors import DataError, ModelError  # noqa: E402
from esrface.export import export_model  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.training.folder import FolderConfig, train_folder  # noqa: E402
from esrface.training.folder_data import read_folder_data  # noqa: E402
from esrface.training.folder_export import export_folder_run  # noqa: E402
from esrface.training.folder_start import build_network, find_start  # noqa: E402

GENTLE = Augmentation(rotation_deg=5, shear=0, erase_probability=0, contrast=(0.9, 1.1), brightness=0.05)
SHORT = FolderConfig(
    init=None, network="tiny", epochs=8, batch=8, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", augmentation=GENTLE,
)  # fmt: skip
CLASSES = (*EMOTIONS, "Winking", "yawning")


def tiny() -> NetworkConfig:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), branches=3, dropout=0.1)


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    """A network that trains in seconds, known by the name ``tiny``."""
    NETWORKS["tiny"] = tiny  # type: ignore[index]
    yield
    del NETWORKS["tiny"]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the eight emotions that knows four of them."""
    root = tmp_path_factory.mktemp("start")
    shown = {"happy": 16, "sad": 16, "surprise": 16, "neutral": 16}
    write_folder(root / "four", {"train": shown, "valid": dict.fromkeys(shown, 3)})
    run = train_folder(root / "four", root / "run", replace(SHORT, epochs=4))
    export_folder_run(run, name="four", threads=1)
    return root / "run"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three of the eight emotions (Neutral is missing), and two classes that are none of them."""
    shown = {"happy": 20, "Sadness": 20, "Surprised": 20, "Winking": 20, "yawning": 20}
    valid = {"happy": 5, "sad": 5, "surprise": 5, "winking": 5, "Yawning": 5}
    return write_folder(tmp_path_factory.mktemp("own") / "pictures", {"train": shown, "valid": valid})


@pytest.fixture(scope="module")
def trained(start: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model taught the new classes; the run's folder."""
    told: list[str] = []
    place = tmp_path_factory.mktemp("runs") / "mine"
    run = train_folder(
        data, place, replace(SHORT, init=str(start), epochs=10), tell=told.append, warn=told.append
    )
    assert told == [
        "classes with their training pictures: Happy 20, Sad 20, Surprise 20, Winking 20 (new), "
        "yawning 20 (new)"
    ]
    assert run.emotions == CLASSES
    assert run.absent == ("Neutral", "Fear", "Disgust", "Anger", "Contempt")
    assert export_folder_run(run, name="mine", threads=1).evaluation.figures().accuracy > 0.85
    return place


def rgb(emotion: str, seed: int) -> np.ndarray:
    return np.repeat(drawn_face(emotion, seed)[..., None], 3, axis=2)


def test_new_rows_begin_at_their_share_and_known_rows_stay(start: Path, data: Path) -> None:
    config = replace(SHORT, init=str(start))
    faces = read_folder_data(data, size=48, resize="area_linear", cut=None, batch=8)
    network = build_network(find_start(config), config, faces).eval()
    crops = [rgb(emotion, seed) for emotion in ("Happy", "Sad", "Surprise", "Winking") for seed in range(8)]
    with Recognizer(start, detector="none", threads=1) as before:
        known = before.forward(crops).logits
    with torch.no_grad():
        pixels = torch.from_numpy(np.stack([crop[..., 0] for crop in crops])[:, None]).float()
        logits = network((pixels - config.input_mean) / config.input_std).logits.numpy()
    learnt = [EMOTIONS.index(name) for name in ("Happy", "Sad", "Surprise")]
    np.testing.assert_allclose(logits[..., learnt], known[..., learnt], atol=0.05)
    assert logits[..., EMOTIONS.index("Neutral")].max() < -1000
    for column in (8, 9):
        assert np.ptp(logits[..., column], axis=0).max() == 0
    shares = torch.softmax(torch.from_numpy(logits), -1).mean(dim=(0, 1))
    assert float(shares[8]) == pytest.approx(float(shares[9]))
    assert 0.05 < float(shares[8]) < 0.4


def test_every_command_takes_the_run(
    trained: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = json.loads((trained / "card.json").read_text())
    assert tuple(card["emotions"]) == CLASSES
    assert card["network"]["emotions"] == 10
    assert card["protocol"]["training_pictures"]["yawning"] == 20
    assert card["scores"][0]["recall"]["Neutral"] is None
    folder = tmp_path / "faces"
    write_picture(folder / "wink.png", drawn_face("Winking", 900, 240))
    write_picture(folder / "yawn.png", drawn_face("Yawning", 901, 240))
    rows = {name: tmp_path / f"rows.{name}" for name in ("csv", "jsonl")}
    use = ["--model", str(trained), "--threads", "1"]
    image = ["image", str(folder), "--detector", "none", *use]
    named = [word for name, path in rows.items() for word in (f"--{name}", str(path))]
    assert main([*image, *named, "--save", str(tmp_path / "drawn"), "-g", "--json"]) == 0
    records = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    with rows["csv"].open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = [json.loads(line) for line in rows["jsonl"].read_text().splitlines()]
    said = ["Winking", "yawning"]
    assert [record["faces"][0]["emotion"] for record in records] == said
    assert [row["emotion"] for row in table] == [line["emotion"] for line in lines] == said
    assert float(table[1]["p_yawning"]) == lines[1]["p_yawning"] == lines[1]["confidence"]
    assert {float(row["p_neutral"]) for row in table} == {0.0}
    for name, color in zip(("wink", "yawn"), NEW_CLASS_COLORS, strict=False):
        with PIL.Image.open(tmp_path / "drawn" / f"{name}.png") as picture:
            assert (np.asarray(picture) == np.array(color)).all(axis=2).sum() > 300
    assert main([*image, *named, "--resume"]) == 0
    assert len(rows["csv"].read_text().splitlines()) == 3
    capsys.readouterr()
    assert main(["evaluate", "folder", "--data", str(data), *use, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["accuracy"] == pytest.approx(card["scores"][0]["accuracy"], abs=1e-6)
    assert "5 classes (Happy, Sad, Surprise, Winking, yawning)" in figures["protocol"]
    assert main(["evaluate", "folder", "--data", str(data), *use]) == 0
    shown = " ".join(capsys.readouterr())
    assert "recall yawning" in shown
    assert main(["evaluate", "folder", "--data", str(data), "--threads", "1"]) == 2
    error = capsys.readouterr().err
    assert "the model 'esr9-fer' has no class for the folders 'Yawning', 'winking'" in error
    assert error.count("\n") == 1


def test_a_run_is_exported_with_its_classes(trained: Path, data: Path, tmp_path: Path) -> None:
    done = export_model(trained, tmp_path / "small.onnx", precision="fp16", data=data)
    assert done.effect is not None
    with Recognizer(tmp_path / "small.onnx", detector="none", threads=1) as recognizer:
        assert recognizer.predict([rgb("Winking", 900)])[0].emotion == "Winking"
        assert recognizer.card.scores[0]["recall"]["yawning"] is not None
    with pytest.raises(ModelError, match="original's layout: it has classes beyond the eight emotions"):
        export_model(trained, tmp_path / "legacy", format="legacy")


def test_it_goes_on_only_with_the_same_classes(start: Path, data: Path, tmp_path: Path) -> None:
    config = replace(SHORT, init=str(start), epochs=2)

    def kill(what: str, done: int, _total: int) -> None:
        if what == "epoch 2/2" and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_folder(data, tmp_path / "torn", config, progress=kill)
    extra = data / "train" / "Zoned out"
    write_picture(extra / "a.png", drawn_face("Neutral", 1))
    try:
        with pytest.raises(
            DataError, match=r"cannot resume with other classes; they were .*, yawning and are "
        ):
            train_folder(data, tmp_path / "torn", config, resume=True)
    finally:
        (extra / "a.png").unlink()
        extra.rmdir()
    assert train_folder(data, tmp_path / "torn", config, resume=True).epochs == 2


def test_another_training_keeps_the_classes_that_have_folders(trained: Path, tmp_path: Path) -> None:
    write_folder(
        tmp_path / "more", {"train": {"yawning": 12, "happy": 12}, "valid": {"YAWNING": 4, "happy": 4}}
    )
    config = replace(SHORT, init=str(trained), epochs=1, lr=1e-9)
    run = train_folder(tmp_path / "more", tmp_path / "run", config)
    assert run.emotions == (*EMOTIONS, "yawning")
    assert run.before is not None
    assert run.before.accuracy > 0.9


def test_only_new_classes_can_be_learnt_and_slips_are_told(start: Path, tmp_path: Path) -> None:
    shown = {"Winking": 12, "yawning": 12, "hapy": 12}
    write_folder(tmp_path / "odd", {"train": shown, "valid": dict.fromkeys(shown, 4)})
    warned: list[str] = []
    config = replace(SHORT, init=str(start), epochs=1)
    run = train_folder(tmp_path / "odd", tmp_path / "run", config, warn=warned.append)
    assert "folder 'hapy' is taken as a new class; if you mean Happy rename it" in warned
    assert run.emotions == (*EMOTIONS, "hapy", "Winking", "yawning")
    assert run.absent == EMOTIONS
    assert run.before is not None
    assert np.isfinite(run.before.nll)


def test_a_class_of_validation_alone_is_one_line(data: Path, tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": {"happy": 9, "sad": 9}, "valid": {"happy": 2, "yawning": 2}})
    with pytest.raises(DataError) as caught:
        train_folder(tmp_path, tmp_path / "run", SHORT)
    assert "valid: the split train has no class for the folder 'yawning', only Neutral, Happy" in str(
        caught.value
    )
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()
