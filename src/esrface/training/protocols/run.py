"""Training by a plan into a run's folder: settings, metrics, curves, every best network, checkpoints.

config.yaml         every setting
metrics.csv         a row an epoch: rates, loss, and where validated the figures of ensemble and branches
curves/stage_1.png  the same to look at, a picture a stage
networks/           the best network of each stage: branches_1.safetensors, with ``legacy`` also
                    branches_1/ in the original's files
checkpoint.pt       to go on from
weights.safetensors the best network of the last stage
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from esrface._names import printable
from esrface.errors import DataError
from esrface.networks.esr import ESR
from esrface.networks.original import write_original
from esrface.networks.saved import save_network
from esrface.outputs import RowFile, clear_left_over, make_folder, write_whole
from esrface.training.checkpoint import load_checkpoint, save_checkpoint
from esrface.training.curves import Curve, write_curves
from esrface.training.distributed import ALONE, Ranks
from esrface.training.protocols.config import ProtocolConfig
from esrface.training.protocols.plan import Plan
from esrface.training.recipes import load_recipe, save_recipe, setting_differences
from esrface.training.run import CONFIG, METRICS, WEIGHTS
from esrface.training.staged import StagedTrainer, StageEpoch
from esrface.training.tensorboard import open_scalars

CURVES = "curves"
NETWORKS = "networks"

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
    written = run / CONFIG
    if not written.exists():
        return
    if not resume:
        raise DataError(
            f"{printable(run)}: a run is already there; pass --resume to go on or choose another --out"
        )
    changed = setting_differences(load_recipe(written, type(config)), config)
    if changed:
        raise DataError(f"{printable(run)}: cannot resume with another configuration ({'; '.join(changed)})")


def begin_run(run: Path, config: ProtocolConfig, how: Training) -> None:
    """Make the run's folder, or make sure that it can be gone on with."""
    check_place(run, config, how.resume)
    # Nobody writes before everybody has looked.
    how.ranks.wait()
    if how.ranks.is_first:
        make_folder(run)
        clear_left_over(run)
        save_recipe(config, run / CONFIG)


def train_plan(plan: Plan, run: Path, config: ProtocolConfig, how: Training) -> StagedTrainer:
    """Train to the end of the plan; the trainer's ``network`` is the outcome.

    Raises:
        DataError: The run is there already or was begun with other settings, or the loss became NaN.
        OutputError: A file cannot be written; the last checkpoint stays.
    """
    begin_run(run, config, how)
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
    state = load_checkpoint(run) if how.resume else None
    if state is not None:
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
                save_checkpoint(run, trainer.state())
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
        branches = [f"branch_{k}" for k in range(1, plan.shape.branches + 1)]
        self._columns = [
            *("stage", "branches", "epoch", "lr", "trained_lr", "loss", "seconds", "images_per_s", "best"),
            *(f"{who}_{figure}" for who in ("ensemble", *branches) for figure in plan.task.figures),
        ]
        place = (trainer.stage.number, trainer.done)
        self._rows = [
            row for row in read_rows(run / METRICS) if (int(row["stage"]), int(row["epoch"])) <= place
        ]
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
            "trained_lr": rates[0],
            "loss": epoch.loss,
            "seconds": round(epoch.seconds, 2),
            "images_per_s": round(epoch.images_per_s, 1),
            "best": int(epoch.is_best),
        }
        if epoch.validation is not None:
            who = {"ensemble": epoch.validation.ensemble}
            who |= {f"branch_{k}": own for k, own in enumerate(epoch.validation.branches, start=1)}
            for name, figures in who.items():
                values |= {f"{name}_{figure}": value for figure, value in figures.items()}
        return values

    def _draw(self, epoch: StageEpoch) -> None:
        rows = [row for row in self._rows if int(row["stage"]) == epoch.stage.number]
        panels: dict[str, dict[str, Curve]] = {}
        for figure in self._figures:
            curves: dict[str, Curve] = {}
            for who in ("ensemble", *(f"branch_{k}" for k in range(1, epoch.stage.branches + 1))):
                curves[who.replace("_", " ")] = _curve(rows, f"{who}_{figure}")
            panels[f"{figure.replace('_', ' ')} on validation"] = curves
        panels["loss in training, summed over the branches"] = {"training": _curve(rows, "loss")}
        what = "branch" if epoch.stage.branches == 1 else "branches"
        write_curves(
            str(self._run / CURVES / f"stage_{epoch.stage.number}.png"),
            panels,
            f"Stage {epoch.stage.number}: {epoch.stage.branches} {what}",
        )


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [dict(row) for row in csv.DictReader(file) if None not in row.values()]


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
    if epoch.validation is not None:
        for figure, value in epoch.validation.ensemble.items():
            values[f"{figure}/ensemble"] = value
        for number, own in enumerate(epoch.validation.branches, start=1):
            values |= {f"{figure}/branch {number}": value for figure, value in own.items()}
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
