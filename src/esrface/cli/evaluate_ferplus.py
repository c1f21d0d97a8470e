"""``esrface evaluate ferplus``: the published figure of a model, again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.evaluation import DATA, check_place, evaluation_options, judge, make_recognizer


@click.command(
    "ferplus",
    cls=Command,
    examples=[
        ("esrface evaluate ferplus --data ferplus --split valid", "The shipped model on FER+ validation."),
        (
            "esrface evaluate ferplus --data ferplus --split test --model runs/mine --out report",
            "A run of your own on the test split: a page, a row an image, the confusions as a picture.",
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
def command(
    data: Path,
    split: str,
    label_rule: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    **recognition: Any,
) -> int:
    """Judge a model on FER+, eight emotions.

    Accuracy, mean recall, calibration error and what else the report shows are those of the inference that
    users get: the model's own input, mirror pass, temperature and vote.
    """
    from esrface.evaluation.ferplus import evaluate_ferplus

    check_place(out, overwrite)
    recognizer = make_recognizer(recognition)
    return judge(
        recognizer,
        lambda progress: evaluate_ferplus(
            data, split, recognizer, vote=recognition["vote"], label_rule=label_rule, progress=progress
        ),
        out=out,
        overwrite=overwrite,
        as_json=as_json,
    )
