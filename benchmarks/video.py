"""Frames a second from a video file to a CSV, ours against the original's way, and where our time goes.

    python benchmarks/video.py [--threads 2] [--faces 1 10] [--frames 300]
    python benchmarks/video.py --hours 1

The clips are drawn here out of examples/*.jpg: 1280 x 720, 30 frames a second, H.264, moving faces before a
background that pans and has a camera's noise. Ours is ``open_video`` with its defaults (every frame,
detection at 320 pixels, tracks) and one pass a face, into the rows of ``--csv``. The rival is a loop as the
original's: read with OpenCV, detect, then for each face a call of ESR-9 as published in eager torch (random
weights, on which speed does not depend), a row a frame, one after the other; once with our detector and once
with the original's own at the picture's full size. Each stage of ours is also timed alone, in one thread.

``--hours`` instead runs ours over so long a video and prints how much memory it takes as it goes. Needs the
extras ``video`` and ``train``.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path, PurePath
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from esrface import Recognizer, open_video
from esrface.detection import Detection, create_detector, detector_status
from esrface.rows import face_rows
from esrface.sinks import Clip, CsvRows, RunSettings
from esrface.threads import available_threads
from esrface.video import DETECTION_SIZE, open_source
from esrface.video.looking import Look, Looker
from esrface.video.sources import SourceOptions

Image = NDArray[np.uint8]

EXAMPLES = Path(__file__).parent.parent / "examples"
HEADS = (("astronaut.jpg", (224, 118), 150), ("grace_hopper.jpg", (256, 210), 330))
"""Picture, centre of the face in it, and side of the square around the head."""

SIZE_WH = (1280, 720)
RATE = 30
STAGE_FRAMES = 60

PAN = 200
"""Pixels that the background moves to and fro by."""

NOISE = 2.0
"""Standard deviation of the noise, of 0-255."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=available_threads())
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 10])
    parser.add_argument("--frames", type=int, default=300, help="length of the clips")
    parser.add_argument("--rival-frames", type=int, default=40, help="of the slow loops; 0: none of them")
    parser.add_argument("--rounds", type=int, default=3, help="the best of so many is reported")
    parser.add_argument("--model", default=None, help="another model of ours than the default one")
    parser.add_argument("--hours", type=float, help="only the memory over so many hours of video")
    parser.add_argument("--size", type=int, nargs=2, default=SIZE_WH, metavar=("WIDTH", "HEIGHT"))
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    print(f"{platform.machine()}, Python {platform.python_version()}, {arguments.threads} threads")
    with tempfile.TemporaryDirectory() as folder:
        for faces in arguments.faces if arguments.hours is None else [1]:
            clip = make_clip(Path(folder) / f"{faces}.mp4", faces, arguments.frames, tuple(arguments.size))
            if arguments.hours is None:
                compare(clip, faces, arguments)
            else:
                watch_memory(repeated(clip, Path(folder) / "long.mkv", arguments.hours), arguments)


def compare(clip: Path, faces: int, arguments: argparse.Namespace) -> None:
    """Print the tables for a clip."""
    threads, rounds = arguments.threads, arguments.rounds
    print(f"\n{faces} face{'s' * (faces > 1)}: {clip.stat().st_size / 1e6:.1f} MB, {arguments.frames} frames")
    ours: dict[str, float] = {}
    for name, options in (("every frame detected", {}), ("every third frame detected", {"detect_every": 3})):
        runs = [run_ours(clip, arguments, **options) for _ in range(rounds)]
        ours[name], found = max(runs)
        print(f"  ours, {name:<42}{ours[name]:>8.1f} frames/s   {found:.1f} faces a frame")
    best = ours["every frame detected"]
    for name, make in rivals(threads).items() if arguments.rival_frames else ():
        frames = arguments.rival_frames if "dlib" not in name else max(3, arguments.rival_frames // 8)
        rate, found = max(run_original(clip, make(), frames, threads) for _ in range(min(rounds, 2)))
        print(
            f"  as the original, {name:<31}{rate:>8.1f} frames/s   {found:.1f} faces a frame; "
            f"ours is {best / rate:.1f} times as fast"
        )
    print("  each of our stages alone, in one thread:")
    for name, ms in stages(clip, arguments).items():
        print(f"    {name:<52}{ms:>8.2f} ms a frame{1000 / ms:>9.0f} frames/s")


def run_ours(clip: Path, arguments: argparse.Namespace, **options: Any) -> tuple[float, float]:
    """(frames/s, faces a frame) from the file to a CSV; loading the model does not count."""
    half = max(1, arguments.threads // 2)
    detector = create_detector(detection_size=DETECTION_SIZE, threads=half)
    recognizer = Recognizer(arguments.model, detector, mirror=False, threads=half)
    frames = faces = 0
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with (
            CsvRows(Path(folder) / "rows.csv", RunSettings({})) as sink,
            open_video(clip, recognizer, **options) as video,
        ):
            sink.begin(Clip(video.name, PurePath(clip.name), clip, video.info))
            for frame in video:
                sink.add(frame)
                frames, faces = frames + 1, faces + len(frame.faces)
            sink.end()
        return frames / (time.perf_counter() - started), faces / frames


def rivals(threads: int) -> dict[str, Callable[[], Any]]:
    """Detectors for the original's loop, by name."""
    chosen: dict[str, Callable[[], Any]] = {
        "our detector": lambda: create_detector(detection_size=DETECTION_SIZE, threads=threads),
        "its Haar cascade": lambda: create_detector("haar", threads=threads),
    }
    if any(status.name == "dlib-optimized" and status.available for status in detector_status()):
        chosen["its dlib detector"] = lambda: create_detector("dlib-optimized", threads=threads)
    return chosen


def run_original(clip: Path, detector: Any, frames: int, threads: int) -> tuple[float, float]:
    """(frames/s, faces a frame) of a loop as the original's, over the first frames."""
    import torch

    from esrface.networks.config import network_config
    from esrface.networks.esr import ESR

    torch.set_num_threads(threads)
    network = ESR(network_config("esr9-published")).eval()
    capture = cv2.VideoCapture(str(clip))
    found = done = 0
    with tempfile.TemporaryFile("w", newline="") as file, torch.no_grad():
        rows = csv.writer(file)
        # The first call sets things up.
        network(torch.zeros(1, 3, 96, 96))
        started = time.perf_counter()
        while done < frames:
            came, bgr = capture.read()
            if not came:
                break
            answers: list[Any] = []
            for face in detector.detect(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)):
                crop = cv2.resize(bgr[face.box.y0 : face.box.y1, face.box.x0 : face.box.x1], (96, 96))
                pixels = torch.from_numpy(crop.transpose(2, 0, 1)[None].astype(np.float32) / 255)
                answers += network(pixels).logits.argmax(-1).flatten().tolist()
                found += 1
            rows.writerow([done / RATE, *answers])
            done += 1
        seconds = time.perf_counter() - started
    capture.release()
    return done / seconds, found / done


def stages(clip: Path, arguments: argparse.Namespace) -> dict[str, float]:
    """Milliseconds a frame of each of our steps alone."""
    recognizer = Recognizer(
        arguments.model,
        create_detector(detection_size=DETECTION_SIZE, threads=1),
        mirror=False,
        threads=1,
    )

    def decoded(count: int | None = None) -> list[Any]:
        source = open_source(clip, SourceOptions(threads=1))
        frames = source.frames()
        taken = list(frames) if count is None else [next(frames) for _ in range(count)]
        source.close()
        return taken

    kept = decoded(min(STAGE_FRAMES, arguments.frames))
    images = [frame.image() for frame in kept]
    found = [recognizer.detector.detect(image) for image in images]
    looker = Looker(_Known(iter(found * 100)), track=True, detect_every=1)
    located = [(image, detection) for image, faces in zip(images, found, strict=True) for detection in faces]
    answers = iter(recognizer.express(located))
    faces = [[next(answers) for _ in one] for one in found]
    count = len(images)
    return {
        "decode (one thread)": best_of(arguments.rounds, decoded) / arguments.frames,
        "convert to RGB": best_of(arguments.rounds, lambda: [f.image() for f in kept]) / count,
        "detect": best_of(arguments.rounds, lambda: [recognizer.detector.detect(i) for i in images]) / count,
        "cuts and tracks": best_of(arguments.rounds, lambda: look_at(looker, images)) / count,
        "crop and recognise (eight frames a call)": best_of(
            arguments.rounds,
            lambda: [
                recognizer.express(located[i : i + 8 * len(found[0])])
                for i in range(0, len(located), max(1, 8 * len(found[0])))
            ],
        )
        / count,
        "rows": best_of(arguments.rounds, lambda: write_rows(faces)) / count,
    }


class _Known:
    """A detector that has seen it all before, so that the time is that of what comes after it."""

    name = "known"

    def __init__(self, found: Iterator[list[Detection]]) -> None:
        self._found = found

    def detect(self, image: Image) -> list[Detection]:
        del image
        return next(self._found)


def look_at(looker: Looker, images: list[Image]) -> list[Look]:
    return [look for number, image in enumerate(images) for look in looker.look(number, 0.0, image, {})]


def write_rows(faces: list[Any]) -> None:
    with tempfile.TemporaryDirectory() as folder, CsvRows(Path(folder) / "rows.csv", RunSettings({})) as sink:
        for number, found in enumerate(faces):
            sink.encode(face_rows("clip.mp4", found, frame=number, time_s=number / RATE))


def best_of(rounds: int, work: Callable[[], object]) -> float:
    """Milliseconds of the fastest round."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return 1000 * min(times)


def watch_memory(clip: Path, arguments: argparse.Namespace) -> None:
    """Print the memory of a run over a long video at twenty places, and its slope over the second half."""
    half = max(1, arguments.threads // 2)
    detector = create_detector(detection_size=DETECTION_SIZE, threads=half)
    recognizer = Recognizer(arguments.model, detector, mirror=False, threads=half)
    total = round(arguments.hours * 3600 * RATE)
    curve: list[tuple[int, float]] = []
    started = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        CsvRows(Path(folder) / "rows.csv", RunSettings({})) as sink,
        open_video(clip, recognizer) as video,
    ):
        sink.begin(Clip(video.name, PurePath(clip.name), clip, video.info))
        for frame in video:
            sink.add(frame)
            if frame.number % max(1, total // 20) == 0:
                curve.append((frame.number, resident_mb()))
                seconds = time.perf_counter() - started
                print(
                    f"  frame {frame.number:>8,}  {frame.time_s / 60:>6.1f} min  "
                    f"{curve[-1][1]:>7.1f} MB  {(frame.number + 1) / seconds:>6.1f} frames/s",
                    flush=True,
                )
        sink.end()
    second = np.array(curve[len(curve) // 2 :])
    slope = np.polyfit(second[:, 0] / (3600 * RATE), second[:, 1], 1)[0]
    print(f"  slope over the second half: {slope:+.1f} MB an hour")


def resident_mb() -> float:
    """Memory of this process in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def make_clip(path: Path, faces: int, frames: int, size_wh: tuple[int, int]) -> Path:
    """A video of moving heads before a drawn background."""
    width, height = size_wh
    columns = 1 if faces == 1 else (faces + 1) // 2
    side = min(height // 2, width // columns) if faces > 1 else height // 2
    heads = [_head(*HEADS[number % len(HEADS)], side=side) for number in range(faces)]
    background = _background((width + PAN, height))
    noise = np.random.default_rng(1).normal(0, NOISE, (height + 64, width + 64, 1)).astype(np.int8)
    with av.open(str(path), "w") as output:
        stream: Any = output.add_stream("libx264", rate=RATE, options={"preset": "fast", "crf": "18"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(frames):
            left = round(PAN / 2 * (1 + np.sin(number / 60)))
            picture = background[:, left : left + width].copy()
            for index, (colours, cover) in enumerate(heads):
                row, column = divmod(index, columns)
                swing = 0.08 * side * np.sin(number / 15 + index)
                x = int((column + 0.5) * width / columns - side / 2 + swing)
                y = int((row + 0.5) * height / (1 if faces == 1 else 2) - side / 2 + swing / 2)
                x, y = max(0, min(x, width - side)), max(0, min(y, height - side))
                under = picture[y : y + side, x : x + side]
                under[:] = (colours * cover + under * (1 - cover)).astype(np.uint8)
            dx, dy = number * 37 % 64, number * 23 % 64
            grain = noise[dy : dy + height, dx : dx + width]
            picture = np.clip(picture.astype(np.int16) + grain, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def _head(file: str, center: tuple[int, int], around: int, *, side: int) -> tuple[Image, NDArray[np.float32]]:
    picture = cv2.cvtColor(cv2.imread(str(EXAMPLES / file)), cv2.COLOR_BGR2RGB)
    half = around // 2
    padded = cv2.copyMakeBorder(picture, half, half, half, half, cv2.BORDER_REPLICATE)
    x, y = center
    head = cv2.resize(padded[y : y + around, x : x + around], (side, side), interpolation=cv2.INTER_AREA)
    cover = np.zeros((side, side), np.float32)
    cv2.ellipse(cover, (side // 2, side // 2), (int(0.42 * side), int(0.49 * side)), 0, 0, 360, 1.0, -1)
    return head, cv2.GaussianBlur(cover, (0, 0), max(1, side / 60))[..., None]


def _background(size_wh: tuple[int, int]) -> Image:
    random = np.random.default_rng(7)
    light = random.uniform(60, 180, (5, 8, 3)).astype(np.float32)
    wall = cv2.resize(light, size_wh, interpolation=cv2.INTER_CUBIC)
    for _ in range(80):
        x, y = (int(random.integers(0, side)) for side in size_wh)
        w, h = (int(v) for v in random.integers(20, 160, 2))
        cv2.rectangle(wall, (x, y), (x + w, y + h), random.uniform(20, 230, 3).tolist(), -1)
    return np.clip(wall, 0, 255).astype(np.uint8)


def repeated(clip: Path, path: Path, hours: float) -> Path:
    """The clip again and again, its packets copied."""
    with av.open(str(clip)) as source:
        stream = source.streams.video[0]
        packets = [packet for packet in source.demux(stream) if packet.dts is not None]
        length = round(len(packets) / RATE / stream.time_base)
        count = round(hours * 3600 * RATE / len(packets))
        with av.open(str(path), "w") as output:
            copied = output.add_stream_from_template(stream)
            for packet in packets:
                packet.stream = copied
            stamps = [(packet.pts, packet.dts) for packet in packets]
            for turn in range(count):
                for packet, (pts, dts) in zip(packets, stamps, strict=True):
                    fresh = av.Packet(bytes(packet))
                    fresh.pts, fresh.dts = pts + turn * length, dts + turn * length
                    fresh.time_base, fresh.stream = Fraction(stream.time_base), copied
                    fresh.is_keyframe = packet.is_keyframe
                    output.mux(fresh)
    return path


if __name__ == "__main__":
    main()
