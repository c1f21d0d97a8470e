"""Two processes that train one network: the gradients of one process, and equal weights at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drawn import drawn_face, write_ferplus
from drawn_protocols import still, tiny_wild

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.datasets.pools import FacePool  # noqa: E402
from esrface.emotions import EMOTIONS  # noqa: E402
from esrface.errors import DataError, DependencyError  # noqa: E402
from esrface.networks.config import Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.networks.esr import ESR  # noqa: E402
from esrface.training.config import TrainConfig  # noqa: E402
from esrface.training.distributed import ALONE, Ranks, ranks_of_torchrun  # noqa: E402
from esrface.training.protocols.ckplus import ckplus_stages  # noqa: E402
from esrface.training.protocols.config import CkPlusConfig, ProtocolConfig  # noqa: E402
from esrface.training.protocols.staged import StagedTrainer  # noqa: E402
from esrface.training.protocols.stages import growth  # noqa: E402
from esrface.training.protocols.tasks import Affect, Emotions  # noqa: E402
from esrface.training.trainer import FaceSet, Trainer  # noqa: E402

Tensors = dict[str, torch.Tensor]

UNCHANGED = Augmentation(
    rotation_deg=0, scale_log=0, shift=0, shear=0, contrast=(1, 1), brightness=0, erase_probability=0
)


def pixels(count: int) -> np.ndarray:
    """Faces that are their own mirror images, so that mirroring changes nothing."""
    drawn = np.stack([drawn_face(EMOTIONS[seed % 8], seed) for seed in range(count)])
    return np.where(np.arange(48) < 24, drawn, drawn[..., ::-1]).astype(np.uint8)


def ferplus_trainer(ranks: Ranks, *, live: bool) -> Trainer:
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(12, padding=(1, 1)), MaxPool())
    shape = NetworkConfig("tiny", 48, 1, base, (Conv(12), MaxPool()), dropout=0.2 if live else 0.0)
    torch.manual_seed(5 + ranks.rank)
    network = ESR(shape)
    if not live:
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval().train = lambda mode=True, module=module: module  # type: ignore[method-assign]
    targets = torch.eye(8)[torch.arange(16) % 8]
    config = TrainConfig(
        epochs=1, batch=8 if live else 16, warmup_steps=1, keep=0.6, precision="fp32", lr=0.01, ema=0.9,
        augmentation=Augmentation() if live else UNCHANGED,
    )  # fmt: skip
    return Trainer(
        network, FaceSet(torch.from_numpy(pixels(16)), targets), config, torch.device("cpu"), (), ranks
    )


def staged_trainer(ranks: Ranks, task: str, *, live: bool) -> StagedTrainer:
    shape = replace(tiny_wild(), affect=task == "affect", branches=2)
    config = ProtocolConfig(
        batch=4 if live else 16, epochs=1, later_epochs=1, freeze_batch_norm=not live, seed=3, lr=0.02,
        augmentation=ProtocolConfig().augmentation if live else still(),
    )  # fmt: skip
    affect = np.random.default_rng(1).uniform(-1, 1, (16, 2)).astype(np.float32)
    faces = pixels(16)
    own = FacePool.of(faces, affect, np.zeros(16, np.int64)) if task == "affect" else FacePool.of(
        faces, np.arange(16) % 8
    )  # fmt: skip
    stages = growth(2, config.pace, layers="affect" if task == "affect" else "all")
    if task == "in turn":
        (stage,) = ckplus_stages("level1-interleaved", replace(CkPlusConfig().pace, epochs=1, later_epochs=0))
        stages = (replace(stage, branches=2, rates=stage.rates[:3], epochs=1),)
    pools = [own, own] if task == "in turn" else [own]
    what = Affect() if task == "affect" else Emotions()
    return StagedTrainer(shape, stages, what, lambda stage: pools, own, config, ranks=ranks)


def gradients(network: ESR) -> Tensors:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def outcome(ranks: Ranks) -> dict[str, Tensors]:
    """Gradients of one step for each way of training, and weights after live batch norms."""
    found: dict[str, Tensors] = {}
    trainer = ferplus_trainer(ranks, live=False)
    next(trainer.epochs())
    found["ferplus"] = gradients(trainer.network)
    for task in ("emotions", "affect"):
        staged = staged_trainer(ranks, task, live=False)
        for number, epoch in enumerate(staged.epochs(), start=1):
            everyone = (epoch.training.ensemble, *epoch.training.branches)
            told = torch.tensor([value for figures in everyone for value in figures.values()])
            found[f"{task} {number}"] = {**gradients(staged.network), "figures in training": told}
    live = ferplus_trainer(ranks, live=True)
    list(live.epochs())
    found["ferplus, live"] = {
        **live.network.state_dict(),
        **{f"ema {k}": v for k, v in live.averaged.state_dict().items()},
    }
    for task in ("emotions", "in turn"):
        staged = staged_trainer(ranks, task, live=True)
        list(staged.epochs())
        found[f"{task}, live"] = dict(staged.network.state_dict())
    return found


def process(rank: int, port: int, folder: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    torch.set_num_threads(1)
    # At last the first one leaves, and the other must not wait for ever or call it a fault of its own.
    left_alone = pytest.raises(DataError, match="another of the processes") if rank else nullcontext()
    with left_alone, ranks_of_torchrun("cpu") as (ranks, device):
        assert (ranks.rank, ranks.size, device) == (rank, 2, "cpu")
        torch.save(outcome(ranks), Path(folder) / f"{rank}.pt")
        if rank:
            ranks.wait()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Tensors]]:
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(process, (port, str(folder)), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def largest_gap(one: Tensors, other: Tensors) -> float:
    assert one.keys() == other.keys()
    assert one
    return max(float((tensor.double() - other[name].double()).abs().max()) for name, tensor in one.items())


def test_two_processes_have_the_gradients_of_one(both: list[dict[str, Tensors]]) -> None:
    alone = outcome(ALONE)
    still = [name for name in alone if "live" not in name]
    assert still == ["ferplus", "emotions 1", "emotions 2", "affect 1", "affect 2"]
    for name in still:
        assert max(float(gradient.abs().max()) for gradient in alone[name].values()) > 1e-3
        for rank in both:
            gap = largest_gap(rank[name], alone[name])
            print(f"{name}: largest difference {gap:.1e}")
            assert gap < 1e-5


def test_with_live_batch_norms_both_end_with_equal_weights(both: list[dict[str, Tensors]]) -> None:
    live = [name for name in both[0] if "live" in name]
    assert len(live) == 3
    for name in live:
        assert largest_gap(both[0][name], both[1][name]) == 0.0
        assert any("running_mean" in tensor for tensor in both[0][name])


def test_torchrun_trains_and_only_one_process_writes(tmp_path: Path) -> None:
    for split, seed in (("train", 1), ("valid", 90)):
        write_ferplus(tmp_path, "zip", split, ["Happy", "Sad", "Surprise"] * 6, first_seed=seed)
    words = ["train", "ferplus", "--data", str(tmp_path), "--network", "esr9-small", "--epochs", "1"]
    words += ["--batch", "8", "--threads", "1", "--precision", "fp32", "--out", str(tmp_path / "run")]
    runner = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "esrface"]
    environment: dict[str, Any] = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, *runner, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("epoch 1/1: loss") == 1
    assert {"model.onnx", "card.json", "metrics.csv", "weights.safetensors"} <= {
        path.name for path in (tmp_path / "run").iterdir()
    }


def test_a_batch_that_does_not_divide_is_refused_and_so_is_a_missing_tensorboard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="batch of 16 cannot be dealt evenly to 3 processes"):
        ferplus_trainer(Ranks(0, 3), live=False)
    with pytest.raises(DataError, match="batch of 16 cannot be dealt evenly to 3 processes"):
        staged_trainer(Ranks(0, 3), "emotions", live=False)
    from esrface.training.tensorboard import open_scalars

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with (
        pytest.raises(DependencyError, match=r"pip install .*'\.\[tensorboard\]'$"),
        open_scalars(tmp_path, True),
    ):
        pass
