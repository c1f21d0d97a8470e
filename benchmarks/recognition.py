"""Milliseconds a face: our default model against the paper's ESR-9, in one run and on the same crops.

    python benchmarks/recognition.py [--threads 1 2] [--rounds 30]

The rival is ESR-9 as published (random weights, on which speed does not depend), once in eager torch as its
users run it and once in ONNX Runtime, the fair rival. Both sides go from a face crop to the branches'
logits; rounds alternate, so that a machine whose speed drifts drifts for both. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch

from esrface import Recognizer
from esrface.engine.onnx import OnnxEngine
from esrface.models.registry import resolve_model
from esrface.networks.config import network_config
from esrface.networks.esr import ESR
from esrface.networks.onnx_export import to_onnx
from esrface.preprocess import to_input

FACE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"
FACE_BOX = (160, 50, 300, 190)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--model", default=None, help="another model of ours than the default one")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, Python {platform.python_version()}, onnxruntime {onnxruntime.__version__}, "
        f"torch {torch.__version__}; median of {arguments.rounds} rounds, one face a call"
    )
    print(f"{'threads':>7}  {'what':<44}{'ms':>8}  {'ESR-9 eager':>11}  {'ESR-9 onnx':>10}")
    for threads in arguments.threads:
        ways = contenders(arguments.model, threads)
        times = alternate(ways, arguments.rounds)
        eager, onnx = times["ESR-9 of the paper, torch eager"], times["ESR-9 of the paper, onnxruntime"]
        for name, ms in times.items():
            print(f"{threads:>7}  {name:<44}{ms:>8.2f}  {eager / ms:>10.1f}x  {onnx / ms:>9.1f}x")
        without, with_maps = times["ours: network"], times["ours: network with class maps"]
        print(f"{threads:>7}  class maps cost {with_maps / without - 1:+.1%}")


def contenders(model: str | None, threads: int) -> dict[str, Callable[[], object]]:
    """Ways from one crop to an answer, by name."""
    torch.set_num_threads(threads)
    x0, y0, x1, y1 = FACE_BOX
    crop = np.ascontiguousarray(cv2.imread(str(FACE))[y0:y1, x0:x1, ::-1])
    recognizer = Recognizer(model, detector="none", threads=threads)
    ours = OnnxEngine(resolve_model(model).read(), threads=threads)
    grey = to_input([crop], recognizer.card.input)
    paper = ESR(network_config("esr9-published")).eval()
    paper_onnx = OnnxEngine(to_onnx(paper, half=False).SerializeToString(), threads=threads)
    color = cv2.resize(crop, (96, 96)).astype(np.float32).transpose(2, 0, 1)[None] / 255

    def eager() -> object:
        with torch.no_grad():
            return paper(torch.from_numpy(color)).logits

    return {
        "ours: crop to Expression (default inference)": lambda: recognizer.predict([crop]),
        "ours: network": lambda: ours.run(grey),
        "ours: network with class maps": lambda: ours.run(grey, class_maps=True),
        "ESR-9 of the paper, torch eager": eager,
        "ESR-9 of the paper, onnxruntime": lambda: paper_onnx.run(color),
    }


def alternate(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way; rounds go through all of them in turn."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for round_number in range(-3, rounds):
        for name, way in ways.items():
            repeats = 1 if name.startswith("ESR-9") else 5
            started = time.perf_counter()
            for _ in range(repeats):
                way()
            if round_number >= 0:
                times[name].append((time.perf_counter() - started) / repeats * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


if __name__ == "__main__":
    main()
