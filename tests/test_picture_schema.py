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

import video_fixtures
from esrface import EMOTIONS, Recognizer
from esrface.cli import main
from esrface.rows import SCHEMA_VERSION, picture_record

demo_clip = video_fixtures.demo_clip

OF_VIDEOS = {"frame", "time_s", "track_id", "smoothed"}
"""What only objects of videos have."""


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
    assert list(record) == [key for key in schema["properties"] if key not in OF_VIDEOS]
    face, branch = record["faces"][0], record["faces"][0]["branches"][0]
    assert set(face) == set(schema["$defs"]["face"]["properties"]) - OF_VIDEOS
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


@pytest.fixture
def frame_records(
    demo_clip: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> list[dict[str, Any]]:
    """What ``esrface video --json`` prints, answers smoothed for an annotated video beside it."""
    drawn = ["--save-video", str(tmp_path / "drawn.mp4"), "--abstain-below", "0.5", "--threads", "2"]
    words = ["video", str(demo_clip), "--every", "30", "--json", "--model", str(tiny_model), *drawn]
    assert main(words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_lines_of_videos_fit_and_every_key_is_described(
    schema: dict[str, Any], frame_records: list[dict[str, Any]]
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for record in frame_records:
        validator.validate(record)
        assert list(record) == list(schema["properties"])
    faces = [face for record in frame_records for face in record["faces"]]
    described = schema["$defs"]["face"]["properties"]
    assert {key for face in faces for key in face} == set(described)
    assert {key for face in faces for key in face["smoothed"]} == set(described["smoothed"]["properties"])
    spoilt: list[tuple[str, Any]] = [("frame", 1.5), ("frame", "1"), ("frame", -1), ("time_s", "0.5")]
    for key, value in [*spoilt, ("time_s", None)]:
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**frame_records[0], key: value})
    record = next(record for record in frame_records if record["faces"])
    for value in ("1", 0, 1.5):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**record, "faces": [{**record["faces"][0], "track_id": value}]})
    for smoothed in (None, {"emotion": "Happy"}):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate({**record, "faces": [{**record["faces"][0], "smoothed": smoothed}]})
