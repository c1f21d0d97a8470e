"""``esrface evaluate ckplus``: all labelled frames, or a fold of the ten."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, choice, option
from esrface.cli.evaluation import evaluation_options, judge
from esrface.cli.options import DATA, data_option


@click.command(
    "ckplus",
    cls=Command,
    examples=[
        (
            "esrface evaluate ckplus --data prepared",
            "The shipped model, which has seen none of it, on all of it.",
        ),
        (
            "esrface evaluate ckplus --data prepared --trial 0 --split test --model runs/trial-0",
            "A run that was trained in trial 0, on the people whom it has not seen.",
        ),
    ],
)
@data_option("Folder with cohn-kanade-images/ and Emotion/, as 'esrface data ckplus' prepares it.")
@option(
    DATA,
    "--trial",
    type=click.IntRange(0, 9),
    metavar="N",
    help="Only frames of a fold of that trial, 0 to 9, of the ten-fold protocol.",
)
@choice(
    DATA,
    "--split",
    values=("test", "valid"),
    help="Which fold of the trial.  [default: test]",
)
@choice(
    DATA,
    "--neutral",
    values=("first", "fourth_last"),
    default="first",
    help="Which frame of a session is neutral: as published, or as the original program takes it.  "
    "[default: first]",
)
@evaluation_options
def command(data: Path, trial: int | None, split: str | None, neutral: str, **options: Any) -> int:
    """Judge a model on CK+, eight emotions.

    The last three frames of a labelled session show its emotion. Intervals come from resampling people, since
    frames of one person are alike.
    """
    from esrface.evaluation.ckplus import evaluate_ckplus

    if trial is None and split is not None:
        raise click.UsageError("--split names a fold of a trial: give --trial too")
    part = "all" if trial is None else split or "test"
    return judge(options, partial(evaluate_ckplus, data, split=part, trial=trial, neutral=neutral))
