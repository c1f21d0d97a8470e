"""Rows and records: the contract's columns and keys, to the letter."""

from __future__ import annotations

import numpy as np
import pytest

from esrface.results import Box
from esrface.rows import columns, face_rows, picture_record
from made_faces import make_face

# The contract's list, written out once more so that a change of the code shows.
PUBLISHED = [
    "source",
    "frame",
    "time_s",
    "face",
    "track_id",
    "x0",
    "y0",
    "x1",
    "y1",
    "detection_score",
    "emotion",
    "confidence",
    "p_neutral",
    "p_happy",
    "p_sad",
    "p_surprise",
    "p_fear",
    "p_disgust",
    "p_anger",
    "p_contempt",
    "valence",
    "arousal",
    "affect_source",
    "agreement",
    "uncertainty",
]


def test_the_columns_are_the_published_ones() -> None:
    assert list(columns()) == PUBLISHED
    assert list(columns(abstain=True)) == [*PUBLISHED, "abstained"]
    assert columns(branches=2)[len(PUBLISHED) :] == (
        *(
            "b1_emotion",
            "b1_p_neutral",
            "b1_p_happy",
            "b1_p_sad",
            "b1_p_surprise",
            "b1_p_fear",
            "b1_p_disgust",
        ),
        *("b1_p_anger", "b1_p_contempt", "b1_valence", "b1_arousal"),
        *(
            "b2_emotion",
            "b2_p_neutral",
            "b2_p_happy",
            "b2_p_sad",
            "b2_p_surprise",
            "b2_p_fear",
            "b2_p_disgust",
        ),
        *("b2_p_anger", "b2_p_contempt", "b2_valence", "b2_arousal"),
    )


def test_a_row_holds_the_face() -> None:
    [row] = face_rows("a.jpg", [make_face(confidence=0.7)])
    assert list(row) == PUBLISHED
    assert (row["source"], row["frame"], row["time_s"], row["face"], row["track_id"]) == (
        "a.jpg",
        0,
        None,
        0,
        None,
    )
    assert (row["x0"], row["y0"], row["x1"], row["y1"]) == (10, 20, 110, 140)
    assert (row["emotion"], row["confidence"], row["p_happy"]) == ("Happy", 0.7, 0.7)
    assert (row["valence"], row["arousal"], row["affect_source"]) == (0.5, -0.25, "network")
    assert row["agreement"] == pytest.approx(7 / 9)
    assert sum(row[column] for column in PUBLISHED if column.startswith("p_")) == pytest.approx(1, abs=1e-6)


def test_numbers_are_the_shortest_that_give_the_same_float32() -> None:
    [row] = face_rows("a.jpg", [make_face(confidence=float(np.float32(0.9321)))])
    assert repr(row["confidence"]) == "0.9321"
    assert np.float32(row["p_sad"]) == make_face(confidence=0.9321).expression.probabilities[2]


def test_without_a_face_there_is_one_row_without_values() -> None:
    [row] = face_rows("a.jpg", [], frame=7, time_s=0.25, branches=9, abstain_below=0.5)
    assert list(row) == list(columns(branches=9, abstain=True))
    assert {key: value for key, value in row.items() if value is not None} == {
        "source": "a.jpg",
        "frame": 7,
        "time_s": 0.25,
    }


def test_branches_and_abstaining_add_columns() -> None:
    rows = face_rows("a.jpg", [make_face(), make_face(confidence=0.4)], branches=9, abstain_below=0.5)
    assert [row["face"] for row in rows] == [0, 1]
    assert [row["abstained"] for row in rows] == [False, True]
    assert rows[1]["emotion"] == "Happy"
    assert [rows[0][f"b{k}_emotion"] for k in range(1, 10)] == ["Happy"] * 7 + ["Neutral"] * 2
    assert rows[0]["b9_p_happy"] == 0.75
    assert None not in [rows[0][name] for name in columns(branches=9) if name.startswith("b")]


def test_a_record_has_the_published_keys() -> None:
    faces = [make_face(), make_face("Fear", box=Box(0, 0, 5, 6), confidence=0.3)]
    record = picture_record("dir/a.jpg", (640, 480), "esr9-fer", faces)
    assert list(record) == ["schema_version", "source", "width", "height", "model", "faces"]
    assert record["faces"] == [face.to_dict() for face in faces]
    assert list(record["faces"][1]) == [
        "box",
        "detection_score",
        "landmarks",
        "emotion",
        "confidence",
        "probabilities",
        "valence",
        "arousal",
        "affect_source",
        "agreement",
        "uncertainty",
        "branches",
    ]
    assert picture_record("-", (1, 1), "m", [])["faces"] == []
    marked = picture_record("a", (9, 9), "m", faces, abstain_below=0.5)["faces"]
    assert [face["abstained"] for face in marked] == [False, True]
