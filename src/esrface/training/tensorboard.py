"""Scalars for TensorBoard, beside the CSV, where the package is installed and asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from esrface._extras import how_to_install
from esrface.errors import DependencyError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"
"""Of the logs, inside a run's folder."""


class Scalars:
    """Writes figures by name and step; does nothing without a writer."""

    def __init__(self, writer: SummaryWriter | None = None) -> None:
        self._writer = writer

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Figures of one step, seen at once by a TensorBoard that looks on."""
        if self._writer is None:
            return
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()


SILENT = Scalars()


@contextmanager
def open_scalars(run: Path, wanted: bool) -> Iterator[Scalars]:
    """Scalars that go to the run's folder, or nowhere.

    Raises:
        DependencyError: The package ``tensorboard`` is missing.
    """
    if not wanted:
        yield SILENT
        return
    require_tensorboard()
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(run / FOLDER))
    try:
        yield Scalars(writer)
    finally:
        writer.close()


def require_tensorboard() -> None:
    """Raise DependencyError unless logs for TensorBoard can be written."""
    if importlib.util.find_spec("tensorboard") is None:
        raise DependencyError(f"--tensorboard needs the package tensorboard: {how_to_install('tensorboard')}")
