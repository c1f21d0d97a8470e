"""``esrface data ferplus``: make FER+ from its two tables."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import Command
from esrface.cli.preparation import path_option, preparation_options, run_preparation


@click.command(
    "ferplus",
    cls=Command,
    examples=[
        (
            "esrface data ferplus --pixels fer2013.csv --votes fer2013new.csv --out ferplus",
            "Microsoft's layout, as the train and evaluate commands read it.",
        ),
    ],
)
@path_option("--pixels", "fer2013.csv, with the pixels of the pictures.", "FILE")
@path_option("--votes", "fer2013new.csv, with ten votes for each of them.", "FILE")
@preparation_options
def command(pixels: Path, votes: Path, out: Path, resume: bool, strict: bool, threads: int | None) -> int:
    """Write the pictures of fer2013.csv and the votes of fer2013new.csv in the layout of FER+."""
    from esrface.datasets.fer2013 import prepare_ferplus

    return run_preparation(
        lambda progress: prepare_ferplus(
            pixels, votes, out, resume=resume, strict=strict, threads=threads, progress=progress
        ),
        "ferplus",
        out,
    )
