"""The models folder: importing, naming, verifying and removing models, and where all that happens."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import esrface
from conftest import ModelFactory
from esrface import ModelError, OutputError, Recognizer
from esrface.cli import main
from esrface.models import importing
from esrface.models import manifest as manifests
from esrface.models.importing import import_model
from esrface.models.installed import models_folder
from esrface.models.manifest import git_blob_id
from esrface.models.registry import resolve_model
from original_layout import write_folder

CROP = np.full((50, 50, 3), 90, np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The models folder of each test."""
    monkeypatch.setenv("ESRFACE_MODELS", str(tmp_path / "models é"))
    return tmp_path / "models é"


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("originals"), branches=1)


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err.rstrip("\n")


def test_a_run_is_imported_under_a_name_and_answers_alike(
    make_model: ModelFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_model("run")
    before = Recognizer(run, detector="none").predict([CROP])
    assert main(["models", "import", str(run), "--name", "mine"]) == 0
    assert "use it with --model mine" in capsys.readouterr().err
    shutil.rmtree(run)
    with Recognizer("mine", detector="none") as recognizer:
        assert recognizer.card.name == "mine"
        assert recognizer.predict([CROP])[0].to_dict() == before[0].to_dict()
    assert [file.card.name for file in esrface.list_models()] == ["esr9-fer", "mine"]
    assert main(["models"]) == 0
    assert "mine" in capsys.readouterr().out
    assert main(["models", "path", "mine"]) == 0
    assert capsys.readouterr().out == f"{folder / 'mine' / 'model.onnx'}\n"
    assert main(["models", "info", "mine", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == "mine"
    assert main(["models", "remove", "mine"]) == 0
    assert list(folder.iterdir()) == []
    with pytest.raises(ModelError, match="unknown model 'mine'"):
        Recognizer("mine")


def test_the_cards_name_is_the_default_and_taken_names_are_refused(
    make_model: ModelFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make_model("a"), make_model("b", temperature=3.0)
    assert import_model(first).path.parent.name == "tiny"
    line = error_of(["models", "import", str(second)], capsys)
    assert line == "esrface: there is a model 'tiny' already: give another --name, or --overwrite"
    assert resolve_model("tiny").card.temperature == 1.0
    assert main(["models", "import", str(second), "--overwrite"]) == 0
    assert resolve_model("tiny").card.temperature == 3.0


@pytest.mark.parametrize("name", ["../out", ".hidden", "a/b", "", "with space", "x" * 65, "-x"])
def test_names_that_could_lead_elsewhere_are_refused(
    name: str, make_model: ModelFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if name:
        line = error_of(["models", "import", str(make_model()), f"--name={name}"], capsys)
        assert "cannot be a model's name" in line
    line = error_of(["models", "remove", "--", name], capsys)
    assert "unknown model in the models folder" in line
    assert not folder.exists()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["import", "nothing"], "esrface: nothing does not exist: give a folder with a model, or an .onnx file"),  # noqa: E501
        (["import", "RUN", "--name", "esr9-fer"], "esrface: 'esr9-fer' is a model that came with esrface: give"),  # noqa: E501
        (["import", "RUN", "--name", "esr9-affectnet"], "esrface: 'esr9-affectnet' is what other weights are published as"),  # noqa: E501
        (["remove", "esr9-fer"], "esrface: esr9-fer came with esrface and cannot be removed"),
        (["remove", "tyni"], "esrface: unknown model in the models folder 'tyni': did you mean 'tiny'? choose"),  # noqa: E501
        (["download", "esr9-afectnet"], "esrface: unknown model to download 'esr9-afectnet': did you mean 'esr9-a"),  # noqa: E501
    ],
)  # fmt: skip
def test_mistakes_are_one_line(
    arguments: list[str], line: str, make_model: ModelFactory, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_model()
    import_model(run)
    arguments = [str(run) if word == "RUN" else word for word in arguments]
    assert error_of(["models", *arguments], capsys).startswith(line)


def test_damaged_weights_are_not_imported(
    make_model: ModelFactory, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_model()
    (run / "model.onnx").write_bytes(b"no network")
    assert "does not match its card" in error_of(["models", "import", str(run)], capsys)
    assert not folder.exists()


def test_an_import_that_fails_leaves_nothing(
    make_model: ModelFactory,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    written = importing.write_whole

    def full(path: Path, data: bytes | str) -> None:
        if path.name == "card.json":
            raise OutputError(f"cannot write {path}: No space left on device")
        written(path, data)

    run = make_model("run")
    with monkeypatch.context() as patched:
        patched.setattr(importing, "write_whole", full)
        assert "No space left" in error_of(["models", "import", str(run), "--name", "big"], capsys)
    assert list(folder.iterdir()) == []
    assert "''" in error_of(["models", "import", str(run), "--name", ""], capsys)


def test_originals_are_imported_with_a_card(originals: Path, folder: Path) -> None:
    direct = Recognizer(originals, detector="none", threads=1).predict([CROP])[0]
    import_model(originals, name="theirs")
    assert (folder / "theirs" / "card.json").exists()
    with Recognizer("theirs", detector="none", threads=1) as recognizer:
        assert recognizer.card.name == "theirs"
        assert recognizer.predict([CROP])[0].to_dict() == direct.to_dict()


def test_hostile_originals_are_refused(
    originals: Path, tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(originals, tmp_path / "copy")
    (copy / "Net-Branch_1.pt").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    line = error_of(["models", "import", str(copy)], capsys)
    assert "Net-Branch_1.pt is none of the original's weights" in line
    assert not folder.exists()


def test_published_files_are_recognised(
    originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files as those of a manifest get its name and terms."""
    data = json.loads((manifests.MANIFESTS / "esr9-affectnet.json").read_text("utf-8"))
    data["files"] = [
        {"name": path.name, "bytes": None, "git_blob": git_blob_id(path)} for path in originals.iterdir()
    ]
    (tmp_path / "esr9-affectnet.json").write_text(json.dumps(data), "utf-8")
    monkeypatch.setattr(manifests, "MANIFESTS", tmp_path)
    card = import_model(originals).card
    assert (card.name, card.licence) == ("esr9-affectnet", data["licence"])
    assert resolve_model("esr9-affectnet").card.training_data[0].name.startswith("AffectNet")


def test_verify_names_what_is_damaged(
    make_model: ModelFactory, originals: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import_model(make_model(), name="mine")
    import_model(originals, name="theirs")
    assert main(["models", "verify"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in shown] == ["esr9-fer", "mine", "theirs"]
    for path in (folder / "mine" / "model.onnx", folder / "theirs" / "Net-Branch_1.pt"):
        content = bytearray(path.read_bytes())
        content[-100] ^= 1
        path.write_bytes(content)
    assert main(["models", "verify"]) == 2
    shown = capsys.readouterr()
    assert shown.out.startswith("esr9-fer: intact, sha256 ")
    assert shown.out.count("\n") == 1
    mine, theirs = shown.err.splitlines()
    assert "does not match its card" in mine
    assert f"{folder / 'theirs'} does not match its card: damaged or exchanged" in theirs
    with pytest.raises(ModelError, match="do not match their card"):
        Recognizer("theirs", detector="none")


def test_an_unusable_model_does_not_spoil_the_list(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "broken").mkdir(parents=True)
    (folder / "broken" / "model.onnx").write_bytes(b"")
    assert main(["models"]) == 0
    shown = capsys.readouterr()
    assert "esr9-fer (default)" in shown.out
    assert "esrface: warning: " in shown.err
    assert "('esrface models remove broken' deletes it)" in shown.err
    assert main(["models", "remove", "broken"]) == 0
    assert not (folder / "broken").exists()


def test_shipped_names_win_over_the_models_folder(folder: Path, make_model: ModelFactory) -> None:
    shutil.copytree(make_model(), folder / "esr9-fer")
    assert resolve_model("esr9-fer").path.parent != folder / "esr9-fer"
    assert [file.card.name for file in esrface.list_models()] == ["esr9-fer"]


def test_a_model_to_be_had_is_explained_with_its_terms(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "esr9-affectnet"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "esr9-affectnet (not downloaded)" in shown
    assert "non-commercial use only" in shown
    assert main(["models", "info", "esr9-affectnet", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 10
    assert not folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="the rules of Linux")
def test_where_the_models_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ESRFACE_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert models_folder() == tmp_path / "esrface" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert models_folder() == tmp_path / "home" / ".cache" / "esrface" / "models"
    monkeypatch.setenv("HOME", "nowhere")
    with pytest.raises(ModelError, match="no home folder to keep models in: set ESRFACE_MODELS"):
        models_folder()
    # What needs no models folder does not care.
    assert [file.card.name for file in esrface.list_models()] == ["esr9-fer"]
    assert main(["models"]) == 0


@pytest.mark.parametrize(
    ("arguments", "task"),
    [
        ([], "list"),
        (["--json"], "list"),
        (["--json", "esr9-fer"], "info"),
        (["--json", "info", "esr9-fer"], "info"),
        (["esr9-fer", "--json"], "info"),
    ],
)
def test_the_task_may_be_left_out(
    arguments: list[str], task: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", *arguments]) == 0
    shown = capsys.readouterr().out
    if "--json" in arguments:
        assert isinstance(json.loads(shown), list if task == "list" else dict)
