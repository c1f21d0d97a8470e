"""From a run to a model file: the card's figures are the file's, and another file is refused."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from drawn import drawn_face, write_ferplus

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from safetensors.torch import load_file  # noqa: E402

from esrface import Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.cli.training import NETWORKS as NAMES  # noqa: E402
from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.engine.onnx import OnnxEngine  # noqa: E402
from esrface.errors import DataError, ModelError  # noqa: E402
from esrface.evaluation.ferplus import evaluate_ferplus  # noqa: E402
from esrface.models.card import ModelCard  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402
from esrface.preprocess import to_input  # noqa: E402
from esrface.training import export  # noqa: E402
from esrface.training.config import TrainConfig  # noqa: E402
from esrface.training.export import ExportOptions, export_ferplus_run, verify  # noqa: E402
from esrface.training.ferplus import train_ferplus  # noqa: E402
from esrface.training.precision import check_answers  # noqa: E402
from esrface.training.share import CANDIDATES  # noqa: E402
from esrface.training.teacher import load_network  # noqa: E402

if TYPE_CHECKING:
    from torch import Tensor

GENTLE = Augmentation(rotation_deg=5, shear=0, erase_probability=0, contrast=(0.9, 1.1), brightness=0.05)
SHORT = TrainConfig(
    network="tiny", epochs=12, batch=8, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", augmentation=GENTLE,
)  # fmt: skip


def tiny() -> NetworkConfig:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), dropout=0.1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "zip", "train", ["Happy", "Sad", "Surprise"] * 21, first_seed=100)
    write_ferplus(root, "zip", "valid", ["Happy", "Sad", "Surprise"] * 8, first_seed=500)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with its model file."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    NETWORKS["tiny"] = tiny  # type: ignore[index]
    try:
        train_ferplus(data, folder, SHORT)
        export_ferplus_run(folder, data, ExportOptions(name="drawn", mirror=True))
    finally:
        del NETWORKS["tiny"]  # type: ignore[attr-defined]
    return folder


def test_a_share_is_chosen_on_images_held_out(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    train_ferplus(data, tmp_path / "run", replace(SHORT, held_out=0.3))
    card = export_ferplus_run(tmp_path / "run", data, ExportOptions(share=None)).card
    assert card.logit_adjustment is not None
    assert card.logit_adjustment["share"] in CANDIDATES
    assert card.logit_adjustment["share_chosen_on"] == "training images held out"
    assert card.protocol["held_out"] == 0.3
    train_ferplus(data, tmp_path / "all", replace(SHORT, epochs=1))
    with pytest.raises(DataError, match="held no training images out"):
        export_ferplus_run(tmp_path / "all", data, ExportOptions(share=None))


def test_a_share_that_another_run_chose_and_its_origin_come_along(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    train_ferplus(data, tmp_path / "held", replace(SHORT, held_out=0.3))
    chosen = export_ferplus_run(tmp_path / "held", data, ExportOptions(share=None)).card.logit_adjustment
    train_ferplus(data, tmp_path / "all", SHORT)
    train = ["train", "ferplus", "--data", str(data), "--recipe", str(tmp_path / "all" / "config.yaml")]
    train += ["--out", str(tmp_path / "all"), "--resume", "--share"]
    assert main([*train, str(tmp_path / "held")]) == 0
    taken = ModelCard.load(tmp_path / "all" / "card.json").logit_adjustment
    assert taken is not None
    assert chosen is not None
    assert taken["share"] == chosen["share"]
    assert taken["share_chosen_on"] == "training images held out by the run held"
    assert main(["models", str(tmp_path / "all")]) == 0
    assert "held out by the run held" in capsys.readouterr().out
    # Its own share was another one's choice.
    assert main([*train, str(tmp_path / "all")]) == 2
    assert "all chose no share: name a number, auto, or a run of" in capsys.readouterr().err


def test_a_share_that_is_none_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", "ferplus", "--data", str(data), "--out", str(tmp_path / "run"), "--share"]
    for given, line in (
        ("runs/typo", "'runs/typo' is neither a number from 0 to 2, nor auto, nor a run's folder"),
        ("3", "3.0 is not in the range 0<=x<=2"),
    ):
        assert main([*train, given]) == 2
        assert line in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_auto_needs_images_held_out(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = ["train", "ferplus", "--data", str(data), "--share", "auto", "--out", str(tmp_path / "run")]
    assert main(train) == 2
    assert "add --held-out 0.1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_command_says_what_stands_on_the_card(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    SHORT.save(tmp_path / "recipe.yaml")
    train = [
        "train",
        "ferplus",
        "--data",
        str(data),
        "--recipe",
        str(tmp_path / "recipe.yaml"),
        "--epochs",
        "1",
    ]
    told = ["--name", "ours", "--model-version", "2.1", "--description", "Drawn faces, nine views of them"]
    assert main([*train, *told, "--out", str(tmp_path / "run")]) == 0, capsys.readouterr().err
    with Recognizer(tmp_path / "run", detector="none") as recognizer:
        card = recognizer.card
    assert (card.name, card.version) == ("ours", "2.1")
    assert card.description == "Drawn faces, nine views of them"


def test_a_run_that_cannot_be_exported_stays_and_says_so(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def costly(change: float, images: int) -> None:
        raise ModelError("int8 would cost 50 points of validation accuracy, 0.2 are allowed: use fp16")

    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    monkeypatch.setattr(export, "check_loss", costly)
    replace(SHORT, epochs=1).save(tmp_path / "recipe.yaml")
    train = ["train", "ferplus", "--data", str(data), "--recipe", str(tmp_path / "recipe.yaml")]
    train += ["--out", str(tmp_path / "run"), "--model-precision"]
    assert main([*train, "int8"]) == 2
    assert "use fp16 (what was trained stays: --resume goes on from here)" in capsys.readouterr().err
    assert not (tmp_path / "run" / "model.onnx").exists()
    assert main([*train, "fp16", "--resume"]) == 0
    assert (tmp_path / "run" / "model.onnx").exists()


def test_the_card_says_what_evaluation_finds(run: Path, data: Path) -> None:
    with Recognizer(run, detector="none") as recognizer:
        found = evaluate_ferplus(data, "valid", recognizer).to_dict()
        card = recognizer.card
    assert card.name == "drawn"
    assert card.mirror
    default = card.scores[0]
    assert default["images"] == found["images"] == 24
    for figure in ("accuracy", "mean_recall", "ece"):
        assert default[figure] == pytest.approx(found[figure], abs=1e-6)
    assert default["accuracy"] > 0.9
    assert [round(point["share"], 2) for point in card.logit_adjustment["curve_on_validation"]][:2] == [
        0.0,
        0.25,
    ]


def test_runs_that_went_on_as_one_are_told_and_so_is_what_their_limbs_look_at(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limbs() -> NetworkConfig:
        return replace(
            tiny(), name="tiny-limbs", limb=(Conv(16, padding=(1, 1)),), limbs=3, branch=(Conv(16),)
        )

    monkeypatch.setitem(NETWORKS, "tiny-limbs", limbs)
    monkeypatch.setitem(NETWORKS, "tiny-views", lambda: replace(limbs(), name="tiny-views", mirrored=(1,)))
    one, other = (str(tmp_path / name) for name in ("one", "other"))
    for seed, folder in enumerate((one, other)):
        train_ferplus(data, Path(folder), replace(SHORT, network="tiny-limbs", epochs=2, seed=seed))
    joined = replace(SHORT, network="tiny-views", epochs=2, init=f"{one}+{other}", init_branches=True)
    train_ferplus(data, tmp_path / "joined", joined)
    card = export_ferplus_run(tmp_path / "joined", data, ExportOptions(precision="int8")).card
    assert card.looks_at == "image and mirror image, each limb one of them"
    told = [score["protocol"].split("; ")[1] for score in card.scores]
    assert told == [
        "image and mirror image, each limb one of them (default)",
        "image and mirror image, each limb one of them, without copies of training images and of each other",
        "image and mirror image, each limb both of them",
    ]
    assert [start["run"] for start in card.protocol["init"]] == ["one", "other"]
    with Recognizer(tmp_path / "joined", detector="none") as recognizer:
        found = evaluate_ferplus(data, "valid", recognizer).to_dict()
    assert card.scores[0]["accuracy"] == pytest.approx(found["accuracy"], abs=1e-6)


def test_runs_are_joined_without_learning_where_there_are_no_epochs(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    for seed in (3, 4):
        train_ferplus(data, tmp_path / str(seed), replace(SHORT, epochs=1, seed=seed))
    starts = f"{tmp_path / '3'}+{tmp_path / '4'}"
    joined = replace(SHORT, epochs=0, init=starts, init_branches=True)
    joined.save(tmp_path / "join.yaml")
    words = ["train", "ferplus", "--data", str(data), "--recipe", str(tmp_path / "join.yaml")]
    out = tmp_path / "joined"
    assert main([*words, "--out", str(out)]) == 0, capsys.readouterr().err
    one, other, both = (load_file(tmp_path / name / "weights.safetensors") for name in ("3", "4", "joined"))
    assert {branch for branch in range(9) if _has_branch(both, one, branch)} == {0, 2, 4, 6, 8}
    assert {branch for branch in range(9) if _has_branch(both, other, branch)} == {1, 3, 5, 7}
    with Recognizer(out, detector="none") as recognizer:
        assert recognizer.card.seeds == (3, 4)
    # Nothing is left to be done, and a file that was lost is written again.
    (out / "card.json").unlink()
    assert main([*words, "--out", str(out), "--resume"]) == 0
    assert (out / "card.json").is_file()
    replace(joined, init_branches=False).save(tmp_path / "join.yaml")
    assert main([*words, "--out", str(tmp_path / "nothing")]) == 2
    assert "epochs is 0" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()


def _has_branch(network: dict[str, Tensor], of: dict[str, Tensor], number: int) -> bool:
    names = [name for name in network if name.startswith(f"branches.{number}.")]
    return bool(names) and all(torch.equal(network[name], of[name]) for name in names)


def test_an_export_keeps_to_the_threads_that_it_is_given(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    counts = []

    class Counting(OnnxEngine):
        def __init__(self, *args: Any, threads: int | None = None, **options: Any) -> None:
            counts.append(threads)
            super().__init__(*args, threads=threads, **options)

    for module in ("export", "protocols.export"):
        monkeypatch.setattr(f"esrface.training.{module}.OnnxEngine", Counting)
    copied = shutil.copytree(run, tmp_path / "run")
    words = ["train", "ferplus", "--data", str(data), "--recipe", str(copied / "config.yaml")]
    assert main([*words, "--out", str(copied), "--resume", "--threads", "1"]) == 0
    words = ["train", "ferplus-paper", "--data", str(data), "--init", "none", "--branches", "1", "--cap", "1"]
    assert main([*words, "--out", str(tmp_path / "paper"), "--epochs", "1", "--threads", "1"]) == 0
    assert len(counts) >= 5
    assert set(counts) == {1}


def test_a_trained_model_reads_drawn_faces(run: Path) -> None:
    faces = [
        np.repeat(drawn_face(emotion, 900)[..., None], 3, axis=2) for emotion in ("Happy", "Sad", "Surprise")
    ]
    with Recognizer(run, detector="none") as recognizer:
        expressions = recognizer.predict(faces)
    assert [expression.emotion for expression in expressions] == ["Happy", "Sad", "Surprise"]
    assert all(len(set(map(bytes, expression.branch_probabilities))) == 9 for expression in expressions)


def test_a_file_that_answers_otherwise_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    network = load_network(run, SHORT)
    with Recognizer(run, detector="none") as recognizer:
        spec = recognizer.card.input
    inputs = to_input([np.repeat(drawn_face("Happy", 1)[..., None], 3, axis=2)], spec)
    shift = np.zeros((9, 8), np.float32)
    content = to_onnx(network, half=False).SerializeToString()
    assert verify(network, content, inputs, shift, "fp32") < 1e-4
    with pytest.raises(ModelError, match="answers unlike the network"):
        verify(network, content, inputs, shift + np.linspace(0, 1, 8, dtype=np.float32), "fp32")


def test_rounded_weights_may_move_a_face_but_not_a_branch() -> None:
    rng = np.random.default_rng(1)
    expected = rng.normal(0, 2, (64, 9, 8)).astype(np.float32)
    moved, broken = expected.copy(), expected.copy()
    moved[0, 0, 0] += 0.2
    broken[:, 0] = broken[:, 0, ::-1]
    assert 0 < check_answers(moved, expected, "fp16") < 1e-4
    for given, precision in ((moved, "fp32"), (broken, "fp16"), (broken, "int8")):
        with pytest.raises(ModelError, match="answers unlike the network"):
            check_answers(given, expected, precision)


def test_an_unfinished_run_is_refused(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(NETWORKS, "tiny", tiny)
    SHORT.save(tmp_path / "config.yaml")
    with pytest.raises(DataError, match="--resume"):
        export_ferplus_run(tmp_path, data)
    with pytest.raises(DataError, match=r"nowhere.config\.yaml: No such file"):
        export_ferplus_run(tmp_path / "nowhere", data)


def test_command_trains_from_data_to_a_model_that_every_command_can_use(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(NETWORKS, "esr9-small", lambda: replace(tiny(), name="esr9-small"))
    out = tmp_path / "run"
    arguments = ["train", "ferplus", "--data", str(data), "--network", "esr9-small", "--out", str(out)]
    assert main([*arguments, "--epochs", "1", "--batch", "8", "--threads", "1", "--precision", "fp32"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/1: loss ")
    assert f"try: esrface image photo.jpg --model {out}" in " ".join(lines)
    assert {path.name for path in out.iterdir()} >= {
        "config.yaml", "metrics.csv", "checkpoint.pt", "weights.safetensors", "model.onnx", "card.json",
    }  # fmt: skip
    assert (
        main(["evaluate", "ferplus", "--data", str(data), "--split", "valid", "--model", str(out), "--json"])
        == 0
    )
    capsys.readouterr()

    assert main([*arguments, "--epochs", "1"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    again = ["train", "ferplus", "--data", str(data), "--out", str(tmp_path / "again")]
    assert main([*again, "--recipe", str(out / "config.yaml"), "--threads", "1"]) == 0
    assert (tmp_path / "again" / "weights.safetensors").read_bytes() == (
        out / "weights.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ferplus", "--data", "nowhere", "--out", "run"], "no FER+ train split here"),
        (["ferpluss", "--data", "x", "--out", "run"], "did you mean 'ferplus'"),
        (["ferplus", "--data", "x", "--out", "run", "--network", "esr9-mobil"], "did you mean 'esr9-mobile'"),
        (["ferplus", "--data", "x", "--out", "run", "--device", "warp"], "unknown device 'warp'"),
        (["ferplus", "--out", "run"], "--data"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_without_torch_the_extra_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else sys)
    assert main(["train", "ferplus", "--data", "x", "--out", "y"]) == 2
    assert ".[train]" in capsys.readouterr().err


def test_every_network_of_nine_can_be_named_on_the_command_line() -> None:
    nine = {name for name, build in NETWORKS.items() if build().branches == 9}
    assert set(NAMES) == nine
