"""From nothing to an answer: seconds and peak memory of one `esrface image` against the original's way.

    python benchmarks/startup.py [--rounds 5]

A whole process each time, from its start to the last byte of its answer, on the same picture. The rival does
what the original program does: import torch and OpenCV, build ESR-9, find the face with the Haar cascade,
resize, run base and branches in eager mode. Its weights are random, since speed does not depend on them;
reading 81 MB of them from the disk is not even counted. Needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

PICTURE = Path(__file__).parent.parent / "examples" / "astronaut.jpg"

OURS = [sys.executable, "-m", "esrface", "image", str(PICTURE), "--json"]

RIVAL = [
    sys.executable,
    "-c",
    f"""
import cv2, torch
from esrface.networks.config import network_config
from esrface.networks.esr import ESR
network = ESR(network_config("esr9-published")).eval()
image = cv2.imread({str(PICTURE)!r})
cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
x, y, w, h = cascade.detectMultiScale(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.2, 9, minSize=(60, 60))[0]
face = torch.from_numpy(cv2.resize(image[y:y + h, x:x + w], (96, 96))).permute(2, 0, 1)[None] / 255
with torch.no_grad():
    print(network(face).logits.argmax(-1).mode().values.item())
""",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[tuple[float, float]]] = {"esrface image": [], "the original's way": []}
    for round_number in range(-1, rounds):
        for name, command in zip(measured, (OURS, RIVAL), strict=True):
            result = run(command)
            if round_number >= 0:
                measured[name].append(result)
    print(f"median of {rounds} rounds, {os.cpu_count()} cores")
    print(f"{'':<20}{'seconds':>9}{'peak MB':>9}")
    medians = {}
    for name, results in measured.items():
        medians[name] = [statistics.median(values) for values in zip(*results, strict=True)]
        print(f"{name:<20}{medians[name][0]:>9.2f}{medians[name][1]:>9.0f}")
    ours, rival = medians.values()
    print(f"{'ratio':<20}{rival[0] / ours[0]:>8.1f}x{rival[1] / ours[1]:>8.1f}x")


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak resident megabytes of a command that must succeed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"failed with status {status}: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
