"""A progress bar on standard error: only on a terminal that can move its cursor, and only for longer runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE_S = 1.0
"""Runs that end sooner get no bar."""


class ProgressBar:
    """Shows how many pictures are done, how many there are once that is known, and the time left.

    Args:
        console: Where to.
        count: Finds the total. It runs in a thread beside the work: a folder may hold very many pictures.
        wanted: False never shows anything.
    """

    def __init__(self, console: Console, count: Callable[[], int], *, wanted: bool = True) -> None:
        self._console = console
        self._count = count
        self._wanted = wanted and console.is_terminal and not console.is_dumb_terminal
        self._total: int | None = None
        self._started = time.monotonic()
        self._bar: Progress | None = None

    def close(self) -> None:
        """Take the bar away. Safe to repeat."""
        if self._bar is not None:
            self._bar.stop()
        self._wanted = False

    def update(self, done: int) -> None:
        """Tell how many are done."""
        if not self._wanted:
            return
        if self._bar is None:
            if time.monotonic() - self._started < PATIENCE_S:
                return
            self._bar = self._start()
        for task in self._bar.task_ids:
            self._bar.update(task, completed=done, total=self._total)

    def _start(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        threading.Thread(target=self._find_total, daemon=True).start()
        bar = Progress(
            TextColumn("pictures"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        bar.add_task("pictures", total=None)
        bar.start()
        return bar

    def _find_total(self) -> None:
        # Only the bar would miss it.
        with suppress(Exception):
            self._total = self._count()


def share_bar(console: Console) -> Progress:
    """A bar of the share done, with the time left, for a task whose description says what is being done; only
    on a terminal, and gone at the end."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal or console.is_dumb_terminal,
        transient=True,
    )
