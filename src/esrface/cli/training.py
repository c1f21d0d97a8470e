"""What all ``esrface train`` commands share: options, checks, and the progress that people see."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface._extras import how_to_install
from esrface.cli.command import choice, option
from esrface.cli.options import DATA, all_of
from esrface.errors import DependencyError, DeviceError

if TYPE_CHECKING:
    from rich.console import Console

NETWORK, SCHEDULE, MODEL = "Network", "Schedule", "Model file"

DEVICES = ("cpu", "cuda")

NETWORKS = (
    "esr9-mobile",
    "esr9-mobile-halves",
    "esr9-mobile-tree",
    "esr9-mobile-limbs",
    "esr9-mobile-views",
    "esr9-small",
    "esr9-wide",
    "esr9-published",
)
"""Networks with nine branches, which help pages name without loading them."""


resume_option = option(DATA, "--resume", is_flag=True, help="Go on from the run's last checkpoint.")

out_option = option(
    DATA, "--out", required=True, type=click.Path(path_type=Path), metavar="RUN", help="Run folder to write."
)

recipe_option = option(
    SCHEDULE,
    "--recipe",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings from a run's config.yaml, or some of them; the options given here go before it.",
)


tensorboard_option = option(
    DATA, "--tensorboard", is_flag=True, help="Log for TensorBoard too, into RUN/tensorboard."
)


seed_option = option(SCHEDULE, "--seed", type=click.IntRange(0), metavar="N", help="[default: 1]")


def machine_options(precision: str) -> tuple[Callable[[Any], Any], ...]:
    """Options about what computes, and how exactly: ``precision`` is the default in the help text."""
    return (
        option(SCHEDULE, "--device", default="cpu", metavar="NAME", help="cpu or cuda.  [default: cpu]"),
        option(
            SCHEDULE, "--threads", type=click.IntRange(1), metavar="N", help="[default: all that are ours]"
        ),
        choice(
            SCHEDULE,
            "--precision",
            values=("auto", "bf16", "fp32"),
            help=f"auto: bf16 where the hardware computes in it.  [default: {precision}]",
        ),
    )


def schedule_options(epochs: int, batch: int) -> Callable[[Any], Any]:
    """Options about how long, how fast and on what, with their defaults in the help texts."""
    return all_of(
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
        seed_option,
        *machine_options("auto"),
    )


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

    from esrface.engine import unknown_device
    from esrface.training.distributed import device_of_rank, threads_of_rank
    from esrface.training.memory import keep_freed_memory

    if device.partition(":")[0] not in (*DEVICES, "mps"):
        raise DeviceError(unknown_device(device))
    try:
        torch.zeros(1, device=device_of_rank(device)).item()
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise DeviceError(f"device {device!r} cannot be used: {reason}; try --device cpu") from None
    keep_freed_memory()
    count = threads_of_rank(threads)
    torch.set_num_threads(count)
    return count


def require_training(what: str = "training") -> None:
    """Raise DependencyError unless the packages of the extra ``train`` are there, which ``what`` needs."""
    missing = [
        name for name in ("torch", "safetensors", "onnx", "yaml") if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise DependencyError(f"{what} needs {', '.join(missing)}: {how_to_install('train')}")


class TrainingProgress:
    """A bar with the time left on a terminal; lines everywhere. A context manager.

    Args:
        console: Where to.
        epochs: How many there are at most.
    """

    def __init__(self, console: Console, epochs: int) -> None:
        from esrface.cli.progress import share_bar

        self._console = console
        self.epochs = epochs
        self._bar = share_bar(console)
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
