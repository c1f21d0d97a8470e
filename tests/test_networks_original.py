"""The original's files: read right, written right, and refused with one clear line where they are not."""

from __future__ import annotations

import io
import pickle
import shutil
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("onnx")

from esrface import Recognizer  # noqa: E402
from esrface.errors import InputError, ModelError, OutputError  # noqa: E402
from esrface.export import export_model  # noqa: E402
from esrface.models.registry import resolve_model  # noqa: E402
from esrface.networks.config import esr_lab, network_config  # noqa: E402
from esrface.networks.esr import ESR, parameter_count, use_face_statistics  # noqa: E402
from esrface.networks.original import read_original, write_original  # noqa: E402
from original_layout import Base, Branch, Literal, gap, lively, write_folder  # noqa: E402

BASE = "Net-Base-Shared_Representations.pt"
BRANCHES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("original"), branches=BRANCHES)


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The folder again, to be spoilt: links, so that what is replaced is the copy's alone."""
    copy = tmp_path / "copied"
    copy.mkdir()
    for path in folder.iterdir():
        (copy / path.name).symlink_to(path)
    return copy


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return torch.rand(3, 3, 96, 96, generator=torch.Generator().manual_seed(3))


def literal_logits(folder: Path, faces: torch.Tensor, batch_norm: str) -> tuple[np.ndarray, np.ndarray]:
    literal = Literal(folder, branches=BRANCHES, batch_norm=batch_norm)
    logits, affect = zip(*(literal.answer(literal.features(face[None])) for face in faces), strict=True)
    return np.stack(logits), np.stack(affect)  # type: ignore[arg-type]


@pytest.mark.parametrize("batch_norm", ["running", "instance"])
def test_it_computes_what_the_original_does(folder: Path, faces: torch.Tensor, batch_norm: str) -> None:
    network = read_original(folder)
    if batch_norm == "instance":
        use_face_statistics(network)
    with torch.no_grad():
        output = network(faces)
    logits, affect = literal_logits(folder, faces, batch_norm)
    assert gap(output.logits.numpy(), logits) < 1e-4
    assert gap(output.affect.numpy(), affect) < 1e-4


def test_the_two_batch_norms_differ(folder: Path, faces: torch.Tensor) -> None:
    logits = [literal_logits(folder, faces, batch_norm)[0] for batch_norm in ("running", "instance")]
    assert np.abs(logits[0] - logits[1]).max() > 0.1


def test_nine_files_are_the_published_network(tmp_path: Path) -> None:
    network = read_original(write_folder(tmp_path))
    assert network.config == network_config("esr9-published")
    assert parameter_count(network) == 20_349_546
    assert not network.training


def test_weights_fine_tuned_on_ferplus_have_no_affect_layer(tmp_path: Path, faces: torch.Tensor) -> None:
    folder = write_folder(tmp_path, branches=1, affect=False)
    network = read_original(folder)
    with torch.no_grad():
        output = network(faces)
    assert output.affect is None
    assert resolve_model(folder).card.affect_source == "circumplex"
    literal = Literal(folder, branches=1, affect=False, batch_norm="running")
    expected, _ = literal.answer(literal.features(faces[:1]))
    assert gap(output.logits[0].numpy(), expected) < 1e-4


@pytest.mark.parametrize("form", ["old torch", "half", "as parameters"])
def test_forms_in_which_state_dicts_come(copied: Path, faces: torch.Tensor, form: str) -> None:
    """Before torch 1.6 files were no zip archives; before 0.4.1 batch norms did not count."""
    expected = read_original(copied)
    for path in sorted(copied.iterdir()):
        state = torch.load(path)
        path.unlink()
        if form == "old torch":
            state = {name: value for name, value in state.items() if "num_batches" not in name}
            torch.save(state, path, _use_new_zipfile_serialization=False)
        elif form == "half":
            torch.save({name: v.half() if v.is_floating_point() else v for name, v in state.items()}, path)
        else:
            parameters = (
                (n, torch.nn.Parameter(v) if v.is_floating_point() else v) for n, v in state.items()
            )
            torch.save(OrderedDict(parameters), path)
    network = read_original(copied)
    assert not any(parameter.grad_fn for parameter in network.parameters())
    with torch.no_grad():
        apart = gap(network(faces).logits.numpy(), expected(faces).logits.numpy())
    assert apart < (0.05 if form == "half" else 1e-6)


def test_reading_leaves_the_users_random_numbers_alone(folder: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    read_original(folder)
    assert torch.equal(torch.rand(3), expected)


def test_what_is_written_is_what_was_read(folder: Path, tmp_path: Path) -> None:
    written = write_original(read_original(folder), tmp_path / "ours")
    assert [path.name for path in written] == [BASE, "Net-Branch_1.pt", "Net-Branch_2.pt"]
    for path in written:
        ours, theirs = (torch.load(place, weights_only=True) for place in (path, folder / path.name))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    # The original's own classes take it, and are strict about it.
    Base().load_state_dict(torch.load(written[0]))
    Branch(affect=True).load_state_dict(torch.load(written[1]))
    with pytest.raises(OutputError, match="exists"):
        write_original(read_original(folder), tmp_path / "ours")


def test_another_network_in_that_layout(tmp_path: Path) -> None:
    network = ESR(esr_lab()).eval()
    lively(network, torch.Generator().manual_seed(1))
    write_original(network, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {BASE, *(f"Net-Branch_{k}.pt" for k in range(1, 5))}
    again = read_original(tmp_path, esr_lab())
    faces = torch.rand(2, 1, 96, 96)
    with torch.no_grad():
        assert torch.equal(again(faces).logits, network(faces).logits)
    with pytest.raises(ModelError, match="holds 4 branches, expected 9"):
        read_original(tmp_path, network_config("esr9-published"))
    with pytest.raises(ModelError, match=r"tensor conv1\.weight is 32 x 1 x 5 x 5, expected 64 x 3 x 5 x 5"):
        read_original(tmp_path)
    with pytest.raises(ModelError, match="see a part of the shared channels"):
        write_original(ESR(network_config("esr9-mobile", subspace=0.5)), tmp_path / "other")


Spoil = Callable[[Path], None]


def replaced(name: str, content: bytes) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_bytes(content)

    return spoil


def changed(name: str, change: Callable[[dict[str, Any]], Any]) -> Spoil:
    def spoil(folder: Path) -> None:
        state = torch.load(folder / name)
        state = change(state) or state
        buffer = io.BytesIO()
        torch.save(state, buffer)
        replaced(name, buffer.getvalue())(folder)

    return spoil


class Hostile:
    """Its pickle would write a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.write_text, (self.marker, "executed"))


def renamed(old: str, new: str) -> Spoil:
    def spoil(folder: Path) -> None:
        (folder / old).rename(folder / new)

    return spoil


def poisoned(tensor: str, value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def poison(state: dict[str, Any]) -> dict[str, Any]:
        state[tensor].view(-1)[3] = value
        return state

    return poison


def without(tensor: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda state: {name: value for name, value in state.items() if name != tensor}


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (lambda folder: (folder / BASE).unlink(), f"lacks {BASE}: an ensemble is"),
        (lambda folder: (folder / "Net-Branch_1.pt").unlink(), "lacks Net-Branch_1.pt: an ensemble is"),
        (renamed("Net-Branch_2.pt", "Net-Branch_5.pt"), "lacks Net-Branch_2.pt and 2 more"),
        (renamed("Net-Branch_2.pt", "Net-Branch_02.pt"), "lacks Net-Branch_2.pt"),
        (replaced("Net-Branch_0.pt", b""), "holds Net-Branch_0.pt, which is no part of an ensemble of 2"),
        (replaced("Net-Optimizer.pt", b""), "holds Net-Optimizer.pt, which is no part"),
        (
            replaced("Net-Branch_2.pt", b""),
            "Net-Branch_2.pt is none of the original's weights: it is damaged",
        ),
        (replaced(BASE, b"<html>404: Not Found</html>"), f"{BASE} is none of the original's weights: it is"),
        (replaced(BASE, pickle.dumps({"conv1.weight": [1.0]})), "it is damaged or holds something else"),
        (changed(BASE, lambda state: list(state.values())), "it holds no tensors by name"),
        (changed(BASE, lambda state: {3: state["conv1.weight"]}), "it holds no tensors by name"),
        (changed(BASE, without("bn3.bias")), "tensor bn3.bias is missing"),
        (
            changed("Net-Branch_2.pt", without("fc_dimensional.bias")),
            "Net-Branch_2.pt is none of the original's weights: tensor fc_dimensional.bias is missing",
        ),
        (
            changed(BASE, lambda state: state.update({"conv5.weight": torch.ones(2)})),
            "conv5.weight belongs to",
        ),
        (changed(BASE, lambda state: state.update({"bn1.bias": 3})), "bn1.bias is no plain tensor"),
        (
            changed(BASE, lambda state: state.update({"bn1.bias": torch.ones(64).to_sparse()})),
            "bn1.bias is no plain tensor",
        ),
        (
            changed(BASE, lambda state: state.update({"bn1.bias": torch.ones(64, dtype=torch.int64)})),
            "tensor bn1.bias is torch.int64, expected torch.float32",
        ),
        (
            changed("Net-Branch_1.pt", lambda state: state.update({"fc.weight": state["fc.weight"].T})),
            "tensor fc.weight is 512 x 8, expected 8 x 512",
        ),
        (changed("Net-Branch_1.pt", poisoned("fc.bias", float("nan"))), "fc.bias holds NaN or infinity"),
        (changed(BASE, poisoned("conv2.weight", float("inf"))), "conv2.weight holds NaN or infinity"),
        (changed(BASE, poisoned("bn2.running_var", -0.1)), "bn2.running_var holds negative variances"),
        (
            changed(
                BASE, lambda state: state.update({"bn1.bias": torch.full((64,), 1e300, dtype=torch.float64)})
            ),
            "tensor bn1.bias holds NaN or infinity",
        ),
    ],
)
def test_spoilt_folders(copied: Path, spoil: Spoil, line: str) -> None:
    spoil(copied)
    with pytest.raises(ModelError) as caught:
        Recognizer(copied, detector="none")
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_hostile_file_is_never_executed(copied: Path, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    state = {"conv1.weight": torch.ones(2), "evil": Hostile(marker)}
    for zipped in (True, False):
        buffer = io.BytesIO()
        torch.save(state, buffer, _use_new_zipfile_serialization=zipped)
        replaced("Net-Branch_1.pt", buffer.getvalue())(copied)
        with pytest.raises(ModelError, match="damaged or holds something else than tensors"):
            read_original(copied)
    assert not marker.exists()
    # It is hostile indeed.
    pickle.loads(pickle.dumps(Hostile(marker)))
    assert marker.exists()


def test_torn_and_monstrous_files(copied: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = (folder / "Net-Branch_1.pt").read_bytes()
    for torn in (whole[: len(whole) // 2], whole[:-1], whole[1:]):
        replaced("Net-Branch_1.pt", torn)(copied)
        with pytest.raises(ModelError, match=r"Net-Branch_1\.pt is none of the original's weights"):
            read_original(copied)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps({}))
    replaced("Net-Branch_1.pt", archive.getvalue())(copied)
    with pytest.raises(ModelError, match=r"Net-Branch_1\.pt is none"):
        read_original(copied)
    monkeypatch.setattr("esrface.models.original.MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(ModelError, match="it has more than 1 MB"):
        read_original(copied)


def test_a_file_that_cannot_be_read(copied: Path) -> None:
    (copied / BASE).unlink()
    (copied / BASE).mkdir()
    with pytest.raises(ModelError, match=f"{BASE} cannot be read: Is a directory"):
        read_original(copied)


@pytest.mark.parametrize("batch_norm", ["running", "instance"])
def test_exported_to_onnx_it_answers_the_same(
    folder: Path, faces: torch.Tensor, tmp_path: Path, batch_norm: str
) -> None:
    path = tmp_path / f"{batch_norm}.onnx"
    done = export_model(folder, path, batch_norm=batch_norm)
    assert done.files == (path, path.with_suffix(".json"))
    assert done.difference < 1e-4
    expected_logits, expected_affect = literal_logits(folder, faces, batch_norm)
    with Recognizer(path, detector="none", threads=1) as recognizer:
        engine = recognizer._network()
        given = engine.run(faces.numpy())
        single = np.concatenate([engine.run(face[None].numpy()).logits for face in faces])
        card = recognizer.card
    assert gap(given.logits, expected_logits) < 1e-4
    assert given.affect is not None
    assert gap(given.affect, expected_affect) < 1e-4
    assert gap(given.logits, single) < 1e-5, "a batch is not single calls"
    original = resolve_model(folder).card
    assert (card.input, card.crop, card.affect_source) == (original.input, original.crop, "network")
    assert card.protocol["exported_from"] == {
        "model": original.name,
        "sha256": original.sha256,
        "batch_norm": batch_norm,
    }
    with pytest.raises(ModelError, match=f"'{original.name}' is an ONNX model with its statistics inside"):
        Recognizer(path, batch_norm=batch_norm)


def test_half_weights_halve_the_file(folder: Path, faces: torch.Tensor, tmp_path: Path) -> None:
    export_model(folder, tmp_path / "half.onnx", precision="fp16")
    whole = sum(path.stat().st_size for path in folder.iterdir())
    assert (tmp_path / "half.onnx").stat().st_size == pytest.approx(whole / 2, rel=0.02)
    expected, _ = literal_logits(folder, faces, "instance")
    with Recognizer(tmp_path / "half.onnx", detector="none", threads=1) as recognizer:
        given = recognizer._network().run(faces.numpy())
    assert gap(given.logits, expected) < 0.05


def test_export_refuses_what_it_cannot_do(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there.json").write_text("{}")
    with pytest.raises(OutputError, match="exists"):
        export_model(folder, tmp_path / "there.onnx")
    with pytest.raises(InputError, match=r"ends in \.onnx, got"):
        export_model(folder, tmp_path / "model.pt")
    with pytest.raises(InputError, match="unknown batch_norm 'batch'"):
        export_model(folder, tmp_path / "model.onnx", batch_norm="batch")
    with pytest.raises(ModelError, match="holds no model"):
        export_model(tmp_path, tmp_path / "model.onnx")
    part = tmp_path / "part"
    part.mkdir()
    (part / BASE).symlink_to(folder / BASE)
    with pytest.raises(ModelError, match=r"lacks Net-Branch_1\.pt"):
        export_model(part, tmp_path / "model.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "there.json"]


def test_the_card_of_a_folder(folder: Path, tmp_path: Path) -> None:
    file = resolve_model(folder)
    assert file.is_original
    assert file.size_bytes == sum(path.stat().st_size for path in folder.iterdir())
    card = file.card
    assert card.branches == BRANCHES
    assert (card.input.size, card.input.color, card.input.resize) == (96, "bgr", "linear")
    assert (card.temperature, card.mirror, card.affect_source) == (1.0, False, "network")
    assert type(card).from_dict(card.to_dict()) == card
    shutil.copytree(folder, tmp_path / "copy")
    assert resolve_model(tmp_path / "copy").card.sha256 == card.sha256
    replaced("Net-Branch_2.pt", (folder / "Net-Branch_1.pt").read_bytes())(tmp_path / "copy")
    assert resolve_model(tmp_path / "copy").card.sha256 != card.sha256
