"""From a finished run to a model file and its card: the two things that recognising needs.

Weights become an ONNX graph; what only labelled images can tell (temperature, uncertainty measure, scores)
is fitted on the validation split through the engine that users run, so that the card's figures are the
shipped file's figures.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from esrface._names import printable
from esrface.datasets.ferplus import FerPlusSplit, load_ferplus
from esrface.emotions import EMOTIONS
from esrface.engine.onnx import OnnxEngine
from esrface.ensemble import combine_arrays
from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.evaluation.calibration import fit_card
from esrface.evaluation.copies import fresh_images
from esrface.evaluation.exported import calibration_choice
from esrface.models.card import CropRule, InputSpec, ModelCard, TrainingData, looks_at
from esrface.models.registry import ModelFile
from esrface.networks.config import NetworkConfig
from esrface.networks.esr import ESR
from esrface.preprocess import as_rgb, to_input
from esrface.training.config import TrainConfig, load_config
from esrface.training.ferplus import held_out_faces, judged_split, training_faces
from esrface.training.loss import log_prior
from esrface.training.precision import (
    EFFECTS,
    check_answers,
    check_loss,
    effect,
    model_content,
)
from esrface.training.run import CONFIG, members, write_model
from esrface.training.share import HELD_OUT, choose_share
from esrface.training.teacher import VOTES, load_network

FERPLUS_TERMS = (
    "FER2013 pictures were gathered by a web search and carry no stated licence; the FER+ labels are MIT"
)
FEATURES_SUFFIX = ".tgz"
"""Of the archive with the public face features: one that is gone since is known by its name."""

FEATURES_TERMS = "model file Apache-2.0 (HSE_FaceRec_tf), distributed under MIT; VGGFace2 is for research"
WEIGHTS_LICENCE = "MIT for what is ours; learnt from data with terms of their own (see training_data)"

FERPLUS_CROP = CropRule(margin=-0.025, square=True, align=True)
"""What comes nearest to FER+'s own framing from the default detector's boxes (docs/framing.md)."""

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Shares of the log prior at which accuracy and mean recall are shown."""


@dataclass(frozen=True)
class ExportOptions:
    """What the exporter is told; the rest follows from run and data."""

    name: str = "model"
    version: str = "1"
    description: str = "Nine-branch ESR trained on FER+"
    mirror: bool = False
    """Whether the card asks for the mirror pass by default."""
    share: float | None = 1.0
    """Share of every branch's logit adjustment that is given back; 1: probabilities of the natural prior.
    None: the one that does best on the training images that the run held out."""
    share_chosen_on: str | None = None
    """What chose a share that is given, for the card."""
    precision: str = "fp16"
    """Of the file, see `esrface.training.precision`."""
    crop: CropRule = FERPLUS_CROP


def export_ferplus_run(
    run: Path, data: Path, options: ExportOptions | None = None, *, threads: int | None = None
) -> ModelFile:
    """Write ``model.onnx`` and ``card.json`` into a finished FER+ run and return them.

    Args:
        run: Folder of the run.
        data: Folder with the training and validation splits.
        options: What the run does not know.
        threads: To answer with; None: see `esrface.threads`.

    Raises:
        DataError: the run is not finished, data is not the FER+ folder, or a share is to be chosen and the
            run held nothing out.
        InputError: there is no such precision.
        ModelError: the file does not answer as the network does, or int8 costs too much accuracy.
    """
    options = options or ExportOptions()
    config = load_config(run / CONFIG)
    network = load_network(run, config)
    training = training_faces(data, config.held_out)
    prior = log_prior(training.targets)
    strengths = (torch.tensor(config.advocates)[:, None] * prior).numpy()
    spec = InputSpec(
        size=network.config.input_size,
        channels=network.config.input_channels,
        color="gray",
        mean=(config.input_mean,) * network.config.input_channels,
        std=(config.input_std,) * network.config.input_channels,
    )
    share = options.share
    if share is None:
        share = _share_of_held_out(network, config, spec, data, strengths, options.mirror, threads)
    shift = np.float32(share) * strengths
    chosen = training.pixels[calibration_choice(len(training))].numpy()
    faces = to_input([as_rgb(face) for face in chosen], spec) if options.precision == "int8" else None
    content = model_content(network, options.precision, logit_shift=shift, faces=faces)
    split, labels = judged_split(data, "valid")
    one, mirrored = engine_logits(content, spec, split.pixels, threads)
    sample = to_input([as_rgb(face) for face in split.pixels[:64]], spec)
    verify(network, content, sample, shift, options.precision, threads)
    both = ((one + mirrored) / 2).astype(np.float32)
    used = both if options.mirror else one
    fitted = fit_card(used, labels)
    temperature = float(fitted.pop("temperature"))
    if options.precision != "fp32":
        exact = model_content(network, "fp32", logit_shift=shift)
        views = engine_logits(exact, spec, split.pixels, threads)
        expected = ((views[0] + views[1]) / 2).astype(np.float32) if options.mirror else views[0]
        changed = effect(used, expected, labels, temperature)
        if options.precision == "int8":
            check_loss(changed["accuracy_change"], len(labels))
        fitted[EFFECTS[options.precision]] = changed
    card = ModelCard(
        name=options.name,
        version=options.version,
        description=options.description,
        network=network.config.to_dict(),
        input=spec,
        crop=options.crop,
        emotions=EMOTIONS,
        branches=network.config.branches,
        temperature=temperature,
        mirror=options.mirror,
        uncertainty=fitted.pop("uncertainty"),
        affect_source="circumplex",
        logit_adjustment=_adjustment(config, share, options, prior.numpy(), used, labels, temperature),
        training_data=_training_data(config),
        protocol=_protocol(config),
        seeds=_seeds(config),
        scores=_scores(one, both, network.config, temperature, options.mirror, split, labels, data, fitted),
        licence=WEIGHTS_LICENCE,
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return write_model(run, content, card)


def engine_logits(
    content: bytes, spec: InputSpec, pixels: NDArray[np.uint8], threads: int | None = None, batch: int = 256
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits (N, K, 8) of grey faces (N, H, W) and of their mirror images, by the engine that users run."""
    engine = OnnxEngine(content, threads=threads)
    views: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    for start in range(0, len(pixels), batch):
        x = to_input([as_rgb(face) for face in pixels[start : start + batch]], spec)
        views[0].append(engine.run(x).logits)
        views[1].append(engine.run(np.ascontiguousarray(x[..., ::-1])).logits)
    return np.concatenate(views[0]), np.concatenate(views[1])


def verify(
    network: ESR,
    content: bytes,
    inputs: NDArray[np.float32],
    shift: NDArray[np.float32],
    precision: str,
    threads: int | None = None,
) -> float:
    """Difference of the branches' probabilities between file and network; ModelError if it is too large.

    See `esrface.training.precision.check_answers`; the card's scores are the file's own in any case.
    """
    with torch.no_grad():
        expected = network(torch.from_numpy(inputs)).logits.numpy() + shift
    given = OnnxEngine(content, threads=threads).run(inputs).logits
    return check_answers(given, expected, precision)


def _share_of_held_out(
    network: ESR,
    config: TrainConfig,
    spec: InputSpec,
    data: Path,
    strengths: NDArray[np.float32],
    mirror: bool,
    threads: int | None,
) -> float:
    if not config.held_out:
        raise DataError("the run held no training images out, on which a share could be chosen: give one")
    split, labels = held_out_faces(data, config.held_out)
    exact = model_content(network, "fp32", logit_shift=strengths)
    one, mirrored = engine_logits(exact, spec, split.pixels, threads)
    return choose_share(((one + mirrored) / 2).astype(np.float32) if mirror else one, strengths, labels)


def _adjustment(
    config: TrainConfig,
    share: float,
    options: ExportOptions,
    prior: NDArray[np.float32],
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
    temperature: float,
) -> dict[str, Any] | None:
    """What was done to the biases, and the whole curve of accuracy against mean recall."""
    if not any(config.advocates):
        return None
    strengths = np.array(config.advocates, dtype=np.float32)[:, None] * prior
    curve = []
    for other in SHARES:
        moved = logits + (other - share) * strengths
        emotion = combine_arrays(moved, None, temperature=temperature).emotion
        confusion = metrics.confusion_matrix(emotion, labels)
        curve.append(
            {
                "share": other,
                "accuracy": metrics.accuracy(emotion, labels),
                "mean_recall": metrics.mean_recall(confusion),
            }
        )
    return {
        "strengths": list(config.advocates),
        "share": share,
        "share_chosen_on": HELD_OUT if options.share is None else options.share_chosen_on,
        "log_prior": {name: float(value) for name, value in zip(EMOTIONS, prior, strict=True)},
        "curve_on_validation": curve,
    }


def _scores(
    one: NDArray[np.float32],
    both: NDArray[np.float32],
    network: NetworkConfig,
    temperature: float,
    mirror: bool,
    split: FerPlusSplit,
    labels: NDArray[np.int64],
    data: Path,
    fitted: dict[str, Any],
) -> tuple[dict[str, Any], ...]:
    """The default inference in full, the other one in short, and both without copies of training images."""
    origin = {"data": "FER+", "split": "valid"}
    rule = "8 classes, majority rule, PublicTest (the split that chose the model)"
    default, other = (both, one) if mirror else (one, both)
    names = [looks_at(network.to_dict(), passes) for passes in (mirror, not mirror)]
    fresh = fresh_images(split.pixels, load_ferplus(data, "train").pixels)
    return (
        {**origin, "protocol": f"{rule}; {names[0]} (default)", **fitted},
        {
            **origin,
            "protocol": f"{rule}; {names[0]}, without copies of training images and of each other",
            **_short(default[fresh], labels[fresh], temperature),
        },
        {**origin, "protocol": f"{rule}; {names[1]}", **_short(other, labels, temperature)},
    )


def _short(logits: NDArray[np.float32], labels: NDArray[np.int64], temperature: float) -> dict[str, Any]:
    emotion = combine_arrays(logits, None, temperature=temperature).emotion
    confusion = metrics.confusion_matrix(emotion, labels)
    return {
        "images": len(labels),
        "accuracy": metrics.accuracy(emotion, labels),
        "mean_recall": metrics.mean_recall(confusion),
    }


def _training_data(config: TrainConfig) -> tuple[TrainingData, ...]:
    ferplus = TrainingData(
        "FER+ (FER2013 pictures, ten votes each)", "training and validation", FERPLUS_TERMS
    )
    if not _knows_public_features(config):
        return (ferplus,)
    features = TrainingData(
        "VGGFace2, by a face-recognition MobileNet", "start of the shared layers", FEATURES_TERMS
    )
    return (ferplus, features)


def _knows_public_features(config: TrainConfig) -> bool:
    """Whether the run, or one that it started or learnt from, started from public face features."""
    entries = [entry for entry in (config.init, *config.teachers) if entry not in (None, VOTES)]
    runs = [Path(run) for run in (*config.limb_init, *(run for entry in entries for run in members(entry)))]
    for run in runs:
        if not run.exists() and run.suffix != FEATURES_SUFFIX:
            raise DataError(f"{printable(run)} is gone, and what was learnt from it: put it back to export")
    return any(not _is_run(run) or _knows_public_features(load_config(run / CONFIG)) for run in runs)


def _seeds(config: TrainConfig) -> tuple[int, ...]:
    """The run's own, or of the runs that it only joins."""
    if config.epochs or config.init is None:
        return (config.seed,)
    joined = [load_config(Path(run) / CONFIG) for run in members(config.init)]
    return tuple(seed for run in joined for seed in _seeds(run))


def _protocol(config: TrainConfig) -> dict[str, Any]:
    """The run's configuration; runs that it started or learnt from are told in full, files by their names."""
    plain = config.to_dict()
    plain["init"] = None if config.init is None else _origins(config.init)
    plain["limb_init"] = [_origin(Path(start)) for start in config.limb_init]
    plain["teachers"] = [_origins(entry) for entry in config.teachers]
    plain["selection"] = "the averaged weights after the last epoch; no epoch was picked"
    return plain


def _origins(entry: str) -> Any:
    runs = [_origin(Path(run)) for run in members(entry)]
    return runs[0] if len(runs) == 1 else runs


def _origin(path: Path) -> str | dict[str, Any]:
    return {"run": path.name, **_protocol(load_config(path / CONFIG))} if _is_run(path) else path.name


def _is_run(path: Path) -> bool:
    return (path / CONFIG).is_file()
