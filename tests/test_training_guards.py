"""What trainings refuse in one line, and what they must not do in silence."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drawn import write_ferplus

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from safetensors.torch import load_file, save_file  # noqa: E402

from esrface import Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.datasets.augment import Augmentation  # noqa: E402
from esrface.errors import DataError, DeviceError, InputError  # noqa: E402
from esrface.networks.config import NETWORKS, Conv, MaxPool, NetworkConfig  # noqa: E402
from esrface.networks.face_features import read_face_features  # noqa: E402
from esrface.training import ferplus as ferplus_training  # noqa: E402
from esrface.training.config import TrainConfig, load_config  # noqa: E402
from esrface.training.distributed import device_of_rank, threads_of_rank  # noqa: E402
from esrface.training.export import export_ferplus_run  # noqa: E402
from esrface.training.ferplus import train_ferplus  # noqa: E402
from esrface.training.folder import FolderConfig  # noqa: E402
from esrface.training.protocols.config import CkPlusConfig  # noqa: E402
from esrface.training.run import CONFIG, METRICS, WEIGHTS  # noqa: E402
from esrface.training.teacher import load_network  # noqa: E402
from esrface.training.trainer import use_bf16  # noqa: E402

SHORT = TrainConfig(network="tiny-affect", epochs=1, batch=8, precision="fp32", augmentation=Augmentation())


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with a layer for valence and arousal, as the published one has."""
    base = (Conv(8, padding=(1, 1)), MaxPool(), Conv(16, padding=(1, 1)), MaxPool())
    shape = NetworkConfig("tiny-affect", 48, 1, base, (Conv(16), MaxPool(), Conv(16)), affect=True)
    monkeypatch.setitem(NETWORKS, "tiny-affect", lambda: shape)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ferplus")
    write_ferplus(root, "zip", "train", ["Happy", "Sad", "Surprise"] * 8, first_seed=100)
    write_ferplus(root, "zip", "valid", ["Happy", "Sad", "Surprise"] * 4, first_seed=500)
    return root


def test_a_layer_that_nothing_teaches_is_not_exported(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_ferplus(data, run, SHORT)
    assert not [name for name in load_file(run / WEIGHTS) if "affect" in name]
    export_ferplus_run(run, data)
    with Recognizer(run, detector="none", threads=1) as recognizer:
        assert recognizer.card.affect_source == "circumplex"
        (answer,) = recognizer.predict([np.zeros((48, 48, 3), np.uint8)])
    assert answer.affect_source == "circumplex"


def test_runs_of_earlier_versions_with_such_a_layer_are_read(data: Path, tmp_path: Path) -> None:
    train_ferplus(data, tmp_path / "run", SHORT)
    weights = load_file(tmp_path / "run" / WEIGHTS)
    before = load_network(tmp_path / "run", SHORT).state_dict()
    save_file({**weights, "branches.0.affect.weight": torch.zeros(2, 8)}, tmp_path / "run" / WEIGHTS)
    after = load_network(tmp_path / "run", SHORT).state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_weights_that_cannot_be_used_are_one_line(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_ferplus(data, run, SHORT)
    whole = (run / WEIGHTS).read_bytes()
    (run / WEIGHTS).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"weights\.safetensors is damaged, or of another network"):
        train_ferplus(data, tmp_path / "next", replace(SHORT, init=str(run)))
    save_file({"something": torch.zeros(1)}, run / WEIGHTS)
    with pytest.raises(DataError, match=r"weights\.safetensors is damaged, or of another network"):
        train_ferplus(data, tmp_path / "next", replace(SHORT, teachers=(str(run),)))
    assert not (tmp_path / "next").exists()


def test_too_few_images_for_a_batch_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="24 training images do not fill a batch of 25: lower --batch"):
        train_ferplus(data, tmp_path / "run", replace(SHORT, batch=25))
    assert not (tmp_path / "run").exists()


def test_a_table_of_something_else_is_refused_before_an_epoch_is_learnt(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train_ferplus(data, run, SHORT)
    (run / METRICS).write_text((run / METRICS).read_text().replace(",", ";"))
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    with pytest.raises(
        DataError, match=r"metrics\.csv: not the table of this training; move it away to go on"
    ):
        train_ferplus(data, run, SHORT, resume=True)
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    (run / METRICS).unlink()
    train_ferplus(data, run, SHORT, resume=True)


def test_two_runs_that_begin_at_once_do_not_share_a_folder(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one looked while the first was still reading its pictures."""
    run, read = tmp_path / "run", ferplus_training.training_faces
    other = replace(SHORT, seed=2)

    def slow(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(ferplus_training, "training_faces", read)
        train_ferplus(data, run, other)
        return read(*arguments, **options)

    monkeypatch.setattr(ferplus_training, "training_faces", slow)
    with pytest.raises(DataError, match="a run is already there; pass --resume"):
        train_ferplus(data, run, SHORT)
    assert load_config(run / CONFIG).seed == 2
    assert (run / WEIGHTS).exists()


def test_a_start_that_is_gone_is_not_taken_for_public_features(data: Path, tmp_path: Path) -> None:
    teacher, run = tmp_path / "teacher", tmp_path / "run"
    train_ferplus(data, teacher, SHORT)
    train_ferplus(data, run, replace(SHORT, teachers=(str(teacher),)))
    (used,) = export_ferplus_run(run, data).card.training_data
    assert "VGGFace2" not in used.name
    shutil.rmtree(teacher)
    with pytest.raises(
        DataError, match="teacher is gone, and what was learnt from it: put it back to export"
    ):
        export_ferplus_run(run, data)


def test_a_torn_archive_of_face_features_is_one_line(tmp_path: Path) -> None:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name in ("faceres.json", "faceres.bin"):
            member = tarfile.TarInfo(f"package/models/{name}")
            member.size = 100_000
            archive.addfile(member, io.BytesIO(np.random.default_rng(1).bytes(100_000)))
    for kept in (100, 60_000, 150_000):
        (tmp_path / "features.tgz").write_bytes(whole.getvalue()[:kept])
        with pytest.raises(DataError, match=r"features\.tgz: no face features here"):
            read_face_features(tmp_path / "features.tgz")


@pytest.mark.parametrize("name", ["network", "branches", "cap"])
def test_ckplus_has_no_settings_without_effect(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: on CK.* it follows from the variants: leave it out"):
        CkPlusConfig(**{name: {"network": "esr9-small"}.get(name, 2)})


@pytest.mark.parametrize(
    ("name", "value"),
    [("teachers", ("runs/a",)), ("teacher_share", 0.1), ("held_out", 0.1), ("init_branches", True)],
)
def test_ones_own_folder_has_no_settings_without_effect(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{name} is for train ferplus: leave it out"):
        FolderConfig(**{name: value})


def test_a_torch_that_cannot_tell_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported", raising=False)
    assert use_bf16("auto", torch.device("cpu")) is False
    assert use_bf16("bf16", torch.device("cpu")) is True


def test_processes_of_one_machine_share_its_threads_and_have_a_gpu_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = threads_of_rank(None)
    assert device_of_rank("cuda") == "cuda"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert threads_of_rank(None) == max(1, alone // 2)
    assert threads_of_rank(3) == 3
    assert device_of_rank("cuda") == "cuda:1"
    assert device_of_rank("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(DeviceError, match=r"more processes than there are GPUs \(1\): lower --nproc"):
        device_of_rank("cuda")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
        ),
    ],
    ids=["cuda", "cpu"],
)
def test_too_little_memory_is_no_fault_of_ours(
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(ferplus_training, "train_ferplus", full)
    words = ["train", "ferplus", "--data", str(data), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main(words) == 2
    assert capsys.readouterr().err == (
        "esrface: not enough memory on the device; lower --batch, or choose another --device\n"
    )
