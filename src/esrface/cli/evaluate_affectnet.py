"""``esrface evaluate affectnet``: emotions, valence and arousal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.evaluation import DATA, evaluation_options, judge


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
@option(
    DATA,
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with Validation/, Training_Labeled/ or Training_Unlabeled/, as 'esrface data affectnet' or "
    "the original program prepares them.",
)
@option(
    DATA,
    "--set",
    "which",
    type=Name(["validation", "training", "automatic"]),
    default="validation",
    metavar="validation|training|automatic",
    help="[default: validation]",
)
@evaluation_options
def command(data: Path, which: str, **options: Any) -> int:
    """Judge a model on AffectNet, eight and seven emotions, valence and arousal.

    Images of None, Uncertain and No-Face are left out. For seven emotions those of contempt are, too, and it
    is none of the answers. Valence and arousal: root mean square error and concordance (CCC).
    """
    from esrface.evaluation.affectnet import evaluate_affectnet

    return judge(
        options,
        lambda recognizer, progress: evaluate_affectnet(
            data, which, recognizer, vote=options["vote"], progress=progress
        ),
    )
