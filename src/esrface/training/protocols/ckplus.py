"""The paper's comparison on CK+: ESR-4 against a single network and a traditional ensemble, in ten trials."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from esrface.datasets.ckplus import CkPlus, Trial, ckplus_trial
from esrface.datasets.pools import FacePool
from esrface.models.card import CropRule, TrainingData
from esrface.training.fingerprint import Fingerprint
from esrface.training.protocols.config import CkPlusConfig, variant_shape
from esrface.training.protocols.plan import Origin, Plan, load_start
from esrface.training.protocols.stages import Pace, Stage, growth, interleaved
from esrface.training.protocols.tasks import Emotions

TERMS = "CK+: for non-commercial research, by agreement with its distributors"


def origin(trial: int) -> Origin:
    """What the card of a trial's model says."""
    return Origin(
        data="CK+",
        split=f"validation fold of trial {trial}",
        training=TrainingData("CK+ (extended Cohn-Kanade)", "training and validation", TERMS),
        crop=CropRule(margin=0.0, square=True, align=False),
        licence="as the terms of CK+ allow: non-commercial research",
    )


def ckplus_plan(faces: CkPlus, variant: str, trial: int, config: CkPlusConfig) -> Plan:
    """One trial of one variant.

    Args:
        faces: All labelled frames.
        variant: One of `esrface.training.protocols.config.VARIANTS`.
        trial: 0-9, see `esrface.datasets.ckplus.ckplus_trial`.
        config: As given.
    """
    shape = variant_shape(variant)
    folds = ckplus_trial([str(subject) for subject in faces.subjects], trial)
    valid = of_subjects(faces, folds.valid)
    return Plan(
        shape=shape,
        stages=ckplus_stages(variant, config.pace),
        task=Emotions(),
        pools=lambda stage: [_training(faces, folds, branch) for branch in learners(variant, stage)],
        valid=valid,
        labels=np.asarray(valid.targets),
        start=load_start(config.init, shape),
        pictures=fingerprint(faces),
        origin=origin(trial),
    )


def fingerprint(faces: CkPlus) -> Fingerprint:
    """Of all labelled frames, by content, label and subject."""
    who = "\n".join(faces.subjects.tolist()).encode("utf-8", "backslashreplace")
    return Fingerprint.of((faces.pixels.tobytes(), faces.labels.tobytes(), who), f"{len(faces)} pictures")


def ckplus_stages(variant: str, pace: Pace) -> tuple[Stage, ...]:
    """The stages of a variant.

    The traditional ensemble is four networks that share nothing, trained one after another.
    """
    if variant == "single":
        return growth(1, pace)
    strategy = "frozen" if variant == "ensemble" else variant.partition("-")[2]
    branches = variant_shape(variant).branches
    if strategy == "interleaved":
        return interleaved(branches, pace)
    # "varied" is what the settings say.
    trained = pace.trained_lr if strategy == "varied" else pace.lr if strategy == "fixed" else 0.0
    return growth(branches, replace(pace, trained_lr=trained), shared=variant != "ensemble")


def learners(variant: str, stage: Stage) -> tuple[int, ...]:
    """The branches, from 1, whose images a stage is trained on; 0: images of all four folds."""
    if variant == "single":
        return (0,)
    return tuple(range(1, stage.branches + 1)) if stage.order == "in turn" else (stage.branches,)


def of_subjects(faces: CkPlus, subjects: tuple[str, ...]) -> FacePool:
    """The frames of some subjects."""
    chosen = faces.select(np.isin(faces.subjects, subjects))
    return FacePool.of(chosen.pixels, chosen.labels)


def _training(faces: CkPlus, folds: Trial, branch: int) -> FacePool:
    """The frames of the training folds, less the one that the branch leaves out."""
    kept = [fold for number, fold in enumerate(folds.training, start=1) if number != branch]
    return of_subjects(faces, tuple(subject for fold in kept for subject in fold))
