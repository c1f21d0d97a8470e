"""``esrface data``: prepare data sets for training, and look over what is there."""

from __future__ import annotations

import click

from esrface.cli import Entry
from esrface.cli.group import CommandGroup

TASKS = {
    "affectnet": Entry("esrface.cli.data_affectnet", "Cut the faces of AffectNet out, 96x96."),
    "ckplus": Entry("esrface.cli.data_ckplus", "Cut the faces of CK+ out, 96x96."),
    "ferplus": Entry("esrface.cli.data_ferplus", "Make FER+ from fer2013.csv and fer2013new.csv."),
    "check": Entry("esrface.cli.data_check", "Look over a data set and count its classes."),
}


@click.command(
    "data",
    cls=CommandGroup,
    entries=TASKS,
    what="task",
    examples=[
        ("esrface data check folder --data pictures", "Your own pictures, before a training."),
        (
            "esrface data affectnet --images AffectNet --annotations AffectNet --set training --out prepared",
            "The manually annotated training set of AffectNet.",
        ),
        ("esrface data ckplus --data CK+ --out prepared", "The labelled sessions of CK+."),
        (
            "esrface data ferplus --pixels fer2013.csv --votes fer2013new.csv --out ferplus",
            "FER+ as the train and evaluate commands read it.",
        ),
    ],
)
def command() -> None:
    """Prepare data sets for training, and look over what is there.

    No data come with esrface: they are to be had from their authors, under their terms. 'esrface data NAME
    --help' explains each task.
    """
