"""``esrface train affectnet-continuous``: valence and arousal for a network that knows the emotions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command
from esrface.cli.protocol import configure, esr9_options, protocol_options, train_protocol
from esrface.cli.training import prepare_torch


@click.command(
    "affectnet-continuous",
    cls=Command,
    examples=[
        (
            "esrface train affectnet-continuous --data affectnet --init runs/discrete --out runs/continuous",
            "After esrface train affectnet-discrete.",
        ),
        (
            "esrface train affectnet-continuous --data affectnet --init esr_9 --out runs/continuous",
            "From a folder of the original's weights.",
        ),
    ],
)
@protocol_options("Folder with Training_Labeled/ and Validation/, as esrface data affectnet writes it.")
@esr9_options(
    "The network that knows the emotions: a run, or a folder of the original's weights.  [required]"
)
def command(data: Path, **options: Any) -> int:
    """Train the layers for valence and arousal by the paper's protocol on AffectNet.

    All else is frozen. Each branch sees a fresh sample of at most 5,000 images of a quadrant.

    A run folder holds config.yaml, metrics.csv (a row an epoch), curves/ to look at, networks/ with the best
    network of each stage, a checkpoint to go on from, and at the end weights.safetensors, model.onnx and
    card.json. Several GPUs: torchrun --nproc-per-node N -m esrface train …
    """
    prepare_torch(options["device"], options["threads"], tensorboard=options["tensorboard"])
    from esrface.training.protocols.affectnet import continuous_plan
    from esrface.training.protocols.config import AffectNetContinuousConfig

    if options["init"] is None and options["recipe"] is None:
        raise click.UsageError(
            "give --init: a run of esrface train affectnet-discrete, or a folder of the original's weights"
        )
    config = configure(AffectNetContinuousConfig, options)
    return train_protocol(
        "affectnet-continuous",
        config,
        lambda readers: continuous_plan(data, config, threads=readers),
        options,
    )
