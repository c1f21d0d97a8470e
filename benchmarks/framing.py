"""How much of a face the network should see, and how far its answer depends on that: the numbers behind the
crop rule in the model's card.

    python benchmarks/framing.py --data ferplus
    python benchmarks/framing.py --data ferplus --photos examples group.jpg --limit 300

Faces of the FER+ validation split (``--data``: folder with its zips or folders) are put into the middle of a
larger picture, found there by the default detector, cut out by many rules and read. They have labels but only
48 pixels; the faces in ``--photos`` are sharper but without labels, so that of them only the answer's constancy
can be measured. Prints Markdown. Each ± is one standard error, of a difference on the same images.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface import Recognizer
from esrface.datasets.ferplus import FACE_SIZE, load_ferplus, majority_labels
from esrface.detection import Detection, Detector
from esrface.emotions import EMOTIONS
from esrface.ensemble import Answers
from esrface.images import load_image
from esrface.models.card import CropRule
from esrface.preprocess import crop_face
from esrface.results import Box
from esrface.sources import find_images

ENLARGED, BORDER = 160, 80
"""Pixels of a FER+ face in its picture, and of picture on each side: easy for the detector."""
FRAME = Box(BORDER, BORDER, BORDER + ENLARGED, BORDER + ENLARGED)
"""What FER+ shows of the face, in that picture."""
CENTER = 0.2
"""A face whose centre is further than this share of the side off the picture's middle is another one."""

MARGINS = (-0.1, -0.05, 0.0, 0.05, 0.1, 0.2)
ANGLES = (0, 15, -15, 30, -30)
TILTS = ((0, 5), (5, 10), (10, 20), (20, 90), (0, 90))
"""Degrees by which the line of the eyes is off the level, from and below."""

Picture = NDArray[np.uint8]
Scene = Callable[[], Picture]
"""Makes a picture with one face in its middle; thousands of them at once would fill the memory."""
Prepare = Callable[[Picture], Picture]


@dataclass(frozen=True)
class Faces:
    """Pictures of one face each, and where the detector found it."""

    scenes: Sequence[Scene]
    hits: Sequence[Detection | None]
    labels: NDArray[np.int64] | None
    names: Sequence[str]

    @property
    def found(self) -> NDArray[np.bool_]:
        return np.array([hit is not None for hit in self.hits])

    def take(self, chosen: NDArray[np.bool_]) -> Faces:
        at = np.flatnonzero(chosen)
        scenes, hits, names = ([values[i] for i in at] for values in (self.scenes, self.hits, self.names))
        return Faces(scenes, hits, None if self.labels is None else self.labels[at], names)  # type: ignore[arg-type]

    def crops(
        self, rule: CropRule, move: Callable[[Box], Box] | None = None, prepare: Prepare | None = None
    ) -> Iterator[Picture]:
        """The faces (all of them found) cut out by a rule, from a changed box, changed in the end."""
        for scene, hit in zip(self.scenes, self.hits, strict=True):
            assert hit is not None
            crop = crop_face(scene(), move(hit.box) if move else hit.box, hit.landmarks, rule)
            yield prepare(crop) if prepare else crop

    def accuracy(self, *answers: Answers) -> str:
        if self.labels is None:
            return ""
        return f"{np.mean([answer.emotion == self.labels for answer in answers]):.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, help="folder of FER+")
    parser.add_argument("--model", help="another model than the default one")
    parser.add_argument("--limit", type=int, help="only so many images of FER+, for a quick look")
    parser.add_argument("--photos", nargs="+", default=["examples"], help="pictures and folders of pictures")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    recognizer = Recognizer(options.model, threads=options.threads)
    pixels, labels = read_validation(options.data, options.limit)
    card, mirror = recognizer.card, "on" if recognizer.mirror else "off"
    print(
        f"{card.name} {card.version} (sha256 {card.sha256[:12]}), mirror {mirror}, {card.crop}; detector "
        f"{recognizer.detector.name}. FER+ validation, majority rule: {len(pixels)} images, enlarged to "
        f"{ENLARGED} pixels in the middle of {ENLARGED + 2 * BORDER}."
    )
    everyone = compare_frames(recognizer.detector, pixels, labels)
    faces, found = everyone.take(everyone.found), everyone.found
    own = recognizer.answers(list(pixels)).emotion == labels
    print(
        f"\nIn FER+'s own framing the network is right about {own.mean():.2%} of the {len(own)} images and "
        f"{own[found].mean():.2%} of the {found.sum()} whose face is found (border repeated)."
    )
    compare_rules(recognizer, faces, own[found])
    compare_tilts(recognizer, faces)
    photos = find_photos(recognizer.detector, options.photos)
    for what, some in (("FER+", faces), ("photos", photos)):
        compare_angles(recognizer, some, what)
        compare_boxes(recognizer, some, what)
    compare_sharpness(recognizer, faces, photos)


def read_validation(data: str, limit: int | None) -> tuple[Picture, NDArray[np.int64]]:
    """Images (N, 48, 48) that have a majority label, and the labels (N,)."""
    split = load_ferplus(Path(data), "valid")
    labels = majority_labels(split.votes)
    kept = np.flatnonzero(labels >= 0)[:limit]
    return split.pixels[kept], labels[kept]


def enlarge(face: Picture, border: int = cv2.BORDER_REPLICATE) -> Picture:
    """RGB picture with a grey face (48, 48) in its middle."""
    large = cv2.resize(face, (ENLARGED, ENLARGED), interpolation=cv2.INTER_LINEAR)
    large = cv2.copyMakeBorder(large, BORDER, BORDER, BORDER, BORDER, border, value=128)
    return np.asarray(cv2.cvtColor(large, cv2.COLOR_GRAY2RGB), dtype=np.uint8)


def turn(scene: Scene, degrees: float) -> Picture:
    """The picture turned about its middle, counter-clockwise, its border repeated."""
    picture = scene()
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, dtype=np.uint8)


def find(detector: Detector, scene: Scene) -> Detection | None:
    """The face in the middle of the scene, if the detector finds it."""
    picture = scene()
    height, width = picture.shape[:2]

    def distance(hit: Detection) -> float:
        x, y = (hit.box.x0 + hit.box.x1) / 2 / width, (hit.box.y0 + hit.box.y1) / 2 / height
        return math.hypot(x - 0.5, y - 0.5)

    hits = [hit for hit in detector.detect(picture) if distance(hit) < CENTER]
    return min(hits, key=distance, default=None)


def find_photos(detector: Detector, paths: list[str]) -> Faces:
    """Every face in the photos, each in a picture of three times its size that shows what is around it."""
    scenes: list[Scene] = []
    names = []
    for source in find_images(paths):
        image = load_image(source.read())
        for hit in detector.detect(image):
            window = crop_face(image, hit.box, None, CropRule(margin=1.0, square=True, align=False))
            scenes.append(window.copy)
            names.append(f"{source.relative.name} at {hit.box.x0}, {hit.box.y0}")
    faces = Faces(scenes, [find(detector, scene) for scene in scenes], None, names)
    return faces.take(faces.found)


def compare_frames(detector: Detector, pixels: Picture, labels: NDArray[np.int64]) -> Faces:
    """Table of the detector's boxes against FER+'s frame; the faces with the border repeated."""
    rows = []
    for name, border in (("grey", cv2.BORDER_CONSTANT), ("repeated", cv2.BORDER_REPLICATE)):
        scenes = [partial(enlarge, face, border) for face in pixels]
        faces = Faces(scenes, [find(detector, scene) for scene in scenes], labels, [""] * len(scenes))
        boxes = np.array([hit.box for hit in faces.hits if hit is not None], dtype=np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        offsets = (boxes[:, 2:] + boxes[:, :2]) / 2 / ENLARGED - (BORDER / ENLARGED + 0.5)
        rows.append(
            (
                name,
                f"{faces.found.mean():.2%}",
                quartiles(ENLARGED / sides.max(axis=1), ".2f"),
                quartiles(sides[:, 1] / sides[:, 0], ".2f"),
                quartiles(offsets[:, 0], "+.1%"),
                quartiles(offsets[:, 1], "+.1%"),
                quartiles(tilts(faces), ".1f"),
            )
        )
    header = "border, found, frame / larger side, height / width, right of the middle, below it, tilt in degrees"
    table("FER+'s frame against the detector's boxes, median (quartiles)", header, rows)
    return faces


def compare_rules(recognizer: Recognizer, faces: Faces, own: NDArray[np.bool_]) -> None:
    """Table of margins and shapes; ``own`` (N,) is where FER+'s own framing leads to the right answer."""
    rows: list[tuple[object, ...]] = [("FER+'s own framing", "square", f"{own.mean():.2%}", "")]

    def add(name: str, rule: CropRule, move: Callable[[Box], Box] | None = None) -> None:
        right = recognizer.answers(faces.crops(rule, move)).emotion == faces.labels
        shape = "square" if rule.square else "the box's"
        rows.append((name, shape, f"{right.mean():.2%}", difference(right, own)))

    add("the same, out of the enlarged picture", CropRule(0.0, True, False), lambda box: FRAME)
    for square in (True, False):
        for margin in MARGINS:
            add(f"detector's box, margin {margin:g}", CropRule(margin, square, False))
    table("Margin and shape of the crop", "crop, shape, accuracy, against FER+'s framing", rows)


def compare_tilts(recognizer: Recognizer, faces: Faces) -> None:
    """Table of what turning by the eyes does to heads that are tilted by themselves."""
    angles = tilts(faces)
    level, turned = (answers.emotion == faces.labels for answers in both_ways(recognizer, faces))
    rows = []
    for low, high in TILTS:
        chosen = (angles >= low) & (angles < high)
        if chosen.any():
            shares = (f"{right[chosen].mean():.2%}" for right in (level, turned))
            rows.append((f"{low}-{high}°", chosen.sum(), *shares, difference(turned[chosen], level[chosen])))
    header = "tilt of the eyes, images, not turned, turned by the eyes, difference"
    table("Pictures as they are: accuracy by the tilt of the head", header, rows)


def compare_angles(recognizer: Recognizer, faces: Faces, what: str) -> None:
    """Table of pictures turned as a whole, over the faces that are found at every angle."""
    at_angle = {}
    for angle in ANGLES:
        scenes = [partial(turn, scene, angle) for scene in faces.scenes] if angle else faces.scenes
        hits = [find(recognizer.detector, scene) for scene in scenes] if angle else faces.hits
        at_angle[angle] = replace(faces, scenes=scenes, hits=hits)
    common = np.all([some.found for some in at_angle.values()], axis=0)
    answers = {angle: both_ways(recognizer, some.take(common)) for angle, some in at_angle.items()}
    rows = []
    for angle in ANGLES:
        for way, crop in enumerate(("not turned", "turned by the eyes")):
            answer = answers[angle][way]
            cells = [f"{angle:+d}°", f"{at_angle[angle].found.mean():.2%}", crop]
            rows.append((*cells, faces.take(common).accuracy(answer), unchanged(answer, answers[0][way])))
    header = "picture turned, found, crop, accuracy, same answer as upright"
    table(f"Turned pictures: {what}, {common.sum()} faces that are found at every angle", header, rows)


def compare_boxes(recognizer: Recognizer, faces: Faces, what: str) -> None:
    """Table of boxes that a less exact detector might have given, under the card's rule."""
    rule = recognizer.card.crop
    reference = recognizer.answers(faces.crops(rule))
    rows = [("as detected", faces.accuracy(reference), "")]
    for name, move in MOVES.items():
        answer = recognizer.answers(faces.crops(rule, move))
        rows.append((name, faces.accuracy(answer), unchanged(answer, reference)))
    table(f"Inexact boxes: {what}, {len(faces.hits)} faces", "box, accuracy, same answer", rows)


def compare_sharpness(recognizer: Recognizer, faces: Faces, photos: Faces) -> None:
    """Tables of crops as they are against crops first reduced to FER+'s 48 pixels."""
    rule = recognizer.card.crop
    rows = []
    for what, some in (("FER+", faces), ("photos", photos)):
        straight = recognizer.answers(some.crops(rule))
        for name, prepare in (("as it is", None), (f"first reduced to {FACE_SIZE} pixels", reduce)):
            answer = recognizer.answers(some.crops(rule, prepare=prepare))
            moved = [recognizer.answers(some.crops(rule, move, prepare)) for move in MOVES.values()]
            steady = np.mean([other.emotion == answer.emotion for other in moved])
            rows.append(
                (
                    what,
                    name,
                    some.accuracy(answer),
                    f"{answer.confidence.mean():.3f}",
                    f"{answer.agreement.mean():.3f}",
                    unchanged(answer, straight) if prepare else "",
                    f"{steady:.2%}",
                )
            )
    header = "faces, crop, accuracy, confidence, branches agreeing, same answer, same for inexact boxes"
    table("Sharpness", header, rows)
    differing = [
        (name, *(f"{EMOTIONS[a.emotion[i]]} {a.confidence[i]:.2f}" for a in (straight, answer)))
        for i, name in enumerate(photos.names)
        if straight.emotion[i] != answer.emotion[i]
    ]
    header = f"face (left, top), as it is, first reduced to {FACE_SIZE} pixels"
    table(f"Photos: the faces of {len(photos.names)} whose answer depends on it", header, differing)


def shifted(box: Box, right: float = 0, down: float = 0, grow: float = 0) -> Box:
    """The box moved and made larger on its centre, by shares of its sides."""
    x = box.width * (right - grow / 2), box.width * (right + grow / 2)
    y = box.height * (down - grow / 2), box.height * (down + grow / 2)
    return Box(round(box.x0 + x[0]), round(box.y0 + y[0]), round(box.x1 + x[1]), round(box.y1 + y[1]))


MOVES = {
    "20 % too large": partial(shifted, grow=0.2),
    "20 % too small": partial(shifted, grow=-0.2),
    "10 % too far right": partial(shifted, right=0.1),
    "10 % too far left": partial(shifted, right=-0.1),
    "10 % too low": partial(shifted, down=0.1),
    "10 % too high": partial(shifted, down=-0.1),
}


def reduce(crop: Picture) -> Picture:
    """The crop with no side above FER+'s, by averaging over areas."""
    height, width = crop.shape[:2]
    size = (min(width, FACE_SIZE), min(height, FACE_SIZE))
    return np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def both_ways(recognizer: Recognizer, faces: Faces) -> list[Answers]:
    """Answers to crops by the card's rule, not turned and turned by the eyes."""
    rules = [replace(recognizer.card.crop, align=align) for align in (False, True)]
    return [recognizer.answers(faces.crops(rule)) for rule in rules]


def tilts(faces: Faces) -> NDArray[np.float64]:
    """Degrees by which the eyes of the faces found are off the level."""
    points = np.array([hit.landmarks for hit in faces.hits if hit is not None], dtype=np.float64)
    x, y = (points[:, 1] - points[:, 0]).T
    return np.abs(np.degrees(np.arctan2(y, x)))


def unchanged(answer: Answers, reference: Answers) -> str:
    return f"{np.mean(answer.emotion == reference.emotion):.2%}"


def difference(right: NDArray[np.bool_], reference: NDArray[np.bool_]) -> str:
    change = 100 * (right.astype(np.float64) - reference)
    return f"{change.mean():+.2f} ± {change.std() / math.sqrt(len(change)):.2f}"


def quartiles(values: NDArray[np.floating], form: str) -> str:
    low, middle, high = np.percentile(values, (25, 50, 75))
    return f"{middle:{form}} ({low:{form}} to {high:{form}})"


def table(title: str, header: str, rows: Sequence[tuple[object, ...]]) -> None:
    columns = header.split(", ")
    lines = [columns, ["---"] * len(columns), *rows]
    print(f"\n### {title}\n", *("| " + " | ".join(map(str, line)) + " |" for line in lines), sep="\n", flush=True)


if __name__ == "__main__":
    main()
