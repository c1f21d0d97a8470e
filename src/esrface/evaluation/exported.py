"""Labelled faces for export: some of the training split to calibrate with, validation to judge by."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.datasets.ferplus import (
    SPLIT_FOLDERS,
    has_split,
    load_ferplus,
    majority_labels,
    pixel_hashes,
)
from esrface.datasets.folder import Listed, list_folder
from esrface.datasets.folder_pictures import Cut, read_pictures
from esrface.detection import create_detector
from esrface.engine import run_views
from esrface.engine.onnx import OnnxEngine
from esrface.ensemble import combine_arrays
from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.evaluation.calibration import named_recalls
from esrface.evaluation.folder import largest_face
from esrface.models.card import ModelCard
from esrface.networks.quantise import CALIBRATION_FACES
from esrface.preprocess import as_rgb, to_input

BATCH = 64

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0: unknown)."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Answers of several files of one model on the validation split."""

    labels: NDArray[np.int64]
    """(N,) in network order."""
    logits: tuple[NDArray[np.float32], ...]
    """(N, K, C) of each file, in the card's inference."""
    score: dict[str, Any]
    """The first file's, for a card."""


def calibration_inputs(data: Path, card: ModelCard, progress: Progress) -> NDArray[np.float32]:
    """Inputs (N, C, S, S) of evenly spread training faces, none of whose pictures is in FER+ validation.

    Raises:
        DataError: There are none, or the data cannot be read.
    """
    progress("reading training faces", 0, 0)
    if _is_ferplus(data):
        pixels = load_ferplus(data, "train").pixels
        held_out = pixel_hashes(load_ferplus(data, "valid").pixels)
        pixels = pixels[~np.isin(pixel_hashes(pixels), held_out)]
        crops = [as_rgb(face) for face in pixels[calibration_choice(len(pixels))]]
    else:
        pictures = list_folder(data, "train", emotions=card.emotions).pictures
        chosen = [pictures[index] for index in calibration_choice(len(pictures))]
        crops = [crop for crop, _ in _read(chosen, _cut(card))]
    if not crops:
        raise DataError(f"{printable(data)}: no training face can be used")
    return to_input(crops, card.input)


def calibration_choice(count: int) -> NDArray[np.int64]:
    """Which of so many faces are used: all, or ``CALIBRATION_FACES`` evenly spread ones."""
    chosen = np.linspace(0, count - 1, min(count, CALIBRATION_FACES))
    return np.asarray(chosen.round(), dtype=np.int64)


def judge(data: Path, card: ModelCard, files: Sequence[bytes], progress: Progress) -> Judged:
    """Let model files answer on the validation split.

    Args:
        data: FER+ in any of its layouts, or a folder or CSV of one's own pictures.
        card: Of the model; one whose card says that faces were detected gets them detected.
        files: Contents of ONNX files.
        progress: Called now and then.

    Raises:
        DataError: There is no usable validation face, or the data cannot be read.
    """
    engines = [OnnxEngine(content) for content in files]
    logits: list[list[NDArray[np.float32]]] = [[] for _ in engines]
    labels: list[int] = []
    faces, total, told = _validation(data, card)
    for crops, part in _batches(faces):
        inputs = to_input(crops, card.input)
        for engine, answers in zip(engines, logits, strict=True):
            answers.append(run_views(engine, inputs, mirror=card.mirror).logits)
        labels += part
        progress("judging on validation", len(labels), total)
    if not labels:
        raise DataError(f"{printable(data)}: no validation face can be used")
    known = np.array(labels, dtype=np.int64)
    joined = tuple(np.concatenate(answers) for answers in logits)
    return Judged(known, joined, {**told, **_figures(joined[0], known, card)})


def _figures(logits: NDArray[np.float32], labels: NDArray[np.int64], card: ModelCard) -> dict[str, Any]:
    answers = combine_arrays(logits, None, temperature=card.temperature)
    confusion = metrics.confusion_matrix(answers.emotion, labels, len(card.emotions))
    return {
        "images": len(labels),
        "accuracy": metrics.accuracy(answers.emotion, labels),
        "mean_recall": metrics.mean_recall(confusion),
        "recall": named_recalls(confusion, card.emotions),
        "ece": metrics.expected_calibration_error(answers.probabilities, labels),
    }


def _validation(
    data: Path, card: ModelCard
) -> tuple[Iterator[tuple[NDArray[np.uint8], int]], int, dict[str, str]]:
    """Crops with their labels, how many there are at most, and what a card says of them."""
    if _is_ferplus(data):
        split = load_ferplus(data, "valid")
        labels = majority_labels(split.votes)
        chosen = np.flatnonzero(labels >= 0)
        rule = f"8 classes, majority rule, PublicTest; {card.looks_at}; the exported file"
        faces = ((as_rgb(split.pixels[i]), int(labels[i])) for i in chosen)
        return faces, len(chosen), {"data": "FER+", "split": "valid", "protocol": rule}
    pictures = list_folder(data, "valid", emotions=card.emotions).pictures
    whole = "largest detected face" if _detects(card) else "whole pictures"
    name = f"folder {printable(data.resolve().name)}"
    told = {"data": name, "split": "valid", "protocol": f"{whole}; {card.looks_at}; the exported file"}
    return _read(pictures, _cut(card)), len(pictures), told


def _read(pictures: Sequence[Listed], cut: Cut | None) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for picture in read_pictures(pictures, cut=cut):
        if picture.crop is not None:
            yield picture.crop, picture.listed.label


def _batches(
    faces: Iterator[tuple[NDArray[np.uint8], int]],
) -> Iterator[tuple[list[NDArray[np.uint8]], list[int]]]:
    crops: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for crop, label in faces:
        crops.append(crop)
        labels.append(label)
        if len(crops) == BATCH:
            yield crops, labels
            crops, labels = [], []
    if crops:
        yield crops, labels


def _detects(card: ModelCard) -> bool:
    return card.protocol.get("detect") is True


def _cut(card: ModelCard) -> Cut | None:
    return largest_face(create_detector(threads=1), card.crop) if _detects(card) else None


def _is_ferplus(data: Path) -> bool:
    return any(has_split(data, split) for split in SPLIT_FOLDERS)
