"""Documents that are made from the code say what the code says today."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_model_card_is_the_card_of_the_shipped_weights() -> None:
    done = subprocess.run([sys.executable, ROOT / "tools" / "make_model_card.py", "--check"], check=False)
    assert done.returncode == 0, "run: python tools/make_model_card.py"


def test_readme_shows_what_the_command_prints_today() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    block = re.search(r"```console\n\$ \S*esrface ([^\n]+)\n(.*?)```", readme, re.S)
    assert block is not None
    command, shown = block.groups()
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    line = [sys.executable, "-m", "esrface", *command.split()]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert without_seconds(shown) == without_seconds(done.stderr)


def without_seconds(text: str) -> list[str]:
    return [re.sub(r"\d+\.\d\d s", "T s", line.rstrip()) for line in text.strip().splitlines()]


def test_every_link_in_the_documents_leads_somewhere() -> None:
    for document in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        text = document.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)|src=\"([^\"]+)\"", text):
            link = target[0] or target[1]
            if not link.startswith(("http", "mailto")):
                assert (document.parent / link).exists(), f"{document.name} links to {link}"
