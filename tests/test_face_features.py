"""The public face features, where the archive is at hand (ESRFACE_FACE_FEATURES=path of the .tgz)."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from esrface.networks.config import esr_mobile  # noqa: E402
from esrface.networks.esr import ESR  # noqa: E402
from esrface.networks.face_features import (  # noqa: E402
    FaceFeatures,
    init_from_face_features,
    read_face_features,
)

ARCHIVE = os.environ.get("ESRFACE_FACE_FEATURES", "")
pytestmark = pytest.mark.skipif(
    not ARCHIVE, reason="needs ESRFACE_FACE_FEATURES: the archive of 'npm pack @vladmandic/human@3.3.6'"
)


@pytest.fixture(scope="module")
def face() -> np.ndarray:
    """Rear Admiral Grace Hopper, in her late seventies; RGB (112, 112, 3)."""
    path = Path(__file__).parent.parent / "examples" / "grace_hopper.jpg"
    return cv2.resize(cv2.imread(str(path))[120:390, 170:390, ::-1], (112, 112), interpolation=cv2.INTER_AREA)


def test_age_head_tells_an_old_face_from_a_young_one(face: np.ndarray) -> None:
    features = FaceFeatures(read_face_features(Path(ARCHIVE)))
    astronaut = cv2.imread(str(Path(__file__).parent.parent / "examples" / "astronaut.jpg"))[60:190, 170:290]
    young = cv2.resize(astronaut, (112, 112), interpolation=cv2.INTER_AREA)
    pictures = torch.from_numpy(np.stack([face[..., ::-1], young]).astype(np.float32)).permute(0, 3, 1, 2)
    old_age, young_age = features(pictures).tolist()
    assert 45 < old_age < 80
    assert 15 < young_age < 40


def test_base_computes_the_public_features_on_grey_faces(face: np.ndarray) -> None:
    grey = torch.from_numpy(cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (96, 96)).astype(np.float32))
    faces = ((grey - 127.5) / 64)[None, None].repeat(2, 1, 1, 1)
    network = ESR(esr_mobile())
    init_from_face_features(network, Path(ARCHIVE), faces, mean=127.5, std=64.0)
    features = FaceFeatures(read_face_features(Path(ARCHIVE)))
    with torch.no_grad():
        ours = network.eval().base(faces)
        theirs = features.maps(grey.expand(1, 3, 96, 96), convolutions=23)
    assert ours.shape[1:] == theirs.shape[1:] == (512, 6, 6)
    difference = (ours[0] - theirs[0]).abs()
    # Zero padding stands for another grey in the two scales, so the outer cells differ a little.
    print(f"largest difference {difference.max():.4f}, mean {difference.mean():.5f} of {theirs.mean():.3f}")
    assert difference.mean() < 0.02 * theirs.mean()
    assert difference.max() < 0.1 * theirs.max()
