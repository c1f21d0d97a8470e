"""Drawn faces: little pictures whose mouth and brows show an emotion; made here, of nobody."""

from __future__ import annotations

import csv
import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import PIL.Image

from esrface.datasets.ferplus import SPLIT_FOLDERS, VOTE_COLUMNS
from esrface.emotions import EMOTIONS

MOUTHS = {
    "Neutral": (0, 2),
    "Happy": (9, 2),
    "Sad": (-9, 2),
    "Surprise": (0, 9),
    "Fear": (-4, 6),
    "Disgust": (-4, 3),
    "Anger": (-6, 1),
    "Contempt": (4, 1),
    "Winking": (0, 2),
    "Yawning": (0, 17),
}
"""Bend (upwards positive) and opening of the mouth, in pixels of a 48-pixel face; the eight emotions, and two
expressions that are none of them."""


def drawn_face(emotion: str, seed: int, size: int = 48) -> np.ndarray:
    """Grey (size, size) uint8 drawing of a face; every seed gives another one."""
    random = np.random.default_rng(seed)
    scale = 8
    canvas = np.full((48 * scale, 48 * scale), int(random.integers(40, 120)), np.uint8)
    x, y = (24 + random.uniform(-2, 2, 2)) * scale
    skin = int(random.integers(150, 230))
    cv2.ellipse(canvas, (int(x), int(y)), (17 * scale, 21 * scale), 0, 0, 360, skin, -1)
    bend, opening = MOUTHS[emotion]
    for side in (-1, 1):
        eye = (int(x + side * 7 * scale), int(y - 5 * scale))
        open_eye = 0 if emotion == "Winking" and side < 0 else 2 + min(opening, 9) / 4
        cv2.ellipse(canvas, eye, (3 * scale, max(3, int(open_eye * scale))), 0, 0, 360, 20, -1)
        brow = int((11 + min(opening, 9) / 3) * scale)
        tilt = side * scale * (3 if emotion == "Anger" else -2 if emotion in ("Sad", "Fear") else 0)
        cv2.line(
            canvas,
            (eye[0] - 4 * scale, int(y - brow - tilt)),
            (eye[0] + 4 * scale, int(y - brow + tilt)),
            30,
            scale,
        )
    across = np.linspace(-8, 8, 17)
    curve = y + (11 + bend * (0.5 - (across / 8) ** 2) * 0.6) * scale
    points = np.stack([x + across * scale, curve], axis=1).astype(np.int32)
    cv2.polylines(canvas, [points], False, 40, max(1, opening * scale))
    noisy = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA).astype(float)
    return np.clip(noisy + random.normal(0, 4, noisy.shape), 0, 255).astype(np.uint8)


def draw(path: Path, seed: int = 0, emotion: str = "Happy") -> Path:
    """Save a drawn face; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(drawn_face(emotion, seed)).save(path)
    return path


def vote_row(emotion: str, votes: int = 10) -> list[int]:
    """Ten vote counts in the label file's order, all for one emotion (or ``unknown``, ``NF``)."""
    return [votes if name == emotion else 0 for name in VOTE_COLUMNS]


def write_ferplus(root: Path, layout: str, split: str, emotions: list[str], first_seed: int = 0) -> list[str]:
    """A miniature FER+ split in a layout (``original``, ``microsoft`` or ``zip``); returns file names."""
    folder = SPLIT_FOLDERS[split]
    names = [f"fer{index:07d}.png" for index in range(len(emotions))]
    table = io.StringIO()
    writer = csv.writer(table)
    pictures = {}
    for index, (name, emotion) in enumerate(zip(names, emotions, strict=True)):
        writer.writerow([name, "(0, 0, 48, 48)", *vote_row(emotion)])
        drawn = emotion if emotion in EMOTIONS else "Neutral"
        pictures[name] = cv2.imencode(".png", drawn_face(drawn, first_seed + index))[1].tobytes()
    if layout == "zip":
        with zipfile.ZipFile(root / f"{folder}.zip", "w") as archive:
            archive.writestr(f"{folder}/label.csv", table.getvalue())
            for name, data in pictures.items():
                archive.writestr(f"{folder}/{name}", data)
        return names
    labels, images = {
        "original": (root / "Labels" / folder, root / "Images" / folder),
        "microsoft": (root / folder, root / folder),
    }[layout]
    labels.mkdir(parents=True, exist_ok=True)
    images.mkdir(parents=True, exist_ok=True)
    (labels / "label.csv").write_text(table.getvalue(), encoding="utf-8")
    for name, data in pictures.items():
        (images / name).write_bytes(data)
    return names
