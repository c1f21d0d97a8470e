"""Pictures with one face in the middle, out of FER+ and out of photos, for ``benchmarks/framing.py``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.datasets.ferplus import FACE_SIZE
from esrface.detection import Detection, Detector
from esrface.images import load_image
from esrface.models.card import CropRule
from esrface.preprocess import crop_face
from esrface.results import Box
from esrface.sources import find_images

ENLARGED, BORDER = 160, 80
"""Pixels of a FER+ face in its picture, and of picture on each side of it: easy for the detector."""

FRAME = Box(BORDER, BORDER, BORDER + ENLARGED, BORDER + ENLARGED)
"""What FER+ shows of the face, in that picture."""

GREY, REPEATED = cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE
"""What stands around it: grey when the face is looked for, which hardly moves the detector's boxes (the first
table of ``framing.py`` checks that), and the face's repeated edge when it is cut out, as ``crop_face`` does
where a picture ends."""

Picture = NDArray[np.uint8]
Scene = Callable[[int], Picture]
"""Makes the RGB picture with ``GREY`` or ``REPEATED`` around it; thousands at once would fill the memory."""
Move = Callable[[Box], Box]


@dataclass(frozen=True)
class Faces:
    """Faces that were found, one a scene."""

    scenes: Sequence[Scene]
    hits: Sequence[Detection]
    labels: NDArray[np.int64]
    """(N,) emotion in network order, -1 where it is not known."""

    def crops(self, rule: CropRule, move: Move = lambda box: box) -> Iterator[Picture]:
        """The faces cut out by a rule, from boxes changed before."""
        for scene, hit in zip(self.scenes, self.hits, strict=True):
            yield crop_face(scene(REPEATED), move(hit.box), hit.landmarks, rule)

    def tilts(self) -> NDArray[np.float64]:
        """(N,) degrees by which the line of the eyes is off the level."""
        eyes = [hit.landmarks[:2] for hit in self.hits if hit.landmarks is not None]
        x, y = np.diff(eyes, axis=1)[:, 0].T
        return np.asarray(np.abs(np.degrees(np.arctan2(y, x))), dtype=np.float64)


def enlarge(face: Picture, around: int) -> Picture:
    """The scene of a grey face (48, 48)."""
    large = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, around, value=128)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def turn(scene: Scene, degrees: float, around: int) -> Picture:
    """A scene turned about its middle, counter-clockwise."""
    picture = scene(around)
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=around, borderValue=(128,) * 3)
    return np.asarray(turned, dtype=np.uint8)


def reduce(crop: Picture) -> Picture:
    """A crop in the size of FER+'s pictures, by averaging over areas."""
    return np.asarray(cv2.resize(crop, (FACE_SIZE, FACE_SIZE), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def locate(
    detector: Detector, scenes: Sequence[Scene], labels: NDArray[np.int64] | None = None
) -> tuple[Faces, NDArray[np.bool_]]:
    """The largest face over the middle of each scene, where there is one, and where that is so (N,)."""
    hits = []
    for scene in scenes:
        picture = scene(GREY)
        y, x = picture.shape[0] / 2, picture.shape[1] / 2
        found = ((hit.box, hit) for hit in detector.detect(picture))
        hits.append(next((hit for box, hit in found if box.x0 < x < box.x1 and box.y0 < y < box.y1), None))
    here = np.array([hit is not None for hit in hits])
    labels = np.full(len(hits), -1) if labels is None else labels
    seen = [scene for scene, is_found in zip(scenes, here, strict=True) if is_found]
    return Faces(seen, [hit for hit in hits if hit is not None], labels[here]), here


def find_photos(detector: Detector, paths: Sequence[str]) -> Faces:
    """Every face in photos, in the middle of a picture three times its size that shows what is around it."""
    scenes: list[Scene] = []
    for source in find_images(paths):
        image = load_image(source.read())
        for hit in detector.detect(image):
            rule = CropRule(margin=1.0, square=True, align=False)
            scenes.append(partial(_unchanged, crop_face(image, hit.box, None, rule)))
    return locate(detector, scenes)[0]


def _unchanged(picture: Picture, around: int) -> Picture:
    return picture


def _moved(right: float, down: float, grow: float, box: Box) -> Box:
    """The box moved, and made larger on its centre, by shares of its sides."""
    w, h = box.width, box.height
    low = round(box.x0 + w * (right - grow / 2)), round(box.y0 + h * (down - grow / 2))
    return Box(*low, round(box.x1 + w * (right + grow / 2)), round(box.y1 + h * (down + grow / 2)))


MOVES: dict[str, Move] = {
    "as detected": partial(_moved, 0, 0, 0),
    "20 % too large": partial(_moved, 0, 0, 0.2),
    "20 % too small": partial(_moved, 0, 0, -0.2),
    "10 % too far right": partial(_moved, 0.1, 0, 0),
    "10 % too far left": partial(_moved, -0.1, 0, 0),
    "10 % too low": partial(_moved, 0, 0.1, 0),
    "10 % too high": partial(_moved, 0, -0.1, 0),
}
"""What a less exact detector might make of a box."""
