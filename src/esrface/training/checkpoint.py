"""Checkpoints that survive a crash at any moment: written beside, then renamed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from esrface.errors import DataError, OutputError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; the previous one stays until the new one is whole."""
    part = run / f"{CHECKPOINT}.part"
    try:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(run / CHECKPOINT)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        raise OutputError(f"{run}: the checkpoint cannot be written ({error}); the last one stays") from error


def load_checkpoint(run: Path) -> dict[str, Any] | None:
    """The run's checkpoint, or None where there is none yet; never unpickles code."""
    path = run / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(f"{path}: not a checkpoint of a training run ({error})") from error
    return state
