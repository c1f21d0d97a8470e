"""Branches -> one answer: temperature, vote, confidence, agreement, uncertainty, affect.

The core works on arrays over N faces (``combine_arrays``), so that evaluation over thousands of pictures and
the answer for one face are the same arithmetic; ``build_expressions`` turns the arrays into records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.emotions import EMOTIONS
from esrface.errors import InputError, ModelError
from esrface.models.card import AFFECT_SOURCES, LOG_ODDS, MEASURES, UncertaintySpec
from esrface.results import Expression, circumplex_affect

VOTES = ("mean", "plurality")

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Answers:
    """What an ensemble of K branches says about N faces; float64 unless said otherwise."""

    probabilities: NDArray[np.float64]
    """(N, C) mean over branches of ``branch_probabilities``."""
    emotion: NDArray[np.int64]
    """(N,) index of the ensemble's emotion."""
    confidence: NDArray[np.float64]
    """(N,) probability of ``emotion``."""
    agreement: NDArray[np.float64]
    """(N,) share of branches whose own emotion is ``emotion``."""
    uncertainty: NDArray[np.float64]
    """(N,) 0-1, by the measure asked for."""
    affect: NDArray[np.float64]
    """(N, 2) [valence, arousal], raw."""
    affect_source: str
    branch_emotion: NDArray[np.int64]
    """(N, K) index of each branch's own emotion."""
    branch_probabilities: NDArray[np.float64]
    """(N, K, C) softmax of logits / temperature."""
    branch_affect: NDArray[np.float64]
    """(N, K, 2) each branch's [valence, arousal], raw."""


def combine_arrays(
    logits: Array,
    affect: Array | None,
    *,
    temperature: float = 1.0,
    vote: str = "mean",
    affect_source: str = "circumplex",
    uncertainty: UncertaintySpec | None = None,
) -> Answers:
    """Combine the branches' logits.

    Args:
        logits: (N, K, C), after the mirror pass if there is one.
        affect: (N, K, 2) of a trained layer, or None.
        temperature: Above 0; a branch's probabilities are softmax(logits / temperature).
        vote: ``"mean"``: the emotion is the argmax of the mean probabilities. ``"plurality"``: the emotion
            that most branches name. Ties go to the lowest index.
        affect_source: ``"network"`` (needs ``affect``) or ``"circumplex"`` (read out of probabilities).
        uncertainty: The measure; None is 1 - confidence.
    """
    if vote not in VOTES:
        raise InputError(unknown_name("vote", vote, VOTES))
    branch_probabilities = softmax(np.asarray(logits, dtype=np.float64) / temperature)
    probabilities = branch_probabilities.mean(axis=1)
    branch_emotion = branch_probabilities.argmax(axis=2)
    emotion = probabilities.argmax(axis=1) if vote == "mean" else _plurality(branch_emotion)
    confidence = np.take_along_axis(probabilities, emotion[:, None], axis=1)[:, 0]
    branch_affect = _branch_affect(branch_probabilities, affect, affect_source)
    return Answers(
        probabilities=probabilities,
        emotion=emotion,
        confidence=confidence,
        agreement=(branch_emotion == emotion[:, None]).mean(axis=1),
        uncertainty=measure_uncertainty(branch_probabilities, confidence, emotion, uncertainty),
        affect=branch_affect.mean(axis=1),
        affect_source=affect_source,
        branch_emotion=branch_emotion,
        branch_probabilities=branch_probabilities,
        branch_affect=branch_affect,
    )


def build_expressions(answers: Answers, emotions: tuple[str, ...] = EMOTIONS) -> list[Expression]:
    """One ``Expression`` for each of the N faces; ``emotions`` are the C classes of the model."""
    return [
        Expression(
            emotion=emotions[answers.emotion[i]],
            confidence=float(answers.confidence[i]),
            probabilities=answers.probabilities[i].astype(np.float32),
            valence=float(answers.affect[i, 0]),
            arousal=float(answers.affect[i, 1]),
            affect_source=answers.affect_source,
            agreement=float(answers.agreement[i]),
            uncertainty=float(answers.uncertainty[i]),
            branch_emotions=tuple(emotions[k] for k in answers.branch_emotion[i]),
            branch_probabilities=answers.branch_probabilities[i].astype(np.float32),
            branch_affect=answers.branch_affect[i].astype(np.float32),
            emotions=emotions,
        )
        for i in range(len(answers.emotion))
    ]


def softmax(logits: Array) -> NDArray[np.float64]:
    """Softmax over the last axis, safe for large logits."""
    shifted = np.asarray(logits, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def entropy(probabilities: Array) -> NDArray[np.float64]:
    """Entropy over the last axis (..., C) -> (...), as a share of log C: 0 (one class) - 1 (all alike)."""
    p = np.asarray(probabilities, dtype=np.float64)
    # The limit of p log p at 0 is 0.
    terms = p * np.log(p, out=np.zeros_like(p), where=p > 0)
    return _within(-terms.sum(axis=-1) / math.log(p.shape[-1]))


def mutual_information(branch_probabilities: Array) -> NDArray[np.float64]:
    """How far the branches contradict one another, (N, K, C) -> (N,), as a share of log C, 0-1.

    Entropy of the mean less the mean of the entropies: 0 where all branches say the same, however unsure.
    """
    p = np.asarray(branch_probabilities, dtype=np.float64)
    return _within(entropy(p.mean(axis=1)) - entropy(p).mean(axis=1))


def uncertainty_measures(branch_probabilities: Array, confidence: Array) -> dict[str, NDArray[np.float64]]:
    """All plain measures (``esrface.models.card.MEASURES``) of (N, K, C) and (N,), each (N,) within 0-1."""
    p = np.asarray(branch_probabilities, dtype=np.float64)
    measures = {
        "one_minus_confidence": _within(1.0 - np.asarray(confidence, dtype=np.float64)),
        "entropy": entropy(p.mean(axis=1)),
        "mutual_information": mutual_information(p),
    }
    return {name: measures[name] for name in MEASURES}


def measure_uncertainty(
    branch_probabilities: Array,
    confidence: Array,
    emotion: NDArray[np.integer[Any]],
    spec: UncertaintySpec | None,
) -> NDArray[np.float64]:
    """Uncertainty (N,) within 0-1 as a card specifies it; None is 1 - confidence.

    Args:
        branch_probabilities: (N, K, C).
        confidence: (N,) of the answers.
        emotion: (N,) the answers, indices of classes.
        spec: The card's.
    """
    measures = uncertainty_measures(branch_probabilities, confidence)
    if spec is None:
        return measures["one_minus_confidence"]
    if spec.measure != "mix":
        return measures[spec.measure]
    weights = spec.weights or {}
    measures[LOG_ODDS] = log_odds(confidence)
    total = weights["bias"] + sum(weights.get(name, 0.0) * values for name, values in measures.items())
    if spec.offsets is not None:
        total = total + np.asarray(spec.offsets)[emotion]
    # tanh form of the logistic function: no overflow.
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * total)))


def log_odds(confidence: Array) -> NDArray[np.float64]:
    """Log odds of an error if confidence (N,) were its chance of being right; bounded, where it is sure."""
    c = np.asarray(confidence, dtype=np.float64).clip(1e-9, 1 - 1e-9)
    return np.asarray(np.log1p(-c) - np.log(c))


def _plurality(branch_emotion: NDArray[np.int64]) -> NDArray[np.int64]:
    named = branch_emotion.max(initial=0) + 1
    votes = (branch_emotion[:, :, None] == np.arange(named)).sum(axis=1)
    # argmax takes the first of equals: the lowest index.
    return np.asarray(votes.argmax(axis=1))


def _branch_affect(
    branch_probabilities: NDArray[np.float64], affect: Array | None, source: str
) -> NDArray[np.float64]:
    if source not in AFFECT_SOURCES:
        raise InputError(unknown_name("affect_source", source, AFFECT_SOURCES))
    if source == "circumplex":
        return np.asarray(circumplex_affect(branch_probabilities), dtype=np.float64)
    if affect is None:
        raise ModelError("affect_source is 'network' but the network has no affect output: use 'circumplex'")
    return np.asarray(affect, dtype=np.float64)


def _within(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Clip what rounding put a hair outside 0-1."""
    return np.asarray(np.clip(values, 0.0, 1.0))
