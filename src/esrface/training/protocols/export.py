"""From the outcome of a protocol to what every command uses: ``model.onnx`` and ``card.json`` in the run."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.emotions import EMOTIONS
from esrface.engine.onnx import OnnxEngine
from esrface.ensemble import combine_arrays
from esrface.evaluation.calibration import fit_card
from esrface.models.card import InputSpec, ModelCard, TrainingData, UncertaintySpec
from esrface.models.registry import RUN_CARD, ModelFile
from esrface.networks.esr import ESR
from esrface.preprocess import as_rgb, to_input
from esrface.training.export import verify
from esrface.training.folder_export import ENOUGH_ERRORS, ENOUGH_IMAGES
from esrface.training.precision import model_content
from esrface.training.protocols.config import ProtocolConfig
from esrface.training.protocols.plan import Plan
from esrface.training.protocols.tasks import Affect
from esrface.training.recipes import plain_settings
from esrface.training.run import write_model

BATCH = 64


def export_run(
    network: ESR,
    plan: Plan,
    run: Path,
    config: ProtocolConfig,
    *,
    protocol: str,
    name: str,
    precision: str = "fp16",
    notes: Mapping[str, Any] | None = None,
    threads: int | None = None,
) -> ModelFile:
    """Write model and card into a run's folder.

    Args:
        network: The outcome.
        plan: What it was trained by.
        run: The folder.
        config: Its settings.
        protocol: The protocol's name.
        name: On the card.
        precision: ``"fp16"`` or ``"fp32"``, see `esrface.training.precision`.
        notes: More for the card's protocol.
        threads: To answer with; None: see `esrface.threads`.

    Raises:
        ModelError: The file written does not answer as the network does.
        OutputError: A file cannot be written.
    """
    # A copy: whoever trained goes on to judge the network where it is.
    network = copy.deepcopy(network).to("cpu").eval()
    content = model_content(network, precision)
    spec = input_spec(network, config)
    logits, affect = _answers(network, plan, content, spec, precision, threads)
    card = _card(network, plan, config, spec, logits, affect, hashlib.sha256(content).hexdigest())
    described = {"name": protocol, **_settings(config), "selection": _selection(plan), **(notes or {})}
    card = replace(card, name=name, protocol=described, description=_description(card, protocol, plan))
    return write_model(run, content, card)


def input_spec(network: ESR, config: ProtocolConfig) -> InputSpec:
    """What the network was trained to see."""
    channels = network.config.input_channels
    return InputSpec(
        size=network.config.input_size,
        channels=channels,
        color="gray" if channels == 1 else "bgr",
        mean=(config.input_mean,) * channels,
        std=(config.input_std,) * channels,
        resize="linear",
    )


def _answers(
    network: ESR, plan: Plan, content: bytes, spec: InputSpec, precision: str, threads: int | None
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Logits (N, K, 8), and affect (N, K, 2) where there is such a layer, by the engine that users run."""
    engine = OnnxEngine(content, threads=threads)
    logits: list[NDArray[np.float32]] = []
    affect: list[NDArray[np.float32]] = []
    chosen = [np.arange(at, min(at + BATCH, len(plan.valid))) for at in range(0, len(plan.valid), BATCH)]
    for pixels, _ in plan.valid.batches(chosen):
        x = to_input([as_rgb(face) for face in pixels], spec)
        if not logits:
            shift = np.zeros((network.config.branches, len(EMOTIONS)), dtype=np.float32)
            verify(network, content, x, shift, precision, threads)
        output = engine.run(x)
        logits.append(output.logits)
        if output.affect is not None:
            affect.append(output.affect)
    return np.concatenate(logits), np.concatenate(affect) if affect else None


def _card(
    network: ESR,
    plan: Plan,
    config: ProtocolConfig,
    spec: InputSpec,
    logits: NDArray[np.float32],
    affect: NDArray[np.float32] | None,
    sha256: str,
) -> ModelCard:
    origin = plan.origin
    errors = int((combine_arrays(logits, None).emotion != plan.labels).sum())
    enough = len(plan.labels) >= ENOUGH_IMAGES and errors >= ENOUGH_ERRORS
    fitted = fit_card(logits, plan.labels, temperature=None if enough else 1.0)
    measured = fitted.pop("uncertainty")
    if affect is not None and isinstance(plan.task, Affect):
        fitted |= plan.task.judge(affect, plan.valid.targets).ensemble
    score = {
        "data": origin.data,
        "split": origin.split,
        "protocol": "8 classes; the split that chose the epoch",
    }
    return ModelCard(
        name="",
        version="1",
        description="",
        network=network.config.to_dict(),
        input=spec,
        crop=origin.crop,
        emotions=EMOTIONS,
        branches=network.config.branches,
        temperature=fitted.pop("temperature"),
        mirror=False,
        uncertainty=measured if enough else UncertaintySpec("one_minus_confidence"),
        affect_source="circumplex" if affect is None else "network",
        logit_adjustment=None,
        training_data=(origin.training, *_earlier(config)),
        protocol={},
        seeds=(config.seed,),
        scores=({**score, **fitted},),
        licence=origin.licence,
        sha256=sha256,
    )


def _earlier(config: ProtocolConfig) -> tuple[TrainingData, ...]:
    """What the weights that training began with were learnt from, as far as it is known."""
    if config.init is None:
        return ()
    place = Path(config.init)
    if (place / RUN_CARD).is_file():
        start = ModelCard.load(place / RUN_CARD)
        return tuple(
            TrainingData(data.name, f"{data.use} (of {start.name}, the start)", data.terms)
            for data in start.training_data
        )
    terms = "the published ones: AffectNet, for non-commercial research"
    return (TrainingData(f"weights in {printable(place.name)}", "start of training", terms),)


def _settings(config: ProtocolConfig) -> dict[str, Any]:
    plain = plain_settings(config)
    plain["init"] = None if config.init is None else printable(Path(config.init).name)
    return plain


def _selection(plan: Plan) -> str:
    return f"best epoch of each stage by {plan.task.figures[0]} of the ensemble on {plan.origin.split}"


def _description(card: ModelCard, protocol: str, plan: Plan) -> str:
    return f"{card.branches}-branch {plan.shape.name} by the protocol {protocol} on {plan.origin.data}"
