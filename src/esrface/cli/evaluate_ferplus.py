"""``esrface evaluate ferplus``: the published figure of a model, again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, choice
from esrface.cli.evaluation import evaluation_options, judge
from esrface.cli.options import DATA, data_option


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
@data_option(
    "Folder with FER2013Valid.zip, FER2013Valid/ or Images/ and Labels/. The asked split is enough; "
    "with the training split beside it there are figures without duplicates too."
)
@choice(
    DATA,
    "--split",
    values=("valid", "test"),
    default="valid",
    help="Validation (PublicTest) or test (PrivateTest).  [default: valid]",
)
@choice(
    DATA,
    "--label-rule",
    values=("majority", "distribution"),
    default="majority",
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

    return judge(options, partial(evaluate_ferplus, data, split, label_rule=label_rule))
