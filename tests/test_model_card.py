"""The card: what is written can be read, and everything that does not fit is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conftest import tiny_card
from esrface import results
from esrface.errors import ModelError
from esrface.models import card
from esrface.models.card import CropRule, InputSpec, ModelCard, TrainingData, UncertaintySpec


def test_the_affect_sources_are_those_of_the_results() -> None:
    assert card.AFFECT_SOURCES == results.AFFECT_SOURCES


@pytest.fixture
def full_card() -> dict[str, Any]:
    """A card that uses every key."""
    return {
        **tiny_card(),
        "uncertainty": {
            "measure": "mix",
            "weights": {
                "bias": -2,
                "one_minus_confidence": 3.5,
                "entropy": 0.1,
                "mutual_information": 1.0,
                "log_odds": 0.5,
            },
            "offsets": [0.0, -1.0, 0.5, 0.0, 1.0, 0.25, 0.0, 2.0],
        },
        "logit_adjustment": {"trained": 0.5, "given_back": 0.25},
        "training_data": [{"name": "FER+", "use": "training", "terms": "pictures without a stated licence"}],
        "protocol": {"epochs": 12, "optimizer": "AdamW"},
        "seeds": [1, 2],
        "scores": [
            {"data": "FER+", "split": "valid", "protocol": "majority", "accuracy": 0.88, "images": 3191}
        ],
    }


def test_reading_gives_typed_records(full_card: dict[str, Any]) -> None:
    read = ModelCard.from_dict(full_card)
    assert read.input == InputSpec(size=48, channels=1, color="gray", mean=(127.5,), std=(63.75,))
    assert read.crop == CropRule(margin=0.0, square=True, align=False)
    told = full_card["uncertainty"]
    assert read.uncertainty == UncertaintySpec("mix", told["weights"], tuple(told["offsets"]))
    assert read.training_data == (TrainingData("FER+", "training", "pictures without a stated licence"),)
    assert (read.branches, read.seeds, read.scores[0]["accuracy"]) == (9, (1, 2), 0.88)


def test_a_mix_written_before_there_were_log_odds_and_offsets_is_read(full_card: dict[str, Any]) -> None:
    del full_card["uncertainty"]["offsets"], full_card["uncertainty"]["weights"]["log_odds"]
    read = ModelCard.from_dict(full_card).uncertainty
    assert read == UncertaintySpec("mix", full_card["uncertainty"]["weights"], None)


def test_a_card_survives_its_file(full_card: dict[str, Any], tmp_path: Path) -> None:
    read = ModelCard.from_dict(full_card)
    file = tmp_path / "card.json"
    file.write_text(read.to_json(), encoding="utf-8")
    assert ModelCard.load(file) == read
    assert ModelCard.from_dict(read.to_dict()) == read
    assert json.loads(read.to_json()) == full_card


def test_every_key_is_required(full_card: dict[str, Any]) -> None:
    for key in full_card:
        with pytest.raises(ModelError, match=f"{key} is missing"):
            ModelCard.from_dict({k: v for k, v in full_card.items() if k != key})


Change = Callable[[dict[str, Any]], Any]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: c.update(temprature=1), "unknown key temprature"),
        (lambda c: c["input"].update(sise=1), "unknown key input.sise"),
        (lambda c: c["crop"].update(extra=1), "unknown key crop.extra"),
        (lambda c: c.update(temperature="hot"), "expected a number above 0 for temperature, got 'hot'"),
        (lambda c: c.update(temperature=0), "expected a number above 0 for temperature, got 0"),
        (lambda c: c.update(temperature=True), "expected a number above 0 for temperature, got True"),
        (lambda c: c.update(temperature=10**400), "expected a number above 0 for temperature, got 1000"),
        (lambda c: c.update(name=""), "expected a text that is not empty for name, got ''"),
        (lambda c: c.update(mirror="yes"), "expected true or false for mirror, got 'yes'"),
        (lambda c: c.update(branches=9.0), "expected a whole number of 1 to 1000 for branches, got 9.0"),
        (lambda c: c.update(branches=0), "expected a whole number of 1 to 1000 for branches, got 0"),
        (lambda c: c.update(network=[]), "expected an object for network, got []"),
        (lambda c: c.update(input=None), "expected an object for input, got None"),
        (lambda c: c["input"].update(size=10**6), "expected a whole number of 1 to 4096 for input.size"),
        (lambda c: c["input"].update(channels=2), "input.channels must be 1 or 3"),
        (lambda c: c["input"].update(color="rgb"), "input.color must be gray where channels is 1"),
        (
            lambda c: c["input"].update(color="hsv"),
            "expected one of gray, rgb, bgr for input.color, got 'hsv'",
        ),
        (lambda c: c["input"].update(mean=[1, 2]), "expected 1 number(s) for input.mean, got 2"),
        (lambda c: c["input"].update(std=[0]), "expected a number above 0 for input.std[0], got 0"),
        (lambda c: c["input"].update(mean=[None]), "expected a number for input.mean[0], got None"),
        (
            lambda c: c["input"].update(resize="lanczos"),
            "expected one of area_linear, linear for input.resize, got 'lanczos'",
        ),
        (lambda c: c["crop"].update(margin=-0.5), "expected a number above -0.5 for crop.margin, got -0.5"),
        (lambda c: c["crop"].update(margin=1000), "crop.margin must be at most 10, got 1000"),
        (lambda c: c["emotions"].reverse(), "emotions must begin with Neutral, Happy, Sad, Surprise, Fear"),
        (lambda c: c["emotions"].pop(), "emotions must begin with Neutral, Happy, Sad, Surprise, Fear"),
        (lambda c: c["emotions"].append(" bored"), "emotions must be printable texts without blanks around"),
        (lambda c: c["emotions"].append("a\nb"), "printable texts without blanks around them, got 'a\\nb'"),
        (lambda c: c["emotions"].append("HAPPY"), "not hold both 'Happy' and 'HAPPY': each would have the"),
        (lambda c: c["emotions"].extend(["a b", "a-b"]), "both 'a b' and 'a-b': each would have the column"),
        (lambda c: c.update(emotions=[1]), "expected a list of texts for emotions, got 1 in it"),
        (
            lambda c: c.update(uncertainty={"measure": "luck", "weights": None}),
            "for uncertainty.measure, got 'luck'",
        ),
        (lambda c: c["uncertainty"].update(measure="entropy"), "uncertainty.weights must be null unless"),
        (lambda c: c["uncertainty"]["weights"].pop("bias"), "uncertainty.weights.bias is missing"),
        (lambda c: c["uncertainty"]["weights"].update(luck=1), "unknown key uncertainty.weights.luck"),
        (lambda c: c["uncertainty"]["offsets"].pop(), "expected 8 number(s) for uncertainty.offsets, got 7"),
        (
            lambda c: c["uncertainty"].update(measure="entropy", weights=None),
            "uncertainty.offsets must be null unless",
        ),
        (lambda c: c.update(affect_source="guess"), "expected one of network, circumplex for affect_source"),
        (lambda c: c.update(logit_adjustment=1), "expected an object for logit_adjustment, got 1"),
        (lambda c: c["training_data"][0].pop("terms"), "training_data[0].terms is missing"),
        (lambda c: c["scores"][0].pop("protocol"), "scores[0].protocol is missing"),
        (lambda c: c.update(scores={}), "expected a list for scores, got {}"),
        (lambda c: c.update(seeds=[-1]), "for seeds[0], got -1"),
        (lambda c: c.update(sha256="abc"), "sha256 must have 64 hexadecimal digits"),
        (lambda c: c.update(schema_version=2), "has schema_version 2, this esrface reads 1: update esrface"),
        (
            lambda c: c.update(schema_version=0),
            "has schema_version 0, this esrface reads 1: export the model again",
        ),
        (lambda c: c.update(schema_version="1"), "for schema_version, got '1'"),
    ],
)
def test_what_does_not_fit_is_named(full_card: dict[str, Any], change: Change, line: str) -> None:
    change(full_card)
    with pytest.raises(ModelError) as caught:
        ModelCard.from_dict(full_card, where="a.json")
    assert line in str(caught.value)
    assert str(caught.value).startswith("a.json ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00 no text", "not valid JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"temperature": NaN}', "NaN is no JSON number"),
        (b"[]", "expected an object for the card, got []"),
        (b'"card"', "expected an object for the card, got 'card'"),
        (b" " * 4_000_001, "no model card: it has more than 4 MB"),
    ],
)
def test_files_that_are_no_cards(tmp_path: Path, content: bytes, line: str) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        ModelCard.load(file)
    assert line in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_card_and_a_folder_in_its_place(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"a\.json does not exist; a model is an \.onnx file with its card"):
        ModelCard.load(tmp_path / "a.json")
    (tmp_path / "b.json").mkdir()
    with pytest.raises(ModelError, match=r"b\.json cannot be read: Is a directory"):
        ModelCard.load(tmp_path / "b.json")
