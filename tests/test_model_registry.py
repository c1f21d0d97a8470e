"""Finding models, and refusing weights that are not those of the card."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import ModelFactory
from esrface.errors import ModelError
from esrface.models import registry
from esrface.models.registry import DEFAULT_MODEL, list_models, resolve_model


@pytest.fixture
def shipped(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models: the default one and two others."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for name in ("aardvark", DEFAULT_MODEL, "zebra"):
        shutil.copy(tiny_model / "model.onnx", folder / f"{name}.onnx")
        shutil.copy(tiny_model / "card.json", folder / f"{name}.json")
    monkeypatch.setattr(registry, "WEIGHTS", folder)
    return folder


def test_shipped_names(shipped: Path) -> None:
    assert resolve_model().path == shipped / f"{DEFAULT_MODEL}.onnx"
    assert resolve_model("zebra").path == shipped / "zebra.onnx"
    assert [file.path.stem for file in list_models()] == [DEFAULT_MODEL, "aardvark", "zebra"]


def test_an_installation_without_the_default_model(shipped: Path) -> None:
    (shipped / f"{DEFAULT_MODEL}.onnx").unlink()
    with pytest.raises(ModelError, match="'esr9-fer' is missing from this installation: reinstall esrface"):
        resolve_model()


def test_a_shipped_name_means_the_model_even_beside_a_file_of_that_name(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zebra").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve_model("zebra").path == shipped / "zebra.onnx"


def test_a_path_is_never_a_name(
    shipped: Path, make_model: ModelFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ESRFACE_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    for name in ("zebra", "mine"):
        with pytest.raises(ModelError, match=r"give an \.onnx file"):
            resolve_model(Path(name))
        run = make_model(f"own {name}")
        for place in (tmp_path / name, tmp_path / "models" / name):
            shutil.copytree(run, place)
        assert resolve_model(Path(name)).path == Path(name, "model.onnx")
        assert resolve_model(name).path != Path(name, "model.onnx")


@pytest.mark.parametrize("model", [5, "", ["esr9-fer"]])
def test_what_is_no_name_and_no_path(model: Any) -> None:
    with pytest.raises(ModelError, match="expected the name of a model, a file or a folder, got"):
        resolve_model(model)


def test_paths(make_model: ModelFactory, tmp_path: Path) -> None:
    run = make_model("run é %1")
    assert resolve_model(run).path == run / "model.onnx"
    assert resolve_model(str(run)).card.name == "tiny"
    assert resolve_model(run / "model.onnx").path == run / "model.onnx"
    alone = tmp_path / "mine.ONNX"
    shutil.copy(run / "model.onnx", alone)
    shutil.copy(run / "card.json", tmp_path / "mine.json")
    assert resolve_model(alone).read() == (run / "model.onnx").read_bytes()


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("zebre", "unknown model 'zebre': did you mean 'zebra'? choose from esr9-fer, aardvark, zebra"),
        ("ESR9-FER", "unknown model 'ESR9-FER': did you mean 'esr9-fer'?"),
        ("nothing/like/it", "unknown model 'nothing/like/it': choose from"),
        ("gone.onnx", "the model gone.onnx does not exist"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_unknown_models(shipped: Path, given: str, line: str) -> None:
    with pytest.raises(ModelError) as caught:
        resolve_model(given)
    assert line in str(caught.value)


def test_what_is_there_but_no_model(tmp_path: Path, tiny_model: Path) -> None:
    other = tmp_path / "picture.jpg"
    other.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"picture\.jpg is no model: give a shipped name"):
        resolve_model(other)
    with pytest.raises(ModelError, match=r"holds no model\.onnx: give the folder of a finished training run"):
        resolve_model(tmp_path)
    shutil.copy(tiny_model / "model.onnx", tmp_path / "lonely.onnx")
    with pytest.raises(
        ModelError, match=r"lonely\.json does not exist; a model is an \.onnx file with its card"
    ):
        resolve_model(tmp_path / "lonely.onnx")


def test_weights_are_verified_at_every_load(make_model: ModelFactory) -> None:
    folder = make_model()
    file = resolve_model(folder)
    content = bytearray(file.read())
    content[len(content) // 2] ^= 1
    file.path.write_bytes(content)
    expected = f"{file.path} does not match its card; the file is damaged or was exchanged: copy or export"
    with pytest.raises(ModelError, match=re.escape(expected)):
        file.read()
    file.path.unlink()
    with pytest.raises(ModelError, match="does not exist"):
        file.read()


def test_a_damaged_shipped_model_says_reinstall(shipped: Path) -> None:
    (shipped / "zebra.onnx").write_bytes(b"")
    with pytest.raises(ModelError, match=r"was exchanged: reinstall esrface$"):
        resolve_model("zebra").read()


def test_the_package_ships_its_default_model() -> None:
    models = list_models()
    assert models, "no model ships in src/esrface/models/weights"
    assert models[0].path.stem == DEFAULT_MODEL
    for file in models:
        assert file.card.name == file.path.stem
        assert len(file.read()) < 10_000_000
