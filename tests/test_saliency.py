"""Closed-form Grad-CAM against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.saliency import branch_maps, ensemble_map, normalize


@pytest.fixture
def maps() -> NDArray[np.float32]:
    """(1, 2, 8, 2, 2): both branches see class 1, at different corners; neither sees class 3."""
    values = np.zeros((1, 2, 8, 2, 2), dtype=np.float32)
    values[0, 0, 1] = [[4.0, -6.0], [0.0, 2.0]]
    values[0, 1, 1] = [[0.0, 8.0], [-1.0, 2.0]]
    values[0, :, 3] = -1.0
    values[0, 1, 5] = [[0.0, 0.0], [0.5, 0.0]]
    return values


def test_a_branch_map_is_relu_over_its_own_maximum(maps: NDArray[np.float32]) -> None:
    found = branch_maps(maps, 1)
    assert found.shape == (1, 2, 2, 2)
    assert found[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.5]]
    assert found[0, 1].tolist() == [[0.0, 1.0], [0.0, 0.25]]


def test_each_branch_can_explain_an_emotion_of_its_own(maps: NDArray[np.float32]) -> None:
    found = branch_maps(maps, np.array([[1, 5]]))
    assert found[0, 0].tolist() == [[1.0, 0.0], [0.0, 0.5]]
    assert found[0, 1].tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_the_ensemble_averages_before_it_normalises_once(maps: NDArray[np.float32]) -> None:
    # Mean of ReLU: [[2, 4], [0, 2]]; its maximum is 4. Normalising each branch first would give another map.
    assert ensemble_map(maps, 1)[0].tolist() == [[0.5, 1.0], [0.0, 0.5]]
    assert ensemble_map(maps, np.array([1]))[0].tolist() == [[0.5, 1.0], [0.0, 0.5]]


def test_a_map_without_anything_positive_stays_zero(maps: NDArray[np.float32]) -> None:
    with np.errstate(all="raise"):
        assert not branch_maps(maps, 3).any()
        assert not ensemble_map(maps, 3).any()
        assert not normalize(np.zeros((4, 6, 6))).any()


def test_no_face_and_a_wrong_form() -> None:
    assert ensemble_map(np.empty((0, 9, 8, 6, 6), dtype=np.float32), np.empty(0, dtype=np.int64)).shape == (
        0,
        6,
        6,
    )
    with pytest.raises(ValueError, match=r"expected class maps \(N, K, C, h, w\), got \(9, 8, 6, 6\)"):
        branch_maps(np.zeros((9, 8, 6, 6)), 0)
