"""``esrface train affectnet-discrete``: the paper's ESR-9 from nothing, on AffectNet's eight emotions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command
from esrface.cli.protocol import configure, esr9_options, protocol_options, train_protocol
from esrface.cli.training import prepare_torch


@click.command(
    "affectnet-discrete",
    cls=Command,
    examples=[
        (
            "esrface train affectnet-discrete --data affectnet --device cuda --out runs/discrete",
            "Nine branches, one after another, as published.",
        ),
        (
            "esrface train affectnet-discrete --data affectnet --device cuda --out runs/discrete --resume",
            "Go on after an interruption.",
        ),
        (
            "esrface train affectnet-discrete --data affectnet --branches 3 --epochs 5 --out runs/short",
            "A shorter one.",
        ),
    ],
)
@protocol_options("Folder with Training_Labeled/ and Validation/, as esrface data affectnet writes it.")
@esr9_options("Where base and branches begin: the original's weights or a run.  [default: none]")
def command(data: Path, **options: Any) -> int:
    """Train ESR-9 by the paper's protocol on AffectNet's emotions.

    Shared layers and one branch first, then a new branch a stage, each on a fresh sample of at most 5,000
    images of an emotion; the best ensemble on validation is kept before the next branch.

    A run folder holds config.yaml, metrics.csv (a row an epoch), curves/ to look at, networks/ with the best
    network of each stage, a checkpoint to go on from, and at the end weights.safetensors, model.onnx and
    card.json. Several GPUs: torchrun --nproc-per-node N -m esrface train …
    """
    prepare_torch(options["device"], options["threads"], tensorboard=options["tensorboard"])
    from esrface.training.protocols.affectnet import discrete_plan
    from esrface.training.protocols.config import AffectNetDiscreteConfig

    config = configure(AffectNetDiscreteConfig, options)
    return train_protocol(
        "affectnet-discrete",
        config,
        lambda readers: discrete_plan(data, config, threads=readers),
        options,
    )
