"""The API reference builds without a warning and holds every public name with a word about it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import esrface

pytest.importorskip("pdoc")
TOOL = Path(__file__).parent.parent / "tools" / "make_api.py"


def test_the_reference_builds_without_warnings(tmp_path: Path) -> None:
    line = [sys.executable, TOOL, tmp_path / "api"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    page = (tmp_path / "api" / "esrface.html").read_text("utf-8")
    for name in esrface.__all__:
        if name != "__version__":
            assert f'id="{name}"' in page, f"{name} is missing from the reference"
    assert (tmp_path / "api" / "index.html").exists()
