"""``esrface train folder``: teach a model one's own labelled pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.options import DATA, data_option
from esrface.cli.streams import printable
from esrface.cli.training import (
    MODEL,
    NETWORK,
    NETWORKS,
    SCHEDULE,
    TrainingProgress,
    given,
    prepare_torch,
    recipe_option,
    resume_option,
    schedule_options,
)

if TYPE_CHECKING:
    from esrface.training.folder import FolderConfig, FolderRun, FolderValidation
    from esrface.training.folder_export import FolderModel
    from esrface.training.trainer import Epoch


@click.command(
    "folder",
    cls=Command,
    examples=[
        ("esrface train folder --data pictures", "Teach the shipped model; the run is runs/pictures."),
        (
            "esrface train folder --data faces.csv --detect --out runs/mine",
            "Pictures from a table of path, label and split; the largest face is cut out of each.",
        ),
        (
            "esrface train folder --data pictures --init none --out runs/scratch",
            "A small ensemble from nothing but these pictures.",
        ),
        (
            "esrface train folder --data pictures --out runs/mine --resume",
            "Go on after an interruption.",
        ),
        ("esrface image photo.jpg --model runs/pictures", "Use what was trained."),
    ],
)
@data_option(
    "Folder with train/ and valid/, in each a folder for every emotion (sad, Sadness, angry, fearful, …) or "
    "class of your own (any other name); or a CSV file with the columns path, label, split."
)
@option(
    DATA,
    "--out",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Run folder to write.  [default: runs/ and the name of DIR]",
)
@resume_option
@option(
    DATA,
    "--detect",
    is_flag=True,
    default=None,
    help="Cut the largest detected face out of each picture; without, whole pictures are taken for faces.",
)
@option(DATA, "--strict", is_flag=True, help="Stop at the first picture that cannot be used.")
@option(
    NETWORK,
    "--init",
    metavar="NAME|RUN|none",
    help="Model to start from, of 'esrface models' or a run; none: nothing.  [default: the shipped model]",
)
@option(
    NETWORK,
    "--network",
    type=Name(list(NETWORKS)),
    metavar="NAME",
    help="Network to train from nothing, with --init none.  [default: esr9-small]",
)
@recipe_option
@schedule_options(epochs=40, batch=32)
@option(
    SCHEDULE,
    "--patience",
    type=click.IntRange(1),
    metavar="N",
    help="Stop after N epochs without improvement on validation.  [default: 8]",
)
@option(MODEL, "--name", metavar="NAME", help="Name on the card.  [default: the name of RUN]")
@option(
    MODEL,
    "--mirror/--no-mirror",
    default=None,
    help="Whether the card asks for the mirror pass.  [default: as the model to start from]",
)
def command(
    data: Path,
    out: Path | None,
    resume: bool,
    strict: bool,
    name: str | None,
    init: str | None,
    device: str,
    threads: int | None,
    recipe: Path | None,
    **settings: Any,
) -> int:
    """Train on your own pictures: fine-tune the shipped model, or start from nothing.

    Emotions without a folder are never answered; a folder of another name is a new class. Pictures may have
    any size. Training stops when validation gets no better, and the best epoch is kept.

    A run folder holds model.onnx and card.json, which every command takes as --model RUN, report.html to look
    at, config.yaml, metrics.csv, weights.safetensors and a checkpoint to go on from.
    """
    count = prepare_torch(device, threads)
    from esrface.cli.console import make_console
    from esrface.training.folder import train_folder
    from esrface.training.folder_export import export_folder_run

    config = _configuration(recipe, init, given(settings))
    place = out or Path("runs") / (data.resolve().name if data.is_dir() else data.stem)
    console = make_console()
    with TrainingProgress(console, config.epochs) as progress:
        run = train_folder(
            data,
            place,
            config,
            device=device,
            resume=resume,
            strict=strict,
            threads=count,
            progress=progress.show,
            warn=lambda line: progress.line(printable(f"esrface: warning: {line}")),
            tell=progress.line,
            report=lambda *result: progress.line(_epoch_line(config.epochs, *result)),
        )
        model = export_folder_run(
            run, name=name or place.resolve().name, threads=count, progress=progress.show
        )
    console.print(_outcome(run, model), soft_wrap=True)
    return 0


def _configuration(recipe: Path | None, init: str | None, settings: dict[str, Any]) -> FolderConfig:
    from esrface.training.config import load_config
    from esrface.training.folder import FolderConfig, from_nothing
    from esrface.training.folder_start import find_start

    def started(config: FolderConfig) -> FolderConfig:
        return config if init is None else replace(config, init=None if init == "none" else init)

    def defaults(said: FolderConfig) -> FolderConfig:
        start = started(said).init
        if start is not None and "network" in settings:
            raise click.UsageError("--network is for training from nothing: add --init none, or leave it out")
        if start is None:
            return from_nothing()
        config = FolderConfig(init=start)
        card = find_start(config).card
        return replace(config, mirror=card.mirror if card else False)

    # What a recipe does not say depends on where training begins.
    config = load_config(recipe, FolderConfig, defaults) if recipe else defaults(FolderConfig())
    return replace(started(config), **settings)


def _epoch_line(epochs: int, epoch: Epoch, result: FolderValidation, best: bool) -> str:
    mark = ", best so far" if best else ""
    return (
        f"epoch {epoch.number}/{epochs}: loss {epoch.loss:.3f}, validation {result.accuracy:.2%}, "
        f"mean recall {result.mean_recall:.2%}, {epoch.images_per_s:.0f} images/s{mark}"
    )


def _outcome(run: FolderRun, model: FolderModel) -> str:
    figures = model.evaluation.figures()
    before = f" ({run.before.accuracy:.2%} before training)" if run.before else ""
    place = printable(str(run.folder))
    unchanged = ""
    if not run.best and run.start.file is not None:
        start = printable(run.start.file.card.name)
        unchanged = (
            f"no epoch was better on these validation pictures than {start} is, so that is what the run "
            "holds; more or harder validation pictures may tell more\n"
        )
    return unchanged + (
        f"{place}: accuracy {figures.accuracy:.2%}{before}, mean recall {figures.mean_recall:.2%} on "
        f"{figures.images} validation pictures, epoch {run.best} of {run.epochs}; the page to look at: "
        f"{place}/report.html; try: esrface image photo.jpg --model {place}"
    )
