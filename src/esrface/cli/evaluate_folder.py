"""``esrface evaluate folder``: how well a model does on one's own labelled pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, choice, option
from esrface.cli.evaluation import evaluation_options, judge
from esrface.cli.options import DATA, data_option


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
@data_option(
    "Folder with valid/ and in it a folder for every emotion (sad, Sadness, angry, fearful, …); or a "
    "CSV file with the columns path, label, split. With train at hand, figures without duplicates too."
)
@choice(
    DATA,
    "--split",
    values=("train", "valid", "test"),
    default="valid",
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
    from esrface.datasets.folder import refuse_among_pictures
    from esrface.evaluation.folder import evaluate_folder

    if options["out"] is not None:
        refuse_among_pictures(options["out"], data)
    judged = partial(evaluate_folder, data, split, detect=detect, strict=strict, threads=options["threads"])
    return judge(options, judged, detector="auto" if detect else "none")
