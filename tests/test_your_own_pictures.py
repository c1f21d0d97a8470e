"""The tutorial's commands, run as they stand on drawn faces; only the training is told to be short."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from drawn_sets import write_folder
from esrface.cli import main

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

PAGE = Path(__file__).parent.parent / "docs" / "your-own-pictures.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line]
    assert lines[0].startswith("pip install ")
    return [shlex.split(line)[1:] for line in lines[1:]]


def test_the_tutorial_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("happy", "Sadness", "surprised")
    write_folder(
        tmp_path / "pictures",
        {"train": dict.fromkeys(names, 12), "valid": {"happy": 3, "sad": 3, "surprise": 3}},
    )
    done = []
    for words in commands():
        if words[0] == "train":
            words = [*words, "--epochs", "1", "--threads", "1"]
        assert main(words) == 0, capsys.readouterr().err
        done.append(words[0])
        capsys.readouterr()
    assert done == ["data", "evaluate", "train", "evaluate", "evaluate", "image", "models"]
    table = PAGE.read_text(encoding="utf-8")
    for path in (tmp_path / "runs" / "mine").iterdir():
        assert f"`{path.name}`" in table
