"""What a model's card has to know and only labelled images can tell: temperature and uncertainty measure.

Pure functions on arrays: logits (N, K, C) after the mirror pass if there is one, labels (N,) integers in
network order. Whatever has free parameters is judged on images that it was not fitted on (two halves, each
fitted on the other; the split follows from a seed), then fitted once more on all images for the card.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface.emotions import EMOTIONS
from esrface.ensemble import combine_arrays, log_odds, softmax, uncertainty_measures
from esrface.evaluation import metrics
from esrface.models.card import LOG_ODDS, MEASURES, UncertaintySpec

TEMPERATURES = (0.05, 20.0)
"""Range in which the temperature is looked for."""

COVERAGE = 0.8
"""Share of the surest images whose accuracy is reported beside each measure."""

MIX_RIDGE = 1.0
"""Penalty on the mix's weights, see `fit_logistic`: one answer of a rare emotion is not believed at once."""

MIX_ERRORS = 50
"""Wrong answers from which on a mix is tried: fewer cannot tell its dozen weights."""


@dataclass(frozen=True)
class HalfFit:
    """A temperature fitted on one half of the images and judged on the other."""

    temperature: float
    images: int
    """Images it was judged on."""
    ece_before: float
    """Of those, at temperature 1."""
    ece_after: float


@dataclass(frozen=True)
class CrossFit:
    """Calibration error before and after temperature, with no image judged by a temperature that saw it."""

    ece_before: float
    """All images at temperature 1."""
    ece_after: float
    """All images, each at the temperature fitted on the half it is not in."""
    halves: tuple[HalfFit, HalfFit]


@dataclass(frozen=True)
class MeasureRank:
    """How well a measure of uncertainty tells wrong answers from right ones."""

    measure: str
    error_auroc: float
    """Probability that a wrong answer is less sure than a right one; 0.5 is chance."""
    risk_coverage_area: float
    """Mean error rate over all coverages; smaller is better."""
    accuracy_at_80: float
    """Accuracy on the surest 80 %."""


@dataclass(frozen=True)
class UncertaintyChoice:
    """The measure to write into the card, and why."""

    spec: UncertaintySpec
    ranking: tuple[MeasureRank, ...]
    """All measures, best first; empty where there was nothing to rank (no errors, or nothing else)."""


def mean_probabilities(logits: NDArray[np.floating[Any]], temperature: float) -> NDArray[np.float64]:
    """(N, C) mean over branches of softmax(logits / temperature)."""
    return np.asarray(softmax(np.asarray(logits, dtype=np.float64) / temperature).mean(axis=1))


def fit_temperature(logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]]) -> float:
    """The temperature within ``TEMPERATURES`` that minimises the negative log likelihood of the mean.

    The likelihood of a mean of softmaxes need not have a single minimum, so a coarse walk over the range
    finds the valley and a golden-section search its floor (to about four digits).
    """

    def loss(log_temperature: float) -> float:
        p = mean_probabilities(logits, math.exp(log_temperature))
        return metrics.negative_log_likelihood(p, labels)

    low, high = (math.log(end) for end in TEMPERATURES)
    walk = np.linspace(low, high, 25)
    best = int(np.argmin([loss(float(step)) for step in walk]))
    return math.exp(golden_section(loss, float(walk[max(0, best - 1)]), float(walk[min(24, best + 1)])))


def golden_section(
    function: Callable[[float], float], low: float, high: float, tolerance: float = 1e-4
) -> float:
    """Where a function with one minimum within low..high has it, to within ``tolerance``."""
    ratio = (math.sqrt(5.0) - 1.0) / 2.0
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > tolerance:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2.0


def two_halves(images: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices 0..images-1 dealt at random to two halves, the same for the same seed."""
    if images < 2:
        raise ValueError(f"expected at least 2 images to make two halves, got {images}")
    order = np.random.default_rng(seed).permutation(images)
    return order[: images // 2], order[images // 2 :]


def cross_fit_temperature(
    logits: NDArray[np.floating[Any]], labels: NDArray[np.integer[Any]], *, seed: int = 0
) -> CrossFit:
    """Expected calibration error before and after a temperature that was fitted on the other half."""
    one, other = two_halves(len(labels), seed)
    before = mean_probabilities(logits, 1.0)
    after = np.empty_like(before)
    halves = []
    for fitted_on, judged_on in ((one, other), (other, one)):
        temperature = fit_temperature(logits[fitted_on], labels[fitted_on])
        after[judged_on] = mean_probabilities(logits[judged_on], temperature)
        halves.append(
            HalfFit(
                temperature,
                len(judged_on),
                metrics.expected_calibration_error(before[judged_on], labels[judged_on]),
                metrics.expected_calibration_error(after[judged_on], labels[judged_on]),
            )
        )
    return CrossFit(
        metrics.expected_calibration_error(before, labels),
        metrics.expected_calibration_error(after, labels),
        (halves[0], halves[1]),
    )


def choose_uncertainty(
    logits: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    temperature: float,
    *,
    seed: int = 0,
) -> UncertaintyChoice:
    """The measure whose order tells errors best (by ``error_auroc``) and the figures of all of them.

    The mix estimates the probability of an error from the measures, the log odds of the confidence and the
    emotion answered: an *Anger* at 70 % is right more often than a *Sad* at 70 %. It is ranked by scores from
    the half that it was not fitted on, so it wins only by telling more and not by having more parameters.
    Without any error, or with nothing but errors, there is no order to judge and 1 - confidence is taken.
    """
    answers = combine_arrays(logits, None, temperature=temperature)
    correct = answers.emotion == labels
    scores = uncertainty_measures(answers.branch_probabilities, answers.confidence)
    classes = logits.shape[-1]
    features = np.column_stack(
        [*scores.values(), log_odds(answers.confidence), np.eye(classes)[answers.emotion]]
    )
    if correct.all() or not correct.any():
        return UncertaintyChoice(UncertaintySpec("one_minus_confidence"), ())
    if np.count_nonzero(~correct) >= MIX_ERRORS:
        scores["mix"] = _cross_fitted_mix(features, ~correct, classes, seed)
    ranking = _ranking(scores, correct)
    best = ranking[0].measure
    if best != "mix":
        return UncertaintyChoice(UncertaintySpec(best), ranking)
    fitted = _fit_mix(features, ~correct, classes)
    weights, offsets = (tuple(map(float, part)) for part in (fitted[:-classes], fitted[-classes:]))
    named = dict(zip(("bias", *MEASURES, LOG_ODDS), weights, strict=True))
    return UncertaintyChoice(UncertaintySpec("mix", named, offsets), ranking)


def fit_logistic(
    features: NDArray[np.float64],
    target: NDArray[np.bool_],
    *,
    ridge: float = 1e-3,
    as_they_are: int = 0,
    steps: int = 50,
) -> NDArray[np.float64]:
    """Logistic regression by Newton's method: (F + 1,) bias, then a weight for each of the features (N, F).

    ``ridge`` is a penalty of ridge / 2 times the squared weights of the standardised features, against the
    sum of the log loss; it keeps features that say the same, or targets told apart exactly, solvable. So many
    of the last features as ``as_they_are`` says are not standardised: of a class that is rarely seen the
    penalty outweighs what few images say.
    """
    center = features.mean(axis=0)
    spread = features.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    scale[len(scale) - as_they_are :] = 1.0
    inputs = np.column_stack([np.ones(len(features)), (features - center) / scale])
    penalty = np.diag([1e-9, *[ridge] * features.shape[1]])
    weights = np.zeros(inputs.shape[1])
    for _ in range(steps):
        p = _logistic(inputs @ weights)
        gradient = inputs.T @ (p - target) + penalty @ weights
        curvature = (inputs * (p * (1.0 - p))[:, None]).T @ inputs + penalty
        step = np.linalg.solve(curvature, gradient)
        # Far from the solution a full Newton step can overshoot where the logistic is flat.
        step *= min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        weights -= step
        if float(np.abs(step).max()) < 1e-9:
            break
    slopes = weights[1:] / scale
    return np.concatenate([[weights[0] - slopes @ center], slopes])


def fit_card(
    logits: NDArray[np.floating[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    seed: int = 0,
    temperature: float | None = None,
    emotions: Sequence[str] = EMOTIONS,
) -> dict[str, Any]:
    """Everything that validation decides or says about a model; the figures are plain JSON-ready data.

    Args:
        logits: (N, K, C) of the validation images in the inference that the card will name (mirror or not).
        labels: (N,) in network order.
        seed: Of the two halves and of the bootstrap.
        temperature: Known beforehand, where the images are too few to fit one; None fits it.
        emotions: The C classes of the model.

    Returns:
        ``temperature`` and ``uncertainty`` (an `UncertaintySpec`) for the card; figures for its scores
        with the vote "mean": ``images``, ``accuracy``, ``accuracy_interval`` (95 %, other images of the same
        kind), ``accuracy_plurality``, ``mean_recall``, ``mean_recall_interval``, ``recall`` (None for a class
        without images), ``ece`` (at the card's temperature, as ``esrface evaluate`` shows it), ``ece_before``
        (temperature 1), ``ece_after`` (cross-fitted, so the honest one), ``ece_halves``, ``nll_before``,
        ``nll_after``, ``branch_accuracy`` (K), ``mean_branch_accuracy``, ``ensemble_gain``, ``disagreement``,
        ``uncertainty_ranking``. Fractions 0-1; NLL in nats.
    """
    if temperature is None:
        temperature = fit_temperature(logits, labels)
    answers = combine_arrays(logits, None, temperature=temperature)
    correct = answers.emotion == labels
    confusion = metrics.confusion_matrix(answers.emotion, labels, len(emotions))
    fit = cross_fit_temperature(logits, labels, seed=seed)
    choice = choose_uncertainty(logits, labels, temperature, seed=seed)
    plurality = combine_arrays(logits, None, temperature=temperature, vote="plurality").emotion
    alone = metrics.branch_accuracies(answers.branch_emotion, labels)
    return {
        "temperature": temperature,
        "uncertainty": choice.spec,
        "images": len(labels),
        "accuracy": metrics.accuracy(answers.emotion, labels),
        "accuracy_interval": list(accuracy_interval(correct, seed=seed)),
        "accuracy_plurality": metrics.accuracy(plurality, labels),
        "mean_recall": metrics.mean_recall(confusion),
        "mean_recall_interval": list(mean_recall_interval(answers.emotion, labels, seed=seed)),
        "recall": named_recalls(confusion, emotions),
        "nll_before": metrics.negative_log_likelihood(mean_probabilities(logits, 1.0), labels),
        "nll_after": metrics.negative_log_likelihood(answers.probabilities, labels),
        "ece": metrics.expected_calibration_error(answers.probabilities, labels),
        "ece_before": fit.ece_before,
        "ece_after": fit.ece_after,
        "ece_halves": [asdict(half) for half in fit.halves],
        "branch_accuracy": [float(share) for share in alone],
        "mean_branch_accuracy": float(alone.mean()),
        "ensemble_gain": metrics.ensemble_gain(answers.emotion, answers.branch_emotion, labels),
        "disagreement": metrics.mean_disagreement(answers.branch_emotion),
        "uncertainty_ranking": [asdict(rank) for rank in choice.ranking],
    }


def accuracy_interval(
    correct: NDArray[np.bool_], *, seed: int = 0, groups: NDArray[Any] | None = None
) -> tuple[float, float]:
    """95 % bootstrap interval of the accuracy for right and wrong answers (N,); groups as in the metrics.

    Exact where all or none are right; groups then count as one answer each.
    """
    if correct.all() or not correct.any():
        answers = len(correct) if groups is None else len(np.unique(groups))
        return metrics.edge_interval(np.array([answers]), right=bool(correct.all()))
    return metrics.bootstrap_interval(
        lambda index: float(correct[index].mean()), len(correct), seed=seed, groups=groups
    )


def mean_recall_interval(
    emotion: NDArray[np.integer[Any]],
    labels: NDArray[np.integer[Any]],
    *,
    seed: int = 0,
    groups: NDArray[Any] | None = None,
) -> tuple[float, float]:
    """95 % bootstrap interval of the mean recall of answers (N,), over the classes a resample has images of.

    Edges and groups as in `accuracy_interval`.
    """
    correct = emotion == labels
    if correct.all() or not correct.any():
        each = np.arange(len(labels)) if groups is None else np.unique(groups, return_inverse=True)[1]
        answers = np.unique(np.stack([labels, each], axis=1), axis=0)
        counts = np.bincount(answers[:, 0])
        return metrics.edge_interval(counts[counts > 0], right=bool(correct.all()))

    def recall(index: NDArray[np.int64]) -> float:
        return metrics.mean_recall(metrics.confusion_matrix(emotion[index], labels[index]))

    return metrics.bootstrap_interval(recall, len(labels), seed=seed, groups=groups)


def named_recalls(
    confusion: NDArray[np.int64], emotions: Sequence[str] = EMOTIONS
) -> dict[str, float | None]:
    """Recall of each of the model's classes by name; None for an emotion without images (JSON has no NaN)."""
    shares = metrics.recalls(confusion)
    return {
        name: None if math.isnan(share) else float(share)
        for name, share in zip(emotions, shares, strict=True)
    }


def _fit_mix(features: NDArray[np.float64], wrong: NDArray[np.bool_], classes: int) -> NDArray[np.float64]:
    """Bias, weights and offsets in one row; the last features say which of the classes was answered."""
    return fit_logistic(features, wrong, ridge=MIX_RIDGE, as_they_are=classes)


def _cross_fitted_mix(
    features: NDArray[np.float64], wrong: NDArray[np.bool_], classes: int, seed: int
) -> NDArray[np.float64]:
    """(N,) probability of an error by a mix fitted on the half that the image is not in."""
    one, other = two_halves(len(wrong), seed)
    scores = np.empty(len(wrong))
    for fitted_on, judged_on in ((one, other), (other, one)):
        weights = _fit_mix(features[fitted_on], wrong[fitted_on], classes)
        scores[judged_on] = _logistic(weights[0] + features[judged_on] @ weights[1:])
    return scores


def _ranking(scores: dict[str, NDArray[np.float64]], correct: NDArray[np.bool_]) -> tuple[MeasureRank, ...]:
    ranks = [
        MeasureRank(
            name,
            metrics.error_auroc(values, correct),
            metrics.risk_coverage(values, correct).area,
            metrics.accuracy_at_coverage(values, correct, COVERAGE),
        )
        for name, values in scores.items()
    ]
    # Sorting is stable: of equals the plainer measure, which comes first, stays ahead.
    return tuple(sorted(ranks, key=lambda rank: -rank.error_auroc))


def _logistic(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)))
