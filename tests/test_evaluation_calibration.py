"""Calibration on data whose right answer is known because it was made that way."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from esrface.emotions import EMOTIONS
from esrface.ensemble import measure_uncertainty, softmax, uncertainty_measures
from esrface.evaluation import calibration, metrics
from esrface.models.card import LOG_ODDS, MEASURES, UncertaintySpec


def _made(images: int, temperature: float, branches: int = 3, seed: int = 5):
    """Logits (N, K, 8) of equal branches and labels drawn from softmax(logits / temperature)."""
    generator = np.random.default_rng(seed)
    z = generator.normal(0.0, 2.0, (images, 8))
    chances = softmax(z / temperature).cumsum(axis=1)
    labels = (generator.random((images, 1)) > chances).sum(axis=1).clip(0, 7)
    return np.repeat(z[:, None], branches, axis=1).astype(np.float32), labels


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_temperature_is_the_one_that_made_the_labels(temperature: float) -> None:
    logits, labels = _made(6000, temperature)
    assert calibration.fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.06)


def test_temperature_is_a_minimum_of_the_likelihood_of_the_mean() -> None:
    logits, labels = _made(800, 1.7)
    logits = logits + np.random.default_rng(1).normal(0, 1.5, logits.shape)  # branches that differ
    fitted = calibration.fit_temperature(logits, labels)

    def loss(temperature: float) -> float:
        p = softmax(logits / temperature).mean(axis=1)
        return float(-np.log(p[np.arange(len(labels)), labels]).mean())

    assert loss(fitted) < min(loss(fitted * 1.02), loss(fitted / 1.02))
    assert loss(fitted) <= min(loss(t) for t in np.geomspace(0.06, 19, 60)) + 1e-9


def test_golden_section_finds_a_floor_off_the_middle() -> None:
    assert calibration.golden_section(lambda x: (x - 0.31) ** 2, -3.0, 9.0) == pytest.approx(0.31, abs=1e-3)


def test_cross_fit_lowers_the_error_of_overconfident_logits() -> None:
    logits, labels = _made(4000, 2.5)
    fit = calibration.cross_fit_temperature(logits, labels)
    assert fit.ece_before > 0.2
    assert fit.ece_after < 0.035
    for half in fit.halves:
        assert half.temperature == pytest.approx(2.5, rel=0.1)
        assert half.images == 2000
        assert half.ece_after < half.ece_before


def test_cross_fit_judges_each_half_by_the_other() -> None:
    # Over-confident in one half, under-confident in the other: the other half's temperature is the wrong one.
    logits, labels = _made(2000, 1.0)
    one, other = calibration.two_halves(2000)
    logits[one] *= 3.0
    logits[other] *= 0.4
    fit = calibration.cross_fit_temperature(logits, labels)
    assert [half.temperature for half in fit.halves] == pytest.approx([3.0, 0.4], rel=0.15)
    assert fit.ece_after > fit.ece_before
    assert [half.images for half in fit.halves] == [len(other), len(one)]


def test_halves_are_fixed_by_the_seed_and_cover_all() -> None:
    one, other = calibration.two_halves(11, seed=3)
    assert sorted([*one, *other]) == list(range(11))
    assert np.array_equal(one, calibration.two_halves(11, seed=3)[0])
    assert not np.array_equal(one, calibration.two_halves(11, seed=4)[0])


def test_logistic_regression_finds_the_weights_that_made_the_data() -> None:
    generator = np.random.default_rng(0)
    features = generator.normal([1.0, -2.0], [0.5, 3.0], (20000, 2))
    target = generator.random(20000) < 1 / (1 + np.exp(-(0.5 - 2.0 * features[:, 0] + 0.7 * features[:, 1])))
    weights = calibration.fit_logistic(features, target)
    assert weights == pytest.approx([0.5, -2.0, 0.7], abs=0.12)
    # At the maximum of the likelihood the residuals are orthogonal to every input (the penalty is tiny).
    residual = target - 1 / (1 + np.exp(-(weights[0] + features @ weights[1:])))
    assert abs(residual.sum()) < 1e-3
    assert np.abs(features.T @ residual).max() < 0.05


@pytest.mark.parametrize("target", [np.arange(40) < 20, np.zeros(40, dtype=bool)])
def test_logistic_regression_survives_separable_and_constant_targets(target: np.ndarray) -> None:
    features = np.stack([np.arange(40.0), np.arange(40.0), np.zeros(40)], axis=1)  # twins and a constant
    weights = calibration.fit_logistic(features, target)
    assert np.isfinite(weights).all()
    assert weights[1] == pytest.approx(weights[2])
    assert (((weights[0] + features @ weights[1:]) > 0) == target).all()


def _branches_that_know(images: int = 1500, seed: int = 2):
    """Labels and logits whose errors show in the branches' disagreement and in nothing else.

    All means are equally confident; in wrong images half of the branches are sure of another emotion.
    """
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 8, images)
    wrong = generator.random(images) < 0.2
    shown = np.where(wrong, (labels + 1) % 8, labels)
    p = np.full((images, 9, 8), 0.35 / 7)
    p[np.arange(images), :, shown] = 0.65  # right ones: all branches moderately sure
    dissent = np.full(8, 0.001)
    for i in np.flatnonzero(wrong):
        p[i] = dissent
        p[i, :6, shown[i]] = 0.993
        p[i, 6:, (shown[i] + 3) % 8] = 0.993
    return np.log(p).astype(np.float32), labels, ~wrong


def test_the_measure_that_tells_errors_is_chosen() -> None:
    logits, labels, correct = _branches_that_know()
    choice = calibration.choose_uncertainty(logits, labels, 1.0)
    figures = {rank.measure: rank for rank in choice.ranking}
    assert figures["mutual_information"].error_auroc == 1.0
    assert figures["one_minus_confidence"].error_auroc < 0.1
    assert figures["mutual_information"].accuracy_at_80 > figures["one_minus_confidence"].accuracy_at_80
    scores = _scored(logits, choice.spec)
    assert metrics.error_auroc(scores, correct) == 1.0


def _scored(logits: np.ndarray, spec: UncertaintySpec) -> np.ndarray:
    p = softmax(logits)
    mean = p.mean(axis=1)
    return measure_uncertainty(p, mean.max(axis=1), mean.argmax(axis=1), spec)


def _features(logits: np.ndarray) -> np.ndarray:
    p = softmax(logits)
    return np.stack(list(uncertainty_measures(p, p.mean(axis=1).max(axis=1)).values()), axis=1)


def test_a_mix_of_noise_does_not_win_by_its_parameters() -> None:
    generator = np.random.default_rng(8)
    logits = generator.normal(0, 2, (120, 9, 8))
    labels = np.where(generator.random(120) < 0.5, logits.mean(axis=1).argmax(axis=1), 8)
    correct = softmax(logits).mean(axis=1).argmax(axis=1) == labels  # a coin decides: nothing tells these
    ranking = calibration.choose_uncertainty(logits, labels, 1.0).ranking
    mix = {rank.measure: rank.error_auroc for rank in ranking}["mix"]
    weights = calibration.fit_logistic(_features(logits), ~correct)
    in_sample = metrics.error_auroc(_features(logits) @ weights[1:], correct)
    assert in_sample > 0.6
    assert mix < in_sample - 0.05


def test_a_mix_that_tells_more_is_chosen_and_fits_the_card() -> None:
    generator = np.random.default_rng(4)
    strength = generator.gamma(2.0, 1.0, (4000, 1, 1))
    logits = generator.normal(0, 1, (4000, 1, 8)) * strength + generator.normal(0, 1, (4000, 9, 8))
    logits *= generator.gamma(2.0, 1.0, (4000, 1, 1))
    one_minus, _, mutual = _features(logits).T
    # Errors depend on both: the confidence and, against it, the disagreement.
    chance = 1 / (1 + np.exp(-(-3.0 + 6.0 * one_minus - 8.0 * mutual)))
    answer = softmax(logits).mean(axis=1).argmax(axis=1)
    labels = np.where(generator.random(4000) < chance, (answer + 1) % 8, answer)
    choice = calibration.choose_uncertainty(logits, labels, 1.0)
    assert choice.spec.measure == "mix"
    assert set(choice.spec.weights) == {"bias", *MEASURES, LOG_ODDS}
    assert len(choice.spec.offsets) == 8
    scores = _scored(logits, choice.spec)
    # The spec as the card holds it scores like the cross-fitted mix, and is the probability of an error.
    told = metrics.error_auroc(scores, answer == labels)
    assert told == pytest.approx(choice.ranking[0].error_auroc, abs=0.01)
    assert scores.mean() == pytest.approx(np.mean(answer != labels), abs=1e-4)


def test_a_mix_learns_that_some_answers_are_less_to_be_trusted_than_others() -> None:
    generator = np.random.default_rng(6)
    logits = np.repeat(generator.normal(0, 2, (4000, 1, 8)), 3, axis=1)
    answer = softmax(logits).mean(axis=1).argmax(axis=1)
    # Whatever the confidence, one answer in ten is wrong, and of emotion 4 every second one.
    wrong = generator.random(4000) < np.where(answer == 4, 0.5, 0.1)
    choice = calibration.choose_uncertainty(logits, np.where(wrong, (answer + 1) % 8, answer), 1.0)
    assert choice.spec.measure == "mix"
    figures = {rank.measure: rank.error_auroc for rank in choice.ranking}
    assert figures["mix"] > 0.6 > 0.55 > figures["one_minus_confidence"]
    scores = _scored(logits, choice.spec)
    assert scores[answer == 4].mean() == pytest.approx(0.5, abs=0.06)
    assert scores[answer != 4].mean() == pytest.approx(0.1, abs=0.03)


def test_a_mix_does_not_believe_few_answers_of_a_rare_emotion() -> None:
    generator = np.random.default_rng(2)
    logits = np.repeat(generator.normal(0, 2, (3000, 1, 8)), 3, axis=1)
    logits[:, :, 7] = -20
    rare = np.arange(2)
    logits[rare, :, 7] = logits[rare].max(axis=2) + 0.5
    answer = softmax(logits).mean(axis=1).argmax(axis=1)
    wrong = generator.random(3000) < np.where(answer == 4, 0.6, 0.1)
    wrong[rare] = False  # Both are right, as far as that goes.
    choice = calibration.choose_uncertainty(logits, np.where(wrong, (answer + 1) % 8, answer), 1.0)
    assert choice.spec.measure == "mix"
    assert (answer[rare] == 7).all()
    assert (_scored(logits, choice.spec)[rare] > 0.03).all()


def test_too_few_errors_for_a_mix_leave_it_out() -> None:
    logits = np.random.default_rng(3).normal(0, 2, (400, 3, 8))
    answer = softmax(logits).mean(axis=1).argmax(axis=1)
    for errors, tried in ((calibration.MIX_ERRORS - 1, False), (calibration.MIX_ERRORS, True)):
        labels = np.where(np.arange(400) < errors, (answer + 1) % 8, answer)
        ranking = calibration.choose_uncertainty(logits, labels, 1.0).ranking
        assert ("mix" in {rank.measure for rank in ranking}) == tried


def test_without_errors_plain_confidence_is_taken() -> None:
    logits = np.zeros((10, 2, 8), dtype=np.float32)
    logits[:, :, 1] = 3.0
    choice = calibration.choose_uncertainty(logits, np.ones(10, dtype=np.int64), 1.0)
    assert choice.spec == UncertaintySpec("one_minus_confidence")
    assert choice.ranking == ()


def test_fit_card_is_json_and_consistent() -> None:
    logits, labels = _made(1200, 2.0)
    labels[labels == 7] = 0  # an emotion without images
    logits = logits + np.random.default_rng(1).normal(0, 0.5, logits.shape).astype(np.float32)
    card = calibration.fit_card(logits, labels)
    spec = card.pop("uncertainty")
    assert json.loads(json.dumps(card, allow_nan=False)) == card
    assert card["images"] == 1200
    assert set(card["recall"]) == set(EMOTIONS)
    assert card["recall"]["Contempt"] is None
    present = [share for share in card["recall"].values() if share is not None]
    assert card["mean_recall"] == pytest.approx(np.mean(present))
    low, high = card["accuracy_interval"]
    assert low < card["accuracy"] < high
    assert card["nll_after"] < card["nll_before"]
    assert card["ece_after"] < card["ece_before"]
    assert card["ensemble_gain"] == pytest.approx(card["accuracy"] - np.mean(card["branch_accuracy"]))
    assert spec.measure == card["uncertainty_ranking"][0]["measure"]
    aurocs = [rank["error_auroc"] for rank in card["uncertainty_ranking"]]
    assert aurocs == sorted(aurocs, reverse=True)
    assert len(aurocs) == 4
    assert {**card, "uncertainty": spec} == calibration.fit_card(logits, labels)
    assert math.isfinite(card["temperature"])
