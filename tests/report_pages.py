"""Reports for tests: what stands in a page, and sinks fed with frames made by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path, PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface import Recognizer
from esrface.report.facts import RunFacts
from esrface.results import Face
from esrface.sinks import Clip, VideoReport
from esrface.video import Frame, SourceInfo, TrackedFace
from made_faces import make_face

IMAGE = np.full((160, 200, 3), 120, np.uint8)


def data_of(page: Path | str) -> dict[str, Any]:
    """What the script of a page reads."""
    text = page if isinstance(page, str) else page.read_text("utf-8")
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert len(found) == 1
    return dict(json.loads(found[0]))


def tracked(face: Face, track: int = 1) -> TrackedFace:
    """The face, of a track."""
    return TrackedFace(**{one.name: getattr(face, one.name) for one in fields(face)}, track_id=track)


def made_frame(
    number: int, faces: Sequence[TrackedFace] = (), *, rate: float = 10.0, image: NDArray[np.uint8] = IMAGE
) -> Frame:
    """A frame of a clip with so many a second."""
    return Frame(number, number / rate, image.view(), tuple(faces))


def happy(confidence: float = 0.75, track: int = 1, **options: Any) -> TrackedFace:
    """A face of a track that is happy to some degree."""
    return tracked(make_face("Happy", confidence=confidence, **options), track)


def clip_report(
    path: Path,
    recognizer: Recognizer,
    clips: Iterable[tuple[str, Iterable[Frame]]],
    *,
    count: int = 1,
    mode: str = "refuse",
) -> Path:
    """The report of clips made of frames."""
    facts = RunFacts.of(recognizer, {"detector": "none", "vote": "mean", "abstain_below": None})
    with VideoReport(path, facts, recognizer, mode=mode, clips=count) as sink:
        for source, frames in clips:
            sink.begin(Clip(source, PurePath("clip"), None, SourceInfo()))
            for frame in frames:
                sink.add(frame)
            sink.end()
    return path
