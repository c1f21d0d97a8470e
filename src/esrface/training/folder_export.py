"""From a finished training on a folder to what the commands use and people read: model, card and report."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.datasets.folder import list_folder
from esrface.datasets.folder_pictures import read_pictures
from esrface.detection import create_detector
from esrface.engine.onnx import OnnxEngine
from esrface.ensemble import combine_arrays
from esrface.evaluation.calibration import fit_card
from esrface.evaluation.folder import FolderEvaluation, evaluate_folder, largest_face
from esrface.models.card import InputSpec, ModelCard, TrainingData, UncertaintySpec
from esrface.models.registry import ModelFile
from esrface.outputs import write_whole
from esrface.preprocess import to_input
from esrface.recognizer import Recognizer
from esrface.training.export import verify
from esrface.training.folder import FolderRun
from esrface.training.folder_report import REPORT, report_html
from esrface.training.precision import model_content
from esrface.training.run import METRICS, write_model
from esrface.training.table import read_epochs

ENOUGH_IMAGES, ENOUGH_ERRORS = 100, 5
"""Validation pictures, and wrong answers among them, from which on a temperature and a measure of uncertainty
are fitted; fewer would make both a matter of chance."""

OWN_TERMS = "pictures of whoever trained the model; their terms are not known to esrface"


@dataclass(frozen=True)
class FolderModel:
    """What `export_folder_run` wrote."""

    file: ModelFile
    evaluation: FolderEvaluation
    """On the split valid, in the inference that users get."""


def export_folder_run(
    run: FolderRun,
    *,
    name: str,
    version: str = "1",
    precision: str = "fp16",
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> FolderModel:
    """Write ``model.onnx``, ``card.json`` and ``report.html`` into the run's folder.

    Args:
        run: As `esrface.training.folder.train_folder` gave it.
        name: On the card.
        version: On the card.
        precision: ``"fp16"`` or ``"fp32"``, see `esrface.training.precision`.
        threads: For reading pictures and recognising.
        progress: Called with what is being done, how much of it, and how much there is.

    Raises:
        ModelError: The file written does not answer as the network does.
        OutputError: A file cannot be written.
    """
    content = model_content(run.network, precision)
    spec = _input_spec(run)
    logits, labels = _validation_logits(run, content, spec, precision, threads)
    card = _card(run, name, version, content, spec, logits, labels)
    model = write_model(run.folder, content, card)
    detector = "auto" if run.config.detect else "none"
    with Recognizer(run.folder, detector=detector, threads=threads) as recognizer:
        evaluation = evaluate_folder(
            run.data, "valid", recognizer, detect=run.config.detect, threads=threads, progress=progress
        )
    page = report_html(run, evaluation, read_epochs(run.folder / METRICS))
    write_whole(run.folder / REPORT, page, overwrite=True)
    return FolderModel(model, evaluation)


def _input_spec(run: FolderRun) -> InputSpec:
    shape, config = run.network.config, run.config
    return InputSpec(
        size=shape.input_size,
        channels=shape.input_channels,
        color="gray",
        mean=(config.input_mean,) * shape.input_channels,
        std=(config.input_std,) * shape.input_channels,
        resize=run.start.resize,
    )


def _validation_logits(
    run: FolderRun, content: bytes, spec: InputSpec, precision: str, threads: int | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Logits (N, K, C) in the card's inference, by the engine that users run, and labels (N,)."""
    engine = OnnxEngine(content, threads=threads)
    logits: list[NDArray[np.float32]] = []
    labels: list[int] = []
    for inputs, part in _inputs(run, spec, threads):
        if not labels:
            shift = np.zeros((run.network.config.branches, len(run.emotions)), dtype=np.float32)
            verify(run.network, content, inputs, shift, precision, threads)
        answers = engine.run(inputs).logits
        if run.config.mirror:
            mirrored = engine.run(np.ascontiguousarray(inputs[..., ::-1])).logits
            answers = ((answers + mirrored) / 2).astype(np.float32)
        logits.append(answers)
        labels += part
    return np.concatenate(logits), np.array(labels, dtype=np.int64)


def _inputs(
    run: FolderRun, spec: InputSpec, threads: int | None, batch: int = 64
) -> Iterator[tuple[NDArray[np.float32], list[int]]]:
    """Network inputs (n, C, S, S) of the validation pictures as recognising makes them, and their labels."""
    cut = largest_face(create_detector(threads=1), run.start.crop) if run.config.detect else None
    inputs: list[NDArray[np.float32]] = []
    labels: list[int] = []
    listed = list_folder(run.data, "valid", emotions=run.emotions, of="the run")
    for picture in read_pictures(listed.pictures, cut=cut, threads=threads):
        if picture.crop is None:
            continue
        inputs.append(to_input([picture.crop], spec)[0])
        labels.append(picture.listed.label)
        if len(inputs) == batch:
            yield np.stack(inputs), labels
            inputs, labels = [], []
    if inputs:
        yield np.stack(inputs), labels


def _card(
    run: FolderRun,
    name: str,
    version: str,
    content: bytes,
    spec: InputSpec,
    logits: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> ModelCard:
    start = run.start.card
    errors = int((combine_arrays(logits, None).emotion != labels).sum())
    enough = len(labels) >= ENOUGH_IMAGES and errors >= ENOUGH_ERRORS
    kept = None if enough else start.temperature if start else 1.0
    fitted = fit_card(logits, labels, temperature=kept, emotions=run.emotions)
    measured = fitted.pop("uncertainty")
    origin = f"{start.name}, fine-tuned" if start else f"{run.start.config.name}, trained from nothing"
    what = "whole pictures" if not run.config.detect else "largest detected face"
    return ModelCard(
        name=name,
        version=version,
        description=f"{origin} on the folder {_data_name(run)}",
        network=run.network.config.to_dict(),
        input=spec,
        crop=run.start.crop,
        emotions=run.emotions,
        branches=run.network.config.branches,
        temperature=fitted.pop("temperature"),
        mirror=run.config.mirror,
        uncertainty=measured if enough else UncertaintySpec("one_minus_confidence"),
        affect_source="circumplex",
        logit_adjustment=None,
        training_data=_training_data(run),
        protocol=_protocol(run, enough, len(labels), errors),
        seeds=(run.config.seed,),
        scores=(
            {
                "data": f"folder {_data_name(run)}",
                "split": "valid",
                "protocol": f"{what}; the split that chose the epoch",
                **fitted,
            },
        ),
        licence=_licence(start),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _protocol(run: FolderRun, enough: bool, images: int, errors: int) -> dict[str, Any]:
    """Settings, pictures, and what was decided by them."""
    settings = run.config.to_dict()
    for key in ("init", "teachers"):
        settings.pop(key)
    start = run.start
    return {
        "start": None
        if start.file is None
        else {"model": start.file.card.name, "sha256": start.file.card.sha256},
        **settings,
        "training_pictures": dict(zip(run.emotions, run.faces.counts.tolist(), strict=True)),
        "absent_emotions": list(run.absent),
        "absent_rule": "emotions without training pictures have probability 0 and are never answered",
        "copies_left_out": run.faces.copies,
        "skipped": {"train": len(run.faces.training.skipped), "valid": len(run.faces.valid.skipped)},
        "epochs_trained": run.epochs,
        "selection": f"epoch {run.best}, by the lowest validation loss, so validation figures are hopeful",
        "before_training": None if run.before is None else asdict(run.before),
        "calibration": "fitted on validation"
        if enough
        else f"kept: {images} validation pictures with {errors} errors are too few to fit it",
    }


def _training_data(run: FolderRun) -> tuple[TrainingData, ...]:
    own = TrainingData(f"the folder {_data_name(run)}", "training and validation", OWN_TERMS)
    start = run.start.card
    if start is None:
        return (own,)
    earlier = [
        TrainingData(data.name, f"{data.use} (of {start.name}, the start)", data.terms)
        for data in start.training_data
    ]
    return (own, *earlier)


def _licence(start: ModelCard | None) -> str:
    if start is None:
        return "whatever the owner of the training pictures says"
    return f"whatever the owner of the training pictures says; of the start: {start.licence}"


def _data_name(run: FolderRun) -> str:
    return printable(Path(run.data).resolve().name)
