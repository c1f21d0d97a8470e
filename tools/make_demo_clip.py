"""Makes a short clip for demonstrations and tests out of the two public-domain portraits in examples/.

    python tools/make_demo_clip.py demo.mp4

Ten seconds of 640 x 360 at 30 frames a second, H.264 and AAC, the same pixels each time:

    0.0 - 5.0 s  two people cross: Collins passes in front of Hopper, whose face is hidden for half a second and
                 then for another one behind a pillar
    5.0 - 7.0 s  after a cut Hopper alone, elsewhere
    7.0 - 8.0 s  an empty room
    8.0 - 10.0 s Collins alone, coming nearer

A tone sounds all along, an octave higher in the first tenth of a second after the cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

EXAMPLES = Path(__file__).parent.parent / "examples"
SIZE_WH = (640, 360)
RATE = 30
SECONDS = 10
CUT_S, EMPTY_S, LAST_S = 5.0, 7.0, 8.0
CROSSING_S = 2.0
PILLAR_X = (170, 222)
SOUND_RATE = 44100

HEADS = {"Collins": ("astronaut.jpg", (224, 118), 150), "Hopper": ("grace_hopper.jpg", (256, 210), 330)}
"""Picture, centre of the face in it, and side of the square around head and hair."""


@dataclass(frozen=True)
class Place:
    """Where a head is drawn."""

    who: str
    x: float
    y: float
    side: float
    """Of the square around the head, in pixels."""


def scene(time_s: float) -> list[Place]:
    """Who is where, from back to front."""
    if time_s < CUT_S:
        # One goes left, the other right; both at one height, in the middle at CROSSING_S.
        away = (time_s - CROSSING_S) * 85
        return [Place("Hopper", 320 - 0.9 * away, 170, 140), Place("Collins", 320 + away, 176, 176)]
    if time_s < EMPTY_S:
        return [Place("Hopper", 470 + 20 * np.sin(3 * time_s), 190, 190)]
    if time_s < LAST_S:
        return []
    return [Place("Collins", 320, 180, 130 + 60 * (time_s - LAST_S))]


def frames() -> Iterator[np.ndarray]:
    """(360, 640, 3) uint8 RGB of each frame."""
    heads = {who: _head(*spec) for who, spec in HEADS.items()}
    rooms = (_room(7, (70, 92, 120)), _room(8, (150, 120, 84)))
    for number in range(RATE * SECONDS):
        time_s = number / RATE
        picture = rooms[0 if time_s < CUT_S else 1].copy()
        for place in scene(time_s):
            _paste(picture, heads[place.who], place)
            if place.who == "Hopper" and time_s < CUT_S:
                picture[:, PILLAR_X[0] : PILLAR_X[1]] = (58, 52, 48)
        yield picture


def make_clip(path: Path) -> None:
    """Write the clip to a path whose suffix says the format."""
    with av.open(str(path), "w") as output:
        # One thread and no clock: the same file from the same libraries.
        video = output.add_stream(
            "libx264", rate=RATE, options={"preset": "veryfast", "crf": "20", "threads": "1"}
        )
        video.width, video.height = SIZE_WH
        video.pix_fmt = "yuv420p"
        sound = output.add_stream("aac", rate=SOUND_RATE, layout="mono")
        for picture in frames():
            output.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        output.mux(video.encode(None))
        for block in _sound():
            output.mux(sound.encode(block))
        output.mux(sound.encode(None))


def _head(file: str, center: tuple[int, int], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Colours (s, s, 3) and cover 0-1 (s, s, 1) of a head, its surroundings faded out."""
    picture = cv2.cvtColor(cv2.imread(str(EXAMPLES / file)), cv2.COLOR_BGR2RGB)
    # Shrunk by averaging first: drawing them smaller must not skip pixels.
    shrink = max(1, side // 160)
    picture = cv2.resize(picture, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
    center, side = (center[0] // shrink, center[1] // shrink), side // shrink
    half = side // 2
    around = cv2.copyMakeBorder(picture, half, half, half, half, cv2.BORDER_REPLICATE)
    x, y = center
    square = around[y : y + side, x : x + side]
    mask = np.zeros((side, side), np.float32)
    cv2.ellipse(mask, (half, half), (int(0.42 * side), int(0.49 * side)), 0, 0, 360, 1.0, -1)
    return square, cv2.GaussianBlur(mask, (0, 0), side / 60)[..., None]


def _room(seed: int, colour: tuple[int, int, int]) -> np.ndarray:
    """A wall with soft light and a few frames on it."""
    random = np.random.default_rng(seed)
    light = cv2.resize(
        random.uniform(0.75, 1.2, (4, 6)).astype(np.float32), SIZE_WH, interpolation=cv2.INTER_CUBIC
    )
    wall = np.clip(light[..., None] * np.float32(colour), 0, 255).astype(np.uint8)
    for _ in range(6):
        x, y = int(random.integers(0, 560)), int(random.integers(0, 280))
        w, h = (int(v) for v in random.integers(40, 90, 2))
        cv2.rectangle(wall, (x, y), (x + w, y + h), tuple(int(v) for v in random.integers(30, 220, 3)), -1)
        cv2.rectangle(wall, (x, y), (x + w, y + h), (40, 34, 30), 3)
    return wall


def _paste(picture: np.ndarray, head: tuple[np.ndarray, np.ndarray], place: Place) -> None:
    colours, cover = head
    side = round(place.side)
    left, top = place.x - side / 2, place.y - side / 2
    x0, y0 = max(0, int(left)), max(0, int(top))
    x1, y1 = min(picture.shape[1], int(left) + side + 2), min(picture.shape[0], int(top) + side + 2)
    if x0 >= x1 or y0 >= y1:
        return
    # Moved by fractions of a pixel, as things in the world are.
    scale = side / colours.shape[0]
    matrix = np.float32([[scale, 0, left - x0], [0, scale, top - y0]])
    size = (x1 - x0, y1 - y0)
    drawn = cv2.warpAffine(colours, matrix, size, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    mask = cv2.warpAffine(cover, matrix, size)[..., None]
    under = picture[y0:y1, x0:x1]
    under[:] = (drawn * mask + under * (1 - mask)).round().astype(np.uint8)


def _sound() -> Iterator[av.AudioFrame]:
    times = np.arange(SECONDS * SOUND_RATE) / SOUND_RATE
    pitch = np.where((times >= CUT_S) & (times < CUT_S + 0.1), 880.0, 440.0)
    wave = (0.1 * np.sin(2 * np.pi * np.cumsum(pitch) / SOUND_RATE)).astype(np.float32)
    for begin in range(0, len(wave), 1024):
        block = av.AudioFrame.from_ndarray(wave[None, begin : begin + 1024], format="fltp", layout="mono")
        block.sample_rate, block.pts, block.time_base = SOUND_RATE, begin, Fraction(1, SOUND_RATE)
        yield block


if __name__ == "__main__":
    make_clip(Path(sys.argv[1] if len(sys.argv) > 1 else "demo.mp4"))
