"""Averages over a track's last moments: by time, per track, and consistent within themselves."""

from __future__ import annotations

import json

import numpy as np
import pytest

from esrface import EMOTIONS, Expression, InputError
from esrface.video.smoothing import Smoother, pack_smoother
from made_faces import make_face

HAPPY, SAD = (
    make_face(emotion, confidence=0.9, dissenters=0, valence=valence, arousal=0.0).expression
    for emotion, valence in (("Happy", 1.0), ("Sad", -1.0))
)


def p(expression: Expression, emotion: str) -> float:
    return float(expression.probabilities[EMOTIONS.index(emotion)])


def test_first_answer_is_itself() -> None:
    smoothed = Smoother(1.0).smooth(1, 5.0, HAPPY)
    for name in ("emotion", "confidence", "valence", "arousal", "agreement", "uncertainty"):
        assert getattr(smoothed, name) == pytest.approx(getattr(HAPPY, name), abs=1e-6)
    assert smoothed.probabilities == pytest.approx(HAPPY.probabilities, abs=1e-6)


def test_change_comes_through_with_the_time_constant() -> None:
    smoother = Smoother(0.5)
    smoother.smooth(1, 0.0, HAPPY)
    answers = [smoother.smooth(1, step / 30, SAD) for step in range(1, 16)]
    # After one time constant 1 - 1/e of the way, however many frames lie on it.
    expected = p(HAPPY, "Sad") + (1 - np.exp(-1)) * (p(SAD, "Sad") - p(HAPPY, "Sad"))
    assert p(answers[-1], "Sad") == pytest.approx(expected, abs=1e-5)
    assert answers[-1].valence == pytest.approx(1 - 2 * (1 - np.exp(-1)), abs=1e-5)
    coarse = Smoother(0.5)
    coarse.smooth(1, 0.0, HAPPY)
    assert p(coarse.smooth(1, 0.5, SAD), "Sad") == pytest.approx(p(answers[-1], "Sad"), abs=1e-5)
    assert [answer.emotion for answer in answers][:3] == ["Happy"] * 3
    assert answers[-1].emotion == "Sad"


def test_answer_is_consistent() -> None:
    smoother = Smoother(0.5)
    smoother.smooth(1, 0.0, make_face("Happy", dissenters=3).expression)
    answer = smoother.smooth(1, 0.2, make_face("Fear", dissenters=1).expression)
    assert answer.probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert answer.probabilities == pytest.approx(answer.branch_probabilities.mean(axis=0), abs=1e-6)
    assert answer.confidence == pytest.approx(p(answer, answer.emotion))
    assert answer.emotion == EMOTIONS[int(answer.probabilities.argmax())]


def test_tracks_do_not_mix() -> None:
    smoother = Smoother(0.5)
    smoother.smooth(1, 0.0, HAPPY)
    assert smoother.smooth(2, 0.1, SAD).emotion == "Sad"
    assert p(smoother.smooth(2, 0.2, SAD), "Happy") == pytest.approx(p(SAD, "Happy"), abs=1e-6)


def test_state_goes_through_json_without_a_change() -> None:
    first = Smoother(0.5)
    first.smooth(1, 0.0, HAPPY)
    first.smooth(7, 0.1, SAD)
    snapshot = first.snapshot()
    second = Smoother(0.5, state=json.loads(json.dumps(pack_smoother(snapshot))))
    assert first.smooth(1, 0.3, SAD).to_dict() == second.smooth(1, 0.3, SAD).to_dict()
    # A snapshot stays what it was.
    third = Smoother(0.5, state=json.loads(json.dumps(pack_smoother(snapshot))))
    assert third.smooth(7, 0.4, HAPPY).to_dict() == first.smooth(7, 0.4, HAPPY).to_dict()
    assert set(pack_smoother(snapshot)) == {"1", "7"}


def test_memory_and_checkpoints_do_not_grow_with_the_tracks_of_a_day() -> None:
    smoother = Smoother(0.5)
    for track in range(1000):
        smoother.smooth(track, float(track), HAPPY)
        kept = smoother.snapshot().keys()
        assert len(kept) < 100
        # Those that a tracker may still remember are not forgotten.
        assert kept >= set(range(max(0, track - 10), track + 1))


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_refuses_what_makes_no_sense(seconds: float) -> None:
    with pytest.raises(InputError, match="smooth_s"):
        Smoother(seconds)
