"""What the commands that train by the paper's protocols share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from esrface.cli.command import option
from esrface.cli.options import all_of, data_option
from esrface.cli.streams import printable
from esrface.cli.training import (
    MODEL,
    NETWORK,
    SCHEDULE,
    TrainingProgress,
    given,
    machine_options,
    out_option,
    recipe_option,
    resume_option,
    seed_option,
    tensorboard_option,
)

if TYPE_CHECKING:
    from esrface.training.protocols.config import ProtocolConfig
    from esrface.training.protocols.plan import Plan
    from esrface.training.protocols.run import Training
    from esrface.training.protocols.staged import StageEpoch

Config = TypeVar("Config", bound="ProtocolConfig")

_NO_SETTINGS = frozenset(
    ("out", "resume", "tensorboard", "recipe", "init", "assignments", "device", "threads", "name", "legacy")
)
"""Options that say how and where to train; the others are settings of the protocol."""


def _number(name: str, kind: Any, text: str) -> Any:
    return option(SCHEDULE, name, type=kind, metavar="X" if kind is _RATE else "N", help=text)


_COUNT, _RATE = click.IntRange(1), click.FloatRange(0)

_schedule = (
    recipe_option,
    _number("--epochs", _COUNT, "Epochs of the first branch."),
    _number("--later-epochs", _COUNT, "Epochs of each later branch."),
    _number("--lr", _RATE, "Rate of the newest branch."),
    _number("--trained-lr", _RATE, "Rate of what was trained before."),
    _number("--batch", click.IntRange(2), "Faces a step, over all processes.  [default: 32]"),
    seed_option,
    option(
        SCHEDULE,
        "--set",
        "assignments",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any other setting of config.yaml, such as --set momentum=0.8 or "
        "--set augmentation.rotation_deg=10; may be given several times.",
    ),
    *machine_options("fp32"),
    option(MODEL, "--name", metavar="NAME", help="Name on the card.  [default: the name of RUN]"),
    option(
        MODEL,
        "--legacy",
        is_flag=True,
        help="Write the best networks in the original's files (Net-….pt) as well.",
    ),
)


def protocol_options(data: str) -> Callable[[Any], Any]:
    """The options of every protocol; ``data`` says what the folder holds."""
    return all_of(data_option(data), out_option, resume_option, tensorboard_option, *_schedule)


def esr9_options(init: str) -> Callable[[Any], Any]:
    """The options of the protocols for ESR-9; ``init`` says what training begins with."""
    return all_of(
        option(NETWORK, "--init", metavar="DIR|RUN|none", help=init),
        _number("--branches", _COUNT, "Of the ensemble.  [default: 9]"),
        _number("--cap", _COUNT, "Images of each class or quadrant that a branch may see.  [default: 5000]"),
    )


def configure(kind: type[Config], options: Mapping[str, Any]) -> Config:
    """The settings: of the recipe or published, then ``--set``, then the options."""
    from esrface.training.recipes import load_recipe, override

    settings = {key: value for key, value in options.items() if key not in _NO_SETTINGS}
    recipe, init = options["recipe"], options["init"]
    config = override(load_recipe(recipe, kind) if recipe else kind(), options["assignments"])
    if init is not None:
        config = replace(config, init=None if init == "none" else init)
    return replace(config, **given(settings))


def train_protocol(
    protocol: str,
    config: ProtocolConfig,
    make_plan: Callable[[int], Plan],
    options: Mapping[str, Any],
) -> int:
    """Train by a plan, with a progress bar, and write the model file; returns the exit code.

    Args:
        protocol: Its name, for the card.
        config: What `configure` gave.
        make_plan: Reads the data with so many threads.
        options: Values of ``protocol_options``.
    """
    from esrface.training.protocols.export import export_run
    from esrface.training.protocols.run import check_place, train_plan

    out = options["out"]
    with training_run(options) as (training, progress):
        # Before the data are read, which may take minutes.
        check_place(out, config, training.resume)
        plan = make_plan(training.threads)
        for warning in plan.warnings:
            progress.line(f"esrface: warning: {warning}")
        trainer = train_plan(plan, out, config, training)
        if training.ranks.is_first:
            name = options["name"] or out.resolve().name
            export_run(
                trainer.network, plan, out, config, protocol=protocol, name=name, threads=training.threads
            )
            figures = ", ".join(
                f"{figure.replace('_', ' ')} {value:.4f}"
                for figure, value in trainer.judge(trainer.network, plan.valid).ensemble.items()
            )
            place = printable(str(out))
            progress.line(
                f"{place}: {figures} on {len(plan.valid)} validation images; try: esrface image photo.jpg "
                f"--model {place}"
            )
    return 0


@contextmanager
def training_run(options: Mapping[str, Any]) -> Iterator[tuple[Training, TrainingProgress]]:
    """How to train by the values of ``protocol_options``, among all processes, and what shows it."""
    from esrface.cli.console import make_console
    from esrface.training.distributed import ranks_of_torchrun, threads_of_rank
    from esrface.training.protocols.run import Training

    console = make_console()
    with (
        ranks_of_torchrun(options["device"]) as (ranks, own_device),
        TrainingProgress(console, 1) as progress,
    ):
        console.quiet = not ranks.is_first
        training = Training(
            device=own_device,
            ranks=ranks,
            threads=threads_of_rank(options["threads"]),
            resume=options["resume"],
            legacy=options["legacy"],
            tensorboard=options["tensorboard"],
            progress=progress.show if ranks.is_first else None,
            report=lambda epoch: progress.line(epoch_line(epoch)),
        )
        yield training, progress


def epoch_line(epoch: StageEpoch) -> str:
    """One epoch for people."""
    text = (
        f"stage {epoch.stage.number}/{epoch.stages}, epoch {epoch.epoch}/{epoch.stage.epochs}: "
        f"loss {epoch.loss:.3f}, {epoch.images_per_s:.0f} images/s"
    )
    for name, value in epoch.training.ensemble.items():
        if name != "loss":
            text += f", {name.replace('_', ' ')} in training {value:.4f}"
    if epoch.validation is None:
        return text
    own = zip(*(figures.values() for figures in epoch.validation.branches), strict=True)
    parts = [
        f"{name.replace('_', ' ')} {value:.4f} (branches {min(alone):.4f} to {max(alone):.4f})"
        for (name, value), alone in zip(epoch.validation.ensemble.items(), own, strict=True)
    ]
    return f"{text}, {', '.join(parts)}{', best so far' if epoch.is_best else ''}"
