"""Miniature data sets of drawn faces, in the layouts that people and authors hand them out in."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np

from drawn import MOUTHS, drawn_face
from esrface.datasets.ckplus import CODES


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write grey or BGR pixels, the folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def write_folder(root: Path, counts: Mapping[str, Mapping[str, int]], size: int = 48) -> Path:
    """``{split: {folder name: pictures}}``; the folder's first letters name the emotion drawn."""
    for number, (split, classes) in enumerate(counts.items()):
        for name, count in classes.items():
            drawn = next(shown for shown in MOUTHS if shown[:3].lower() == name[:3].lower())
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for index in range(count):
                seed = 10_000 * number + 100 * list(MOUTHS).index(drawn) + index
                write_picture(root / split / name / f"{index:03}.png", drawn_face(drawn, seed, size))
    return root


def write_affectnet(root: Path, rows: Iterable[tuple[str, int, float, float]], table: str) -> Path:
    """A table and coloured pictures of 200x160; a row is (file, expression, valence, arousal).

    The face stands at x 60, y 20 and is 100 pixels wide, 120 high: red there, blue around.
    """
    root.mkdir(exist_ok=True)
    with (root / table).open("w", newline="") as file:
        writer = csv.writer(file)
        box = ["face_x", "face_y", "face_width", "face_height"]
        labels = ["expression", "valence", "arousal"]
        writer.writerow(["subDirectory_filePath", *box, "facial_landmarks", *labels])
        for name, expression, valence, arousal in rows:
            writer.writerow([name, 60, 20, 100, 120, "1;2", expression, valence, arousal])
            picture = np.full((160, 200, 3), (200, 0, 0), np.uint8)
            picture[20:140, 60:160] = (0, 0, 200)
            write_picture(root / "Manually_Annotated_Images" / name, picture)
    return root


def write_ckplus(root: Path, sessions: Iterable[tuple[str, str, str | None]], frames: int = 5) -> Path:
    """Sessions (subject, session, emotion or None): drawn faces that go from neutral to the emotion."""
    for subject, session, emotion in sessions:
        for frame in range(1, frames + 1):
            shown = "Neutral" if frame == 1 or emotion is None else emotion
            scene = np.full((240, 320), 90, np.uint8)
            scene[40:190, 60:210] = drawn_face(shown, int(subject[1:]) * 10, 150)
            name = f"{subject}_{session}_{frame:08}.png"
            write_picture(root / "cohn-kanade-images" / subject / session / name, scene)
        labels = root / "Emotion" / subject / session
        labels.mkdir(parents=True, exist_ok=True)
        if emotion is not None:
            code = CODES.index(emotion) + 1
            (labels / f"{subject}_{session}_{frames:08}_emotion.txt").write_text(f"   {code}.0000000e+00 \n")
    return root


def write_fer2013(root: Path, faces: Iterable[tuple[str, str, str | None]]) -> tuple[Path, Path]:
    """The two tables from faces (Usage, emotion, file name or None where FER+ dropped the face)."""
    pixels, votes = root / "fer2013.csv", root / "fer2013new.csv"
    columns = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    order = ["Neutral", "Happy", "Surprise", "Sad", "Anger", "Disgust", "Fear", "Contempt", "unknown", "NF"]
    one, other = ["emotion,pixels,Usage"], [f"Usage,Image name,{columns}"]
    for index, (usage, emotion, name) in enumerate(faces):
        one.append(f"0,{' '.join(map(str, drawn_face(emotion, index).ravel()))},{usage}")
        counts = ",".join("10" if column == emotion else "0" for column in order)
        other.append(f"{usage},{name or ''},{counts}")
    pixels.write_text("\n".join(one) + "\n")
    votes.write_text("\n".join(other) + "\n")
    return pixels, votes
