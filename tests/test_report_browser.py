"""Reports in a real browser: they show, they answer, they fetch nothing, and everybody can read them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import video_fixtures
from esrface.cli import main

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (apt install chromium)")

demo_clip = video_fixtures.demo_clip
KINDS = ("video", "pictures")


@pytest.fixture(scope="module")
def reports(
    tiny_model: Path, demo_clip: Path, face_picture: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A report of the demo clip and one of pictures, whose names are markup."""
    folder = tmp_path_factory.mktemp("reports")
    odd = (
        folder
        / "a<"
        / "script><script>alert(1)<"
        / "script><img src=x onerror=alert(2)> very-long-name-without-spaces"
    )
    odd.mkdir(parents=True)
    clip = str(shutil.copy(demo_clip, odd / "clip.mp4"))
    for index, factor in enumerate((1.0, 0.8, 0.6)):
        pixels = (face_picture * factor).astype(np.uint8)
        cv2.imwrite(str(odd / f"{index}<b onclick=alert(3)>.png"), pixels[..., ::-1])
    common = ["--model", str(tiny_model), "--threads", "2", "--quiet", "--abstain-below", "0.5"]
    assert main(["video", clip, "--every", "3", *common, "--report", str(folder / "video.html")]) == 0
    assert main(["image", str(odd), *common, "--report", str(folder / "pictures.html")]) == 0
    return {kind: folder / f"{kind}.html" for kind in KINDS}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as running:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        opened = running.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield opened
        opened.close()


@dataclass
class Opened:
    """A page and what it complained of."""

    page: Any
    problems: list[str] = field(default_factory=list)


def open_page(browser: Any, path: Path, width: int = 1440, theme: str = "light") -> Opened:
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    opened = Opened(page)
    page.on("console", lambda said: opened.problems.append(f"console: {said.text}"))
    page.on("pageerror", lambda error: opened.problems.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (opened.problems.append("a dialog"), dialog.dismiss()))
    page.on(
        "request",
        lambda asked: (
            opened.problems.append(f"asked for {asked.url[:80]}")
            if not asked.url.startswith(("data:", path.as_uri()))
            else None
        ),
    )
    page.goto(path.as_uri())
    page.wait_for_selector("canvas")
    page.wait_for_timeout(200)
    return opened


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_quiet_fits_and_can_be_read_by_everybody(
    browser: Any, reports: dict[str, Path], kind: str, width: int, theme: str
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    opened = open_page(browser, reports[kind], width, theme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.run(page).response["violations"]
    assert [
        f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")
    ] == []
    assert page.evaluate("document.documentElement.dataset.theme") == theme
    assert opened.problems == []
    page.close()


def test_the_timeline_answers(browser: Any, reports: dict[str, Path]) -> None:
    opened = open_page(browser, reports["video"])
    page = opened.page
    chart = page.locator(".chart").first
    box = chart.bounding_box()

    def hover(share: float) -> str:
        page.mouse.move(box["x"] + 52 + (box["width"] - 70) * share, box["y"] + 200)
        page.wait_for_timeout(150)
        return str(page.locator(".tip").first.inner_text())

    assert "0:02.5 · frame 75" in hover(0.25)
    assert "Branches agreeing" in hover(0.26)
    assert page.locator(".tip img").count() == 1
    assert "no face" in hover(0.755)
    window = "CHARTS.find((one) => one instanceof Timeline).window"
    assert page.evaluate(window) == [0, 10]
    page.get_by_role("button", name="Zoom in").click()
    page.wait_for_timeout(150)
    assert page.evaluate(window) == pytest.approx([2.5, 7.5], abs=0.05)
    page.get_by_role("button", name="Move to later").click()
    page.wait_for_timeout(150)
    assert page.evaluate(window) == pytest.approx([5, 10], abs=0.05)
    page.get_by_role("button", name="Show in timeline").last.click()
    page.wait_for_timeout(150)
    assert page.locator('[aria-pressed="true"]').inner_text().startswith("Track")
    assert opened.problems == []
    page.close()


def test_faces_can_be_sorted_and_left_out(browser: Any, reports: dict[str, Path]) -> None:
    opened = open_page(browser, reports["pictures"])
    page = opened.page

    def uncertainties() -> list[float]:
        return [float(text.split()[-1]) for text in page.locator(".face p:first-of-type").all_inner_texts()]

    assert len(uncertainties()) == 3
    page.select_option("#order", "uncertain")
    assert uncertainties() == sorted(uncertainties(), reverse=True)
    for chip in page.locator(".chips button").all():
        chip.click()
    assert uncertainties() == []
    assert opened.problems == []
    page.close()


def test_paper_is_light_and_the_page_is_as_before_afterwards(browser: Any, reports: dict[str, Path]) -> None:
    opened = open_page(browser, reports["video"], theme="dark")
    page = opened.page
    width = page.locator("canvas").first.bounding_box()["width"]
    state = "[document.documentElement.dataset.theme, document.querySelector('canvas').width]"
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.printed = {state} }})")
    paper = page.pdf(format="A4")
    assert paper.startswith(b"%PDF")
    theme, pixels = page.evaluate("window.printed")
    assert theme == "light"
    assert pixels == 3 * 660
    page.wait_for_timeout(200)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator("canvas").first.bounding_box()["width"] == width
    page.get_by_role("button", name="Light").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert opened.problems == []
    page.close()
