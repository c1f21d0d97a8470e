"""The model that ships: a real ensemble of nine, on the example pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from esrface import EMOTIONS, Recognizer
from esrface.models.registry import DEFAULT_MODEL

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.jpg"))


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer()


def test_nine_branches_say_nine_different_things(recognizer: Recognizer) -> None:
    assert recognizer.card.name == DEFAULT_MODEL
    assert recognizer.card.branches == 9
    assert len(EXAMPLES) >= 2
    faces = [face for image in EXAMPLES for face in recognizer(image)]
    assert len(faces) >= len(EXAMPLES)
    for face in faces:
        assert len({row.tobytes() for row in face.expression.branch_probabilities}) == 9
    # Where nothing is doubtful all are close to 1; on the least sure face they are plainly apart.
    rows = min(faces, key=lambda face: face.expression.confidence).expression.branch_probabilities
    gaps = np.abs(rows[:, None] - rows[None]).max(axis=2)[~np.eye(9, dtype=bool)]
    assert gaps.min() > 1e-3


def test_a_wide_smile_is_happy(recognizer: Recognizer) -> None:
    (astronaut,) = (path for path in EXAMPLES if path.stem == "astronaut")
    (face,) = recognizer(astronaut)
    assert face.expression.emotion == "Happy"
    assert face.expression.confidence > 0.7
    assert face.expression.valence > 0.4


def test_class_maps_are_at_least_six_by_six_and_give_the_logits(recognizer: Recognizer) -> None:
    crops = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    output = recognizer.forward(crops, class_maps=True)
    assert output.class_maps is not None
    assert output.class_maps.shape[:3] == (3, 9, len(EMOTIONS))
    assert min(output.class_maps.shape[3:]) >= 6
    bias = output.logits - output.class_maps.mean(axis=(3, 4))
    assert np.abs(bias - bias[0]).max() < 1e-4


def test_its_card_tells_what_a_user_must_know(recognizer: Recognizer) -> None:
    card = recognizer.card
    assert any("FER" in data.name for data in card.training_data)
    assert card.licence
    assert card.seeds
    assert any(score["split"] == "valid" and score["accuracy"] > 0.86 for score in card.scores)
