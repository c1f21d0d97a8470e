"""The two forms in which results leave the program as data: rows (one a face) and records (one a picture).

Rows are what CSV and JSON Lines files hold, records are what ``--json`` prints. Numbers are those of
``Face.to_dict()``: the shortest decimals that give the same float32.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from esrface.emotions import EMOTIONS, column_name
from esrface.results import Face

SCHEMA_VERSION = 1
"""Version of the columns and of the record's keys; it grows when one of them changes its meaning or goes."""

_PLACE = ("source", "frame", "time_s")
_BOX = ("x0", "y0", "x1", "y1")
_BEFORE = ("face", "track_id", *_BOX, "detection_score", "emotion", "confidence")
_AFTER = ("valence", "arousal", "affect_source", "agreement", "uncertainty")
"""A face's columns before and after the probabilities."""


def source_text(source: str) -> str:
    """A path as rows and records hold it: its bytes read as UTF-8, whatever the locale says they are.

    Bytes that are no UTF-8 stay surrogates (``os.fsencode`` gives them back where the locale is UTF-8).
    """
    try:
        return os.fsencode(source).decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return source


Row = dict[str, Any]
"""Column -> str, int, float, bool or None (an empty cell)."""


def columns(
    *, branches: int = 0, abstain: bool = False, emotions: Sequence[str] = EMOTIONS
) -> tuple[str, ...]:
    """Names of a row's columns in order.

    Args:
        branches: How many branches get columns of their own: ``b1_emotion``, ``b1_p_neutral`` …
            ``b1_p_contempt``, ``b1_valence``, ``b1_arousal``, ``b2_emotion``, …
        abstain: Whether there is the column ``abstained``.
        emotions: The model's classes, each with a column for its probability.
    """
    probabilities = tuple(column_name(emotion) for emotion in emotions)
    per_branch = ("emotion", *probabilities, "valence", "arousal")
    return (
        *_PLACE,
        *_BEFORE,
        *probabilities,
        *_AFTER,
        *(("abstained",) if abstain else ()),
        *(f"b{number}_{column}" for number in range(1, branches + 1) for column in per_branch),
    )


def face_rows(
    source: str,
    faces: Sequence[Face],
    *,
    frame: int = 0,
    time_s: float | None = None,
    branches: int = 0,
    abstain_below: float | None = None,
    emotions: Sequence[str] = EMOTIONS,
) -> list[Row]:
    """The rows of one picture or frame: one for each face, or one without a face's values if there is none.

    Args:
        source: The picture's path as it was given.
        faces: In the order in which they are numbered (``face`` counts from 0).
        frame: Ordinal of the frame from 0; 0 for pictures.
        time_s: Presentation time in seconds; None for pictures.
        branches: As for ``columns``.
        abstain_below: Confidence below which ``abstained`` is true; None leaves that column out.
        emotions: The model's classes.
    """
    abstain = abstain_below is not None
    blank: Row = dict.fromkeys(columns(branches=branches, abstain=abstain, emotions=emotions))
    blank |= {"source": source_text(source), "frame": frame, "time_s": time_s}
    rows = [blank | _face_cells(number, face, branches, abstain_below) for number, face in enumerate(faces)]
    return rows or [blank]


def _face_cells(number: int, face: Face, branches: int, abstain_below: float | None) -> Row:
    answer = face.to_dict()
    cells: Row = {"face": number, **dict(zip(_BOX, answer["box"], strict=True))}
    cells |= {column: answer[column] for column in (*_BEFORE, *_AFTER) if column in answer}
    cells |= {column_name(emotion): p for emotion, p in answer["probabilities"].items()}
    if abstain_below is not None:
        cells["abstained"] = face.expression.confidence < abstain_below
    for index, branch in enumerate(answer["branches"][:branches], 1):
        cells |= {f"b{index}_{key}": branch[key] for key in ("emotion", "valence", "arousal")}
        cells |= {f"b{index}_{column_name(emotion)}": p for emotion, p in branch["probabilities"].items()}
    return cells


def picture_record(
    source: str,
    size_wh: tuple[int, int],
    model: str,
    faces: Sequence[Face],
    *,
    abstain_below: float | None = None,
) -> dict[str, Any]:
    """One picture as JSON-ready data; ``schema/picture.schema.json`` in this package describes it.

    Args:
        source: The picture's path as it was given.
        size_wh: Width and height of the upright picture in pixels.
        model: The model's name.
        faces: The faces found; none gives ``"faces": []``.
        abstain_below: Confidence below which a face's ``abstained`` is true; None leaves that key out.
    """
    answers = [face.to_dict() for face in faces]
    if abstain_below is not None:
        for answer, face in zip(answers, faces, strict=True):
            answer["abstained"] = face.expression.confidence < abstain_below
    width, height = size_wh
    return {
        "schema_version": SCHEMA_VERSION,
        "source": source_text(source),
        "width": width,
        "height": height,
        "model": model,
        "faces": answers,
    }


def frame_record(
    source: str,
    size_wh: tuple[int, int],
    model: str,
    faces: Sequence[Face],
    *,
    frame: int,
    time_s: float,
    abstain_below: float | None = None,
) -> dict[str, Any]:
    """One frame of a video as JSON-ready data: a picture's record with ``frame`` and ``time_s``.

    Args:
        frame: Ordinal of the frame from 0.
        time_s: Presentation time in seconds.

    The others are those of ``picture_record``; faces have a ``track_id``.
    """
    record = picture_record(source, size_wh, model, faces, abstain_below=abstain_below)
    place = {"frame": frame, "time_s": time_s}
    return {"schema_version": record.pop("schema_version"), "source": record.pop("source"), **place, **record}
