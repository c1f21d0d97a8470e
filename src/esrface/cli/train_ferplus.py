"""``esrface train ferplus``: an ensemble from FER+."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command, Name, Share, choice, option
from esrface.cli.options import data_option
from esrface.cli.training import (
    MODEL,
    NETWORK,
    NETWORKS,
    TrainingProgress,
    given,
    out_option,
    prepare_torch,
    recipe_option,
    resume_option,
    schedule_options,
    tensorboard_option,
)
from esrface.errors import InputError, ModelError

if TYPE_CHECKING:
    from esrface.training.ferplus import Validation
    from esrface.training.trainer import Epoch


class _PriorShare(click.FloatRange):
    """A number from 0 to 2, None for ``auto``, or the folder of a run."""

    def __init__(self) -> None:
        super().__init__(0, 2)

    def convert(  # type: ignore[override]
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Path | None:
        """The number, or what stands for one."""
        if value == "auto":
            return None
        if isinstance(value, str) and Path(value).is_dir():
            return Path(value)
        try:
            number = float(value)
        except ValueError:
            self.fail(f"'{value}' is neither a number from 0 to 2, nor auto, nor a run's folder", param, ctx)
        return super().convert(number, param, ctx)


@click.command(
    "ferplus",
    cls=Command,
    examples=[
        (
            "esrface train ferplus --data ferplus --init vladmandic-human-3.3.6.tgz --out runs/mine",
            "From public face features; the archive comes from 'npm pack @vladmandic/human@3.3.6'.",
        ),
        (
            "esrface train ferplus --data ferplus --recipe docs/recipes/straight.yaml --out runs/straight",
            "As the shipped model began: minutes on a GPU, hours without (docs/experiments.md).",
        ),
        (
            "esrface train ferplus --data ferplus --network esr9-small --out runs/small",
            "A small ensemble from nothing but FER+.",
        ),
        (
            "esrface train ferplus --data ferplus --recipe runs/mine/config.yaml --seed 2 --out runs/second",
            "The same once more with another seed.",
        ),
        (
            "esrface train ferplus --data ferplus --recipe runs/mine/config.yaml --out runs/mine --resume",
            "Go on after an interruption.",
        ),
    ],
)
@data_option("Folder with the training and validation splits: zips, Microsoft's or the original's layout.")
@out_option
@resume_option
@option(
    NETWORK,
    "--network",
    type=Name(list(NETWORKS)),
    metavar="NAME",
    help=f"{', '.join(NETWORKS[:-1])} or {NETWORKS[-1]}.  [default: {NETWORKS[0]}]",
)
@option(
    NETWORK,
    "--init",
    metavar="FILE|RUN",
    help="Start the shared base from public face features (esr9-mobile), or from a finished run's base.",
)
@option(
    NETWORK,
    "--teacher",
    "teachers",
    multiple=True,
    metavar="RUN",
    help="A finished run to learn from too, or several joined by + as one; given several times, each teaches "
    "a part of the branches.",
)
@option(
    NETWORK,
    "--held-out",
    type=Share(),
    metavar="X",
    help="Share of the training images, always the same ones, to keep out of training.  [default: 0]",
)
@recipe_option
@schedule_options(epochs=12, batch=64)
@tensorboard_option
@option(MODEL, "--name", default="model", metavar="NAME", help="Name on the card.  [default: model]")
@option(MODEL, "--model-version", default="1", metavar="TEXT", help="Version on the card.  [default: 1]")
@option(
    MODEL,
    "--description",
    default="Nine-branch ESR trained on FER+",
    metavar="TEXT",
    help="One line on the card.  [default: Nine-branch ESR trained on FER+]",
)
@option(
    MODEL,
    "--mirror/--no-mirror",
    default=False,
    help="Whether the card asks for the mirror pass: better and twice as slow.  [default: no]",
)
@choice(
    MODEL,
    "--model-precision",
    values=("fp32", "fp16", "int8"),
    default="fp16",
    help="Of the model file; int8 is the smallest and fastest, its effect stands in the card.  "
    "[default: fp16]",
)
@option(
    MODEL,
    "--share",
    type=_PriorShare(),
    default=1.0,
    metavar="X|auto|RUN",
    help="Share of the log prior given back to the branches: 1 answers with natural frequencies, less finds "
    "more rare emotions and more false ones; auto chooses on the images of --held-out, RUN takes what that "
    "run chose there.  [default: 1]",
)
def command(
    data: Path,
    out: Path,
    resume: bool,
    name: str,
    model_version: str,
    description: str,
    mirror: bool,
    share: float | Path | None,
    model_precision: str,
    device: str,
    threads: int | None,
    recipe: Path | None,
    tensorboard: bool,
    **settings: Any,
) -> int:
    """Train an ensemble on FER+ and write its model file and card.

    A run folder holds config.yaml, metrics.csv (a row an epoch), a checkpoint to go on from, and at the end
    weights.safetensors, model.onnx and card.json.

    Several GPUs: torchrun --nproc-per-node N -m esrface train ferplus …
    """
    threads = prepare_torch(device, threads, tensorboard=tensorboard)
    from esrface.cli.console import make_console
    from esrface.training.config import TrainConfig, load_config
    from esrface.training.distributed import ranks_of_torchrun
    from esrface.training.export import ExportOptions, export_ferplus_run
    from esrface.training.ferplus import train_ferplus
    from esrface.training.share import share_of_run

    config = replace(load_config(recipe) if recipe else TrainConfig(), **given(settings))
    if share is None and not config.held_out:
        raise InputError("--share auto chooses on training images kept out of training: add --held-out 0.1")
    given_share, chosen_on = share_of_run(share) if isinstance(share, Path) else (share, None)
    console = make_console()
    with (
        ranks_of_torchrun(device) as (ranks, own_device),
        TrainingProgress(console, config.epochs) as progress,
    ):
        console.quiet = not ranks.is_first
        train_ferplus(
            data,
            out,
            config,
            device=own_device,
            resume=resume,
            ranks=ranks,
            tensorboard=tensorboard,
            progress=progress.step,
            report=lambda epoch, result: progress.line(_epoch_line(epoch, config.epochs, result)),
        )
    if not ranks.is_first:
        return 0
    console.print("Writing model.onnx and card.json …")
    options = ExportOptions(
        name=name,
        version=model_version,
        description=description,
        mirror=mirror,
        share=given_share,
        share_chosen_on=chosen_on,
        precision=model_precision,
    )
    try:
        model = export_ferplus_run(out, data, options, threads=threads)
    except ModelError as error:
        raise ModelError(f"{error} (what was trained stays: --resume goes on from here)") from error
    best = model.card.scores[0]
    console.print(
        f"{out}: accuracy {best['accuracy']:.2%}, mean recall {best['mean_recall']:.2%} on {best['images']} "
        f"validation images; try: esrface image photo.jpg --model {out}",
        soft_wrap=True,
    )
    return 0


def _epoch_line(epoch: Epoch, epochs: int, result: Validation) -> str:
    return (
        f"epoch {epoch.number}/{epochs}: loss {epoch.loss:.3f}, validation {result.accuracy:.2%} "
        f"({result.accuracy_mirror:.2%} with mirror), branch {result.mean_branch:.2%}, "
        f"mean recall {result.mean_recall:.2%}, {epoch.images_per_s:.0f} images/s"
    )
