"""The paper's two trainings on AffectNet: emotions from nothing, then valence and arousal."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from esrface.datasets.affectnet import AffectNetSet, list_affectnet
from esrface.datasets.pools import FacePool
from esrface.datasets.resampling import capped_sample, quadrants
from esrface.emotions import EMOTIONS
from esrface.errors import DataError
from esrface.models.card import CropRule, TrainingData
from esrface.training.fingerprint import Fingerprint
from esrface.training.protocols.config import (
    AffectNetContinuousConfig,
    AffectNetDiscreteConfig,
    ProtocolConfig,
)
from esrface.training.protocols.plan import Origin, Plan, absent, load_start
from esrface.training.protocols.staged import Pools
from esrface.training.protocols.stages import Stage, growth
from esrface.training.protocols.tasks import Affect, Emotions

TERMS = "AffectNet: for non-commercial research, by agreement with its authors"

ORIGIN = Origin(
    data="AffectNet",
    split="validation",
    training=TrainingData("AffectNet, manually annotated", "training and validation", TERMS),
    crop=CropRule(margin=0.0, square=False, align=False),
    licence="as the terms of AffectNet allow: non-commercial research",
)


def discrete_plan(data: Path, config: AffectNetDiscreteConfig, *, threads: int = 1) -> Plan:
    """Eight emotions, each branch on a fresh sample of at most ``cap`` images of each.

    Raises:
        DataError: The prepared sets are not there, or hold no emotion that can be learnt.
    """
    start = load_start(config.init, config.shape)
    training, valid = (_with_emotion(list_affectnet(data, which)) for which in ("training", "validation"))
    pool = FacePool(training.expressions, training.expressions, training.read, in_memory=False)
    judged = FacePool(valid.expressions, valid.expressions, valid.read, in_memory=False)
    return Plan(
        shape=config.shape,
        stages=growth(config.branches, config.pace),
        task=Emotions(),
        pools=fresh_samples(pool, config, threads),
        valid=judged.subset(np.arange(len(judged)), threads=threads),
        labels=valid.expressions,
        start=start,
        origin=ORIGIN,
        pictures=_fingerprint(training, valid),
        warnings=(
            *absent("training", training.expressions),
            *absent("validation", valid.expressions),
        ),
    )


def continuous_plan(data: Path, config: AffectNetContinuousConfig, *, threads: int = 1) -> Plan:
    """Valence and arousal, each branch on a fresh sample of at most ``cap`` images of each quadrant.

    Raises:
        DataError: As `discrete_plan`; or there is nothing to start from: the emotions have to be known.
    """
    if config.init is None:
        raise DataError(
            "valence and arousal are read out of a network that knows the emotions: give --init RUN, of "
            "esrface train affectnet-discrete, or the original's weights"
        )
    start = load_start(config.init, config.shape)
    training, valid = (_with_affect(list_affectnet(data, which)) for which in ("training", "validation"))
    pool = FacePool(training.affect, quadrants(training.affect), training.read, in_memory=False)
    judged = FacePool(valid.affect, quadrants(valid.affect), valid.read, in_memory=False)
    return Plan(
        shape=config.shape,
        stages=growth(config.branches, config.pace, layers="affect"),
        task=Affect(),
        pools=fresh_samples(pool, config, threads),
        valid=judged.subset(np.arange(len(judged)), threads=threads),
        labels=valid.expressions,
        start=start,
        origin=ORIGIN,
        pictures=_fingerprint(training, valid),
    )


def fresh_samples(pool: FacePool, config: ProtocolConfig, threads: int) -> Pools:
    """For each stage a sample of its own, capped by the pool's groups."""

    def draw(stage: Stage) -> list[FacePool]:
        chosen = capped_sample(pool.groups, config.cap, config.seed * 1_009 + stage.number)
        return [pool.subset(chosen, threads=threads)]

    return draw


def _fingerprint(training: AffectNetSet, valid: AffectNetSet) -> Fingerprint:
    """By name, which holds the labels: there are too many faces to look into each."""
    names = ("\n".join(path.name for path in faces.paths) for faces in (training, valid))
    counts = f"{len(training)} training and {len(valid)} validation pictures"
    return Fingerprint.of((os.fsencode(part) for part in names), counts)


def _with_emotion(faces: AffectNetSet) -> AffectNetSet:
    """Those with one of the eight emotions."""
    kept = faces.select(np.less(faces.expressions, len(EMOTIONS)))
    if not len(kept):
        raise DataError(f"{faces.paths[0].parent.parent}: no face has one of the eight emotions")
    return kept


def _with_affect(faces: AffectNetSet) -> AffectNetSet:
    kept = _with_emotion(faces)
    known = np.asarray(~np.isnan(kept.affect).any(axis=1))
    if not known.any():
        raise DataError(f"{faces.paths[0].parent.parent}: no face has values for valence and arousal")
    return kept.select(known)
