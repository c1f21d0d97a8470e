"""What the ``esrface data`` commands share: options, the bar, and the last lines that people read."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import option
from esrface.cli.streams import printable, say

if TYPE_CHECKING:
    from esrface.datasets.preparation import Prepared, Progress

DATA, RUN = "Data", "Run"

SHOWN = 10
"""Pictures that could not be prepared and are named on the terminal; all of them are in the table."""


def path_option(name: str, text: str, metavar: str = "DIR") -> Callable[[Any], Any]:
    """A required path."""
    return option(DATA, name, required=True, type=click.Path(path_type=Path), metavar=metavar, help=text)


def preparation_options(command: Any) -> Any:
    """Options about how the pictures are prepared."""
    decorators = (
        path_option("--out", "Folder to write."),
        option(RUN, "--resume", is_flag=True, help="Go on in a folder that a run was stopped in."),
        option(RUN, "--strict", is_flag=True, help="Stop at the first picture that cannot be prepared."),
        option(RUN, "--threads", type=click.IntRange(1), metavar="N", help="[default: all that are ours]"),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def run_preparation(prepare: Callable[[Progress], Prepared], layout: str, out: Path) -> int:
    """Prepare with a bar on a terminal; say what came of it and how to check it; returns the exit code."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from esrface.cli.console import make_console

    console = make_console()
    with Progress(
        TextColumn("preparing"),
        BarColumn(bar_width=None),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("preparing", total=None)
        done = prepare(lambda count, total: bar.update(task, completed=count, total=total))
    for which, why in done.skipped[:SHOWN]:
        say(printable(f"esrface: skipped {which}: {why}"))
    if len(done.skipped) > SHOWN:
        say(f"esrface: … and {len(done.skipped) - SHOWN:,} more")
    parts = [f"{done.written:,} prepared"]
    if done.kept:
        parts.append(f"{done.kept:,} there before")
    if done.skipped:
        parts.append(f"{len(done.skipped):,} skipped (see skipped.csv there)")
    check = printable(f"esrface data check {layout} --data {shlex.quote(str(out))}")
    console.print(
        f"{printable(done.folder)}: {', '.join(parts)}; count the classes with: {check}", soft_wrap=True
    )
    return 0
