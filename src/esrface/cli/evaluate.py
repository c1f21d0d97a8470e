"""``esrface evaluate``: judge a model on labelled faces, by the protocol of published figures."""

from __future__ import annotations

import click

from esrface.cli import Entry
from esrface.cli.group import CommandGroup

DATA_SETS = {
    "ferplus": Entry("esrface.cli.evaluate_ferplus", "FER+, eight emotions, the published protocol."),
    "affectnet": Entry("esrface.cli.evaluate_affectnet", "AffectNet: emotions, valence and arousal."),
    "ckplus": Entry("esrface.cli.evaluate_ckplus", "CK+, all of it or a fold of the ten."),
    "folder": Entry("esrface.cli.evaluate_folder", "Your own pictures, sorted into folders by emotion."),
}


@click.command(
    "evaluate",
    cls=CommandGroup,
    entries=DATA_SETS,
    what="data set",
    examples=[
        ("esrface evaluate ferplus --data ferplus --split valid", "The shipped model on FER+ validation."),
        (
            "esrface evaluate folder --data pictures --split valid --model runs/mine",
            "A run of your own on your own pictures.",
        ),
        (
            "esrface evaluate affectnet --data prepared --model esr9-affectnet --out report",
            "Emotions, valence and arousal, as a page to look at.",
        ),
        (
            "esrface evaluate folder --data pictures --model esr9-fer --model runs/mine",
            "Is your run better than the shipped model, by more than chance?",
        ),
        ("esrface evaluate ferplus --data ferplus --split valid --json", "The figures for a program."),
    ],
)
def command() -> None:
    """Judge a model on labelled faces.

    Accuracy, mean recall, calibration error and what else the report shows are those of the inference that
    users get: the model's own input, mirror pass, temperature and vote. 'esrface evaluate NAME --help'
    explains each data set.
    """
