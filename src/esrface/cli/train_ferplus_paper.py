"""``esrface train ferplus-paper``: the paper's fine-tuning of ESR-9 on FER+."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command
from esrface.cli.protocol import configure, esr9_options, protocol_options, train_protocol
from esrface.cli.training import prepare_torch


@click.command(
    "ferplus-paper",
    cls=Command,
    examples=[
        (
            "esrface train ferplus-paper --data ferplus --init esr_9 --device cuda --out runs/paper",
            "From the original's weights, nine branches one after another.",
        ),
        (
            "esrface train ferplus-paper --data ferplus --init none --device cuda --out runs/paper",
            "From nothing, where these weights are not at hand.",
        ),
    ],
)
@protocol_options(
    "Folder with the training and validation splits: zips, Microsoft's or the original's layout."
)
@esr9_options("A folder of the original's weights, a run of affectnet-discrete, or none.  [required]")
def command(data: Path, **options: Any) -> int:
    """Fine-tune ESR-9 by the paper's protocol on FER+.

    One more branch a stage, each on a fresh sample of at most 5,000 images of an emotion (majority rule).
    The shipped model, a much smaller network, comes from 'esrface train ferplus'.

    A run folder holds config.yaml, metrics.csv (a row an epoch), curves/ to look at, networks/ with the best
    network of each stage, a checkpoint to go on from, and at the end weights.safetensors, model.onnx and
    card.json. Several GPUs: torchrun --nproc-per-node N -m esrface train …
    """
    prepare_torch(options["device"], options["threads"], tensorboard=options["tensorboard"])
    from esrface.training.protocols.config import FerPlusPaperConfig
    from esrface.training.protocols.ferplus_paper import ferplus_plan

    if options["init"] is None and options["recipe"] is None:
        raise click.UsageError(
            "give --init: a folder of the original's weights, a run of affectnet-discrete, or none"
        )
    config = configure(FerPlusPaperConfig, options)
    return train_protocol(
        "ferplus-paper",
        config,
        lambda _: ferplus_plan(data, config),
        options,
    )
