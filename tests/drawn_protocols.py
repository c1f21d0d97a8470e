"""Miniature data sets of the paper's protocols, prepared, and a network that trains on them in seconds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drawn import drawn_face
from drawn_sets import write_picture
from esrface.datasets.affectnet import SETS, face_name
from esrface.datasets.ckplus import CODES
from esrface.emotions import CIRCUMPLEX, EMOTIONS
from esrface.networks.config import Conv, MaxPool, NetworkConfig

if TYPE_CHECKING:
    from esrface.datasets.jitter import Jitter


def tiny_wild() -> NetworkConfig:
    """A colour network of the published kind, small."""
    conv = [Conv(channels, bias=True) for channels in (8, 8, 12, 12)]
    return NetworkConfig(
        "tiny-wild",
        32,
        3,
        (conv[0], MaxPool(), conv[1], MaxPool()),
        (conv[2], conv[3]),
        branches=3,
        affect=True,
    )


def still() -> Jitter:
    """Augmentation that changes nothing."""
    # Here, as it needs torch, which most of the data sets' tests do without.
    from esrface.datasets.jitter import Jitter

    return Jitter(brightness=0, contrast=0, mirror=0, rotation_deg=0, shift=0, scale=(1.0, 1.0))


def write_prepared_affectnet(root: Path, counts: dict[str, int]) -> Path:
    """Coloured faces of every emotion under their names; the last one of each set has no usable label."""
    for number, (which, count) in enumerate(counts.items()):
        index = 0
        for emotion in EMOTIONS:
            for seed in range(count):
                grey = drawn_face(emotion, 1_000 * number + 50 * EMOTIONS.index(emotion) + seed, 96)
                face = np.stack([grey // 3, grey // 2, grey], axis=2)
                valence, arousal = CIRCUMPLEX[EMOTIONS.index(emotion)]
                name = face_name(index, EMOTIONS.index(emotion), valence, arousal)
                write_picture(root / SETS[which].prepared / str(index // 500) / name, face)
                index += 1
        name = face_name(index, 10, -2, -2)
        write_picture(root / SETS[which].prepared / "0" / name, np.zeros((96, 96, 3), np.uint8))
    return root


def write_prepared_ckplus(root: Path, subjects: int = 10) -> Path:
    """One session of each of two emotions for every subject: 96x96 faces, five frames."""
    for subject in range(subjects):
        for session, emotion in (("001", "Happy"), ("002", "Surprise")):
            who = f"S{subject + 5:03}"
            for frame in range(1, 6):
                shown = "Neutral" if frame < 3 else emotion
                name = f"{who}_{session}_{frame:08}.png"
                face = drawn_face(shown, 10 * subject + int(session), 96)
                write_picture(root / "cohn-kanade-images" / who / session / name, face)
            label = root / "Emotion" / who / session / f"{who}_{session}_00000005_emotion.txt"
            label.parent.mkdir(parents=True, exist_ok=True)
            label.write_text(f"   {CODES.index(emotion) + 1}.0000000e+00\n")
    return root
