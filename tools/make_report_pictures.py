"""Make the pictures of a report for the documentation, out of the demo clip.

    python tools/make_report_pictures.py [FOLDER]

Writes into FOLDER (docs/img), replacing what is there:

    report.png           the upper part of the page in a window of 1440 pixels
    report-narrow.png    the same on a telephone of 390 pixels, in the dark

Needs Playwright and a Chromium (apt install chromium).
"""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
from pathlib import Path

from make_demo_clip import make_clip
from make_pictures import small_png
from PIL import Image

from esrface.cli import main as esrface

ROOT = Path(__file__).resolve().parent.parent
VIEWS = {"report.png": (1440, 1512, 1, "light"), "report-narrow.png": (390, 1500, 2, "dark")}
"""Name -> width and height in the page's pixels, pixels of the picture for one of these, theme."""


def main() -> None:
    report_pictures(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "img")


def report_pictures(folder: Path) -> None:
    """Write the pictures into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        make_clip(Path("demo.mp4"))
        if esrface(["video", "demo.mp4", "--every", "1", "--report", "demo.html", "--quiet"]):
            raise SystemExit("the report could not be made")
        for name, content in screens(Path("demo.html").resolve()).items():
            picture = Image.open(io.BytesIO(content)).convert("RGB")
            (folder / name).write_bytes(small_png(picture))
            print(
                f"{folder / name}: {picture.width} x {picture.height}, {(folder / name).stat().st_size / 1000:.0f} kB"
            )
        os.chdir(ROOT)


def screens(page: Path) -> dict[str, bytes]:
    """``VIEWS`` of a page, as PNG files."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    sandbox = ["--no-sandbox"] if os.name == "posix" and os.geteuid() == 0 else []
    taken = {}
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=sandbox)
        for name, (width, height, scale, theme) in VIEWS.items():
            view = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=theme
            )
            view.goto(page.as_uri())
            view.wait_for_selector("canvas")
            if width > 1000:
                chart = view.locator(".chart").first.bounding_box()
                view.mouse.move(chart["x"] + chart["width"] * 0.3, chart["y"] + 140)
            view.wait_for_timeout(600)
            taken[name] = view.screenshot()
        browser.close()
    return taken


if __name__ == "__main__":
    main()
