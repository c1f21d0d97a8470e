"""The paper's fine-tuning on FER+: ESR-9 from AffectNet, one more branch a stage."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface.datasets.ferplus import load_ferplus, majority_labels, pixel_hashes
from esrface.datasets.pools import FacePool
from esrface.models.card import TrainingData
from esrface.training.export import FERPLUS_CROP, FERPLUS_TERMS
from esrface.training.fingerprint import Fingerprint
from esrface.training.protocols.affectnet import fresh_samples
from esrface.training.protocols.config import FerPlusPaperConfig
from esrface.training.protocols.plan import Origin, Plan, absent, load_start
from esrface.training.protocols.stages import growth
from esrface.training.protocols.tasks import Emotions

ORIGIN = Origin(
    data="FER+",
    split="valid",
    training=TrainingData(
        "FER+ (FER2013 pictures, ten votes each)", "training and validation", FERPLUS_TERMS
    ),
    crop=FERPLUS_CROP,
    licence="as the terms of the training data and of the weights it began with allow (see training_data)",
)


def ferplus_plan(data: Path, config: FerPlusPaperConfig) -> Plan:
    """Eight emotions by the majority rule, each branch on a fresh sample of at most ``cap`` images of each.

    Raises:
        DataError: The splits for training and validation are not there.
    """
    start = load_start(config.init, config.shape)
    splits = {}
    for name in ("train", "valid"):
        faces = load_ferplus(data, name)
        labels = majority_labels(faces.votes)
        splits[name] = Labelled(faces.pixels[labels >= 0], labels[labels >= 0])
    if config.drop_copies:
        training = splits["train"]
        fresh = ~np.isin(pixel_hashes(training.pixels), pixel_hashes(load_ferplus(data, "valid").pixels))
        splits["train"] = Labelled(training.pixels[fresh], training.labels[fresh])
    return Plan(
        shape=config.shape,
        stages=growth(config.branches, config.pace),
        task=Emotions(),
        pools=fresh_samples(FacePool.of(splits["train"].pixels, splits["train"].labels), config, 1),
        valid=FacePool.of(splits["valid"].pixels, splits["valid"].labels),
        labels=splits["valid"].labels,
        start=start,
        origin=ORIGIN,
        warnings=(
            *absent("training", splits["train"].labels),
            *absent("validation", splits["valid"].labels),
        ),
        pictures=_fingerprint(splits["train"], splits["valid"]),
    )


@dataclass(frozen=True)
class Labelled:
    """Faces with one emotion each."""

    pixels: NDArray[np.uint8]
    """(N, 48, 48) grey."""
    labels: NDArray[np.int64]
    """(N,) in network order."""


def _fingerprint(training: Labelled, valid: Labelled) -> Fingerprint:
    parts = (part.tobytes() for faces in (training, valid) for part in (faces.pixels, faces.labels))
    counts = f"{len(training.labels)} training and {len(valid.labels)} validation pictures"
    return Fingerprint.of(parts, counts)
