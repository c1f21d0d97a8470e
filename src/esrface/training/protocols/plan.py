"""One protocol set up for one training: network, stages, images, and what the model's card says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.datasets.pools import FacePool
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, ModelError
from esrface.models.card import CropRule, TrainingData
from esrface.models.original import is_original
from esrface.networks.config import NetworkConfig
from esrface.networks.esr import ESR
from esrface.networks.original import read_original
from esrface.networks.saved import load_saved
from esrface.training.fingerprint import Fingerprint
from esrface.training.protocols.staged import Pools, take_weights
from esrface.training.protocols.stages import Stage
from esrface.training.protocols.tasks import Task
from esrface.training.run import WEIGHTS


@dataclass(frozen=True)
class Origin:
    """What a card says of the data."""

    data: str
    split: str
    """That chose the weights."""
    training: TrainingData
    crop: CropRule
    licence: str


@dataclass(frozen=True)
class Plan:
    """All that a training needs."""

    shape: NetworkConfig
    stages: tuple[Stage, ...]
    task: Task
    pools: Pools
    valid: FacePool
    labels: NDArray[np.int64]
    """(N,) emotions of the validation faces, to calibrate by."""
    start: ESR | None
    origin: Origin
    warnings: tuple[str, ...] = ()
    """What has to be known before a long run: one line each."""
    pictures: Fingerprint | None = None
    """Of all pictures, so that a run is not gone on with on others; None: nobody looks."""


def absent(what: str, labels: NDArray[np.int64]) -> tuple[str, ...]:
    """A warning where emotions have no picture among the ``what``, labelled in network order."""
    counts = np.bincount(labels, minlength=len(EMOTIONS))
    names = [name for name, count in zip(EMOTIONS, counts, strict=True) if not count]
    return (f"no picture of {', '.join(names)} among those for {what}",) if names else ()


def load_start(init: str | None, shape: NetworkConfig) -> ESR | None:
    """The network that training begins with: of the original's files, or of a finished run.

    Raises:
        DataError: Nothing of the kind is there.
        ModelError: It does not fit the network to be trained, or has fewer branches.
    """
    if init is None:
        return None
    place = Path(init)
    if not place.is_dir():
        raise DataError(
            f"{printable(init)}: no such folder; --init takes the original's weights, a run, or none"
        )
    if (place / WEIGHTS).is_file():
        start = load_saved(place / WEIGHTS)
    elif is_original(place):
        start = read_original(place)
    else:
        raise DataError(
            f"{printable(init)}: neither a finished run ({WEIGHTS}) nor the original's weights (Net-….pt)"
        )
    if start.config.branches < shape.branches:
        raise ModelError(
            f"{printable(init)} has {start.config.branches} branches, {shape.branches} are to be trained"
        )
    # Whether it fits at all is known now, not after the data was read.
    take_weights(ESR(shape), start)
    return start
