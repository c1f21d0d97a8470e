"""``esrface train ckplus``: the paper's comparison of ensembles on CK+."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import Command, option
from esrface.cli.protocol import configure, protocol_options, training_run
from esrface.cli.streams import printable
from esrface.cli.training import NETWORK, prepare_torch


@click.command(
    "ckplus",
    cls=Command,
    examples=[
        (
            "esrface train ckplus --data ckplus --device cuda --out runs/ckplus",
            "ESR-4 that branches after three convolutions, in ten trials.",
        ),
        (
            "esrface train ckplus --data ckplus --variant single --variant ensemble --variant level3-varied "
            "--variant level4-varied --device cuda --out runs/table",
            "The four rows of the paper's table, with paired t-tests between them.",
        ),
        (
            "esrface train ckplus --data ckplus --trial 0 --epochs 20 --later-epochs 10 --out runs/short",
            "One short trial.",
        ),
    ],
)
@protocol_options("Folder that esrface data ckplus wrote: cohn-kanade-images/ and Emotion/, faces of 96x96.")
@option(
    NETWORK,
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME",
    help="A row of the table: single, ensemble, or level1 to level4 with -frozen, -varied, -fixed or "
    "-interleaved (level3-varied); may be given several times.  [default: level3-varied]",
)
@option(
    NETWORK,
    "--trial",
    "trials",
    multiple=True,
    type=click.IntRange(0, 9),
    metavar="N",
    help="Trial 0 to 9, whose fold is the test; may be given several times.  [default: all ten]",
)
@option(NETWORK, "--init", metavar="RUN|none", help="Where the networks begin.  [default: none]")
def command(data: Path, **options: Any) -> int:
    """Compare a single network, a traditional ensemble and ESR-4 on CK+.

    Ten trials with subjects of their own for training, validation and test. At the end stands the table:
    mean and deviation of the test accuracy, parameters, and paired t-tests between the rows.

    A run folder holds config.yaml, results.csv, table.md, a run for every trial, and as model.onnx and
    card.json the network with the best validation.
    """
    prepare_torch(options["device"], options["threads"], tensorboard=options["tensorboard"])
    from esrface.training.protocols.config import CkPlusConfig
    from esrface.training.protocols.trials import TABLE, Result, train_ckplus

    config = configure(CkPlusConfig, options)
    out: Path = options["out"]
    with training_run(options) as (training, progress):

        def told(result: Result) -> None:
            progress.line(
                f"{result.variant}, trial {result.trial}: test accuracy {result.accuracy:.2%} on "
                f"{result.images} images (validation {result.validation:.2%})"
            )

        name = options["name"] or out.resolve().name
        train_ckplus(data, out, config, training, name=name, report=told)
        if training.ranks.is_first:
            progress.line((out / TABLE).read_text(encoding="utf-8"))
            place = printable(str(out))
            progress.line(f"{place}: try: esrface image photo.jpg --model {place}")
    return 0
