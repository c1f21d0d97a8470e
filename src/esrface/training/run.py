"""The folder of a training run: what is in it, and who may write there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from esrface._names import printable
from esrface.errors import DataError, InputError
from esrface.models.card import ModelCard
from esrface.models.registry import RUN_CARD, RUN_MODEL, ModelFile
from esrface.outputs import clear_left_over, make_folder, write_together
from esrface.training.checkpoint import CHECKPOINT, load_checkpoint
from esrface.training.distributed import ALONE, Ranks
from esrface.training.recipes import load_recipe, save_recipe, setting_differences
from esrface.training.table import read_epochs
from esrface.training.tensorboard import FOLDER as TENSORBOARD

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


def write_model(run: Path, content: bytes, card: ModelCard) -> ModelFile:
    """Write a run's model with its card; OutputError where that fails, and both are as they were."""
    write_together({run / RUN_MODEL: content, run / RUN_CARD: card.to_json()}, overwrite=True)
    return ModelFile(run / RUN_MODEL, card)


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
