"""``esrface models list``: all models that can be named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from esrface.cli.command import Command
from esrface.cli.models_info import input_of, is_default, score_of, summary
from esrface.cli.streams import print_json, printable, say

if TYPE_CHECKING:
    from esrface.models.registry import ModelFile

NARROW = 80
"""Columns below which the list shows no details."""


@click.command(
    "list",
    cls=Command,
    examples=[
        ("esrface models list", "A table of what is here and what could be."),
        ("esrface models list --json", "The cards of those that are here."),
    ],
)
@click.option("--json", "as_json", is_flag=True, help="Print the cards as one JSON value.")
def command(as_json: bool) -> int:
    """List all models: shipped, downloaded, imported, and those that can be downloaded."""
    from esrface.models.registry import list_models

    files = list_models()
    if as_json:
        print_json([summary(file) for file in files], indent=2)
    else:
        _list(files)
    _warn_of_unusable()
    return 0


def _warn_of_unusable() -> None:
    from esrface.errors import ModelError
    from esrface.models.installed import installed_names
    from esrface.models.registry import resolve_model

    for name in installed_names():
        try:
            resolve_model(name)
        except ModelError as error:
            say(printable(f"esrface: warning: {error} ('esrface models remove {name}' deletes it)"))


def _list(files: list[ModelFile]) -> None:
    from rich.table import Table
    from rich.text import Text

    from esrface.cli.console import make_console
    from esrface.models.manifest import load_manifest, published_names

    console = make_console(to_stdout=True)
    if not files:
        console.print("no models came with this esrface: give --model an .onnx file or a run's folder")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    headings = ("Model", "Version", "Input", "Branches", "Size", "Score")
    narrow = console.width < NARROW
    for heading in headings:
        if not narrow or heading in ("Model", "Score"):
            table.add_column(heading, no_wrap=heading != "Score" and not narrow)
    for file in files:
        card = file.card
        details = [card.version, input_of(card), str(card.branches), f"{file.size_bytes / 1e6:.1f} MB"]
        table.add_row(
            Text(card.name + (" (default)" if is_default(file) else ""), style="bold"),
            *([] if narrow else details),
            score_of(card.scores[0], with_protocol=False) if card.scores else "not measured",
        )
    here = {file.card.name for file in files}
    for name in published_names():
        if name not in here:
            details = ["", "", "", f"{load_manifest(name).about_bytes / 1e6:.0f} MB"]
            table.add_row(Text(name), *([] if narrow else details), "can be downloaded", style="dim")
    console.print(table)
    console.print("'esrface models NAME' explains one.", style="dim")
