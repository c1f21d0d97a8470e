"""``esrface evaluate ferplus``: the published figure of a model, again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.evaluation import DATA, evaluation_options, judge


@click.command(
    "ferplus",
    cls=Command,
    examples=[
        ("esrface evaluate ferplus --data ferplus --split valid", "The shipped model on FER+ validation."),
        (
            "esrface evaluate ferplus --data ferplus --split test --model runs/mine --out report",
            "A run of your own on the test split: a page to look at, a row an image.",
        ),
        (
            "esrface evaluate ferplus --data ferplus --model runs/a --model runs/b --corruptions --out new",
            "Two runs side by side, on worse pictures too.",
        ),
        ("esrface evaluate ferplus --data ferplus --split valid --json", "The figures for a program."),
    ],
)
@option(
    DATA,
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with FER2013Valid.zip, FER2013Valid/ or Images/ and Labels/. The asked split is enough; "
    "with the training split beside it there are figures without duplicates too.",
)
@option(
    DATA,
    "--split",
    type=Name(["valid", "test"]),
    default="valid",
    metavar="valid|test",
    help="Validation (PublicTest) or test (PrivateTest).  [default: valid]",
)
@option(
    DATA,
    "--label-rule",
    type=Name(["majority", "distribution"]),
    default="majority",
    metavar="majority|distribution",
    help="The published rule (images without a majority are left out), or the most voted emotion.  "
    "[default: majority]",
)
@evaluation_options
def command(data: Path, split: str, label_rule: str, **options: Any) -> int:
    """Judge a model on FER+, eight emotions.

    Accuracy, mean recall, calibration error and what else the report shows are those of the inference that
    users get: the model's own input, mirror pass, temperature and vote.
    """
    from esrface.evaluation.ferplus import evaluate_ferplus

    return judge(
        options,
        lambda recognizer, progress: evaluate_ferplus(
            data, split, recognizer, vote=options["vote"], label_rule=label_rule, progress=progress
        ),
    )
