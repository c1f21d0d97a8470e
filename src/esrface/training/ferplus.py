"""Train an ESR on FER+: our protocol, from the data folder to a run folder.

A run folder holds ``config.yaml``, ``metrics.csv`` (a row an epoch), ``checkpoint.pt`` (to go on from) and,
at the end, the averaged weights in ``weights.safetensors``; `esrface.training.export` makes the model file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save

from esrface._names import printable
from esrface.datasets.augment import plain_view
from esrface.datasets.ferplus import (
    FerPlusSplit,
    held_out_images,
    load_ferplus,
    majority_labels,
    pixel_hashes,
    soft_labels,
)
from esrface.ensemble import combine_arrays
from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.networks.esr import ESR
from esrface.outputs import write_whole
from esrface.training.checkpoint import load_checkpoint, save_checkpoint
from esrface.training.config import TrainConfig
from esrface.training.distributed import ALONE, Ranks
from esrface.training.loss import log_prior
from esrface.training.run import (
    METRICS,
    WEIGHTS,
    check_run,
    is_kept_without_checkpoint,
    run_folder,
)
from esrface.training.start import start_from
from esrface.training.table import log_epoch
from esrface.training.teacher import call_teachers
from esrface.training.tensorboard import open_scalars
from esrface.training.trainer import Epoch, FaceSet, Trainer

logger = logging.getLogger("esrface")


@dataclass(frozen=True)
class Validation:
    """How the averaged weights do on validation, majority rule, shares 0-1."""

    accuracy: float
    """One view."""
    accuracy_mirror: float
    """Logits of the image and its mirror image averaged."""
    mean_branch: float
    """Mean accuracy of the branches by themselves, one view."""
    disagreement: float
    """Mean share of images on which two branches differ."""
    mean_recall: float
    """Over the classes, mirror pass on."""
    ece: float
    """Before temperature, mirror pass on."""


Report = Callable[[Epoch, Validation], None]


def train_ferplus(
    data: Path,
    run: Path,
    config: TrainConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    ranks: Ranks = ALONE,
    tensorboard: bool = False,
    progress: Callable[[int, int, int], None] | None = None,
    report: Report | None = None,
) -> Path:
    """Train on FER+ and return the path of the weights.

    Args:
        data: folder with the training and validation splits in any layout of `load_ferplus`.
        run: folder to write; a run that is already there is refused unless ``resume``.
        config: everything that decides the outcome.
        device: torch device.
        resume: go on from the run's last checkpoint, if its configuration is the same; a finished run whose
            checkpoint was taken away is left as it is.
        ranks: the processes that train together; the first one writes.
        tensorboard: log for TensorBoard too.
        progress: called with (epoch from 1, images done, images an epoch).
        report: called after every epoch.

    Raises:
        DataError: data or run cannot be used as they are, or the loss became NaN.
        OutputError: a checkpoint cannot be written.
    """
    check_run(run, config, resume)
    if not config.epochs and not config.init_branches:
        raise DataError(
            "epochs is 0 and init_branches is not set: there is nothing to learn and no one to join"
        )
    if resume and is_kept_without_checkpoint(run):
        return run / WEIGHTS
    training = training_faces(data, config.held_out)
    judged, labels = judged_split(data, "valid")
    network = build_network(config, training)
    prior = log_prior(training.targets)
    teachers = call_teachers(config, prior, torch.device(device))
    trainer = Trainer(network, training, config, torch.device(device), teachers, ranks)
    state = load_checkpoint(run) if resume else None
    if state is not None:
        trainer.restore(state)
    seen = None if progress is None else lambda done, total: progress(trainer.done + 1, done, total)
    # Only now, so that data or a start that cannot be used leave no empty run behind.
    with (
        run_folder(run, config, ranks, resume=resume),
        open_scalars(run, tensorboard and ranks.is_first) as scalars,
    ):
        for epoch in trainer.epochs(seen):
            if not ranks.is_first:
                continue
            one, mirrored = (view.numpy() for view in trainer.predict(torch.from_numpy(judged.pixels)))
            result = validate(one, mirrored, labels)
            log_epoch(run / METRICS, epoch, result)
            training_figures = {"loss": epoch.loss, "images_per_s": epoch.images_per_s}
            scalars.add({**training_figures, **asdict(result)}, epoch.number)
            save_checkpoint(run, trainer.state())
            if report is not None:
                report(epoch, result)
        if ranks.is_first:
            averaged = trainer.averaged.state_dict().items()
            weights = {name: tensor.contiguous().cpu() for name, tensor in averaged}
            write_whole(run / WEIGHTS, save(weights), overwrite=True)
    ranks.wait()
    return run / WEIGHTS


def training_faces(data: Path, held_out: float = 0.0) -> FaceSet:
    """The training split with soft labels, less the images whose pixels stand in the validation split too.

    Args:
        data: folder with both splits.
        held_out: share of the images to leave out too; `held_out_faces` has these.
    """
    split = load_ferplus(data, "train")
    targets = soft_labels(split.votes)
    repeated = _in_validation(split, data)
    usable = (targets.sum(axis=1) > 0) & ~repeated & ~held_out_images(split.pixels, held_out)
    if not usable.any():
        raise DataError(f"{printable(data)}: no training image has a usable label")
    logger.info(
        "%d training images, %d left out as copies of validation images", usable.sum(), repeated.sum()
    )
    return FaceSet(torch.from_numpy(split.pixels[usable]), torch.from_numpy(targets[usable]))


def held_out_faces(data: Path, share: float) -> tuple[FerPlusSplit, NDArray[np.int64]]:
    """What `training_faces` held out, of every image one copy, as far as the majority rule labels it."""
    split = load_ferplus(data, "train")
    labels = majority_labels(split.votes)
    chosen = held_out_images(split.pixels, share) & (labels >= 0) & ~_in_validation(split, data)
    first = np.zeros(len(split), dtype=bool)
    first[np.unique(pixel_hashes(split.pixels), return_index=True)[1]] = True
    chosen &= first
    if not chosen.any():
        raise DataError(f"{printable(data)}: no training image was held out")
    return split.select(chosen), labels[chosen]


def _in_validation(split: FerPlusSplit, data: Path) -> NDArray[np.bool_]:
    """(N,) which images are copies of validation images."""
    return np.isin(pixel_hashes(split.pixels), pixel_hashes(load_ferplus(data, "valid").pixels))


def build_network(config: TrainConfig, training: FaceSet) -> ESR:
    """The configured network at its start: random by the seed, base and limbs as the configuration says."""
    torch.manual_seed(config.seed)
    network = ESR(config.shape)
    sample = training.pixels[torch.randperm(len(training))[:256]]
    faces = plain_view(sample, network.config.input_size, config.input_mean, config.input_std)
    start_from(network, config, faces)
    return network


def validate(
    one: NDArray[np.float32], mirrored: NDArray[np.float32], labels: NDArray[np.int64]
) -> Validation:
    """Judge logits (N, K, 8) of one view and of the mirrored one against labels (N,)."""
    single, both = combine_arrays(one, None), combine_arrays((one + mirrored) / 2, None)
    return Validation(
        accuracy=metrics.accuracy(single.emotion, labels),
        accuracy_mirror=metrics.accuracy(both.emotion, labels),
        mean_branch=float(metrics.branch_accuracies(single.branch_emotion, labels).mean()),
        disagreement=metrics.mean_disagreement(single.branch_emotion),
        mean_recall=metrics.mean_recall(metrics.confusion_matrix(both.emotion, labels)),
        ece=metrics.expected_calibration_error(both.probabilities, labels),
    )


def judged_split(data: Path, split: str) -> tuple[FerPlusSplit, NDArray[np.int64]]:
    """The images of a split that the majority rule labels, and their labels (N,)."""
    images = load_ferplus(data, split)
    labels = majority_labels(images.votes)
    return images.select(labels >= 0), labels[labels >= 0]
