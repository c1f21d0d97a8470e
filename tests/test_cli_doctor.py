"""``esrface doctor`` finds what is there and what is wrong."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version
from pathlib import Path

import pytest

from esrface import __version__
from esrface.cli import main
from esrface.cli.doctor import clashes, installed
from esrface.detection.registry import DETECTORS


def test_a_sound_installation_has_no_problems(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert found["esrface"]["version"] == __version__
    assert found["python"]["version"] == platform.python_version()
    assert found["packages"]["onnxruntime"] == version("onnxruntime")
    for package in ("av", "pyarrow", "pysdl2"):
        assert found["packages"][package] == version(package)
    assert [detector["name"] for detector in found["detectors"]] == list(DETECTORS)
    assert "CPUExecutionProvider" in found["providers"]
    assert found["model"]["name"] == "esr9-fer"
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for word in ("python", "detector", "providers", "display", "cameras", "no problems found"):
        assert word in text


def test_a_clash_of_opencv_packages_is_named_with_its_cure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second package that owns cv2, as pip would leave its metadata behind."""
    info = tmp_path / "opencv_python-4.10.0.84.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: opencv-python\nVersion: 4.10.0.84\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        assert installed()["opencv-python"] == "4.10.0.84"
        assert main(["doctor"]) == 2
    shown = " ".join(capsys.readouterr().out.split())
    assert "problem: opencv-python and opencv-python-headless all install the module cv2" in shown
    assert "pip install 'opencv-python-headless<5'" in shown


def test_packages_that_do_not_clash_are_left_alone() -> None:
    assert clashes({"opencv-python-headless": "4.14", "onnxruntime": "1.32"}) == []
    assert len(clashes({"onnxruntime": "1.32", "onnxruntime-gpu": "1.32"})) == 1


def test_a_damaged_model_is_a_problem(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tiny_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "esr9-fer.onnx").write_bytes((tiny_model / "model.onnx").read_bytes()[:-1])
    (tmp_path / "esr9-fer.json").write_bytes((tiny_model / "card.json").read_bytes())
    monkeypatch.setattr("esrface.models.registry.WEIGHTS", tmp_path)
    assert main(["doctor", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["model"] is None
    [problem] = found["problems"]
    assert "does not match its card" in problem
