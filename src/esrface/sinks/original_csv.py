"""The original program's CSV: one file a picture, with the ensemble's and every branch's answer."""

from __future__ import annotations

from pathlib import Path, PurePath

import numpy as np

from esrface.results import Face
from esrface.sinks.base import Frame, RunSettings
from esrface.sinks.folder import FolderSink

NO_FACE = "None"
_PARTS = ("Emotion", "Arousal", "Valence")


class OriginalCsv(FolderSink):
    """``-o DIR``: a file named after the picture up to its first dot, plus ``.csv``.

    The biggest face is written, valence as the network gives it, arousal mapped to 0-1 as in the original.
    A second picture of the same name (``a.jpg``, ``a.png``) keeps its suffix: ``a.png.csv``.
    """

    def __init__(self, folder: Path, settings: RunSettings, *, branches: int, mode: str = "refuse") -> None:
        super().__init__(folder, settings, mode=mode)
        self._branches = branches

    def name(self, place: PurePath) -> PurePath:
        """``a.b.jpg`` -> ``a.csv``, or ``a.b.jpg.csv`` if that is taken."""
        return self.taken.name(place, ".csv", first_dot=True)

    def render(self, frame: Frame, suffix: str) -> bytes:
        """A header and one row."""
        del suffix
        face = max(frame.faces, key=lambda face: face.box.area, default=None)
        text = original_header(self._branches) + original_row(frame.time_s or 0.0, face, self._branches)
        return text.encode("ascii")


def original_header(branches: int) -> str:
    """The header line for K branches, counted from 0."""
    names = ["Ensemble", *(f"Branch_{index}" for index in range(branches))]
    return ",".join(["Timestamp(sec)", *(f"{name}_{part}" for name in names for part in _PARTS)]) + "\n"


def original_row(time_s: float, face: Face | None, branches: int) -> str:
    """One line: the time in seconds, then emotion, arousal and valence of the ensemble and of each branch."""
    if face is None:
        return ",".join([str(time_s)] + [NO_FACE] * (3 * (branches + 1))) + "\n"
    expression = face.expression
    valence = expression.branch_affect[:, 0]
    arousal = mapped_arousal(expression.branch_affect[:, 1])
    cells = [str(time_s), expression.emotion, _decimal(arousal.mean()), _decimal(valence.mean())]
    for emotion, a, v in zip(expression.branch_emotions, arousal, valence, strict=True):
        cells += [emotion, _decimal(a), _decimal(v)]
    return ",".join(cells) + "\n"


def mapped_arousal(arousal: np.ndarray) -> np.ndarray:
    """clip((a + 1) / 2, 0, 1): how the original shows arousal everywhere."""
    return np.clip((arousal + 1) / 2, 0, 1)


def _decimal(value: np.floating) -> str:
    """The shortest decimal that gives the same float32."""
    return str(np.float32(value))
