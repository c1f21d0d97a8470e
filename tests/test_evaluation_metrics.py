"""Metrics against values worked out by hand; the working stands beside each."""

from __future__ import annotations

import math

import numpy as np
import pytest

from esrface.evaluation import metrics

# Five images of three classes; class 2 is never a label.
LABELS = np.array([0, 0, 0, 1, 1])
PREDICTED = np.array([0, 0, 1, 1, 2])


def test_confusion_has_labels_as_rows() -> None:
    matrix = metrics.confusion_matrix(PREDICTED, LABELS, classes=3)
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]


def test_accuracy_and_recalls_ignore_absent_classes_only_where_they_must() -> None:
    matrix = metrics.confusion_matrix(PREDICTED, LABELS, classes=3)
    assert metrics.accuracy(PREDICTED, LABELS) == pytest.approx(3 / 5)
    recall = metrics.recalls(matrix)
    assert recall[:2] == pytest.approx([2 / 3, 1 / 2])
    assert math.isnan(recall[2])
    assert metrics.mean_recall(matrix) == pytest.approx((2 / 3 + 1 / 2) / 2)


def _two_class(*first: float) -> np.ndarray:
    """Probabilities (N, 2) with the given ones for class 0."""
    return np.stack([np.array(first), 1.0 - np.array(first)], axis=1)


def test_ece_by_hand() -> None:
    # Bins of width 1/15: 0.9 and 0.92 lie in (13/15, 14/15] = (0.867, 0.933], 0.7 in (10/15, 11/15].
    probabilities = _two_class(0.9, 0.92, 0.7, 0.7)
    labels = np.array([0, 1, 0, 0])
    # Bin of two: confidence 0.91, accuracy 1/2, gap 0.41. Bin of two: confidence 0.7, accuracy 1, gap 0.3.
    expected = (2 * 0.41 + 2 * 0.3) / 4
    assert metrics.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_ece_bins_include_their_upper_edge_and_certainty() -> None:
    # 2/3 = 10/15 is an edge and belongs to the bin below it, 1.0 to the last.
    diagram = metrics.reliability(_two_class(1.0, 2 / 3, 0.68), np.array([0, 0, 0]))
    assert diagram.images[14] == 1
    assert diagram.images[9] == 1
    assert diagram.images[10] == 1
    assert diagram.images.sum() == 3
    assert math.isnan(diagram.confidence[0])


def test_ece_gaps_of_opposite_sign_do_not_cancel() -> None:
    probabilities = _two_class(0.95, 0.95, 0.6, 0.6)
    labels = np.array([1, 1, 0, 0])
    expected = (2 * 0.95 + 2 * 0.4) / 4
    assert metrics.expected_calibration_error(probabilities, labels) == pytest.approx(expected)


def test_negative_log_likelihood_by_hand() -> None:
    value = metrics.negative_log_likelihood(_two_class(0.5, 0.25), np.array([0, 1]))
    assert value == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_negative_log_likelihood_stays_finite_at_zero() -> None:
    assert metrics.negative_log_likelihood(_two_class(0.0), np.array([0])) == pytest.approx(-math.log(1e-12))


def test_risk_coverage_by_hand() -> None:
    uncertainty = np.array([0.3, 0.1, 0.2, 0.4])
    correct = np.array([False, True, True, True])  # order of sureness: right, right, wrong, right
    curve = metrics.risk_coverage(uncertainty, correct)
    assert curve.coverage == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert curve.risk == pytest.approx([0, 0, 1 / 3, 1 / 4])
    assert curve.area == pytest.approx((1 / 3 + 1 / 4) / 4)
    assert metrics.accuracy_at_coverage(uncertainty, correct, 0.5) == pytest.approx(1.0)
    assert metrics.accuracy_at_coverage(uncertainty, correct, 0.75) == pytest.approx(2 / 3)
    assert metrics.accuracy_at_coverage(uncertainty, correct, 1.0) == pytest.approx(3 / 4)


def test_risk_coverage_shares_ties_whatever_their_order() -> None:
    uncertainty = np.zeros(4)
    for correct in ([True, True, False, False], [False, False, True, True]):
        assert metrics.risk_coverage(uncertainty, np.array(correct)).risk == pytest.approx([0.5] * 4)


def test_error_auroc_by_hand_with_a_tie() -> None:
    uncertainty = np.array([0.9, 0.5, 0.5, 0.1])
    correct = np.array([False, False, True, True])
    # Pairs (wrong, right): (0.9, 0.5) won, (0.9, 0.1) won, (0.5, 0.5) half, (0.5, 0.1) won.
    assert metrics.error_auroc(uncertainty, correct) == pytest.approx(3.5 / 4)
    assert metrics.error_auroc(-uncertainty, correct) == pytest.approx(0.5 / 4)


def test_error_auroc_needs_both_right_and_wrong_answers() -> None:
    assert math.isnan(metrics.error_auroc(np.array([0.1, 0.2]), np.array([True, True])))


def test_branches_by_hand() -> None:
    branches = np.array([[0, 0, 1], [1, 1, 1], [0, 1, 1], [1, 1, 1]])
    labels = np.array([0, 1, 0, 0])
    # Pairs: (1,2) differ on 1 of 4, (1,3) on 2 of 4, (2,3) on 1 of 4.
    expected = np.array([[0, 0.25, 0.5], [0.25, 0, 0.25], [0.5, 0.25, 0]])
    assert metrics.pairwise_disagreement(branches) == pytest.approx(expected)
    assert metrics.mean_disagreement(branches) == pytest.approx(1 / 3)
    assert metrics.branch_accuracies(branches, labels) == pytest.approx([3 / 4, 2 / 4, 1 / 4])
    ensemble = np.array([0, 1, 0, 1])
    assert metrics.ensemble_gain(ensemble, branches, labels) == pytest.approx(3 / 4 - 1 / 2)


def test_a_single_branch_disagrees_with_nobody() -> None:
    assert metrics.mean_disagreement(np.array([[0], [1]])) == 0.0


def test_bootstrap_interval_matches_the_binomial() -> None:
    correct = np.arange(1000) < 880
    low, high = metrics.bootstrap_interval(lambda index: float(correct[index].mean()), 1000)
    half = 1.96 * math.sqrt(0.88 * 0.12 / 1000)
    assert low == pytest.approx(0.88 - half, abs=0.003)
    assert high == pytest.approx(0.88 + half, abs=0.003)
    assert (low, high) == metrics.bootstrap_interval(lambda index: float(correct[index].mean()), 1000)


@pytest.mark.parametrize(
    "call",
    [
        lambda none: metrics.accuracy(none, none),
        lambda none: metrics.expected_calibration_error(np.zeros((0, 8)), none),
        lambda none: metrics.negative_log_likelihood(np.zeros((0, 8)), none),
        lambda none: metrics.mean_recall(np.zeros((8, 8), dtype=np.int64)),
        lambda none: metrics.mean_disagreement(np.zeros((0, 9), dtype=np.int64)),
        lambda none: metrics.bootstrap_interval(lambda index: 0.0, 0),
    ],
)
def test_no_images_is_an_error_not_a_figure(call) -> None:
    with pytest.raises(ValueError, match="at least one image"):
        call(np.zeros(0, dtype=np.int64))


@pytest.mark.parametrize("images", [1, 8, 250])
def test_edge_interval_is_clopper_and_pearsons(images: int) -> None:
    low, high = metrics.edge_interval(np.array([images]), right=True)
    # With this share all answers are right in 2.5 % of all samples.
    assert (low**images, high) == (pytest.approx(0.025), 1)
    assert metrics.edge_interval(np.array([images]), right=False) == pytest.approx((0, 1 - low))


def test_edge_interval_of_a_mean_recall_is_the_widest_that_fits() -> None:
    counts = np.array([2, 3, 40])
    low, _ = metrics.edge_interval(counts, right=True)
    # Searched for without the argument that finds it: every pair of shares, and the third that makes 2.5 %.
    first, second = np.meshgrid(np.linspace(0.001, 1, 800), np.linspace(0.001, 1, 800))
    third = np.exp((np.log(0.025) - counts[0] * np.log(first) - counts[1] * np.log(second)) / counts[2])
    assert low == pytest.approx(((first + second + third) / 3)[third <= 1].min(), abs=1e-3)
    even, _ = metrics.edge_interval(np.array([5, 5]), right=True)
    assert even == pytest.approx(0.025 ** (1 / 10))
    with pytest.raises(ValueError, match="expected at least one image, got none"):
        metrics.edge_interval(np.array([3, 0]), right=True)
