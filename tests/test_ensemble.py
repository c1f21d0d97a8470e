"""The ensemble's arithmetic against values worked out by hand; the working stands beside each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.emotions import EMOTIONS
from esrface.ensemble import (
    build_expressions,
    combine_arrays,
    entropy,
    measure_uncertainty,
    mutual_information,
    uncertainty_measures,
)
from esrface.errors import InputError, ModelError
from esrface.models.card import UncertaintySpec
from esrface.results import Expression

NEUTRAL, HAPPY, SAD, ANGER = 0, 1, 2, 6


def combine(*arrays: Any, **options: Any) -> list[Expression]:
    """The records of what ``combine_arrays`` gives."""
    return build_expressions(combine_arrays(*arrays, **options))


def logits_of(*branches: dict[int, float]) -> NDArray[np.float32]:
    """(1, K, 8) logits whose softmax gives the probabilities named; all others are next to nothing."""
    logits = np.full((1, len(branches), 8), -60.0, dtype=np.float32)
    for k, named in enumerate(branches):
        for emotion, p in named.items():
            logits[0, k, emotion] = math.log(p)
    return logits


# Two of three branches say Neutral by a hair, the third is sure of Happy:
# mean Neutral (0.6 + 0.1 + 0.55) / 3 = 0.416667, Happy (0.4 + 0.9 + 0.45) / 3 = 0.583333.
SPLIT = logits_of({NEUTRAL: 0.6, HAPPY: 0.4}, {NEUTRAL: 0.1, HAPPY: 0.9}, {NEUTRAL: 0.55, HAPPY: 0.45})


def test_mean_vote_takes_the_largest_mean_probability() -> None:
    (answer,) = combine(SPLIT, None)
    assert answer.emotion == "Happy"
    assert answer.confidence == pytest.approx(0.583333, abs=1e-6)
    assert answer.agreement == pytest.approx(1 / 3)
    assert answer.branch_emotions == ("Neutral", "Happy", "Neutral")
    assert answer.branch_probabilities[1, :2] == pytest.approx([0.1, 0.9], abs=1e-6)


def test_plurality_counts_branches_and_keeps_the_mean_as_confidence() -> None:
    (answer,) = combine(SPLIT, None, vote="plurality")
    assert answer.emotion == "Neutral"
    assert answer.confidence == pytest.approx(0.416667, abs=1e-6)
    assert answer.agreement == pytest.approx(2 / 3)


@pytest.mark.parametrize("order", [(ANGER, SAD), (SAD, ANGER)])
def test_a_tied_vote_goes_to_the_lowest_index(order: tuple[int, int]) -> None:
    (answer,) = combine(logits_of({order[0]: 0.9}, {order[1]: 0.9}), None, vote="plurality")
    assert answer.emotion == "Sad"
    (answer,) = combine(np.zeros((1, 3, 8), dtype=np.float32), None)
    assert answer.emotion == "Neutral"


def test_temperature_divides_logits_before_the_softmax() -> None:
    # T = 2 takes square roots: sqrt 0.6 / (sqrt 0.6 + sqrt 0.4) = 0.774597 / 1.407053 = 0.550510.
    arrays = combine_arrays(logits_of({NEUTRAL: 0.6, HAPPY: 0.4}), None, temperature=2.0)
    assert arrays.branch_probabilities[0, 0, :2] == pytest.approx([0.550510, 0.449490], abs=1e-6)


def test_entropy_and_mutual_information_by_hand() -> None:
    # Entropy of (5/12, 7/12): 0.364779 + 0.314411 = 0.679190; of 0.6: 0.673012, 0.9: 0.325083 and
    # 0.55: 0.688139, their mean 0.562078. Divided by ln 8 = 2.079442: 0.326622, and
    # (0.679190 - 0.562078) / 2.079442 = 0.056319.
    arrays = combine_arrays(SPLIT, None)
    measures = uncertainty_measures(arrays.branch_probabilities, arrays.confidence)
    assert measures["one_minus_confidence"] == pytest.approx([0.416667], abs=1e-6)
    assert measures["entropy"] == pytest.approx([0.326622], abs=2e-6)
    assert measures["mutual_information"] == pytest.approx([0.056319], abs=2e-6)


def test_measures_reach_their_bounds_and_never_leave_them() -> None:
    one_hot = np.eye(8)
    assert entropy(np.full((1, 8), 1 / 8)) == pytest.approx([1.0])
    assert entropy(one_hot).tolist() == [0.0] * 8
    # Eight branches, each sure of another emotion: nothing but contradiction.
    assert mutual_information(one_hot[None]) == pytest.approx([1.0])
    # Alike branches: no contradiction, however unsure; rounding must not make it negative.
    alike = np.tile(np.random.default_rng(0).dirichlet(np.ones(8), size=(50, 1)), (1, 9, 1))
    assert (mutual_information(alike) >= 0).all()
    assert mutual_information(alike) == pytest.approx(np.zeros(50), abs=1e-12)


def test_a_mix_is_the_logistic_of_the_weighted_measures() -> None:
    arrays = combine_arrays(SPLIT, None)
    weights = {"bias": -1.0, "one_minus_confidence": 2.0, "entropy": 1.0, "mutual_information": -3.0}
    spec = UncertaintySpec("mix", weights)
    total = -1 + 2 * 0.416667 + 0.326622 - 3 * 0.056319
    answers = arrays.branch_probabilities, arrays.confidence, arrays.emotion
    values = measure_uncertainty(*answers, spec)
    assert values == pytest.approx([1 / (1 + math.exp(-total))], abs=1e-5)
    extreme = UncertaintySpec("mix", {**weights, "bias": -1e6})
    assert measure_uncertainty(*answers, extreme).tolist() == [0.0]
    # The log odds of an error by the confidence, 0.583333, and what is added for the emotion answered.
    offsets = tuple(10.0 * number for number in range(8))
    spec = UncertaintySpec("mix", {**weights, "log_odds": 0.5}, offsets)
    total += 0.5 * math.log(0.416667 / 0.583333) + offsets[arrays.emotion[0]]
    assert measure_uncertainty(*answers, spec) == pytest.approx([1 / (1 + math.exp(-total))], abs=1e-5)


def test_a_mix_stays_within_bounds_where_an_answer_is_certain() -> None:
    sure = np.zeros((1, 2, 8))
    sure[..., 3] = 1.0
    weights = {"bias": 0.0, "one_minus_confidence": 0.0, "entropy": 0.0, "mutual_information": 0.0}
    for weight, low, high in ((1.0, 0, 1e-6), (0.0, 0.5, 0.5)):
        spec = UncertaintySpec("mix", {**weights, "log_odds": weight})
        (value,) = measure_uncertainty(sure, np.ones(1), np.array([3]), spec)
        assert low <= value <= high


def test_the_cards_measure_is_the_one_used() -> None:
    (answer,) = combine(SPLIT, None, uncertainty=UncertaintySpec("entropy"))
    assert answer.uncertainty == pytest.approx(0.326622, abs=2e-6)


def test_circumplex_affect_comes_from_calibrated_probabilities_per_branch() -> None:
    # Happy (0.81, 0.51), Sad (-0.63, -0.27), Neutral (0, 0).
    (answer,) = combine(logits_of({HAPPY: 0.5, SAD: 0.5}, {NEUTRAL: 0.2, HAPPY: 0.8}), None)
    assert answer.affect_source == "circumplex"
    assert answer.branch_affect == pytest.approx(np.array([[0.09, 0.12], [0.648, 0.408]]), abs=1e-6)
    assert (answer.valence, answer.arousal) == pytest.approx((0.369, 0.264), abs=1e-6)
    # After the temperature: at T = 2 the second branch has Happy sqrt 0.8 / (sqrt 0.8 + sqrt 0.2) = 2/3.
    (warm,) = combine(logits_of({NEUTRAL: 0.2, HAPPY: 0.8}), None, temperature=2.0)
    assert warm.valence == pytest.approx(0.81 * 2 / 3, abs=1e-6)


def test_a_networks_affect_is_the_mean_over_branches_and_never_clipped() -> None:
    affect = np.array([[[0.5, -0.2], [1.7, -1.4]]], dtype=np.float32)
    (answer,) = combine(logits_of({HAPPY: 0.9}, {SAD: 0.9}), affect, affect_source="network")
    assert (answer.valence, answer.arousal) == pytest.approx((1.1, -0.8))
    assert answer.branch_affect.tolist() == affect[0].tolist()
    with pytest.raises(ModelError, match="no affect output"):
        combine(SPLIT, None, affect_source="network")


def test_arrays_and_records_say_the_same_for_many_faces() -> None:
    logits = np.random.default_rng(1).normal(0, 3, (40, 9, 8)).astype(np.float32)
    arrays = combine_arrays(logits, None, temperature=1.3, vote="plurality")
    records = combine(logits, None, temperature=1.3, vote="plurality")
    assert [record.emotion for record in records] == [EMOTIONS[i] for i in arrays.emotion]
    assert [record.agreement for record in records] == arrays.agreement.tolist()
    singles = [combine(logits[i : i + 1], None, temperature=1.3, vote="plurality")[0] for i in range(40)]
    assert [one.to_dict() for one in singles] == [record.to_dict() for record in records]
    # An implementation of its own, by counting: most votes first, then the lowest index.
    for own, chosen in zip(arrays.branch_emotion, arrays.emotion, strict=True):
        counts = [own.tolist().count(c) for c in range(8)]
        assert chosen == counts.index(max(counts))


def test_no_face_gives_no_record_and_huge_logits_no_overflow() -> None:
    assert combine(np.empty((0, 9, 8), dtype=np.float32), None) == []
    assert combine(np.empty((0, 9, 8), dtype=np.float32), None, vote="plurality") == []
    huge = logits_of({HAPPY: 1.0}, {HAPPY: 1.0})
    huge[..., HAPPY] = 3e38
    (answer,) = combine(huge, None)
    assert (answer.confidence, answer.uncertainty) == (1.0, 0.0)


def test_an_unknown_vote_suggests_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'plurality'"):
        combine(SPLIT, None, vote="plurality_vote")
