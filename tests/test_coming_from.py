"""What docs/coming-from.md promises to those who come from elsewhere exists, and runs."""

from __future__ import annotations

import importlib
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from esrface.cli import COMMANDS, app

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "coming-from.md").read_text("utf-8")
COLUMNS = [row.split(" | ", 1)[1] for row in re.findall(r"^\| (?!---)(.+) \|$", PAGE, re.MULTILINE)]
"""The column 'here' of every table."""


def code_of_ours() -> list[str]:
    return [code for column in COLUMNS for code in re.findall(r"`([^`]+)`", column)]


@pytest.mark.parametrize("line", sorted({code for code in code_of_ours() if code.startswith("esrface ")}))
def test_the_commands_parse(line: str) -> None:
    if "MODE" in line:
        return
    words = shlex.split(line)[1:]
    command: click.Command = app.build_group(COMMANDS)
    context = click.Context(command)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]} in {line}"
        command, words = found, words[1:]
    # A mention of the command alone leaves out what it needs.
    command.make_context(command.name or "", words, resilient_parsing=not words).close()


@pytest.mark.parametrize(
    "name", sorted({code for code in code_of_ours() if re.fullmatch(r"esrface\.[\w.]+", code)})
)
def test_the_modules_and_their_names_exist(name: str) -> None:
    parts = name.split(".")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        assert hasattr(importlib.import_module(".".join(parts[:-1])), parts[-1])


def test_the_examples_run() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert re.search("Happy|Neutral", done.stdout)
