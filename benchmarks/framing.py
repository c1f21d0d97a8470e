"""How much of a face the network should see, and how far its answer depends on that: the numbers behind the
crop rule in the model's card.

    python benchmarks/framing.py --data ferplus
    python benchmarks/framing.py --data ferplus --photos examples group.jpg --limit 300

Faces of the FER+ validation split are put into the middle of a larger picture, found there by the default
detector, cut out by many rules and read. They have labels but only 48 pixels; the faces in ``--photos`` are
sharper but have no labels, so that of them only the answer's constancy can be measured. Prints Markdown; ± is
one standard error of a difference between two answers to the same images, in percentage points.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface import Recognizer
from esrface.datasets.ferplus import FACE_SIZE, load_ferplus, majority_labels
from esrface.detection import Detector
from esrface.ensemble import Answers
from esrface.models.card import CropRule, looks_at
from scenes import BORDER, ENLARGED, FRAME, MOVES, Faces, Picture, enlarge, find_photos, locate, reduce, turn

TIGHT = CropRule(margin=0.0, square=True, align=False)
MARGINS = (-0.1, -0.05, -0.025, 0.0, 0.05, 0.1, 0.2)
SHAPES = {"square": (True, False), "square, turned by the eyes": (True, True), "as the box": (False, False)}
"""Square and turned, or not."""
ANGLES = (15, -15, 30, -30)
"""Degrees, counter-clockwise."""
WAYS = ("not turned", "turned by the eyes")
TILTS = ((0, 5), (5, 10), (10, 20), (20, 90), (0, 90))
"""Degrees by which the line of the eyes is off the level, from and below."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, help="folder with FER+'s zips or folders")
    parser.add_argument("--model", help="another model than the default one")
    parser.add_argument("--limit", type=int, help="only so many images of FER+, for a quick look")
    parser.add_argument("--photos", nargs="+", default=["examples"], help="pictures and folders of pictures")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    recognizer = Recognizer(options.model, threads=options.threads)
    card = recognizer.card
    split = load_ferplus(options.data, "valid")
    labels = majority_labels(split.votes)
    kept = np.flatnonzero(labels >= 0)[: options.limit]
    pixels, labels = split.pixels[kept], labels[kept]
    faces, found = locate(recognizer.detector, [partial(enlarge, face) for face in pixels], labels)
    photos = find_photos(recognizer.detector, options.photos)
    right = recognizer.answers(list(pixels)).emotion == labels
    print(
        f"{card.name} {card.version} (sha256 {card.sha256[:12]}), "
        f"{looks_at(card.network, recognizer.mirror)}, {card.crop}; detector "
        f"{recognizer.detector.name}; {len(photos.hits)} faces in photos; {len(pixels)} images of FER+ "
        f"validation (majority rule).\n\nIn FER+'s own framing {right.mean():.2%} of the images are read "
        f"rightly: {right[found].mean():.2%} of the {found.sum()} ({found.mean():.1%}) whose face is found, "
        f"{right[~found].mean():.2%} of the others."
    )
    compare_frames(recognizer.detector, faces, photos)
    compare_rules(recognizer, faces, list(pixels[found]))
    compare_tilts(recognizer, faces)
    groups = {"FER+": faces, "photos": photos}
    compare_angles(recognizer, groups)
    compare_boxes(recognizer, groups)
    compare_sharpness(recognizer, groups)


def compare_frames(detector: Detector, faces: Faces, photos: Faces) -> None:
    """Print FER+'s frame against the detector's boxes.

    A check of the method: photos' faces treated alike, whose frame is known, the box found in the photo.
    """
    grey = (cv2.cvtColor(reduce(crop), cv2.COLOR_RGB2GRAY) for crop in photos.crops(TIGHT))
    cut = [partial(enlarge, np.asarray(face, dtype=np.uint8)) for face in grey]
    rows = []
    for what, some in (("FER+", faces), ("photos, cut to the box", locate(detector, cut)[0])):
        boxes = np.array([hit.box for hit in some.hits], dtype=np.float64)
        sides = boxes[:, 2:] - boxes[:, :2]
        right, below = 100 * ((boxes[:, 2:] + boxes[:, :2]) / 2 - (BORDER + ENLARGED / 2)).T / ENLARGED
        ratios = middle(ENLARGED / sides.max(axis=1), ".2f"), middle(sides[:, 1] / sides[:, 0], ".2f")
        offsets = middle(right, "+.1f"), middle(below, "+.1f")
        rows.append((what, len(boxes), *ratios, *offsets, middle(some.tilts(), ".1f")))
    header = "faces, found, frame / larger side, height / width, % to the right, % below, tilt in degrees"
    table("The frame against the detector's box: median (quartiles)", header, rows)


def compare_rules(recognizer: Recognizer, faces: Faces, pixels: list[Picture]) -> None:
    """Print accuracy and log loss of margins and shapes, and of FER+'s own framing ``pixels``."""
    answers = {
        ("FER+'s own framing", "square"): recognizer.answers(pixels),
        ("the same, out of the picture", "square"): recognizer.answers(faces.crops(TIGHT, lambda box: FRAME)),
    }
    for (shape, (square, align)), margin in product(SHAPES.items(), MARGINS):
        rule = CropRule(margin, square, align)
        answers[f"box, margin {margin:g}", shape] = recognizer.answers(faces.crops(rule))
    right = {name: answer.emotion == faces.labels for name, answer in answers.items()}
    own, plain = right["FER+'s own framing", "square"], right["box, margin 0", "square"]
    rows = []
    for name, answer in answers.items():
        loss = -np.log(answer.probabilities[np.arange(len(pixels)), faces.labels]).mean()
        changes = difference(right[name], own), difference(right[name], plain)
        rows.append((*name, f"{right[name].mean():.2%}", *changes, f"{loss:.4f}"))
    header = "crop, shape, accuracy, against FER+'s framing, against margin 0, log loss"
    table(f"Margin and shape: {len(pixels)} faces of FER+", header, rows)


def compare_tilts(recognizer: Recognizer, faces: Faces) -> None:
    """Print what turning by the eyes does to heads that are tilted by themselves."""
    tilts = faces.tilts()
    right = [answers.emotion == faces.labels for answers in both_ways(recognizer, faces)]
    rows = []
    for low, high in TILTS:
        plain, turned = (some[(tilts >= low) & (tilts < high)] for some in right)
        if len(plain):
            shares = f"{plain.mean():.2%}", f"{turned.mean():.2%}"
            rows.append((f"{low}-{high}°", len(plain), *shares, difference(turned, plain)))
    header = "tilt of the eyes, faces, not turned, turned by the eyes, difference"
    table("Turning the crop by the eyes, by the tilt of the head: accuracy on FER+ as it is", header, rows)


def compare_angles(recognizer: Recognizer, groups: dict[str, Faces]) -> None:
    """Print what turning whole pictures does, on the faces that are still found."""
    rows = []
    for what, faces in groups.items():
        upright = both_ways(recognizer, faces)
        for angle in ANGLES:
            turned = [partial(turn, scene, angle) for scene in faces.scenes]
            some, found = locate(recognizer.detector, turned, faces.labels)
            for name, answers, before in zip(WAYS, both_ways(recognizer, some), upright, strict=True):
                then = before.emotion[found]
                figures = [same(emotion, some.labels) for emotion in (then, answers.emotion)]
                figures.append(same(answers.emotion, then))
                rows.append((what, f"{angle:+d}°", f"{found.mean():.2%}", name, *figures))
    header = "faces, picture turned, found, crop, accuracy upright, accuracy, same answer as upright"
    table("Turned pictures", header, rows)


def compare_boxes(recognizer: Recognizer, groups: dict[str, Faces]) -> None:
    """Print what boxes do that a less exact detector might have given, under the card's rule."""
    rule = recognizer.card.crop
    rows = []
    for what, faces in groups.items():
        exact = recognizer.answers(faces.crops(rule))
        for name, move in MOVES.items():
            answers = recognizer.answers(faces.crops(rule, move))
            figures = same(answers.emotion, faces.labels), same(answers.emotion, exact.emotion)
            rows.append((what, name, *figures))
    table("Inexact boxes", "faces, box, accuracy, same answer", rows)


def compare_sharpness(recognizer: Recognizer, groups: dict[str, Faces]) -> None:
    """Print crops as they are against crops first reduced to FER+'s 48 pixels."""
    rows = []
    for what, faces in groups.items():
        crops = {move: list(faces.crops(recognizer.card.crop, move)) for move in MOVES.values()}
        first = None
        for name, prepare in (("as it is", np.asarray), (f"first reduced to {FACE_SIZE} pixels", reduce)):
            answers = [recognizer.answers(map(prepare, some)) for some in crops.values()]
            exact = answers[0]
            first = first or exact
            steady = np.mean([other.emotion == exact.emotion for other in answers[1:]])
            figures = f"{exact.confidence.mean():.3f}", same(exact.emotion, first.emotion), f"{steady:.2%}"
            rows.append((what, name, same(exact.emotion, faces.labels), *figures))
    header = "faces, crop, accuracy, confidence, same answer, same answer for inexact boxes"
    table("Sharpness", header, rows)


def both_ways(recognizer: Recognizer, faces: Faces) -> list[Answers]:
    """Answers to crops by the card's rule, not turned and turned by the eyes (``WAYS``)."""
    rules = (replace(recognizer.card.crop, align=align) for align in (False, True))
    return [recognizer.answers(faces.crops(rule)) for rule in rules]


def same(emotion: NDArray[np.int64], reference: NDArray[np.int64]) -> str:
    """Share of equal emotions; nothing where the reference is labels that are missing."""
    return "" if (reference < 0).any() else f"{np.mean(emotion == reference):.2%}"


def difference(right: NDArray[np.bool_], reference: NDArray[np.bool_]) -> str:
    """Change of a share of right answers with its standard error, in percentage points."""
    change = 100 * (right.astype(np.float64) - reference)
    return f"{change.mean():+.2f} ± {change.std() / math.sqrt(len(change)):.2f}"


def middle(values: NDArray[np.float64], form: str) -> str:
    """Median and quartiles."""
    low, median, high = np.percentile(values, (25, 50, 75))
    return f"{median:{form}} ({low:{form}} to {high:{form}})"


def table(title: str, header: str, rows: Sequence[Sequence[object]]) -> None:
    """Print a table in Markdown; the columns' names are parted by commas."""
    columns = header.split(", ")
    print(f"\n### {title}\n")
    for line in (columns, ["---"] * len(columns), *rows):
        print("| " + " | ".join(map(str, line)) + " |", flush=True)


if __name__ == "__main__":
    main()
