"""Train an ESR on one's own labelled pictures, from a finished model or from nothing.

The outputs for the eight emotions stay where they are, so that every command and file format works with the
result; those that the training pictures do not show are masked by a bias that no logit can reach, and are
never answered. Classes of other names get outputs behind them.

A run folder holds ``config.yaml``, ``metrics.csv`` (a row an epoch), ``checkpoint.pt`` (to go on from) and,
at the end, the best epoch's weights in ``weights.safetensors``; `esrface.training.folder_export` adds
``model.onnx``, ``card.json`` and ``report.html``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from esrface._names import printable
from esrface.datasets.folder import refuse_among_pictures
from esrface.datasets.folder_pictures import FolderFaces
from esrface.detection import create_detector
from esrface.emotions import EMOTIONS
from esrface.ensemble import combine_arrays
from esrface.errors import DataError, InputError
from esrface.evaluation import metrics
from esrface.evaluation.calibration import fit_temperature, mean_probabilities
from esrface.evaluation.folder import largest_face
from esrface.models.registry import DEFAULT_MODEL
from esrface.networks.esr import ESR
from esrface.outputs import write_whole
from esrface.training.checkpoint import save_checkpoint
from esrface.training.config import TrainConfig
from esrface.training.folder_data import FolderData, Step, read_folder_data
from esrface.training.folder_start import Start, build_network, find_start
from esrface.training.recipes import check_limits
from esrface.training.run import METRICS, WEIGHTS, check_run, run_folder, state_to_go_on_from
from esrface.training.table import log_epoch
from esrface.training.trainer import Epoch, FaceSet, Trainer

MIN_GAIN = 1e-3
"""By how much (nats) the validation loss has to fall to count as better: once all is learnt it creeps on."""


_OF_FERPLUS = ("limb_init", "init_branches", "teachers", "teacher_mirror", "teacher_share", "held_out")
"""Settings that mean nothing here."""


@dataclass(frozen=True)
class FolderConfig(TrainConfig):
    """A run on one's own pictures: a gentle fine-tuning by default."""

    init: str | None = DEFAULT_MODEL
    """A shipped model, an ONNX file with its card beside it, or a run's folder; None starts from nothing."""
    epochs: int = 40
    batch: int = 32
    lr: float = 2e-4
    branch_lr_factor: float = 2.0
    warmup_steps: int = 40
    ema: float = 0.98
    """Epochs are short here: this looks some fifty steps back."""
    advocates: tuple[float, ...] = (0.0,) * 9
    patience: int = 8
    """Epochs without a lower validation loss after which the run ends."""
    detect: bool = False
    """Whether the largest detected face is cut out of each picture instead of taking the whole of it."""
    mirror: bool = False
    """Whether the model looks at the mirror image too; validation then does so as well."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_limits(self, ((("patience",), lambda n: n >= 1, "at least 1"),))
        for name in _OF_FERPLUS:
            if getattr(self, name) != getattr(TrainConfig, name):
                raise InputError(f"{name} is for train ferplus: leave it out")
        if self.init is None and not self.epochs:
            raise InputError("epochs is 0 and init is not set: there is nothing to learn and no start")


def from_nothing() -> FolderConfig:
    """A run that starts from nothing: a small network, since larger ones need a start or more pictures."""
    return FolderConfig(init=None, network="esr9-small", lr=2e-3, branch_lr_factor=1.0)


@dataclass(frozen=True)
class FolderValidation:
    """How the averaged weights do on the validation pictures in the model's own inference, shares 0-1."""

    accuracy: float
    mean_recall: float
    """Over the emotions that the validation pictures show."""
    mean_branch: float
    """Mean accuracy of the branches by themselves."""
    disagreement: float
    """Mean share of pictures on which two branches differ."""
    nll: float
    """Negative log likelihood in nats, after the temperature that minimises it: what decides on the best."""


@dataclass(frozen=True, eq=False)
class FolderRun:
    """A finished training on a folder: what its model file and card are made from."""

    folder: Path
    data: Path
    config: FolderConfig
    start: Start
    network: ESR
    """The best epoch's averaged weights, in evaluation mode on the CPU."""
    best: int
    """The epoch that they are from; 0: the start itself, which no epoch improved on."""
    epochs: int
    """Epochs trained."""
    before: FolderValidation | None
    """Of the start, where it is a model."""
    faces: FolderData

    @property
    def emotions(self) -> tuple[str, ...]:
        """(C,) the model's classes."""
        return self.faces.emotions

    @property
    def absent(self) -> tuple[str, ...]:
        """Emotions that are never answered."""
        return tuple(name for name, count in zip(self.emotions, self.faces.counts, strict=True) if not count)


Report = Callable[[Epoch, FolderValidation, bool], None]
"""Called after an epoch with what it came to, how validation went, and whether it is the best so far."""


def train_folder(
    data: Path,
    run: Path,
    config: FolderConfig,
    *,
    device: str = "cpu",
    resume: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Step | None = None,
    warn: Callable[[str], None] | None = None,
    tell: Callable[[str], None] | None = None,
    report: Report | None = None,
) -> FolderRun:
    """Train on a folder's split ``train`` and keep the best epoch by its split ``valid``.

    Args:
        data: As `esrface.datasets.folder.list_folder` takes it.
        run: Folder to write; a run that is already there is refused unless ``resume``.
        config: Everything that decides the outcome. ``network`` counts only where ``init`` is None, and a
            model's own input and number of branches go before what is said here.
        device: Torch device.
        resume: Go on from the run's last checkpoint, if its configuration and the pictures are the same.
        strict: Raise for the first picture that cannot be used instead of skipping it.
        threads: For reading pictures.
        progress: Called now and then.
        warn: Called before training with each line of `FolderData.warnings`.
        tell: Called after that, still before training, with the classes in a line (`FolderData.summary`).
        report: Called after every epoch.

    Raises:
        DataError: The pictures or the run cannot be used as they are, or the loss became NaN.
        InputError: The run would lie among the pictures.
        ModelError: The model to start from cannot be trained further.
        OutputError: A file of the run cannot be written.
    """
    refuse_among_pictures(run, data)
    start = find_start(config)
    config = _fitted(config, start)
    check_run(run, config, resume)
    step = progress or (lambda what, done, total: None)
    faces = read_folder_data(
        data,
        size=start.config.input_size,
        resize=start.resize,
        cut=largest_face(create_detector(threads=1), start.crop) if config.detect else None,
        batch=config.batch,
        strict=strict,
        threads=threads,
        step=step,
    )
    if warn is not None:
        for line in faces.warnings:
            warn(line)
    if tell is not None:
        tell(faces.summary)
    state = state_to_go_on_from(run) if resume else None
    _check_classes(run, state, faces.emotions)
    faces.fingerprint.check(run, state)
    network = build_network(start, config, faces)
    trainer = Trainer(network, _face_set(faces), config, torch.device(device))
    # Only now, so that pictures or a start that cannot be used leave no empty run behind.
    with run_folder(run, config, resume=resume):
        best = _Best(state, trainer, faces.valid, fine_tuned=start.file is not None)
        _learn(trainer, best, faces, run, step, report)
        weights = {name: tensor.contiguous().cpu() for name, tensor in best.weights.items()}
        write_whole(run / WEIGHTS, save(weights), overwrite=True)
    network = network.to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    network.load_state_dict(weights)
    return FolderRun(run, data, config, start, network, best.epoch, trainer.done, best.before, faces)


def _learn(
    trainer: Trainer, best: _Best, faces: FolderData, run: Path, step: Step, report: Report | None
) -> None:
    """Train until nothing gets better, each epoch logged and kept to go on from."""
    pictures = {"emotions": faces.emotions, **faces.fingerprint.state()}
    for epoch in trainer.epochs(_each_step(step, trainer)) if not best.is_final(trainer.done) else ():
        result = judge(trainer, faces.valid)
        is_best = best.offer(epoch.number, result, trainer)
        log_epoch(run / METRICS, epoch, result)
        save_checkpoint(run, {**trainer.state(), **best.state(), **pictures})
        if report is not None:
            report(epoch, result, is_best)
        if best.is_final(epoch.number):
            break


def judge(trainer: Trainer, valid: FolderFaces) -> FolderValidation:
    """How the averaged weights do on the validation faces."""
    assert isinstance(trainer.config, FolderConfig)
    one, mirrored = (view.numpy() for view in trainer.predict(torch.from_numpy(valid.pixels)))
    logits = (one + mirrored) / 2 if trainer.config.mirror else one
    answers = combine_arrays(logits, None)
    tempered = mean_probabilities(logits, fit_temperature(logits, valid.labels))
    return FolderValidation(
        accuracy=metrics.accuracy(answers.emotion, valid.labels),
        mean_recall=metrics.mean_recall(metrics.confusion_matrix(answers.emotion, valid.labels)),
        mean_branch=float(metrics.branch_accuracies(answers.branch_emotion, valid.labels).mean()),
        disagreement=metrics.mean_disagreement(answers.branch_emotion),
        nll=metrics.negative_log_likelihood(tempered, valid.labels),
    )


class _Best:
    """The best epoch so far, the start of a fine-tuning included, and when to give up looking."""

    def __init__(
        self, state: dict[str, Any] | None, trainer: Trainer, valid: FolderFaces, *, fine_tuned: bool
    ) -> None:
        assert isinstance(trainer.config, FolderConfig)
        self._patience = trainer.config.patience
        self.epoch, self.nll = 0, float("inf")
        self.before: FolderValidation | None = None
        self.weights: dict[str, Tensor] = {}
        if state is not None:
            trainer.restore(state)
            kept = state["best"]
            self.epoch, self.nll, self.weights = kept["epoch"], kept["nll"], kept["weights"]
            self.before = FolderValidation(**kept["before"]) if kept["before"] else None
        elif fine_tuned:
            self.before = judge(trainer, valid)
            self.offer(0, self.before, trainer)

    def offer(self, epoch: int, result: FolderValidation, trainer: Trainer) -> bool:
        """Keep the trainer's averaged weights if they are better than any before."""
        if result.nll > self.nll - MIN_GAIN:
            return False
        self.epoch, self.nll = epoch, result.nll
        self.weights = {
            name: tensor.detach().clone() for name, tensor in trainer.averaged.state_dict().items()
        }
        return True

    def is_final(self, epoch: int) -> bool:
        """Whether too many epochs have passed since the best one."""
        return epoch - self.epoch >= self._patience

    def state(self) -> dict[str, Any]:
        """For the checkpoint."""
        before = None if self.before is None else vars(self.before)
        return {"best": {"epoch": self.epoch, "nll": self.nll, "weights": self.weights, "before": before}}


def _fitted(config: FolderConfig, start: Start) -> FolderConfig:
    """The configuration with what the start decides."""
    branches = start.config.branches
    advocates = config.advocates if len(config.advocates) == branches else (0.0,) * branches
    config = replace(config, network=start.config.name, advocates=advocates)
    if start.card is None:
        return config
    return replace(config, input_mean=start.card.input.mean[0], input_std=start.card.input.std[0])


def _check_classes(run: Path, state: dict[str, Any] | None, emotions: tuple[str, ...]) -> None:
    """Refuse to go on with a run whose pictures have other classes now."""
    before = EMOTIONS if state is None else tuple(state.get("emotions", EMOTIONS))
    if state is not None and before != emotions:
        raise DataError(
            f"{printable(run)}: cannot resume with other classes; they were {', '.join(before)} and are "
            f"{', '.join(emotions)} now"
        )


def _face_set(faces: FolderData) -> FaceSet:
    targets = torch.eye(len(faces.emotions))[torch.from_numpy(faces.training.labels)]
    return FaceSet(torch.from_numpy(faces.training.pixels), targets)


def _each_step(step: Step, trainer: Trainer) -> Callable[[int, int], None]:
    return lambda done, total: step(f"epoch {trainer.done + 1}/{trainer.config.epochs}", done, total)
