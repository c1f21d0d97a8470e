"""Make the pictures of the documentation with the default model.

    python tools/make_pictures.py [FOLDER]

Writes into FOLDER (docs/img), replacing what is there:

    astronaut.jpg             examples/astronaut.jpg, annotated
    branches.png              what each branch says about it and where it looks
    emotions_by_branch.png    where each branch sees evidence for each emotion in examples/grace_hopper.jpg
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from esrface import Recognizer
from esrface.annotate import annotate
from esrface.images import load_image
from esrface.sheet import branch_sheet, emotion_sheet

ROOT = Path(__file__).resolve().parent.parent
LARGEST = 150_000
"""Bytes; the pictures load with the page they stand on."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img"
    folder.mkdir(parents=True, exist_ok=True)
    with Recognizer() as recognizer:
        astronaut, hopper = (
            load_image(ROOT / "examples" / f"{name}.jpg") for name in ("astronaut", "grace_hopper")
        )
        faces = recognizer(astronaut, saliency=True)
        save(folder / "astronaut.jpg", annotate(astronaut, faces))
        save(folder / "branches.png", branch_sheet(recognizer.crop(astronaut, faces[0]), faces[0]))
        face = recognizer(hopper, saliency=True)[0]
        save(folder / "emotions_by_branch.png", emotion_sheet(recognizer.crop(hopper, face), face, scale=0.8))


def save(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write a JPEG, or a PNG with as many colours as the size allows."""
    image = Image.fromarray(pixels)
    if path.suffix == ".jpg":
        image.save(path, quality=88)
    else:
        path.write_bytes(small_png(image))
    print(f"{path}: {image.width} x {image.height}, {path.stat().st_size / 1000:.0f} kB")


def small_png(image: Image.Image) -> bytes:
    for colors in (256, 192, 128, 96, 64):
        content = io.BytesIO()
        # Small patches of a colour count as much as large ones, so that no emotion loses its own.
        palette = image.quantize(colors, Image.Quantize.MAXCOVERAGE, kmeans=1)
        palette.save(content, "PNG", optimize=True)
        if content.tell() <= LARGEST:
            return content.getvalue()
    raise SystemExit(f"no palette makes this picture smaller than {LARGEST / 1000:.0f} kB: draw it smaller")


if __name__ == "__main__":
    main()
