"""Makes the screens in the documentation, of window and report, from the two portraits and the demonstration clip.

    python tools/make_screens.py docs/img

Writes what the window shows, made by the same drawing code with the default model: ``window.png`` (a video, with
the graph) and ``window_branches.png`` (a picture, every branch and its map); then the pictures of the report (`make_report_pictures`). Needs the extra
``video``, Playwright and a Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import islice
from pathlib import Path

import numpy as np
from make_demo_clip import EXAMPLES, make_clip
from make_report_pictures import report_pictures
from PIL import Image

from esrface import Recognizer, open_video
from esrface.canvas import Canvas
from esrface.images import load_image
from esrface.screen.compose import Screen
from esrface.screen.feed import ClipFeed
from esrface.screen.scene import Scene, ScreenSettings, numbered
from esrface.screen.stage import Stage
from esrface.screen.window import HINT, HINT_BY_HAND, SIZES
from esrface.sinks.frames import Clip

LARGEST_BYTES = 150_000
RATE = 12
UNTIL_S = 4.8
"""The two people of the clip have met and are apart again."""


def video_screen(recognizer: Recognizer, folder: Path) -> Canvas:
    """Two people in the demonstration clip."""
    clip = folder / "demo.mp4"
    make_clip(clip)
    stage = Stage()
    feed = ClipFeed(stage, real_time=False)
    with open_video(clip, recognizer, fps=RATE, smooth_s=0.5) as video:
        feed.begin(Clip(clip.name, Path(clip.name), clip, video.info))
        for frame in islice(video, round(UNTIL_S * RATE)):
            feed.show(frame)
    screen = Screen(ScreenSettings(), recognizer.crop)
    last = stage.current()
    assert last is not None
    # The smaller face: it was hidden for a while, which the graph shows.
    return screen.draw(last, SIZES["3"], hint=HINT, chosen=last.faces[-1].track_id)


def branch_screen(recognizer: Recognizer) -> Canvas:
    """Every branch on one portrait."""
    name = "grace_hopper.jpg"
    image = load_image(EXAMPLES / name)
    faces = numbered(recognizer(image, saliency=True))
    screen = Screen(ScreenSettings(branches=True, saliency=True), recognizer.crop)
    return screen.draw(Scene(name, image, faces, "picture 1"), SIZES["3"], hint=HINT_BY_HAND)


def save(canvas: Canvas, path: Path) -> None:
    """As a PNG of few colours, which is small and keeps letters sharp."""
    image = Image.fromarray(np.ascontiguousarray(canvas.pixels()))
    for colors in (256, 192, 128, 96, 64):
        image.quantize(colors, kmeans=2, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size < LARGEST_BYTES:
            break
    print(f"{path}: {path.stat().st_size:,} bytes")


def main(folder: Path) -> None:
    recognizer = Recognizer()
    with tempfile.TemporaryDirectory() as scratch:
        save(video_screen(recognizer, Path(scratch)), folder / "window.png")
    save(branch_screen(recognizer), folder / "window_branches.png")
    report_pictures(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
