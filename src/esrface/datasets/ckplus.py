"""CK+, the extended Cohn-Kanade data set (Lucey et al., 2010): preparing it, reading it, dealing its folds.

As handed out, and prepared alike: ``cohn-kanade-images/S005/001/S005_001_00000001.png`` are the frames of a
session from neutral to the peak, ``Emotion/S005/001/S005_001_00000011_emotion.txt`` names its emotion by a
number 1-7; many sessions have none. The last three frames of a labelled session show its emotion, the first
one is neutral.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of
from esrface._numbers import counted
from esrface.datasets.preparation import (
    FACE_SIDE,
    Prepared,
    Progress,
    Unusable,
    prepare,
    resized,
    write_picture,
)
from esrface.detection import create_detector
from esrface.detection.base import Detector
from esrface.emotions import EMOTIONS
from esrface.errors import DataError, InputError
from esrface.images import load_image
from esrface.outputs import write_whole

IMAGES: Final = "cohn-kanade-images"
LABELS: Final = "Emotion"

CODES: Final = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Sad", "Surprise")
"""Emotions of the label files' numbers 1-7."""

PEAK_FRAMES: Final = 3
"""Frames at the end of a session that show its emotion."""

NEUTRAL_FRAMES: Final = {"first": 0, "fourth_last": -4}
"""Which frame of a session stands for neutral: the first one, as published, or the one that the original
program takes."""

FOLDS: Final = 10
TRAINING_FOLDS: Final = 4
"""Folds that a trial trains on, of the eight that are neither test nor validation."""


@dataclass(frozen=True)
class Session:
    """A labelled session."""

    subject: str
    name: str
    label: int
    """Of its last frames, in network order."""
    frames: tuple[Path, ...]
    """In order, at least four."""
    label_file: Path


@dataclass(frozen=True, eq=False)
class CkPlus:
    """The labelled frames of a prepared data set, in memory."""

    names: list[str]
    """(N,) such as ``S005/001/S005_001_00000011.png``."""
    pixels: NDArray[np.uint8]
    """(N, 96, 96) grey."""
    labels: NDArray[np.int64]
    """(N,) in network order."""
    subjects: NDArray[np.str_]
    """(N,) who is seen: ``S005``."""

    def __len__(self) -> int:
        return len(self.names)

    def select(self, keep: NDArray[np.bool_]) -> CkPlus:
        """The frames where ``keep`` (N,) is true."""
        names = [name for name, kept in zip(self.names, keep, strict=True) if kept]
        return CkPlus(names, self.pixels[keep], self.labels[keep], self.subjects[keep])


@dataclass(frozen=True)
class Trial:
    """Which subjects a trial trains on, fold by fold, is validated and tested on."""

    training: tuple[tuple[str, ...], ...]
    """Four folds: each branch leaves another one out."""
    valid: tuple[str, ...]
    test: tuple[str, ...]


def ckplus_folds(subjects: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """Ten folds of subjects, no subject in two: sorted, then dealt out in turn.

    Raises:
        DataError: There are fewer than ten subjects.
    """
    everyone = sorted(set(subjects))
    if len(everyone) < FOLDS:
        raise DataError(f"CK+ is dealt to {FOLDS} folds, {len(everyone)} subjects with labels are too few")
    return tuple(tuple(everyone[fold::FOLDS]) for fold in range(FOLDS))


def ckplus_trial(subjects: Sequence[str], trial: int) -> Trial:
    """Trial 0-9: fold ``trial`` is the test, the next one validation, training the first four of the rest."""
    if trial not in range(FOLDS):
        raise InputError(f"CK+ has the trials 0 to {FOLDS - 1}, got {trial!r}")
    folds = ckplus_folds(subjects)
    valid = (trial + 1) % FOLDS
    rest = [fold for fold in range(FOLDS) if fold not in (trial, valid)]
    return Trial(tuple(folds[fold] for fold in rest[:TRAINING_FOLDS]), folds[valid], folds[trial])


def list_ckplus(data: Path) -> list[Session]:
    """The labelled sessions, as handed out or prepared, sorted.

    Raises:
        DataError: The folders are not there or hold no label, a label is none of 1-7, a session has two, or
            frames are missing.
    """
    for part in (IMAGES, LABELS):
        if not (data / part).is_dir():
            raise DataError(f"{printable(data)}: no folder {part} here; CK+ has {IMAGES}/ and {LABELS}/")
    sessions = []
    short: list[str] = []
    for label_file in _label_files(data):
        subject, name = label_file.parts[-3:-1]
        folder = data / IMAGES / subject / name
        frames = tuple(path for path in sorted(folder.glob("*.png")) if not path.name.startswith("."))
        if len(frames) <= PEAK_FRAMES:
            short.append(f"{subject}/{name} ({len(frames)})")
            continue
        sessions.append(Session(subject, name, _label(label_file), frames, label_file))
    if short:
        sessions_have = counted(len(short), "labelled session has", "labelled sessions have")
        raise DataError(
            f"{printable(data / IMAGES)}: {sessions_have} less than {PEAK_FRAMES + 1} "
            f"frames, the first is {short[0]}: is everything unpacked?"
        )
    if not sessions:
        raise DataError(f"{printable(data / LABELS)}: no label files (S005/001/…_emotion.txt) in it")
    return sessions


def _label_files(data: Path) -> list[Path]:
    """One of each labelled session, sorted."""
    files = [
        path for path in sorted((data / LABELS).glob("*/*/*_emotion.txt")) if not path.name.startswith(".")
    ]
    for one, two in pairwise(files):
        if one.parent == two.parent:
            raise DataError(
                f"{printable(one.parent)}: two label files for one session, {printable(one.name)} and "
                f"{printable(two.name)}: take one out"
            )
    return files


def load_ckplus(data: Path, *, neutral: str = "first") -> CkPlus:
    """Read the labelled frames of a prepared data set.

    Args:
        data: Folder that `prepare_ckplus` wrote.
        neutral: ``"first"`` or ``"fourth_last"``, see `NEUTRAL_FRAMES`.

    Raises:
        DataError: See `list_ckplus`; or a frame cannot be read or is not 96x96.
    """
    if neutral not in NEUTRAL_FRAMES:
        raise InputError(f"neutral is {' or '.join(NEUTRAL_FRAMES)}, got {neutral!r}")
    names, pixels, labels, subjects = [], [], [], []
    for session in list_ckplus(data):
        shown = [(path, session.label) for path in session.frames[-PEAK_FRAMES:]]
        shown.append((session.frames[NEUTRAL_FRAMES[neutral]], EMOTIONS.index("Neutral")))
        for path, label in shown:
            names.append(f"{session.subject}/{session.name}/{path.name}")
            pixels.append(_read_face(path))
            labels.append(label)
            subjects.append(session.subject)
    return CkPlus(names, np.stack(pixels), np.array(labels, dtype=np.int64), np.array(subjects))


def prepare_ckplus(
    data: Path,
    out: Path,
    *,
    resume: bool = False,
    strict: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Prepared:
    """Cut the faces out of the frames that are used (Viola-Jones) and write them 96x96, grey, same layout.

    Of each labelled session that is the first frame and the last four. A session in which a face is not found
    in one of them is left out as a whole.

    Args:
        data: Folder with ``cohn-kanade-images`` and ``Emotion``.
        out: Folder to write.
        resume: See `esrface.datasets.preparation.prepare`, and so the rest.
        strict: As above.
        threads: As above.
        progress: As above, with sessions.

    Raises:
        DataError: See `list_ckplus`; or, with ``resume``, a session there has another label. Nothing is
            written then.
    """
    sessions = list_ckplus(data)
    if resume:
        _refuse_other_labels(sessions, out)
    detector = create_detector("haar")

    def work(session: Session) -> bool:
        return _prepare_session(session, detector, out)

    return prepare(
        out,
        sessions,
        work,
        lambda session: f"{session.subject}/{session.name}",
        total=len(sessions),
        resume=resume,
        strict=strict,
        threads=threads,
        progress=progress,
    )


def _refuse_other_labels(sessions: Sequence[Session], out: Path) -> None:
    """Refuse to go on among sessions that have another label, or none, in the data that are prepared now."""
    others = set(_label_files(out))
    for session in sessions:
        place = _label_place(session, out)
        if place in others and _label(place) == session.label:
            others.discard(place)
    if others:
        files = counted(len(others), "label file is", "label files are")
        raise DataError(
            f"{printable(out)}: {files} none of the data's, the first is "
            f"{printable(min(others))}: take them out, or choose another --out"
        )


def _label_place(session: Session, out: Path) -> Path:
    return out / LABELS / session.subject / session.name / session.label_file.name


def _prepare_session(session: Session, detector: Detector, out: Path) -> bool:
    """Write the session's faces, its label last: a session with a label is whole."""
    below = Path(session.subject) / session.name
    label = _label_place(session, out)
    if label.exists():
        return False
    used = sorted({session.frames[0], *session.frames[-PEAK_FRAMES - 1 :]})
    faces = {path: _cut_face(path, detector) for path in used}
    for path, face in faces.items():
        write_picture(out / IMAGES / below / path.name, resized(face))
    write_whole(label, session.label_file.read_bytes(), overwrite=True)
    return True


def _cut_face(path: Path, detector: Detector) -> NDArray[np.uint8]:
    """The largest face (h, w) of a frame, grey."""
    try:
        picture = load_image(path)
    except InputError as error:
        raise Unusable(str(error)) from None
    found = detector.detect(picture)
    if not found:
        raise Unusable(f"no face was found in {printable(path.name)}")
    box = found[0].box
    # Most frames are grey; those of a few sessions are in colour.
    face = np.ascontiguousarray(picture[box.y0 : box.y1, box.x0 : box.x1])
    return np.asarray(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def _read_face(path: Path) -> NDArray[np.uint8]:
    try:
        face = load_image(path)[..., 0]
    except InputError as error:
        raise DataError(str(error)) from error
    if face.shape != (FACE_SIDE, FACE_SIDE):
        raise DataError(
            f"{printable(path)} has {face.shape[1]}x{face.shape[0]} pixels, expected {FACE_SIDE}x{FACE_SIDE}:"
            " prepare CK+ first, with esrface data ckplus"
        )
    return face


def _label(path: Path) -> int:
    """Index of a label file's emotion in network order."""
    try:
        code = float(path.read_text(encoding="ascii"))
    except (ValueError, OSError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else "it holds no number"
        raise DataError(f"{printable(path)}: {reason}") from error
    if code not in range(1, len(CODES) + 1):
        raise DataError(f"{printable(path)}: expected a number from 1 to {len(CODES)}, got {code:g}")
    return EMOTIONS.index(CODES[int(code) - 1])
