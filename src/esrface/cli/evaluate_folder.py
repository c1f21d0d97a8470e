"""``esrface evaluate folder``: how well a model does on one's own labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.evaluation import DATA, evaluation_options, judge


@click.command(
    "folder",
    cls=Command,
    examples=[
        (
            "esrface evaluate folder --data pictures --split valid --model runs/mine",
            "A run of your own on pictures/valid/happy/…, pictures/valid/sad/… and so on.",
        ),
        ("esrface evaluate folder --data pictures --split valid", "The shipped model on the same pictures."),
        (
            "esrface evaluate folder --data faces.csv --split test --detect --json",
            "The largest face of each picture in a table of path, label and split; figures for a program.",
        ),
    ],
)
@option(
    DATA,
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with valid/ and in it a folder for every emotion (sad, Sadness, angry, fearful, …); or a "
    "CSV file with the columns path, label, split. With train at hand, figures without duplicates too.",
)
@option(
    DATA,
    "--split",
    type=Name(["train", "valid", "test"]),
    default="valid",
    metavar="train|valid|test",
    help="[default: valid]",
)
@option(
    DATA,
    "--detect",
    is_flag=True,
    help="Look at the largest detected face; without, whole pictures are taken for faces. Use it if the "
    "model was trained with it.",
)
@option(DATA, "--strict", is_flag=True, help="Stop at the first picture that cannot be used.")
@evaluation_options
def command(data: Path, split: str, detect: bool, strict: bool, **options: Any) -> int:
    """Judge a model on your own labelled pictures.

    Pictures may have any size; those that cannot be read, or show no face where --detect looks for one, are
    skipped and counted. The JSON has the same keys as that of 'esrface evaluate ferplus'.
    """
    from esrface.evaluation.folder import evaluate_folder

    return judge(
        options,
        lambda recognizer, progress: evaluate_folder(
            data,
            split,
            recognizer,
            vote=options["vote"],
            detect=detect,
            strict=strict,
            threads=options["threads"],
            progress=progress,
        ),
        detector="auto" if detect else "none",
    )
