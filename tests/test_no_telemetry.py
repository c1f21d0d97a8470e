"""Nothing leaves the machine and nothing is left in the home folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
LIBRARY = """
import sys
from esrface import Recognizer
with Recognizer(threads=1) as recognizer:
    assert recognizer(sys.argv[1])
import onnxruntime
"""
"""Whoever uses the runtime after us, in the same program, is not reported either."""


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "esrface", "image", str(EXAMPLES / "astronaut.jpg"), "--quiet", "--threads", "1"],
        ["-m", "esrface", "doctor"],
        ["-c", LIBRARY, str(EXAMPLES / "astronaut.jpg")],
    ],
    ids=["image", "doctor", "library"],
)
def test_the_home_folder_stays_as_it_is(words: list[str], tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True)
    assert list(tmp_path.rglob("*")) == []
