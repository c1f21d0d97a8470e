"""The folder of a training run: what is in it, who may write there, and its table of epochs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from esrface.errors import DataError
from esrface.models.registry import RUN_CARD, RUN_MODEL
from esrface.outputs import write_whole
from esrface.training.checkpoint import CHECKPOINT
from esrface.training.config import TrainConfig, differences, load_config
from esrface.training.trainer import Epoch

CONFIG = "config.yaml"
METRICS = "metrics.csv"
WEIGHTS = "weights.safetensors"

_OWN = (METRICS, WEIGHTS, CHECKPOINT, RUN_MODEL, RUN_CARD, "report.html")
"""What else a run writes into its folder."""

TOGETHER = "+"
"""Between runs that are named as one."""


def members(entry: str) -> list[str]:
    """The runs (or other places) that one entry of a configuration names."""
    # A name of its own may hold the sign.
    return [entry] if Path(entry).exists() else entry.split(TOGETHER)


def check_run(run: Path, config: TrainConfig, resume: bool) -> None:
    """Refuse to overwrite a run, or to go on with it in another way than it was begun."""
    written = run / CONFIG
    if not written.exists():
        for name in _OWN:
            if (run / name).exists():
                raise DataError(f"{run}: a run would replace the {name} there; choose another --out")
        return
    if not resume:
        raise DataError(f"{run}: a run is already there; pass --resume to go on or choose another --out")
    changed = differences(load_config(written, type(config)), config)
    if changed:
        raise DataError(f"{run}: cannot resume with another configuration ({'; '.join(changed)})")


def log_epoch(path: Path, epoch: Epoch, result: Any) -> None:
    """One row an epoch; a row of the same epoch from a run that was killed before its checkpoint goes.

    Args:
        path: Of the CSV.
        epoch: What it came to.
        result: A dataclass of numbers: how the weights do after it.
    """
    values = {
        "epoch": epoch.number,
        "loss": round(epoch.loss, 5),
        "seconds": round(epoch.seconds, 1),
        "images_per_s": round(epoch.images_per_s, 1),
        **{name: round(value, 5) for name, value in asdict(result).items()},
    }
    earlier = [row for row in read_epochs(path) if int(row["epoch"]) < epoch.number]
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, values.keys())
    writer.writeheader()
    writer.writerows([*earlier, {key: str(value) for key, value in values.items()}])
    write_whole(path, table.getvalue(), overwrite=True)


def read_epochs(path: Path) -> list[Mapping[str, str]]:
    """The rows that `log_epoch` wrote; none where there is no such file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
