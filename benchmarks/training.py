"""Training images a second: our loop against one like the original's, in one run and on the same machine.

    python benchmarks/training.py [--seconds 10] [--rounds 3] [--networks esr4-lab esr9-small esr9-published]

The rival trains the same network on the same faces the way the original does: each picture goes through
Pillow by itself (brightness, contrast, mirror, affine), in worker processes of a DataLoader, then float32.
Ours is `esrface train`: augmentation of whole batches as tensor operations, memory in channels_last order and
kept once it is freed, and with ``--precision auto`` bf16 where the processor computes in it. Both go from
uint8 faces in memory to a step of SGD. Rounds alternate, so that a machine whose speed drifts drifts for
both; the median of the rounds counts. Faces are noise: speed does not depend on them. Needs the extra
``train``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from torch.utils.data import DataLoader, Dataset

from esrface.datasets.jitter import Jitter
from esrface.datasets.pools import FacePool
from esrface.networks.config import NetworkConfig, network_config
from esrface.networks.esr import ESR
from esrface.training.memory import keep_freed_memory
from esrface.training.protocols.config import ProtocolConfig
from esrface.training.protocols.staged import StagedTrainer
from esrface.training.protocols.stages import Pace, growth
from esrface.training.protocols.tasks import Emotions

BATCH = 32
WARM_UP = 4

Side = Callable[[NetworkConfig, np.ndarray, np.ndarray, argparse.Namespace], Iterator[int]]
"""One way to train."""

_steps: Iterator[int]
"""Of the side that this process is."""


class PerImage(Dataset[tuple[torch.Tensor, int]]):
    """Faces augmented one by one with Pillow, as the original's transforms do."""

    def __init__(self, faces: np.ndarray, labels: np.ndarray, size: int, jitter: Jitter) -> None:
        self.faces, self.labels, self.size, self.jitter = faces, labels, size, jitter

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        strength, random = self.jitter, np.random.default_rng()
        face = Image.fromarray(self.faces[index])
        face = ImageEnhance.Brightness(face).enhance(
            random.uniform(1 - strength.brightness, 1 + strength.brightness)
        )
        face = ImageEnhance.Contrast(face).enhance(
            random.uniform(1 - strength.contrast, 1 + strength.contrast)
        )
        if random.random() < strength.mirror:
            face = face.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        angle = np.deg2rad(random.uniform(-strength.rotation_deg, strength.rotation_deg))
        scale, middle = random.uniform(*strength.scale), self.size / 2
        shift = random.uniform(-strength.shift, strength.shift, 2) * self.size
        a, b = np.cos(angle) / scale, np.sin(angle) / scale
        matrix = (
            a,
            b,
            middle - a * middle - b * middle + shift[0],
            -b,
            a,
            middle + b * middle - a * middle + shift[1],
        )
        face = face.transform(
            (self.size, self.size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
        )
        pixels = np.asarray(face, dtype=np.float32) / 255
        planes = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(planes)), int(self.labels[index])


@dataclass
class Rates:
    """Images a second of each round."""

    theirs: list[float]
    ours: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10, help="that each side trains in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2, help="processes that augment for the rival")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="auto", help="of ours; the rival's is fp32")
    parser.add_argument("--networks", nargs="+", default=["esr4-lab", "esr9-small", "esr9-published"])
    parser.add_argument("--usual-memory", action="store_true", help="ours without keeping freed memory")
    arguments = parser.parse_args()
    print(
        f"{platform.machine()}, {arguments.device}, torch {torch.__version__}, {arguments.threads} threads, "
        f"rival with {arguments.workers} workers; batch {BATCH}, all branches; "
        f"median of {arguments.rounds} rounds of {arguments.seconds:g} s"
    )
    print(f"{'network':<16}{'rival, fp32':>14}{f'ours, {arguments.precision}':>14}{'ratio':>8}  images/s")
    for name in arguments.networks:
        rates = compare(network_config(name, affect=False), arguments)
        theirs, ours = statistics.median(rates.theirs), statistics.median(rates.ours)
        print(f"{name:<16}{theirs:>14.1f}{ours:>14.1f}{ours / theirs:>7.1f}x", flush=True)


def compare(shape: NetworkConfig, arguments: argparse.Namespace) -> Rates:
    """Train both ways in turn, each in a process of its own: ours tells the C library how to keep memory."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn) as theirs, ProcessPoolExecutor(1, spawn) as ours:
        theirs.submit(begin, rival, shape, arguments).result()
        ours.submit(begin, staged, shape, arguments).result()
        rates = Rates([], [])
        for _ in range(arguments.rounds):
            rates.theirs.append(theirs.submit(measure, arguments.seconds).result())
            rates.ours.append(ours.submit(measure, arguments.seconds).result())
    return rates


def begin(side: Side, shape: NetworkConfig, arguments: argparse.Namespace) -> None:
    """Make a process one of the sides, and let it take a few steps: nothing is measured that happens once."""
    global _steps
    torch.set_num_threads(arguments.threads)
    if side is staged and not arguments.usual_memory:
        keep_freed_memory()
    random = np.random.default_rng(1)
    size = (2_048, shape.input_size, shape.input_size, *((3,) if shape.input_channels == 3 else ()))
    faces = random.integers(0, 256, size, dtype=np.uint8)
    _steps = side(shape, faces, random.integers(0, 8, len(faces)), arguments)
    for _ in range(WARM_UP):
        next(_steps)


def measure(seconds: float) -> float:
    """Images a second of the process's side."""
    return rate(_steps, seconds)


def rate(steps: Iterator[int], seconds: float) -> float:
    """Images a second over about so many seconds of steps."""
    images, started = 0, time.perf_counter()
    for count in steps:
        images += count
        passed = time.perf_counter() - started
        if passed >= seconds:
            return images / passed
    raise AssertionError("the steps never end")


def rival(
    shape: NetworkConfig, faces: np.ndarray, labels: np.ndarray, arguments: argparse.Namespace
) -> Iterator[int]:
    """Steps of a loop like the original's; yields the images of each."""
    network = ESR(shape).to(arguments.device).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    data = PerImage(faces, labels, shape.input_size, Jitter())
    loader = DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=arguments.workers)
    while True:
        for x, wanted in loader:
            x, wanted = x.to(arguments.device), wanted.to(arguments.device)
            optimizer.zero_grad()
            loss = sum(F.cross_entropy(logits, wanted) for logits in network(x).logits.unbind(dim=1))
            loss.backward()
            optimizer.step()
            loss.item()
            yield len(x)


def staged(
    shape: NetworkConfig, faces: np.ndarray, labels: np.ndarray, arguments: argparse.Namespace
) -> Iterator[int]:
    """Steps of our trainer in the stage with all branches; yields the images of each."""
    pool = FacePool.of(faces, labels)
    settings = ProtocolConfig(batch=BATCH, precision=arguments.precision, validate_every=10**9)
    last = growth(shape.branches, Pace(10**6, 10**6, 0.001, 0.001))[-1]
    trainer = StagedTrainer(
        shape, [last], Emotions(), lambda stage: [pool], pool, settings, device=torch.device(arguments.device)
    )
    seen: list[int] = []
    # The trainer's own steps, one at a time.
    while True:
        for _, x, targets in trainer._batches([pool]):
            trainer._step(None, x, targets, len(seen))
            yield len(x)


if __name__ == "__main__":
    main()
