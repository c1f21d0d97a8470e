"""``esrface data affectnet``: cut the faces of AffectNet out."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.preparation import DATA, path_option, preparation_options, run_preparation


@click.command(
    "affectnet",
    cls=Command,
    examples=[
        (
            "esrface data affectnet --images AffectNet --annotations AffectNet --set training --out prepared",
            "prepared/Training_Labeled from the manually annotated training set.",
        ),
        (
            "esrface data affectnet --images AffectNet --annotations lists --set automatic --out prepared "
            "--resume",
            "Go on with the automatically annotated set.",
        ),
    ],
)
@path_option("--images", "Folder that holds Manually_Annotated_Images or Automatically_Annotated_Images.")
@path_option("--annotations", "Folder with the set's table, or the table.", "DIR|FILE")
@option(
    DATA,
    "--set",
    "which",
    required=True,
    type=Name(["automatic", "training", "validation"]),
    metavar="automatic|training|validation",
    help="Which set: makes Training_Unlabeled, Training_Labeled or Validation.",
)
@preparation_options
def command(
    images: Path,
    annotations: Path,
    which: str,
    out: Path,
    resume: bool,
    strict: bool,
    threads: int | None,
) -> int:
    """Cut the faces of AffectNet out, resize them to 96x96, and name them by their labels.

    500 rows of the table make a folder. Pictures that cannot be read and rows without a face or with labels
    out of range are skipped and listed in skipped.csv.
    """
    from esrface.datasets.affectnet import prepare_affectnet

    return run_preparation(
        lambda progress: prepare_affectnet(
            images,
            annotations,
            out,
            which,
            resume=resume,
            strict=strict,
            threads=threads,
            progress=progress,
        ),
        "affectnet",
        out,
    )
