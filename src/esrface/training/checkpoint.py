"""Checkpoints that survive a crash at any moment: written beside, then renamed."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from esrface._names import printable
from esrface.errors import DataError, OutputError
from esrface.outputs import write_whole

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(run: Path, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint; the previous one stays until the new one is whole."""
    # Into memory first: torch answers a full disk with errors of its own.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    try:
        write_whole(run / CHECKPOINT, buffer.getvalue(), overwrite=True)
    except OutputError as error:
        if not (run / CHECKPOINT).exists():
            raise
        raise OutputError(f"{error}; the last checkpoint stays, go on with --resume") from error


def load_checkpoint(run: Path) -> dict[str, Any] | None:
    """The run's checkpoint, or None where there is none yet; never unpickles code."""
    path = run / CHECKPOINT
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise DataError(
            f"{printable(path)}: not a checkpoint of a training run ({type(error).__name__})"
        ) from error
    return state
