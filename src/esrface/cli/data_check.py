"""``esrface data check``: look over a data set before a long run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.preparation import RUN, path_option
from esrface.cli.streams import print_json, printable, say

if TYPE_CHECKING:
    from esrface.datasets.check import Checked

LAYOUTS = ("ferplus", "affectnet", "ckplus", "folder")
"""As in ``esrface.datasets.check``, which help pages must not load."""


@click.command(
    "check",
    cls=Command,
    examples=[
        ("esrface data check folder --data pictures", "Your own pictures: every one is read."),
        ("esrface data check ferplus --data ferplus", "How many images has each class by the label rule?"),
        ("esrface data check ckplus --data prepared --json", "The ten folds, for a program."),
    ],
)
@click.argument("layout", type=Name(list(LAYOUTS)), metavar="|".join(LAYOUTS))
@path_option("--data", "The data set, as 'esrface train' would take it.")
@option(RUN, "--threads", type=click.IntRange(1), metavar="N", help="[default: all that are ours]")
@option(RUN, "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(layout: str, data: Path, threads: int | None, as_json: bool) -> int:
    """Look over a data set: is it all there, is it readable, and how many pictures has each class?"""
    from esrface.datasets.check import check_data

    checked = check_data(data, layout, threads=threads)
    for line in checked.warnings:
        say(printable(f"esrface: warning: {line}"))
    if as_json:
        print_json(checked.to_dict())
    else:
        _show(checked)
    return 0


def _show(checked: Checked) -> None:
    from rich.table import Table

    from esrface.cli.console import make_console

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for split in checked.splits:
        table.add_column(split.name, justify="right")
    for name in checked.splits[0].classes:
        table.add_row(name, *(f"{split.classes[name]:,}" for split in checked.splits))
    table.add_row("usable", *(f"{split.images:,}" for split in checked.splits), style="bold")
    if any(split.left_out for split in checked.splits):
        table.add_row("left out", *(f"{split.left_out:,}" for split in checked.splits))
    make_console().print(table)
