"""The folder of a training run: what is in it, who may write there, and its table of epochs."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from esrface._names import printable, reason_of
from esrface.errors import DataError, InputError
from esrface.models.registry import RUN_CARD, RUN_MODEL
from esrface.outputs import clear_left_over, make_folder, write_whole
from esrface.training.checkpoint import CHECKPOINT, load_checkpoint
from esrface.training.distributed import ALONE, Ranks
from esrface.training.recipes import load_recipe, save_recipe, setting_differences
from esrface.training.tensorboard import FOLDER as TENSORBOARD
from esrface.training.trainer import Epoch

CONFIG = "config.yaml"
METRICS = "metrics.csv"
WEIGHTS = "weights.safetensors"

OWN = (METRICS, WEIGHTS, CHECKPOINT, RUN_MODEL, RUN_CARD, "report.html")
"""What else a run writes into its folder."""

TOGETHER = "+"
"""Between runs that are named as one."""


def members(entry: str) -> list[str]:
    """The runs (or other places) that one entry of a configuration names."""
    # A name of its own may hold the sign.
    return [entry] if Path(entry).exists() else entry.split(TOGETHER)


def check_run(run: Path, config: Any, resume: bool, own: Sequence[str] = OWN) -> None:
    """Refuse to overwrite a run, or to go on with it in another way than it was begun.

    Args:
        run: The folder, there or not.
        config: All settings, a dataclass.
        resume: Whether a run there is to be gone on with.
        own: What a run writes there besides `CONFIG`; none of it may be there without a run.

    Raises:
        DataError: The folder cannot be used.
    """
    written, named = run / CONFIG, printable(run)
    if not written.exists():
        for name in own:
            if os.path.lexists(run / name):
                raise DataError(f"{named}: a run would replace the {name} there; choose another --out")
        return
    if not resume:
        raise DataError(f"{named}: a run is already there; pass --resume to go on or choose another --out")
    try:
        earlier = load_recipe(written, type(config))
    except (DataError, InputError) as error:
        raise DataError(f"{named}: no run that can be gone on with here ({error})") from error
    changed = setting_differences(earlier, config)
    if changed:
        raise DataError(f"{named}: cannot resume with another configuration ({'; '.join(changed)})")
    # Before an epoch is learnt that could not be written down.
    read_epochs(run / METRICS)


def is_kept_without_checkpoint(run: Path) -> bool:
    """Whether only the outcome of a run is still there: training on would replace it by another one."""
    return (run / WEIGHTS).exists() and not (run / CHECKPOINT).exists()


def state_to_go_on_from(run: Path) -> dict[str, Any] | None:
    """The run's checkpoint, or None where nothing was learnt yet.

    Raises:
        DataError: It is no checkpoint, or the run is finished and its checkpoint was taken away.
    """
    if is_kept_without_checkpoint(run):
        raise DataError(
            f"{printable(run)}: a finished run without its {CHECKPOINT} cannot be gone on with; choose "
            "another --out"
        )
    return load_checkpoint(run)


@contextmanager
def run_folder(
    run: Path,
    config: Any,
    ranks: Ranks = ALONE,
    *,
    resume: bool,
    own: Sequence[str] = OWN,
    checkpoints: str = CHECKPOINT,
) -> Iterator[None]:
    """Make a folder that `check_run` let pass, with its settings in it.

    If the block raises before anything is learnt that could be gone on with, a run that was begun here is
    taken away again, so that the same folder can be used with other settings.

    Args:
        run: The folder.
        config: All settings, a dataclass.
        ranks: The processes that train together; the first one writes.
        resume: Whether a run there is gone on with.
        own: What a run writes there.
        checkpoints: Pattern of what can be gone on with, below the folder.

    Raises:
        DataError: As `check_run`: while the data were read, another run may have begun here.
    """
    check_run(run, config, resume, own)
    is_new = not (run / CONFIG).exists()
    made = [run / name for name in (CONFIG, *own, TENSORBOARD) if not os.path.lexists(run / name)]
    folders = [place for place in (run, *run.parents) if not place.exists()]
    # Nobody writes before everybody has looked.
    ranks.wait()
    try:
        if ranks.is_first:
            make_folder(run)
            if not is_new:
                clear_left_over(run)
            save_recipe(config, run / CONFIG)
        yield
    except BaseException:
        if ranks.is_first and is_new and not any(run.glob(checkpoints)):
            _take_away(made, folders)
        raise


def _take_away(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Remove files and whole folders, then those folders that are empty, as far as it can be done."""
    for place in files:
        with suppress(OSError):
            shutil.rmtree(place) if place.is_dir() else place.unlink(missing_ok=True)
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


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


def read_epochs(path: Path) -> list[dict[str, str]]:
    """The rows that `log_epoch` wrote; none where there is no such file.

    Raises:
        DataError: It cannot be read, or is another table.
    """
    rows = read_table(path)
    if any(not (row.get("epoch") or "").isdecimal() for row in rows):
        raise not_ours(path)
    return rows


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a table; none where there is no such file.

    Raises:
        DataError: It cannot be read, or is no table.
    """
    if not path.exists():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [dict(row) for row in csv.DictReader(file) if None not in row.values()]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "not a CSV of UTF-8 text"
        raise DataError(f"{printable(path)}: {reason}") from error


def not_ours(path: Path) -> DataError:
    """What to say of a table that this training did not write."""
    return DataError(f"{printable(path)}: not the table of this training; move it away to go on without it")
