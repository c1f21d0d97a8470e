"""The original program's CSV: one file a picture or video, with the ensemble's and every branch's answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from esrface.outputs import OutputNames, RowFile, drop_torn_row, output_errors
from esrface.results import Face, mapped_arousal
from esrface.sinks.base import Picture, RunSettings
from esrface.sinks.folder import FolderSink, prepare_folder, refuse_older
from esrface.sinks.frames import Clip

if TYPE_CHECKING:
    from esrface.video import Frame

NO_FACE = "None"
_PARTS = ("Emotion", "Arousal", "Valence")


class OriginalCsv(FolderSink):
    """``-o DIR``: a file named after the picture up to its first dot, plus ``.csv``.

    The biggest face is written, valence as the network gives it, arousal mapped to 0-1 as in the original.
    A second picture of the same name (``a.jpg``, ``a.png``) keeps its suffix: ``a.png.csv``.
    """

    def __init__(self, folder: Path, settings: RunSettings, *, branches: int, **options: Any) -> None:
        super().__init__(folder, settings, **options)
        self._branches = branches

    def name(self, place: PurePath) -> PurePath:
        """``a.b.jpg`` -> ``a.csv``, or ``a.b.jpg.csv`` if that is taken."""
        return self.taken.name(place, ".csv", first_dot=True)

    def render(self, picture: Picture, suffix: str) -> bytes:
        """A header and one row."""
        del suffix
        row = original_row(0.0, biggest(picture.faces), self._branches)
        text = original_header(self._branches) + row
        return text.encode("utf-8")


class OriginalVideoCsv:
    """``-o DIR`` for videos: a file for each clip that grows by a row a frame; see ``frames.FrameSink``.

    Its name is the clip's up to the first dot, plus ``.csv``. A row has the time in seconds and the biggest
    face, or ``None`` in every other column.

    Args:
        folder: Made, with its parents, when the sink is entered.
        settings: The run's settings, for resuming.
        branches: How many the model has.
        mode: One of ``esrface.sinks.MODES``.
    """

    needs_skipped = False
    resumable = True

    def __init__(self, folder: Path, settings: RunSettings, *, branches: int, mode: str = "refuse") -> None:
        self._folder = folder
        self._settings = settings
        self._branches = branches
        self._mode = mode
        self._begun = 0
        self._names = OutputNames()
        self._outputs: dict[PurePath, Path] = {}
        self._file: RowFile | None = None

    def __enter__(self) -> OriginalVideoCsv:
        self._begun = prepare_folder(self._folder, self._settings, self._mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.__exit__(kind, error, trace)

    def output(self, place: PurePath) -> Path:
        """``DIR/clip.csv``; to be asked in the order of the clips."""
        if place not in self._outputs:
            self._outputs[place] = self._folder / _clip_name(self._names, place)
        return self._outputs[place]

    def done(self, source: str, place: PurePath, whole: int) -> int:
        """How many whole rows the clip's file has; OutputError if it is no result of this run."""
        del source, whole
        path = self.output(place)
        if not path.is_file():
            return 0
        refuse_older(path, self._begun)
        drop_torn_row(path)
        with output_errors(path), path.open("rb") as file:
            return max(0, sum(1 for _ in file) - 1)

    def begin(self, clip: Clip) -> None:
        """Open the clip's file."""
        self.end()
        path, mode = self.output(clip.place), self._mode
        self._file = RowFile(path, overwrite=mode == "overwrite", resume=mode == "resume")
        if self._file.is_empty:
            self._file.write(original_header(self._branches))

    def add(self, frame: Frame) -> None:
        """Append the frame's row."""
        if self._file is None:
            raise ValueError("a clip must have begun before a frame is added")
        self._file.write(original_row(frame.time_s, biggest(frame.faces), self._branches))

    def end(self) -> None:
        """Close the clip's file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


def clip_outputs(folder: Path, places: Sequence[PurePath]) -> list[Path]:
    """The files that ``OriginalVideoCsv`` makes of clips at these places, in their order."""
    names = OutputNames()
    return [folder / _clip_name(names, place) for place in places]


def _clip_name(names: OutputNames, place: PurePath) -> PurePath:
    return names.name(place, ".csv", first_dot=True)


def biggest(faces: Sequence[Face]) -> Face | None:
    """The face with the largest box; None if there is none."""
    return max(faces, key=lambda face: face.box.area, default=None)


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
    cells = [str(time_s), _quoted(expression.emotion), _decimal(arousal.mean()), _decimal(valence.mean())]
    for emotion, a, v in zip(expression.branch_emotions, arousal, valence, strict=True):
        cells += [_quoted(emotion), _decimal(a), _decimal(v)]
    return ",".join(cells) + "\n"


def _quoted(emotion: str) -> str:
    """As CSV wants a new class's name that holds a comma or a quotation mark; the eight stay as they are."""
    if "," not in emotion and '"' not in emotion:
        return emotion
    return '"' + emotion.replace('"', '""') + '"'


def _decimal(value: np.floating) -> str:
    """The shortest decimal that gives the same float32."""
    return str(np.float32(value))
