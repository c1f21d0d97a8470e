"""The original's weights in torch: both batch norms, each face by itself, and everything around them."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from esrface import DependencyError, DeviceError, InputError, ModelError, Recognizer  # noqa: E402
from esrface.cli import main  # noqa: E402
from esrface.engine import create_engine  # noqa: E402
from esrface.engine.torch import CHUNK, TorchEngine  # noqa: E402
from esrface.models.registry import resolve_model  # noqa: E402
from esrface.preprocess import to_input  # noqa: E402
from esrface.saliency import branch_maps  # noqa: E402
from original_layout import Literal, gap, write_folder  # noqa: E402

BRANCHES = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("original"), branches=BRANCHES)


@pytest.fixture(scope="module")
def faces() -> NDArray[np.float32]:
    """Faces of very different contrast."""
    rng = np.random.default_rng(5)
    faces = rng.random((4, 3, 96, 96), dtype=np.float32)
    return np.asarray(faces * np.linspace(0.2, 1, len(faces), dtype=np.float32)[:, None, None, None])


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The faces are more than one call of the network takes."""
    monkeypatch.setitem(CHUNK, "cpu", 3)


@pytest.fixture(scope="module")
def engine(folder: Path) -> TorchEngine:
    return TorchEngine(folder, threads=1)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("batch_norm", ["instance", "running"])
def test_a_batch_is_each_face_alone_in_a_list_of_branches(
    folder: Path, faces: NDArray[np.float32], batch_norm: str
) -> None:
    literal = Literal(folder, branches=BRANCHES, batch_norm=batch_norm)
    expected = [literal.answer(literal.features(torch.from_numpy(face[None]))) for face in faces]
    output = TorchEngine(folder, threads=1, batch_norm=batch_norm).run(faces)
    assert gap(output.logits, np.stack([logits for logits, _ in expected])) < 1e-4
    assert output.affect is not None
    assert gap(output.affect, np.stack([affect for _, affect in expected])) < 1e-4  # type: ignore[misc]


@pytest.mark.usefixtures("small_chunks")
def test_what_a_face_gets_does_not_depend_on_its_neighbours(
    engine: TorchEngine, faces: NDArray[np.float32]
) -> None:
    batch = engine.run(faces).logits
    single = np.concatenate([engine.run(face[None]).logits for face in faces])
    assert gap(batch, single) < 1e-5
    # Statistics of the whole batch would not do: another neighbour would move the answer.
    strange = np.concatenate([faces[:1], np.zeros_like(faces[:1]), 50 * faces[1:2]])
    assert gap(engine.run(strange).logits[0], single[0]) < 1e-5


def test_class_maps_are_the_logits_and_grad_cam(
    folder: Path, engine: TorchEngine, faces: NDArray[np.float32]
) -> None:
    output = engine.run(faces[-1:], class_maps=True)
    assert output.class_maps is not None
    assert output.class_maps.shape == (1, BRANCHES, 8, 6, 6)
    states = [torch.load(folder / f"Net-Branch_{k}.pt") for k in range(1, BRANCHES + 1)]
    bias = np.stack([state["fc.bias"].numpy() for state in states])
    assert gap(output.class_maps.mean(axis=(3, 4)) + bias, output.logits) < 1e-4
    literal = Literal(folder, branches=BRANCHES)
    features = literal.features(torch.from_numpy(faces[-1:]))
    for emotion in (1, 6):
        maps = branch_maps(output.class_maps, emotion)[0]
        for branch, ours in enumerate(maps):
            expected = literal.grad_cam(features, branch, emotion)
            assert gap(ours, expected) < 1e-4
    assert engine.run(faces[:1]).class_maps is None


def test_no_faces(engine: TorchEngine) -> None:
    output = engine.run(np.zeros((0, 3, 96, 96), np.float32), class_maps=True)
    assert output.logits.shape == (0, BRANCHES, 8)
    assert output.affect is not None
    assert output.affect.shape == (0, BRANCHES, 2)
    assert output.class_maps is not None
    assert output.class_maps.shape == (0, BRANCHES, 8, 6, 6)
    with pytest.raises(ValueError, match="expected inputs"):
        engine.run(np.zeros((1, 1, 96, 96), np.float32))


def test_a_blank_face_has_an_answer(engine: TorchEngine) -> None:
    """Nothing varies in it, so nothing can be divided by its spread."""
    assert np.isfinite(engine.run(np.zeros((1, 3, 96, 96), np.float32)).logits).all()


def test_weights_that_overflow_are_one_clear_error(tmp_path: Path, faces: NDArray[np.float32]) -> None:
    folder = write_folder(tmp_path, branches=1)
    state = torch.load(folder / "Net-Branch_1.pt")
    state["fc.weight"] *= 1e38
    torch.save(state, folder / "Net-Branch_1.pt")
    with pytest.raises(ModelError, match="answers with NaN or infinity"):
        TorchEngine(folder, threads=1).run(faces[:1])


def test_threads_are_ours_for_the_call_only(folder: Path, faces: NDArray[np.float32]) -> None:
    engine = TorchEngine(folder, threads=2)
    seen = []
    engine._network.register_forward_pre_hook(lambda *_: seen.append(torch.get_num_threads()))
    engine.run(faces[:1])
    assert seen == [2]
    assert torch.get_num_threads() == 1


def test_many_threads_get_the_answers_of_one(engine: TorchEngine, faces: NDArray[np.float32]) -> None:
    expected = engine.run(faces[:2]).logits
    with ThreadPoolExecutor(3) as pool:
        for output in pool.map(engine.run, [faces[:2]] * 3):
            np.testing.assert_array_equal(output.logits, expected)


def test_the_recognizer_does_as_the_original_unless_told_otherwise(
    folder: Path, face_picture: NDArray[np.uint8]
) -> None:
    crop = face_picture[70:200, 175:275]
    answers = {}
    for batch_norm in (None, "instance", "running"):
        with Recognizer(folder, detector="none", batch_norm=batch_norm, threads=1) as recognizer:
            answers[batch_norm] = recognizer.predict([crop])[0]
    literal = Literal(folder, branches=BRANCHES)
    logits, affect = literal.answer(literal.features(literal.input(crop[..., ::-1])))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    for batch_norm in (None, "instance"):
        assert gap(answers[batch_norm].branch_probabilities, expected) < 1e-5
        assert gap(answers[batch_norm].branch_affect, affect) < 1e-4  # type: ignore[arg-type]
    assert np.abs(answers["running"].branch_probabilities - expected).max() > 0.01
    assert answers[None].affect_source == "network"
    assert answers[None].uncertainty == pytest.approx(1 - answers[None].confidence, abs=1e-6)


def test_input_is_made_as_the_original_makes_it(folder: Path, face_picture: NDArray[np.uint8]) -> None:
    literal = Literal(folder, branches=BRANCHES)
    spec = resolve_model(folder).card.input
    for crop in (face_picture, face_picture[70:200, 175:275], face_picture[:96, :96], face_picture[:5, :9]):
        expected = literal.input(np.ascontiguousarray(crop[..., ::-1])).numpy()
        np.testing.assert_array_equal(to_input([crop], spec), expected)


def test_a_face_in_a_picture_is_cut_out_as_the_detector_says(
    folder: Path, face_picture: NDArray[np.uint8]
) -> None:
    with Recognizer(folder, threads=1) as recognizer:
        (face,) = recognizer(face_picture)
        x0, y0, x1, y1 = face.box
        (alone,) = recognizer.predict([face_picture[y0:y1, x0:x1]])
        twin = pickle.loads(pickle.dumps(recognizer))
    assert face.expression.to_dict() == alone.to_dict()
    assert twin(face_picture)[0].to_dict() == face.to_dict()
    twice = Recognizer(folder, threads=1, mirror=True)
    crops = [face_picture[y0:y1, x0:x1], face_picture[y0:y1, x0:x1][:, ::-1]]
    both, one = twice.forward(crops[:1]).logits[0], twice.forward(crops[1:]).logits[0]
    assert np.abs(both - one).max() < 0.05, "resizing alone treats the two sides differently"


def test_a_folder_without_an_affect_layer(tmp_path: Path, faces: NDArray[np.float32]) -> None:
    folder = write_folder(tmp_path / "ferplus", branches=1, affect=False)
    engine = TorchEngine(folder, threads=1)
    assert not engine.has_affect
    assert engine.run(faces[:1]).affect is None
    with Recognizer(folder, detector="none", threads=1) as recognizer:
        (face,) = recognizer.predict([np.full((50, 50, 3), 90, np.uint8)])
    assert face.affect_source == "circumplex"


def test_files_exchanged_between_card_and_network_are_noticed(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    file = resolve_model(copy)
    shutil.copy(copy / "Net-Branch_1.pt", copy / "Net-Branch_2.pt")
    with pytest.raises(ModelError, match="do not match their card; a file is damaged or was exchanged"):
        create_engine(file, threads=1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_no_gpu_is_one_clear_line(folder: Path) -> None:
    with pytest.raises(DeviceError) as caught:
        Recognizer(folder, device="cuda")
    assert str(caught.value).startswith("device 'cuda' cannot be used: ")
    assert "leave the device out to use the CPU" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_a_gpu_answers_as_the_cpu(folder: Path, engine: TorchEngine, faces: NDArray[np.float32]) -> None:
    on_gpu = TorchEngine(folder, device="cuda").run(faces, class_maps=True)
    on_cpu = engine.run(faces, class_maps=True)
    assert gap(on_gpu.logits, on_cpu.logits) < 1e-3
    assert gap(on_gpu.affect, on_cpu.affect) < 1e-3
    assert gap(on_gpu.class_maps, on_cpu.class_maps) < 1e-2


def test_an_unknown_batch_norm_suggests_the_nearest(folder: Path) -> None:
    with pytest.raises(InputError, match="unknown batch_norm 'runing': did you mean 'running'"):
        Recognizer(folder, batch_norm="runing")


def test_without_torch_the_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        DependencyError, match=r"need torch: in a clone of esrface, pip install .*'\.\[torch\]'$"
    ):
        Recognizer(folder)
    # Which model it is can be said all the same.
    assert resolve_model(folder).card.branches == BRANCHES


def test_torch_is_loaded_for_these_weights_only(folder: Path) -> None:
    code = (
        "import sys, esrface\n"
        "from esrface.models.registry import resolve_model\n"
        "import esrface.recognizer, esrface.engine.torch\n"
        f"resolve_model({str(folder)!r})\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_line_takes_the_folder(
    folder: Path, face_picture: NDArray[np.uint8], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "face.png"
    PIL.Image.fromarray(face_picture).save(picture)
    arguments = ["image", str(picture), "--model", str(folder), "--threads", "1", "--json"]
    read = {}
    for batch_norm in ("instance", "running"):
        assert main([*arguments, "--batch-norm", batch_norm]) == 0
        read[batch_norm] = json.loads(capsys.readouterr().out)
        assert read[batch_norm]["model"] == "esr2-original"
        assert len(read[batch_norm]["faces"][0]["branches"]) == BRANCHES
    assert main(["models", str(folder)]) == 0
    explained = capsys.readouterr().out
    size = sum(path.stat().st_size for path in folder.iterdir())
    assert f"({size / 1e6:.1f} MB)" in explained
    assert "valence and arousal from a trained layer" in explained
    assert main(arguments) == 0
    assert json.loads(capsys.readouterr().out) == read["instance"] != read["running"]
