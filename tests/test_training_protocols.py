"""Every protocol of the paper, short, on drawn faces: it ends in a usable model and can be stopped."""

from __future__ import annotations

import csv
import json
import resource
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn import drawn_face, write_ferplus
from drawn_protocols import tiny_wild, write_prepared_affectnet, write_prepared_ckplus

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from esrface import Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.datasets.check import check_data  # noqa: E402
from esrface.datasets.ckplus import load_ckplus  # noqa: E402
from esrface.emotions import EMOTIONS  # noqa: E402
from esrface.errors import DataError, OutputError  # noqa: E402
from esrface.networks.config import NETWORKS  # noqa: E402
from esrface.networks.esr import ESR  # noqa: E402
from esrface.networks.original import read_original  # noqa: E402
from esrface.networks.saved import load_saved, save_network  # noqa: E402
from esrface.training.protocols.affectnet import discrete_plan  # noqa: E402
from esrface.training.protocols.ckplus import ckplus_plan  # noqa: E402
from esrface.training.protocols.config import (  # noqa: E402
    AffectNetDiscreteConfig,
    CkPlusConfig,
    FerPlusPaperConfig,
)
from esrface.training.protocols.export import export_run  # noqa: E402
from esrface.training.protocols.ferplus_paper import ferplus_plan  # noqa: E402
from esrface.training.protocols.run import Training, train_plan  # noqa: E402
from esrface.training.protocols.staged import StagedTrainer, StageEpoch  # noqa: E402
from esrface.training.recipes import save_recipe  # noqa: E402
from original_layout import write_folder  # noqa: E402

TINY = ["--set", "network=tiny-wild", "--branches", "3", "--threads", "1", "--batch", "8"]
SHORT = FerPlusPaperConfig(
    network="tiny-wild", branches=3, epochs=3, later_epochs=2, batch=8, cap=6, validate_every=1, lr=0.02
)
CURVES = {f"stage_{number}.png" for number in (1, 2, 3)}


@pytest.fixture(scope="module", autouse=True)
def tiny_network() -> Iterator[None]:
    """A network that trains in seconds, known by the name ``tiny-wild``."""
    NETWORKS["tiny-wild"] = tiny_wild  # type: ignore[index]
    yield
    del NETWORKS["tiny-wild"]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def affectnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_prepared_affectnet(tmp_path_factory.mktemp("affectnet"), {"training": 5, "validation": 2})


@pytest.fixture(scope="module")
def ferplus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "original", "train", ["Happy", "Sad", "Surprise"] * 9 + ["NF"], first_seed=100)
    write_ferplus(root, "original", "valid", ["Happy", "Sad", "Surprise"] * 5, first_seed=500)
    return root


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def timeless(run: Path) -> list[dict[str, str]]:
    return [
        {key: value for key, value in row.items() if key not in ("seconds", "images_per_s")}
        for row in rows(run / "metrics.csv")
    ]


def answers(run: Path) -> list[str]:
    face = np.repeat(drawn_face("Happy", 3, 96)[..., None], 3, axis=2)
    with Recognizer(run, detector="none", threads=1) as recognizer:
        (expression,) = recognizer.predict([face])
    assert np.isfinite(expression.probabilities).all()
    return list(expression.branch_emotions)


def test_affectnet_emotions_then_valence_and_arousal(
    affectnet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    discrete, continuous = tmp_path / "discrete", tmp_path / "continuous"
    data = ["--data", str(affectnet)]
    words = [
        "train",
        "affectnet-discrete",
        *data,
        "--out",
        str(discrete),
        "--epochs",
        "2",
        "--later-epochs",
        "1",
    ]
    assert main([*words, *TINY, "--cap", "4", "--legacy"]) == 0, capsys.readouterr().err
    table = rows(discrete / "metrics.csv")
    assert [(row["stage"], row["epoch"]) for row in table] == [("1", "1"), ("1", "2"), ("2", "1"), ("3", "1")]
    assert [(row["lr"], row["trained_lr"]) for row in table[1:3]] == [("0.1", "0.1"), ("0.1", "0.01")]
    # Validated every second epoch, and at the end of a stage.
    assert [bool(row["ensemble_accuracy"]) for row in table] == [False, True, True, True]
    assert table[2]["branch_2_accuracy"]
    assert not table[2]["branch_3_accuracy"]
    # In training every epoch is measured, on the 32 images of its sample.
    assert all((32 * float(row["training_ensemble_accuracy"])).is_integer() for row in table)
    assert [bool(row["training_branch_2_loss"]) for row in table] == [False, False, True, True]
    for row in table:
        losses = [float(row[f"training_branch_{k + 1}_loss"]) for k in range(int(row["branches"]))]
        assert sum(losses) == pytest.approx(float(row["loss"]), rel=1e-4)
    assert {path.name for path in (discrete / "curves").iterdir()} == CURVES
    assert len(answers(discrete)) == 3
    for branches in (1, 2, 3):
        best = load_saved(discrete / "networks" / f"branches_{branches}.safetensors")
        assert best.config.branches == branches
        legacy = read_original(discrete / "networks" / f"branches_{branches}", best.config)
        for ours, theirs in zip(best.state_dict().values(), legacy.state_dict().values(), strict=True):
            assert torch.equal(ours, theirs)

    words = ["train", "affectnet-continuous", *data, "--init", str(discrete), "--out", str(continuous)]
    assert main([*words, *TINY, "--epochs", "3", "--later-epochs", "1"]) == 0, capsys.readouterr().err
    before, after = (
        load_saved(discrete / "weights.safetensors"),
        load_saved(continuous / "weights.safetensors"),
    )
    kept, now = before.state_dict(), after.state_dict()
    assert all(torch.equal(now[name], tensor) for name, tensor in kept.items())
    assert {name for name in now if name not in kept} == {
        f"branches.{k}.affect.{what}" for k in range(3) for what in ("weight", "bias")
    }
    # Of the branches that learn on; the base never does.
    rates = {(row["stage"], row["lr"], row["trained_lr"]) for row in rows(continuous / "metrics.csv")}
    assert rates == {("1", "0.01", "0"), ("2", "0.01", "0.001"), ("3", "0.01", "0.001")}
    card = json.loads((continuous / "card.json").read_text())
    assert card["affect_source"] == "network"
    assert card["scores"][0]["rmse_valence"] == pytest.approx(
        float(rows(continuous / "metrics.csv")[-1]["ensemble_rmse_valence"]), abs=2e-3
    )
    assert card["training_data"][1]["use"] == "training and validation (of discrete, the start)"
    assert answers(continuous) == answers(discrete)


def test_ferplus_from_the_original_weights_and_back_into_their_layout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    original, run = write_folder(tmp_path / "esr_9", branches=3), tmp_path / "run"
    for split, seed in (("train", 1), ("valid", 50)):
        write_ferplus(tmp_path, "microsoft", split, ["Happy", "Sad", "Anger"], first_seed=seed)
    words = [
        "train",
        "ferplus-paper",
        "--data",
        str(tmp_path),
        "--out",
        str(run),
        "--threads",
        "1",
        "--legacy",
    ]
    words += ["--branches", "2", "--epochs", "1", "--later-epochs", "1", "--set", "lr=1e-9"]
    assert main(words) == 2
    assert "give --init" in capsys.readouterr().err
    assert main([*words, "--init", str(original), "--set", "trained_lr=1e-9"]) == 0, capsys.readouterr().err
    legacy = run / "networks" / "branches_2"
    assert {path.name for path in legacy.iterdir()} == {
        path.name for path in original.iterdir() if "Branch_3" not in path.name
    }
    before, after = read_original(original).state_dict(), read_original(legacy).state_dict()
    assert not any(".affect." in name for name in after), "a layer that did not learn along means nothing"
    moved = [(after[name] - before[name]).abs().max() for name in after if name.endswith(("weight", "bias"))]
    assert max(moved) < 1e-6, "branch by branch as they were, at a rate of nothing"
    assert len(answers(legacy)) == len(answers(run)) == 2
    assert json.loads((run / "card.json").read_text())["affect_source"] == "circumplex"


def test_ckplus_ends_in_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, run = write_prepared_ckplus(tmp_path / "ckplus"), tmp_path / "run"
    words = ["train", "ckplus", "--data", str(data), "--out", str(run), "--threads", "1"]
    words += ["--variant", "single", "--variant", "level4-interleaved", "--trial", "0", "--trial", "7"]
    words += ["--set", "epochs=1", "--set", "later_epochs=0", "--batch", "12"]
    assert main(["train", "ckplus", *words[2:], "--variant", "level5-fixed"]) == 2
    assert "unknown variant 'level5-fixed'" in capsys.readouterr().err
    assert main(words) == 0, capsys.readouterr().err
    shown = capsys.readouterr().err
    results = rows(run / "results.csv")
    assert [(row["variant"], row["trial"], row["parameters"]) for row in results] == [
        ("single", "0", "131208"), ("single", "7", "131208"),
        ("level4-interleaved", "0", "243936"), ("level4-interleaved", "7", "243936"),
    ]  # fmt: skip
    assert {row["images"] for row in results} == {"8"}
    table = (run / "table.md").read_text()
    mean = np.mean([100 * float(row["accuracy"]) for row in results[:2]])
    assert f"| single | 131,208 | 2 | {mean:.1f} ± " in table
    assert "| single - level4-interleaved |" in table
    assert table in shown
    assert len(answers(run)) in (1, 4)
    # Gone on with: finished trials are not trained again.
    before = (run / "single" / "trial_0" / "metrics.csv").stat().st_mtime_ns
    lines = (run / "results.csv").read_text().splitlines(keepends=True)
    (run / "results.csv").write_text("".join(lines[:-1]))
    assert main([*words, "--resume"]) == 0, capsys.readouterr().err
    assert rows(run / "results.csv") == results
    assert (run / "single" / "trial_0" / "metrics.csv").stat().st_mtime_ns == before
    assert main([*words, "--resume", "--seed", "2"]) == 2
    assert "another configuration (seed 1 != 2)" in capsys.readouterr().err


def test_branching_levels_grow_with_and_without_the_shared_layers(tmp_path: Path) -> None:
    faces = load_ckplus(write_prepared_ckplus(tmp_path / "ckplus"))
    config = CkPlusConfig(epochs=1, later_epochs=1, batch=16)
    for variant, stages in (("ensemble", 4), ("level1-frozen", 4)):
        plan = ckplus_plan(faces, variant, 2, config)
        sizes = {len(pool) for stage in plan.stages for pool in plan.pools(stage)}
        assert sizes == {24}, "three of four folds, one subject each, two sessions of four frames"
        plan = replace(plan, stages=plan.stages[:2])
        trainer = train_plan(plan, tmp_path / variant, config, Training())
        assert trainer.network.config.branches == 2
        assert len(ckplus_plan(faces, variant, 2, config).stages) == stages
    (single,) = (
        plan.pools(stage) for plan in [ckplus_plan(faces, "single", 2, config)] for stage in plan.stages
    )
    assert len(single[0]) == 32, "all four folds"


def train(data: Path, run: Path, config: FerPlusPaperConfig = SHORT, **how: object) -> StagedTrainer:
    return train_plan(ferplus_plan(data, config), run, config, Training(**how))


def test_a_killed_run_goes_on_as_if_nothing_had_happened(ferplus: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    train(ferplus, whole)

    def kill(what: str, done: int, _total: int) -> None:
        if what == "stage 2/3, epoch 2/2" and done > 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(ferplus, torn, progress=kill)
    assert len(rows(torn / "metrics.csv")) == 4
    # A row of an epoch whose checkpoint was never written.
    with (torn / "metrics.csv").open("a") as file:
        file.write((torn / "metrics.csv").read_text().splitlines()[-1].replace("2,2,1", "2,2,2") + "\n")
    train(ferplus, torn, resume=True)
    assert timeless(torn) == timeless(whole)
    for name in ("weights.safetensors", "networks/branches_2.safetensors"):
        assert (torn / name).read_bytes() == (whole / name).read_bytes()
    assert not list(tmp_path.rglob("*.part"))
    again = train(ferplus, torn, resume=True)
    assert timeless(torn) == timeless(whole)
    assert again.network.config.branches == 3
    losses = [float(row["loss"]) / int(row["branches"]) for row in rows(whole / "metrics.csv")]
    assert losses[-1] < losses[0]


def test_the_model_file_is_made_of_a_copy(ferplus: Path, tmp_path: Path) -> None:
    trainer = train(ferplus, tmp_path)
    network = trainer.network.train()
    weights = {name: (tensor, tensor.clone()) for name, tensor in network.state_dict(keep_vars=True).items()}
    export_run(network, ferplus_plan(ferplus, SHORT), tmp_path, SHORT, protocol="ferplus-paper", name="copy")
    assert network.training
    for name, tensor in network.state_dict(keep_vars=True).items():
        assert tensor is weights[name][0]
        assert torch.equal(tensor, weights[name][1])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_goes_through_a_protocol_to_its_end(
    ferplus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "ferplus-paper", "--data", str(ferplus), "--out", str(tmp_path / "run"), *TINY]
    words += ["--init", "none", "--epochs", "2", "--later-epochs", "1", "--device", "cuda"]
    assert main([*words, "--precision", "auto", "--legacy"]) == 0, capsys.readouterr().err
    assert "validation images; try: esrface image" in capsys.readouterr().err
    assert len(answers(tmp_path / "run")) == 3


def test_a_run_of_an_earlier_version_is_gone_on_with(ferplus: Path, tmp_path: Path) -> None:
    once, run = replace(SHORT, branches=2, epochs=2), tmp_path / "run"

    def kill(what: str, _done: int, _total: int) -> None:
        if what.startswith("stage 2/2, epoch 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(ferplus, run, once, progress=kill)
    kept = [name for name in rows(run / "metrics.csv")[0] if not name.startswith("training_")]
    with (run / "metrics.csv").open(newline="") as file:
        old = [{name: row[name] for name in kept} for row in csv.DictReader(file)]
    with (run / "metrics.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, kept)
        writer.writeheader()
        writer.writerows(old)
    train(ferplus, run, once, resume=True)
    table = rows(run / "metrics.csv")
    assert [bool(row["training_ensemble_accuracy"]) for row in table] == [False, False, False, True]
    assert [bool(row["ensemble_accuracy"]) for row in table] == [True] * 4
    for content in (b"a,b\n1,2\n", b"stage,epoch,mood\n1,1,good\n", b"\xff\xfe\x00"):
        (run / "metrics.csv").write_bytes(content)
        with pytest.raises(DataError, match=r"metrics\.csv: not "):
            train(ferplus, run, once, resume=True)


def test_another_configuration_is_refused_with_the_difference(ferplus: Path, tmp_path: Path) -> None:
    once = replace(SHORT, branches=1, epochs=1)
    train(ferplus, tmp_path / "run", once)
    with pytest.raises(DataError, match="--resume"):
        train(ferplus, tmp_path / "run", once)
    with pytest.raises(DataError, match=r"another configuration \(cap 6 != 7; seed 1 != 2\)"):
        train(ferplus, tmp_path / "run", replace(once, cap=7, seed=2), resume=True)
    other = replace(once, augmentation=replace(once.augmentation, shift=0.2))
    with pytest.raises(DataError, match=r"another configuration \(augmentation.shift 0.1 != 0.2\)"):
        train(ferplus, tmp_path / "run", other, resume=True)
    save_recipe(CkPlusConfig(), tmp_path / "ckplus" / "config.yaml")
    with pytest.raises(DataError, match="ckplus: no run that can be gone on with here"):
        train(ferplus, tmp_path / "ckplus", once, resume=True)
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"torn")
    with pytest.raises(DataError, match="not a checkpoint"):
        train(ferplus, tmp_path / "run", once, resume=True)


def test_a_loss_that_is_no_number_says_where(ferplus: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").touch()
    for run in (tmp_path / "runs" / "new", tmp_path / "notes"):
        with pytest.raises(
            DataError, match=r"the loss became \w+ in stage 1 \(branch 1\), epoch 1, step \d: lower"
        ):
            train(ferplus, run, replace(SHORT, lr=1e30))
    # Nothing was learnt that could be gone on with, so the place is free for another try.
    assert [path.name for path in tmp_path.rglob("*")] == ["notes", "mine.txt"]
    train(ferplus, tmp_path / "notes", replace(SHORT, branches=1, epochs=1))


def test_what_is_known_before_a_long_run_is_said_before_it(
    affectnet: Path, ferplus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "ferplus-paper", "--data", str(ferplus), "--init", "none", *TINY, "--out", "run"]
    for device in ("cdua", "gpu"):
        assert main([*words, "--device", device]) == 2
        assert f"unknown device '{device}': did you mean 'cuda'?" in capsys.readouterr().err
    plan = ferplus_plan(ferplus, SHORT)
    assert (
        plan.warnings[0] == "no picture of Neutral, Fear, Disgust, Anger, Contempt among those for training"
    )
    assert discrete_plan(affectnet, AffectNetDiscreteConfig()).warnings == ()
    # A picture that turns out to be damaged when its stage begins leaves no run behind.
    data = shutil.copytree(affectnet, tmp_path / "data")
    next((data / "Training_Labeled" / "0").glob("*s3s*")).write_bytes(b"torn")
    words = ["train", "affectnet-discrete", "--data", str(data), "--out", str(tmp_path / "run"), *TINY]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert "delete it and prepare the set again with --resume" in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_full_disk_keeps_the_last_checkpoint(ferplus: Path, tmp_path: Path) -> None:
    whole, full = tmp_path / "whole", tmp_path / "full"
    train(ferplus, whole)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(epoch: StageEpoch) -> None:
        if epoch.stage.number == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (6_000, limits[1]))

    try:
        with pytest.raises(OutputError, match="cannot write"):
            train(ferplus, full, report=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    state = torch.load(full / "checkpoint.pt", weights_only=True)
    assert (state["stage"], state["epoch"]) == (2, 1)
    train(ferplus, full, resume=True)
    assert timeless(full) == timeless(whole)
    assert (full / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


@pytest.mark.parametrize(
    ("init", "reason"),
    [("nowhere", "no such folder"), (".", "neither a finished run"), ("two", "has 2 branches, 3 are to be")],
)
def test_a_start_that_does_not_fit_is_refused_before_the_data_are_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    init: str,
    reason: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    save_network(ESR(replace(tiny_wild(), branches=2)), tmp_path / "two" / "weights.safetensors")
    words = ["train", "ferplus-paper", "--data", "no-data", "--out", "run", "--init", init, *TINY]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert len(said.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_tensorboard_logs_stand_beside_the_table(ferplus: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(ferplus, tmp_path / "run", replace(SHORT, branches=1), tensorboard=True)
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    logged = [event.value for event in events.Scalars("accuracy/ensemble")]
    table = rows(tmp_path / "run" / "metrics.csv")
    assert logged == pytest.approx([float(row["ensemble_accuracy"]) for row in table], abs=1e-5)


def test_emotions_of_the_drawn_faces_are_known(affectnet: Path) -> None:
    training, valid = check_data(affectnet, "affectnet").splits
    assert [training.classes[name] for name in EMOTIONS] == [5] * 8
    assert valid.classes["No-Face"] == 1
