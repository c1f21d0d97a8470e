"""A model as a file of another kind or precision, which is compared with its source before it appears.

From a run's folder the weights are those of training, in float32; from an ``.onnx`` file (a shipped model,
say) they are what the file holds. A share of the log prior that was folded into the model file is folded in
here as well: what is exported answers as the model does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load

from esrface._names import printable, reason_of
from esrface._suggest import unknown_name
from esrface.engine import create_engine
from esrface.engine.onnx import OnnxEngine
from esrface.errors import InputError, ModelError
from esrface.evaluation.exported import calibration_inputs, judge
from esrface.models.card import ModelCard
from esrface.models.original import BATCH_NORMS, read_state_files
from esrface.models.registry import RUN_CARD, RUN_MODEL, ModelFile, resolve_model
from esrface.networks.config import NetworkConfig, network_from_dict
from esrface.networks.esr import ESR, Branch, use_face_statistics
from esrface.networks.onnx_import import from_onnx
from esrface.networks.original import network_of, original_files
from esrface.networks.saved import saved_content
from esrface.outputs import output_errors, refuse_existing, write_together
from esrface.training.precision import (
    EFFECTS,
    PRECISIONS,
    check_answers,
    check_loss,
    effect,
    model_content,
    precision_of,
)
from esrface.training.run import WEIGHTS

FORMATS = ("onnx", "safetensors", "legacy")
"""``onnx``: what every command uses, with its card. ``safetensors``: weights for torch that say which network
they belong to. ``legacy``: the original's layout, a folder with one ``.pt`` file for the base and one for
each branch."""

TRIED = 16
"""Made-up inputs on which the answers are compared."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Exported:
    """What `export_model` wrote."""

    files: tuple[Path, ...]
    difference: float
    """Of the branches' probabilities between the files and the network that was exported: in fp32 the
    largest, else the mean."""
    effect: dict[str, float] | None
    """What the precision changes on labelled faces, see `esrface.training.precision.effect`; None without
    data."""


@dataclass(frozen=True)
class _Source:
    file: ModelFile
    network: ESR
    """In float32, ready to answer."""
    is_trained: bool
    """Whether the batch norms are those of training, and not folded into the convolutions."""


def export_model(
    source: str | Path,
    path: Path,
    *,
    format: str = "onnx",
    precision: str = "fp32",
    data: Path | None = None,
    batch_norm: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write a model as ``path``.

    Args:
        source: As `esrface.models.registry.resolve_model` takes it.
        path: A file that ends in ``.onnx`` or ``.safetensors``, or for ``legacy`` a folder.
        format: One of ``FORMATS``.
        precision: One of ``PRECISIONS``: int8 for ONNX only, and not fp16 for ``legacy``.
        data: Labelled faces, FER+ or a folder of one's own, training and validation: needed for int8, which
            is calibrated with the former; the effect of any precision is measured with the latter.
        batch_norm: For the original's weights as ONNX, what the file does for good; None: ``"instance"``.
        overwrite: Replace files that exist.
        progress: Called with what is being done, how much of it, and how much there is (0: unknown).

    Raises:
        InputError: The request contradicts itself.
        ModelError: The source is no model of ours, cannot be exported so, or the result answers otherwise.
        DataError: The data cannot be used.
        OutputError: A file exists or cannot be written.
    """
    _check_request(path, format, precision, data)
    report = progress or (lambda what, done, total: None)
    for output in _outputs(path, format):
        refuse_existing(output, overwrite=overwrite)
    read = _read_source(resolve_model(source), format, batch_norm)
    changed = None
    if format == "legacy":
        files, difference = _legacy(read, path)
    elif format == "safetensors":
        files, difference = _safetensors(read, path, precision)
    else:
        files, difference, changed = _onnx(read, path, precision, data, batch_norm, report)
    write_together(files, overwrite=overwrite)
    for surplus in set(_outputs(path, format)) - files.keys() if format == "legacy" else ():
        with output_errors(surplus):
            surplus.unlink()
    return Exported(tuple(files), difference, changed)


def _check_request(path: Path, format: str, precision: str, data: Path | None) -> None:
    if format not in FORMATS:
        raise InputError(unknown_name("format", format, FORMATS))
    if precision not in PRECISIONS:
        raise InputError(unknown_name("precision", precision, PRECISIONS))
    if format != "legacy" and path.suffix.lower() != f".{format}":
        raise InputError(f"the format {format} makes a file that ends in .{format}, got {printable(path)}")
    if format == "legacy" and precision != "fp32":
        raise InputError("the format legacy is float32: leave --precision out")
    if format == "safetensors" and precision == "int8":
        raise InputError("int8 is for the format onnx: a safetensors file is fp32 or fp16")
    if format != "onnx" and data is not None:
        raise InputError("--data is for the format onnx, whose card tells what the precision changes")
    if precision == "int8" and data is None:
        raise InputError("int8 needs --data: training faces to calibrate with, others to be judged on")


def _outputs(path: Path, format: str) -> tuple[Path, ...]:
    """Files that must not be there."""
    if format == "legacy":
        # All of these are read together with what is written, and the card before it.
        return tuple(file for file in (*sorted(path.glob("Net-*.pt")), path / RUN_CARD) if file.exists())
    return (path, path.with_suffix(".json")) if format == "onnx" else (path,)


def _read_source(file: ModelFile, format: str, batch_norm: str | None) -> _Source:
    """The model as a network in torch that answers as its file does."""
    if file.is_original:
        if batch_norm is not None and batch_norm not in BATCH_NORMS:
            raise InputError(unknown_name("batch_norm", batch_norm, BATCH_NORMS))
        if batch_norm is not None and format != "onnx":
            raise InputError(f"--batch-norm is for the format onnx: {format} files hold both ways")
        network = network_of(read_state_files(file.path))
        if format == "onnx" and batch_norm != "running":
            use_face_statistics(network)
        return _Source(file, network, is_trained=True)
    engine = create_engine(file, threads=1, batch_norm=batch_norm)
    trained = file.path.parent / WEIGHTS
    is_run = file.path.name == RUN_MODEL and trained.is_file()
    content = file.read()
    config = _config(file.card)
    network = _trained(trained, config, file.card) if is_run else from_onnx(content, config)
    inputs = _made_up(file.card)
    check_answers(_answers(network, inputs), engine.run(inputs).logits, precision_of(content))
    return _Source(file, network, is_trained=is_run)


def _config(card: ModelCard) -> NetworkConfig:
    try:
        return network_from_dict(card.network)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"'{card.name}' cannot be exported: its card does not describe its network layer by layer"
        ) from error


def _trained(path: Path, config: NetworkConfig, card: ModelCard) -> ESR:
    """A run's weights, with what its model file has in its biases besides."""
    with torch.random.fork_rng(devices=[]):
        network = ESR(config).eval()
    try:
        network.load_state_dict(load(path.read_bytes()))
    except OSError as error:
        raise ModelError(f"{printable(path)}: {reason_of(error)}") from None
    except (SafetensorError, RuntimeError):
        raise ModelError(
            f"{printable(path)} is damaged, or of another network than the model beside it: export again"
        ) from None
    adjustment = card.logit_adjustment
    if adjustment is not None:
        prior = torch.tensor([adjustment["log_prior"][name] for name in card.emotions])
        for branch, strength in zip(network.branches, adjustment["strengths"], strict=True):
            assert isinstance(branch, Branch)
            assert branch.classifier.bias is not None
            with torch.no_grad():
                branch.classifier.bias += adjustment["share"] * strength * prior
    return network


def _inherited(score: Mapping[str, Any], file: ModelFile) -> dict[str, Any]:
    """A score of another file of the same network: said to be so, less what that file's precision changed."""
    kept = {key: value for key, value in score.items() if key not in EFFECTS.values()}
    measured = f"measured on {file.card.name} {file.card.version}, sha256 {file.card.sha256[:12]}"
    return {**kept, "protocol": f"{score.get('protocol', '')}; {measured}".removeprefix("; ")}


def _onnx(
    source: _Source,
    path: Path,
    precision: str,
    data: Path | None,
    batch_norm: str | None,
    report: Progress,
) -> tuple[dict[Path, bytes], float, dict[str, float] | None]:
    card = source.file.card
    faces = calibration_inputs(data, card, report) if data is not None and precision == "int8" else None
    content = model_content(source.network, precision, faces=faces)
    inputs = _made_up(card) if faces is None else faces[:: max(1, len(faces) // TRIED)]
    difference = check_answers(
        OnnxEngine(content).run(inputs).logits, _answers(source.network, inputs), precision
    )
    changed = None
    scores = [_inherited(score, source.file) for score in card.scores]
    if data is not None:
        exact = model_content(source.network, "fp32")
        judged = judge(data, card, (content, exact), report)
        given, expected = judged.logits
        changed = effect(given, expected, judged.labels, card.temperature)
        if precision == "int8":
            check_loss(changed["accuracy_change"], len(judged.labels))
        key = EFFECTS.get(precision)
        scores.insert(0, {**judged.score, **({key: changed} if key else {})})
    origin: dict[str, Any] = {"model": card.name, "sha256": card.sha256}
    if source.file.is_original:
        origin["batch_norm"] = batch_norm or "instance"
    card = replace(
        card,
        network=source.network.config.to_dict(),
        protocol={**card.protocol, "exported_from": origin, "precision": precision},
        scores=tuple(scores),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    return {path: content, path.with_suffix(".json"): card.to_json().encode()}, difference, changed


def _safetensors(source: _Source, path: Path, precision: str) -> tuple[dict[Path, bytes], float]:
    card = json.dumps(source.file.card.to_dict())
    content = saved_content(source.network, half=precision == "fp16", card=card)
    again = ESR(source.network.config).eval()
    again.load_state_dict(load(content))
    inputs = _made_up(source.file.card)
    difference = check_answers(_answers(again, inputs), _answers(source.network, inputs), precision)
    return {path: content}, difference


def _legacy(source: _Source, folder: Path) -> tuple[dict[Path, bytes], float]:
    if not source.is_trained:
        raise ModelError(
            f"'{source.file.card.name}' has its batch norms folded in, which that layout keeps apart: "
            "export from the run's folder"
        )
    files = original_files(source.network, folder)
    again = network_of(files, source.network.config)
    inputs = _made_up(source.file.card)
    difference = check_answers(_answers(again, inputs), _answers(source.network, inputs), "fp32")
    return {file.path: file.content for file in files}, difference


def _made_up(card: ModelCard) -> NDArray[np.float32]:
    """Inputs (``TRIED``, C, S, S) as smooth as faces and as bright."""
    spec = card.input
    generator = torch.Generator().manual_seed(1)
    coarse = 255 * torch.rand(TRIED, spec.channels, 6, 6, generator=generator)
    pixels = F.interpolate(coarse, size=(spec.size, spec.size), mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(values)[:, None, None] for values in (spec.mean, spec.std))
    return np.asarray(((pixels - mean) / std).numpy(), dtype=np.float32)


@torch.no_grad()
def _answers(network: ESR, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(network(torch.from_numpy(np.ascontiguousarray(inputs))).logits.numpy())
