"""Natural and balanced priors: the same network, answering for other worlds."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from conftest import ModelFactory
from esrface.cli import main
from esrface.emotions import EMOTIONS
from esrface.errors import InputError, ModelError
from esrface.models.prior import prior_shift
from esrface.models.registry import resolve_model
from esrface.recognizer import Recognizer

PICTURE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
ADJUSTMENT = {
    "strengths": [0.1 * (branch + 1) for branch in range(9)],
    "share": 1.0,
    "log_prior": dict(zip(EMOTIONS, np.log([0.3, 0.3, 0.1, 0.1, 0.05, 0.02, 0.1, 0.03]), strict=True)),
}


@pytest.fixture(scope="module")
def crops() -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (20, 48, 48, 3), dtype=np.uint8)


def test_balanced_answers_are_those_without_the_prior_given_back(
    make_model: ModelFactory, crops: NDArray[np.uint8]
) -> None:
    model = make_model(logit_adjustment=ADJUSTMENT)
    natural, balanced = Recognizer(model), Recognizer(model, prior="balanced")
    taken = np.outer(ADJUSTMENT["strengths"], list(ADJUSTMENT["log_prior"].values()))
    given = natural.forward(crops).logits
    assert balanced.forward(crops).logits == pytest.approx(given - taken, abs=1e-5)
    rare = EMOTIONS.index("Disgust")
    for plain, other in zip(natural.predict(crops), balanced.predict(crops), strict=True):
        assert other.probabilities[rare] > plain.probabilities[rare]
        assert other.probabilities.sum() == pytest.approx(1)
    assert pickle.loads(pickle.dumps(balanced)).prior == "balanced"


def test_the_shipped_model_finds_more_rare_emotions_balanced_as_its_card_says() -> None:
    card = resolve_model().card
    assert card.logit_adjustment is not None
    curve = {point["share"]: point for point in card.logit_adjustment["curve_on_validation"]}
    assert curve[0.0]["mean_recall"] > curve[card.logit_adjustment["share"]]["mean_recall"]
    shift = prior_shift(card, "balanced")
    assert shift is not None
    assert shift.shape == (card.branches, len(card.emotions))
    rare, common = EMOTIONS.index("Contempt"), EMOTIONS.index("Neutral")
    assert (shift[:, rare] > shift[:, common]).all()


def test_models_without_adjustment_and_unknown_priors_are_refused(make_model: ModelFactory) -> None:
    with pytest.raises(ModelError, match="trained with logit adjustment, and 'tiny' was not"):
        Recognizer(make_model("plain"), prior="balanced")
    with pytest.raises(InputError, match="did you mean 'balanced'"):
        Recognizer(prior="balance")


@pytest.mark.parametrize(
    "broken",
    [
        {"share": None},
        {"strengths": [1.0]},
        {"log_prior": {"Neutral": 0.0}},
        {"strengths": "much"},
        {"strengths": [float("inf")] * 9},
    ],
)
def test_a_card_with_a_broken_adjustment_is_one_line(broken: dict[str, object]) -> None:
    card = replace(resolve_model().card, logit_adjustment={**ADJUSTMENT, **broken})
    with pytest.raises(ModelError, match="no usable logit_adjustment"):
        prior_shift(card, "balanced")


def test_rows_of_another_prior_are_not_continued(
    make_model: ModelFactory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = make_model(logit_adjustment=ADJUSTMENT)
    rows = tmp_path / "rows.csv"
    line = ["image", str(PICTURE), "--model", str(model), "--csv", str(rows), "--json"]
    said = {}
    for prior in ("natural", "balanced"):
        assert main([*line, "--overwrite", "--prior", prior]) == 0
        said[prior] = json.loads(capsys.readouterr().out)["faces"][0]["probabilities"]
    assert said["balanced"]["Disgust"] > said["natural"]["Disgust"]
    assert main([*line, "--resume"]) == 2
    assert "prior" in capsys.readouterr().err
    assert main([*line, "--resume", "--prior", "balanced"]) == 0
