"""Time per picture and per megapixel of each detector, as ratios to Haar in the same run.

    python benchmarks/detectors.py
    python benchmarks/detectors.py --picture group.jpg --sizes 640 4000 --threads 2

The picture is the astronaut (public domain, from scikit-image) or ``--picture``, at several sizes. The
detectors take turns, so that a busy moment of the machine hits all of them; the fastest turn counts. "One
look" is the network alone at the picture's own size, without choosing sizes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from esrface.detection import create_detector, detector_status
from esrface.detection.base import Candidates
from esrface.detection.pyramid import DEFAULT_MIN_SCORE, PyramidDetector

REFERENCE = "haar"

Measured = dict[str, tuple[float, int]]
"""Fastest seconds and number of faces, by what was timed."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--picture", type=Path, help="a picture of your own")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[320, 640, 1280, 2560], help="longest sides in pixels"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of every detector (default: 1)")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each detector (default: 10)")
    options = parser.parse_args()
    cv2.setNumThreads(options.threads)
    picture = load(options.picture)
    names = [status.name for status in detector_status() if status.available and status.name != "none"]
    table = Table(
        "picture", "detector", "faces", "ms", "ms/megapixel", f"speed ({REFERENCE} = 1)", title=title(options)
    )
    for size in options.sizes:
        scaled = scale(picture, size)
        megapixels = scaled.shape[0] * scaled.shape[1] / 1e6
        measured = measure(names, scaled, threads=options.threads, rounds=options.rounds)
        for name, (seconds, faces) in measured.items():
            table.add_row(
                f"{scaled.shape[1]} x {scaled.shape[0]}",
                name,
                str(faces),
                f"{seconds * 1e3:.1f}",
                f"{seconds * 1e3 / megapixels:.1f}",
                f"{measured[REFERENCE][0] / seconds:.2f}",
            )
        table.add_section()
    Console(width=100).print(table)


def measure(names: list[str], picture: NDArray[np.uint8], *, threads: int, rounds: int) -> Measured:
    """Time every detector on one picture, in turns."""
    calls: dict[str, Callable[[], Any]] = {}
    for name in names:
        detector = create_detector(name, threads=threads)
        calls[name] = partial(detector.detect, picture)
        if isinstance(detector, PyramidDetector):
            calls[f"{name}, one look"] = partial(one_look, detector, picture)
    fastest = dict.fromkeys(calls, float("inf"))
    faces = {what: len(call()) for what, call in calls.items()}
    for _ in range(rounds):
        for what, call in calls.items():
            start = time.perf_counter()
            call()
            fastest[what] = min(fastest[what], time.perf_counter() - start)
    return {what: (fastest[what], faces[what]) for what in calls}


def one_look(detector: PyramidDetector, picture: NDArray[np.uint8]) -> Candidates:
    found = detector.find(picture)
    return found[found[:, 0] >= DEFAULT_MIN_SCORE]


def load(path: Path | None) -> NDArray[np.uint8]:
    if path is None:
        return np.asarray(import_module("skimage.data").astronaut(), dtype=np.uint8)
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"{path} is no picture that OpenCV can read")
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def scale(picture: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    factor = size / max(picture.shape[:2])
    size_wh = (round(picture.shape[1] * factor), round(picture.shape[0] * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, size_wh, interpolation=how), dtype=np.uint8)


def title(options: argparse.Namespace) -> str:
    working = [status for status in detector_status() if status.available and status.name != "none"]
    versions = ", ".join(status.detail for status in working)
    threads = f"{options.threads} thread{'s' * (options.threads > 1)}"
    return f"fastest of {options.rounds}, {threads}; {versions}"


if __name__ == "__main__":
    main()
