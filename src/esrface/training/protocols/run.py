"""Training by a plan into a run's folder: settings, metrics, curves, every best network, checkpoints.

config.yaml         every setting
metrics.csv         a row an epoch: rates, loss, figures of ensemble and branches in training and, where
                    validated, on validation
curves/stage_1.png  the same to look at, a picture a stage
networks/           the best network of each stage: branches_1.safetensors, with ``legacy`` also
                    branches_1/ in the original's files
checkpoint.pt       to go on from
weights.safetensors the best network of the last stage
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from esrface.networks.esr import ESR
from esrface.networks.original import write_original
from esrface.networks.saved import save_network
from esrface.outputs import RowFile, write_whole
from esrface.training import run as runs
from esrface.training.checkpoint import CHECKPOINT, save_checkpoint
from esrface.training.distributed import ALONE, Ranks
from esrface.training.protocols.config import ProtocolConfig
from esrface.training.protocols.curves import ENSEMBLE, Curve, Panel, write_curves
from esrface.training.protocols.plan import Plan
from esrface.training.protocols.staged import StagedTrainer, StageEpoch
from esrface.training.run import (
    METRICS,
    WEIGHTS,
    check_run,
    state_to_go_on_from,
)
from esrface.training.table import not_ours, read_table
from esrface.training.tensorboard import open_scalars

CURVES = "curves"
NETWORKS = "networks"
OF_TRIALS = ("results.csv", "table.md")
"""Of a comparison over trials, see `esrface.training.protocols.trials`."""

_OWN = (*runs.OWN, CURVES, NETWORKS, *OF_TRIALS)
"""What a run writes into its folder besides its settings."""

COLUMNS = ("stage", "branches", "epoch", "lr", "trained_lr", "loss", "seconds", "images_per_s", "best")
"""Of `METRICS`, before those of the figures."""
TRAINING = "training_"
"""Begins the names of columns with figures from training; those of validation have no such beginning."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""
Report = Callable[[StageEpoch], None]


@dataclass(frozen=True)
class Training:
    """How a training is run; nothing here decides its outcome."""

    device: str = "cpu"
    ranks: Ranks = ALONE
    threads: int = 1
    """For reading images."""
    resume: bool = False
    legacy: bool = False
    """Write the best networks in the original's files as well."""
    tensorboard: bool = False
    progress: Progress | None = None
    report: Report | None = None


def check_place(run: Path, config: ProtocolConfig, resume: bool) -> None:
    """Refuse to overwrite a run, or to go on with it in another way than it was begun."""
    check_run(run, config, resume, _OWN)


def run_folder(run: Path, config: ProtocolConfig, how: Training) -> AbstractContextManager[None]:
    """`esrface.training.run.run_folder` for a protocol."""
    return runs.run_folder(
        run, config, how.ranks, resume=how.resume, own=_OWN, checkpoints=f"**/{CHECKPOINT}"
    )


def train_plan(plan: Plan, run: Path, config: ProtocolConfig, how: Training) -> StagedTrainer:
    """Train to the end of the plan; the trainer's ``network`` is the outcome.

    Raises:
        DataError: The run is there already or was begun with other settings or pictures, or the loss became
            NaN.
        OutputError: A file cannot be written; the last checkpoint stays.
    """
    with run_folder(run, config, how):
        return _train(plan, run, config, how)


def _train(plan: Plan, run: Path, config: ProtocolConfig, how: Training) -> StagedTrainer:
    trainer = StagedTrainer(
        plan.shape,
        plan.stages,
        plan.task,
        plan.pools,
        plan.valid,
        config,
        start=plan.start,
        device=torch.device(how.device),
        ranks=how.ranks,
        threads=how.threads,
    )
    state = state_to_go_on_from(run) if how.resume else None
    pictures = {} if plan.pictures is None else plan.pictures.state()
    if state is not None:
        if plan.pictures is not None:
            plan.pictures.check(run, state)
        trainer.restore(state)
    writes = how.ranks.is_first
    with open_scalars(run, how.tensorboard and writes) as scalars:
        log = _Log(run, plan, trainer) if writes else None
        for epoch in trainer.epochs(_each_step(how.progress, trainer)):
            if log is not None:
                log.write(epoch)
                scalars.add(_scalars(epoch), log.rows)
                if epoch.is_best:
                    _save_best(trainer, run, how.legacy)
                save_checkpoint(run, {**trainer.state(), **pictures})
            if how.report is not None and writes:
                how.report(epoch)
    if writes:
        save_network(trainer.network, run / WEIGHTS)
    how.ranks.wait()
    return trainer


def _save_best(trainer: StagedTrainer, run: Path, legacy: bool) -> None:
    network = trainer.best_network()
    name = f"branches_{trainer.stage.branches}"
    save_network(network, run / NETWORKS / f"{name}.safetensors")
    if legacy:
        write_original(_on_cpu(network), run / NETWORKS / name, overwrite=True)


def _on_cpu(network: ESR) -> ESR:
    return network.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload, no-any-return]


class _Log:
    """The table of epochs and the pictures of curves, gone on with after the checkpoint's last epoch."""

    def __init__(self, run: Path, plan: Plan, trainer: StagedTrainer) -> None:
        self._run, self._figures = run, plan.task.figures
        named = [f"{who}_{figure}" for who in _members(plan.shape.branches) for figure in plan.task.figures]
        self._columns = [*COLUMNS, *named, *(f"{TRAINING}{name}" for name in named)]
        self._rows = _earlier_rows(run / METRICS, self._columns, (trainer.stage.number, trainer.done))
        write_whole(run / METRICS, _csv(self._columns, self._rows), overwrite=True)

    @property
    def rows(self) -> int:
        """Epochs so far."""
        return len(self._rows)

    def write(self, epoch: StageEpoch) -> None:
        """Append an epoch; at the end of a stage, and now and then, draw its curves."""
        row = {name: _text(value) for name, value in self._values(epoch).items()}
        self._rows.append(row)
        with RowFile(self._run / METRICS, resume=True) as file:
            file.write(_csv(self._columns, [row]).partition("\n")[2])
        seldom = max(1, epoch.stage.epochs // 20)
        if epoch.epoch % seldom == 0 or epoch.epoch == epoch.stage.epochs:
            self._draw(epoch)

    def _values(self, epoch: StageEpoch) -> dict[str, Any]:
        rates = list(epoch.rates.values())
        values: dict[str, Any] = {
            "stage": epoch.stage.number,
            "branches": epoch.stage.branches,
            "epoch": epoch.epoch,
            "lr": rates[-1],
            # Of the branch before it, or the base.
            "trained_lr": rates[-2] if len(rates) > 1 else rates[0],
            "loss": epoch.loss,
            "seconds": round(epoch.seconds, 2),
            "images_per_s": round(epoch.images_per_s, 1),
            "best": int(epoch.is_best),
        }
        for prefix, measured in ((TRAINING, epoch.training), ("", epoch.validation)):
            if measured is not None:
                everyone = (measured.ensemble, *measured.branches)
                for who, figures in zip(_members(epoch.stage.branches), everyone, strict=True):
                    values |= {f"{prefix}{who}_{figure}": value for figure, value in figures.items()}
        return values

    def _draw(self, epoch: StageEpoch) -> None:
        rows = [row for row in self._rows if int(row["stage"]) == epoch.stage.number]
        panels = [_panel(rows, figure, epoch.stage.branches) for figure in self._figures]
        what = "loss of a training step, summed over the branches that learn in it"
        panels.append(Panel(what, {"sum": _curve(rows, "loss")}))
        what = "branch" if epoch.stage.branches == 1 else "branches"
        write_curves(
            self._run / CURVES / f"stage_{epoch.stage.number}.png",
            panels,
            f"Stage {epoch.stage.number}: {epoch.stage.branches} {what}",
        )


def _members(branches: int) -> tuple[str, ...]:
    """The ensemble and its branches, as columns name them."""
    return (ENSEMBLE, *(f"branch_{k}" for k in range(1, branches + 1)))


def _panel(rows: Sequence[dict[str, str]], figure: str, branches: int) -> Panel:
    solid, dashed = (
        {who.replace("_", " "): _curve(rows, f"{prefix}{who}_{figure}") for who in _members(branches)}
        for prefix in ("", TRAINING)
    )
    return Panel(figure.replace("_", " ").replace("rmse", "RMSE"), solid, dashed)


def _earlier_rows(path: Path, columns: Sequence[str], last: tuple[int, int]) -> list[dict[str, str]]:
    """The rows up to a stage and epoch; columns that an earlier version of this program did not write are
    left empty."""
    try:
        rows = [row for row in read_table(path) if (int(row["stage"]), int(row["epoch"])) <= last]
    except (KeyError, ValueError):
        rows = None
    if rows is None or any(row.keys() - set(columns) for row in rows):
        raise not_ours(path)
    return rows


def _curve(rows: Iterable[dict[str, str]], column: str) -> Curve:
    return [(float(row["epoch"]), float(row[column])) for row in rows if row.get(column)]


def _csv(columns: Iterable[str], rows: Iterable[dict[str, str]]) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(columns), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows(rows)
    return table.getvalue()


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _scalars(epoch: StageEpoch) -> dict[str, float]:
    values = {"training/loss": epoch.loss, "training/images_per_s": epoch.images_per_s}
    values |= {f"rates/{name}": rate for name, rate in epoch.rates.items()}
    for prefix, measured in (("training/", epoch.training), ("", epoch.validation)):
        if measured is not None:
            for number, figures in enumerate((measured.ensemble, *measured.branches)):
                who = f"branch {number}" if number else ENSEMBLE
                values |= {f"{prefix}{figure}/{who}": value for figure, value in figures.items()}
    return values


def _each_step(progress: Progress | None, trainer: StagedTrainer) -> Callable[[int, int], None] | None:
    if progress is None:
        return None
    show = progress

    def step(done: int, total: int) -> None:
        stage = trainer.stage
        what = f"stage {stage.number}/{len(trainer.stages)}, epoch {trainer.done + 1}/{stage.epochs}"
        show(what, done, total)

    return step
