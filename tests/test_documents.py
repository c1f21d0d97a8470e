"""Documents that are made from the code say what the code says today."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_model_card_is_the_card_of_the_shipped_weights() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "make_model_card.py", "--check"], check=False)
    assert done.returncode == 0, "run: python tools/make_model_card.py"
