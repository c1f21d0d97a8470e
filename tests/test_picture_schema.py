"""The JSON schema that ships, against real output of a real (untrained) model."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from numpy.typing import NDArray

from esrface import EMOTIONS, Recognizer
from esrface.rows import SCHEMA_VERSION, picture_record


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    text = resources.files("esrface").joinpath("schema/picture.schema.json").read_text(encoding="utf-8")
    return dict(json.loads(text))


@pytest.fixture(scope="module")
def record(tiny_model: Path, face_picture: NDArray[np.uint8]) -> dict[str, Any]:
    """One real picture's record as it comes back from its JSON text."""
    faces = Recognizer(tiny_model)(face_picture)
    assert faces
    return dict(json.loads(json.dumps(picture_record("a.jpg", (512, 512), "tiny", faces, abstain_below=0.5))))


def test_the_schema_is_a_schema(schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema_version"]["const"] == SCHEMA_VERSION
    assert tuple(schema["$defs"]["emotion"]["examples"]) == EMOTIONS
    assert tuple(schema["$defs"]["probabilities"]["required"]) == EMOTIONS


def test_real_output_fits_and_every_key_is_described(schema: dict[str, Any], record: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator(schema).validate(record)
    assert list(record) == list(schema["properties"])
    face, branch = record["faces"][0], record["faces"][0]["branches"][0]
    assert set(face) == set(schema["$defs"]["face"]["properties"])
    assert set(branch) == set(schema["$defs"]["branch"]["properties"])


def test_a_picture_without_faces_or_landmarks_fits(
    schema: dict[str, Any], tiny_model: Path, face_picture: NDArray[np.uint8]
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(picture_record("a.jpg", (5, 5), "tiny", []))
    whole = picture_record("a.jpg", (512, 512), "tiny", Recognizer(tiny_model, detector="none")(face_picture))
    assert whole["faces"][0]["landmarks"] is None
    assert "abstained" not in whole["faces"][0]
    validator.validate(whole)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda r: r.pop("width"),
        lambda r: r.update(schema_version=2),
        lambda r: r["faces"][0].update(emotion=""),
        lambda r: r["faces"][0].update(confidence=1.2),
        lambda r: r["faces"][0]["box"].pop(),
        lambda r: r["faces"][0]["box"].__setitem__(0, 0.5),
        lambda r: r["faces"][0]["landmarks"].pop(),
        lambda r: r["faces"][0]["probabilities"].pop("Fear"),
        lambda r: r["faces"][0]["probabilities"].update(Bored=1.1),
        lambda r: r["faces"][0]["branches"][0].pop("valence"),
        lambda r: r["faces"][0].update(valence=None),
    ],
)
def test_what_does_not_fit_is_refused(
    schema: dict[str, Any], record: dict[str, Any], spoil: Callable[[dict[str, Any]], Any]
) -> None:
    copy = json.loads(json.dumps(record))
    spoil(copy)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(copy)
