"""What all ``esrface train`` commands share: options, checks, and the progress that people see."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Name, option
from esrface.errors import DependencyError, DeviceError

if TYPE_CHECKING:
    from rich.console import Console

DATA, NETWORK, SCHEDULE, MODEL = "Data", "Network", "Schedule", "Model file"

NETWORKS = ("esr9-mobile", "esr9-mobile-halves", "esr9-small", "esr9-published")
"""Networks with nine branches, which help pages name without loading them."""


def data_option(text: str) -> Callable[[Any], Any]:
    """``--data``, with what it stands for."""
    return option(DATA, "--data", required=True, type=click.Path(path_type=Path), metavar="DIR", help=text)


resume_option = option(DATA, "--resume", is_flag=True, help="Go on from the run's last checkpoint.")

recipe_option = option(
    SCHEDULE,
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Every setting from a run's config.yaml; the options given here go before it.",
)


tensorboard_option = option(
    DATA, "--tensorboard", is_flag=True, help="Log for TensorBoard too, into RUN/tensorboard."
)


def schedule_options(epochs: int, batch: int) -> Callable[[Any], Any]:
    """Options about how long, how fast and on what, with their defaults in the help texts."""
    decorators = (
        option(SCHEDULE, "--epochs", type=click.IntRange(1), metavar="N", help=f"[default: {epochs}]"),
        option(
            SCHEDULE,
            "--batch",
            type=click.IntRange(2),
            metavar="N",
            help=f"Faces a step.  [default: {batch}]",
        ),
        option(
            SCHEDULE,
            "--lr",
            type=click.FloatRange(0, min_open=True),
            metavar="X",
            help="Peak rate of the base.",
        ),
        option(SCHEDULE, "--seed", type=click.IntRange(0), metavar="N", help="[default: 1]"),
        option(SCHEDULE, "--device", default="cpu", metavar="NAME", help="cpu or cuda.  [default: cpu]"),
        option(
            SCHEDULE, "--threads", type=click.IntRange(1), metavar="N", help="[default: all that are ours]"
        ),
        option(
            SCHEDULE,
            "--precision",
            type=Name(["auto", "bf16", "fp32"]),
            metavar="auto|bf16|fp32",
            help="auto: bf16 where the hardware computes in it.  [default: auto]",
        ),
    )

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def given(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that the command line names."""
    return {key: value for key, value in settings.items() if value not in (None, ())}


def prepare_torch(device: str, threads: int | None, *, tensorboard: bool = False) -> int:
    """Make sure that training can run here, and let torch use the threads; returns their number.

    Raises:
        DependencyError: A package is missing.
        DeviceError: The device cannot be used.
    """
    require_training()
    if tensorboard:
        from esrface.training.tensorboard import require_tensorboard

        require_tensorboard()
    import torch

    from esrface.threads import resolve_threads

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"device {device!r} cannot be used: {str(error).splitlines()[0]}; try --device cpu"
        ) from None
    count = resolve_threads(threads)
    torch.set_num_threads(count)
    return count


def require_training(what: str = "training") -> None:
    """Raise DependencyError unless the packages of the extra ``train`` are there, which ``what`` needs."""
    missing = [
        name for name in ("torch", "safetensors", "onnx", "yaml") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise DependencyError(
            f"{what} needs {', '.join(missing)}; in the clone: pip install -c constraints.txt '.[train]'"
        )


class TrainingProgress:
    """A bar with the time left on a terminal; lines everywhere. A context manager.

    Args:
        console: Where to.
        epochs: How many there are at most.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        self._console = console
        self.epochs = epochs
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=epochs)

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, epoch: int, done: int, total: int) -> None:
        """Images done of those in the running epoch (from 1)."""
        self._bar.update(
            self._task,
            completed=epoch - 1 + done / total,
            total=self.epochs,
            description=f"epoch {epoch}/{self.epochs}",
        )

    def show(self, what: str, done: int, total: int) -> None:
        """Whatever else is being done."""
        self._bar.update(self._task, completed=done, total=total or None, description=what)

    def line(self, text: str) -> None:
        """One line for people, above the bar."""
        self._console.print(text, soft_wrap=True)
