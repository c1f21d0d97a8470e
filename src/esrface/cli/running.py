"""What the runs behind ``esrface image``, ``video`` and ``webcam`` share: logging, and lines for people."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.text import Text

from esrface._numbers import counted
from esrface.cli.console import ConsoleHandler
from esrface.recognizer import Recognizer

Options = Mapping[str, Any]
"""The options of a command by their names."""

_log = logging.getLogger("esrface")

_DECISIVE = ("vote", "batch_norm", "abstain_below", "max_faces", "min_face", "min_score")
"""Options that change results, of those that all commands recognising faces have."""


@contextmanager
def logging_to(console: Console, *, quiet: bool, debug: bool) -> Iterator[None]:
    """Show what the library logs: only errors if ``quiet``, and everything to ``debug``."""
    handler = ConsoleHandler(console, logging.DEBUG if debug else logging.ERROR if quiet else logging.INFO)
    level = _log.level
    _log.addHandler(handler)
    _log.setLevel(handler.level)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        _log.setLevel(level)


def settings_of(options: Options, recognizer: Recognizer) -> dict[str, Any]:
    """Everything about recognition that decides about results, for ``RunSettings``."""
    return {
        "model": recognizer.card.name,
        "sha256": recognizer.card.sha256,
        "detector": recognizer.detector.name,
        "mirror": recognizer.mirror,
        "prior": recognizer.prior,
        **{name: options[name] for name in _DECISIVE},
    }


def output_mode(options: Options) -> str:
    """What ``--overwrite`` and ``--resume`` say, out of ``esrface.sinks.MODES``."""
    return "overwrite" if options["overwrite"] else "resume" if options["resume"] else "refuse"


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print text as it is, on one line however long it is."""
    console.print(Text(text, style=style), soft_wrap=True)


def print_failures(console: Console, failures: list[str], *, alone: bool) -> None:
    """List what failed; a single failure is the command's last word if ``alone``."""
    if alone and len(failures) == 1:
        print_line(console, f"esrface: {failures[0]}")
    elif failures:
        print_line(console, f"{counted(len(failures), 'failure')}:")
        for failure in failures:
            print_line(console, f"  {failure}")
