"""``esrface evaluate affectnet``: emotions, valence and arousal."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, choice
from esrface.cli.evaluation import evaluation_options, judge
from esrface.cli.options import DATA, data_option


@click.command(
    "affectnet",
    cls=Command,
    examples=[
        (
            "esrface evaluate affectnet --data prepared --model runs/affectnet-continuous",
            "A run of your own on the validation set.",
        ),
        (
            "esrface evaluate affectnet --data prepared --model esr9-affectnet --out report",
            "The original's weights, as a page to look at.",
        ),
    ],
)
@data_option(
    "Folder with Validation/, Training_Labeled/ or Training_Unlabeled/, as 'esrface data affectnet' or "
    "the original program prepares them. With Training_Labeled/ beside the judged set there are figures "
    "without duplicates too."
)
@choice(
    DATA,
    "--set",
    "which",
    values=("validation", "training", "automatic"),
    default="validation",
    help="[default: validation]",
)
@evaluation_options
def command(data: Path, which: str, **options: Any) -> int:
    """Judge a model on AffectNet, eight and seven emotions, valence and arousal.

    Images of None, Uncertain and No-Face are left out. For seven emotions those of contempt are, too, and it
    is none of the answers. Valence and arousal: root mean square error and concordance (CCC).
    """
    from esrface.evaluation.affectnet import evaluate_affectnet

    return judge(options, partial(evaluate_affectnet, data, which))
