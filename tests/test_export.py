"""``esrface export``: every format answers as its source does, or does not appear."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from drawn import drawn_face, write_ferplus
from drawn_sets import write_folder as write_pictures

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from esrface import Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.ensemble import combine_arrays  # noqa: E402
from esrface.errors import DataError, InputError, ModelError, OutputError  # noqa: E402
from esrface.export import export_model  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.networks.original import read_original  # noqa: E402
from esrface.networks.saved import load_saved  # noqa: E402
from esrface.training.config import TrainConfig  # noqa: E402
from esrface.training.export import ExportOptions, export_ferplus_run  # noqa: E402
from esrface.training.ferplus import train_ferplus  # noqa: E402
from esrface.training.precision import check_loss, effect  # noqa: E402
from original_layout import write_folder  # noqa: E402

NAMES = ("Happy", "Sad", "Surprise")
FACES = [np.repeat(drawn_face(name, 900)[..., None], 3, axis=2) for name in NAMES]
SHORT = TrainConfig(
    network="tiny", epochs=10, batch=8, lr=0.01, branch_lr_factor=1, warmup_steps=5, ema=0.8,
    precision="fp32", advocates=(0.2, 0.4, 0.6),
)  # fmt: skip


def tiny() -> NetworkConfig:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    return NetworkConfig("tiny", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), branches=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "zip", "train", list(NAMES) * 21, first_seed=100)
    write_ferplus(root, "zip", "valid", list(NAMES) * 8, first_seed=500)
    return root


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose model file has a share of the log prior in its biases."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    NETWORKS["tiny"] = tiny  # type: ignore[index]
    try:
        train_ferplus(data, folder, SHORT)
        export_ferplus_run(folder, data, ExportOptions(name="drawn", share=0.5, precision="fp32"))
    finally:
        del NETWORKS["tiny"]  # type: ignore[attr-defined]
    return folder


def probabilities(model: Path) -> np.ndarray:
    with Recognizer(model, detector="none", threads=1) as recognizer:
        return np.stack([face.branch_probabilities for face in recognizer.predict(FACES)])


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-3), ("fp16", 0.05), ("int8", 0.1)])
def test_onnx_answers_as_the_run_does_and_its_card_says_what_it_costs(
    run: Path, data: Path, tmp_path: Path, precision: str, allowed: float
) -> None:
    path = tmp_path / f"{precision}.onnx"
    done = export_model(run, path, precision=precision, data=data)
    assert done.files == (path, tmp_path / f"{precision}.json")
    assert np.abs(probabilities(path) - probabilities(run)).max() < allowed
    card = json.loads((tmp_path / f"{precision}.json").read_text())
    score = card["scores"][0]
    assert (score["images"], score["split"]) == (24, "valid")
    assert score["accuracy"] > 0.9
    assert card["protocol"]["precision"] == precision
    assert card["protocol"]["exported_from"]["model"] == "drawn"
    key = {"fp16": "float16_weights", "int8": "int8"}.get(precision)
    if key is not None:
        assert score[key] == done.effect
        assert score[key]["equal_answers"] > 0.9


def test_int8_is_calibrated_with_pictures_of_ones_own_too(run: Path, tmp_path: Path) -> None:
    counts = {"happy": 6, "sad": 6, "surprise": 6}
    pictures = write_pictures(tmp_path / "mine", {"train": counts, "valid": counts})
    done = export_model(run / "model.onnx", tmp_path / "small.onnx", precision="int8", data=pictures)
    assert done.effect is not None
    assert np.abs(probabilities(tmp_path / "small.onnx") - probabilities(run)).max() < 0.1
    # And on from there: its source then is the quantised network.
    export_model(tmp_path / "small.onnx", tmp_path / "again.onnx")
    assert (
        np.abs(probabilities(tmp_path / "small.onnx") - probabilities(tmp_path / "again.onnx")).max() < 0.05
    )


@torch.no_grad()
@pytest.mark.parametrize(("precision", "allowed"), [("fp32", 1e-3), ("fp16", 0.05)])
def test_safetensors_are_the_network_for_torch(
    run: Path, tmp_path: Path, precision: str, allowed: float
) -> None:
    path = tmp_path / "weights.safetensors"
    export_model(run, path, format="safetensors", precision=precision)
    inputs = torch.stack([torch.from_numpy(face[None, ..., 0]).float() for face in FACES])
    spec = json.loads((run / "card.json").read_text())
    x = (inputs - spec["input"]["mean"][0]) / spec["input"]["std"][0]
    given = torch.softmax(load_saved(path)(x).logits / spec["temperature"], dim=-1)
    assert np.abs(given.numpy() - probabilities(run)).max() < allowed


@torch.no_grad()
def test_legacy_is_the_layout_that_the_original_reads(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "esr"
    done = export_model(run, out, format="legacy")
    assert [path.name for path in done.files][:2] == ["Net-Base-Shared_Representations.pt", "Net-Branch_1.pt"]
    export_model(run, tmp_path / "saved.safetensors", format="safetensors")
    x = torch.randn(4, 1, 48, 48)
    given = read_original(out, tiny())(x).logits
    torch.testing.assert_close(given, load_saved(tmp_path / "saved.safetensors")(x).logits)
    with pytest.raises(OutputError, match="exists already"):
        export_model(run, out, format="legacy")
    export_model(run, out, format="legacy", overwrite=True)


def test_another_ensemble_replaces_all_of_a_legacy_folder(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "esr"
    export_model(write_folder(tmp_path / "four", branches=4), out, format="legacy")
    (out / "card.json").write_text("{}")
    with pytest.raises(OutputError, match="exists already"):
        export_model(run, out, format="legacy")
    assert len(list(out.glob("Net-*.pt"))) == 5
    done = export_model(write_folder(tmp_path / "two", branches=2), out, format="legacy", overwrite=True)
    assert {path.name for path in out.iterdir()} == {path.name for path in done.files}
    with Recognizer(out, detector="none", threads=1) as recognizer:
        assert recognizer.card.branches == 2


def test_scores_of_another_file_are_said_to_be_so(run: Path, data: Path, tmp_path: Path) -> None:
    export_model(run, tmp_path / "small.onnx", precision="int8", data=data)
    export_model(tmp_path / "small.onnx", tmp_path / "exact.onnx")
    small, exact = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("small", "exact"))
    assert "int8" in small["scores"][0]
    assert all("int8" not in score for score in exact["scores"])
    told = f"measured on drawn 1, sha256 {small['sha256'][:12]}"
    assert told in exact["scores"][0]["protocol"]
    assert told not in small["scores"][0]["protocol"]


def test_an_export_under_a_runs_own_names_is_found_in_its_folder(run: Path, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    export_model(run, tmp_path / "new" / "model.onnx")
    assert np.abs(probabilities(tmp_path / "new") - probabilities(run)).max() < 1e-3


def test_what_a_precision_changes_is_told_in_the_cards_inference() -> None:
    draw = np.random.default_rng(5)
    exact = draw.normal(0, 2, (400, 9, 8)).astype(np.float32)
    given = exact + draw.normal(0, 0.4, exact.shape).astype(np.float32)
    labels = combine_arrays(exact, None, temperature=0.5).emotion
    told = effect(given, exact, labels, 0.5)
    answers = combine_arrays(given, None, temperature=0.5).emotion
    assert told["equal_answers"] == (answers == labels).mean()
    assert told["accuracy_change"] == pytest.approx((answers == labels).mean() - 1)


def test_the_originals_weights_become_onnx(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "original", branches=2)
    export_model(folder, tmp_path / "as_it_answers.onnx")
    export_model(folder, tmp_path / "running.onnx", batch_norm="running")
    with Recognizer(folder, detector="none", batch_norm="running", threads=1) as recognizer:
        running = np.stack([face.branch_probabilities for face in recognizer.predict(FACES)])
    assert np.abs(probabilities(tmp_path / "as_it_answers.onnx") - probabilities(folder)).max() < 1e-4
    assert np.abs(probabilities(tmp_path / "running.onnx") - running).max() < 1e-4
    assert np.abs(running - probabilities(folder)).max() > 1e-2
    with pytest.raises(InputError, match="files hold both ways"):
        export_model(folder, tmp_path / "x.safetensors", format="safetensors", batch_norm="running")


def test_command_exports_says_what_it_did_and_spares_what_is_there(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "q.onnx"
    arguments = ["export", str(run), "-o", str(out), "--precision", "int8", "--data", str(data)]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "q.onnx: 0.0" in said.err
    assert "answers equal" in said.err.replace("of the ", "")
    before = out.read_bytes()
    assert main(arguments) == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert main([*arguments, "--overwrite"]) == 0
    assert out.read_bytes() == before


def test_the_folder_of_one_ferplus_split_is_no_folder_of_classes(run: Path, tmp_path: Path) -> None:
    write_ferplus(tmp_path, "microsoft", "train", list(NAMES))
    with pytest.raises(DataError, match=r"no FER\+ valid split here"):
        export_model(run, tmp_path / "x.onnx", precision="int8", data=tmp_path / "FER2013Train")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["esr9-fe", "-o", "a.onnx"], "did you mean 'esr9-fer'"),
        (["esr9-fer", "-o", "a.pt"], "ends in .onnx"),
        (["esr9-fer", "-o", "a.onnx", "--precision", "int8"], "int8 needs --data"),
        (["esr9-fer", "-o", "a.onnx", "--precision", "int8", "--data", "nowhere"], "nowhere"),
        (["esr9-fer", "-o", "a.onnx", "--batch-norm", "running"], "leave batch_norm out"),
        (["esr9-fer", "-o", "esr", "--format", "legacy"], "batch norms folded in"),
        (["esr9-fer", "-o", "esr", "--format", "legacy", "--precision", "fp16"], "legacy is float32"),
        (["esr9-fer", "-o", "a.safetensors", "--format", "safetensor"], "did you mean 'safetensors'"),
        (["esr9-fer"], "--out"),
    ],
)
def test_bad_requests_get_one_line_and_leave_nothing(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert message in said
    assert list(tmp_path.iterdir()) == []


def test_weights_of_another_run_are_noticed(run: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    shutil.copytree(run, mixed)
    from safetensors.torch import load_file, save_file

    state = load_file(mixed / "weights.safetensors")
    state["branches.0.classifier.bias"][1] += 1
    save_file(state, mixed / "weights.safetensors")
    with pytest.raises(ModelError, match="answers unlike"):
        export_model(mixed, tmp_path / "x.onnx")
    (mixed / "weights.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="damaged, or of another network"):
        export_model(mixed, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_int8_that_costs_too_much_is_refused() -> None:
    check_loss(-0.0019, 3191)
    check_loss(-0.08, 24)
    with pytest.raises(ModelError, match=r"0\.30 points .* use fp16"):
        check_loss(-0.003, 3191)
