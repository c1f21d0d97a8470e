"""``esrface data ckplus``: cut the faces of CK+ out."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import Command
from esrface.cli.preparation import path_option, preparation_options, run_preparation


@click.command(
    "ckplus",
    cls=Command,
    examples=[
        ("esrface data ckplus --data CK+ --out prepared", "The frames that training uses, as faces."),
        ("esrface data ckplus --data CK+ --out prepared --resume", "Go on after an interruption."),
    ],
)
@path_option("--data", "Folder with cohn-kanade-images/ and Emotion/.")
@preparation_options
def command(data: Path, out: Path, resume: bool, strict: bool, threads: int | None) -> int:
    """Find the faces in the labelled sessions of CK+ (Viola-Jones) and write them, grey, 96x96.

    Of each session the first frame and the last four are used; the layout stays the same. A session without a
    face in one of them is skipped and listed in skipped.csv.
    """
    from esrface.datasets.ckplus import prepare_ckplus

    return run_preparation(
        lambda progress: prepare_ckplus(
            data, out, resume=resume, strict=strict, threads=threads, progress=progress
        ),
        "ckplus",
        out,
    )
