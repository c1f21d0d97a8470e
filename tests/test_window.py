"""The window in a real display: what keys, wheel and pointer do, seen on its own pixels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import video_fixtures
from esrface.annotate_tracks import track_color
from esrface.canvas import INK
from esrface.screen.compose import Screen
from esrface.screen.scene import Scene, ScreenSettings
from esrface.screen.stage import Stage
from esrface.screen.window import Window
from screens import crop, scene
from xvfb import Display, Image, display, wait_for

ROOT = Path(__file__).parent.parent
PICTURES = [str(ROOT / "examples" / name) for name in ("astronaut.jpg", "grace_hopper.jpg")]
SIZE_WH = (1024, 768)

demo_clip = video_fixtures.demo_clip
mjpeg_server = video_fixtures.mjpeg_server


@pytest.fixture(scope="module")
def xvfb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    with display(tmp_path_factory.mktemp("xvfb")) as shown:
        yield shown


class Operator:
    """Works on a window in this thread from another one."""

    def __init__(self, xvfb: Display, stage: Stage, folder: Path) -> None:
        self.xvfb, self.stage, self.folder = xvfb, stage, folder

    def seen(self) -> Image:
        """The window's pixels: it is in the middle of the display."""
        whole = self.xvfb.screenshot()
        top, left = (whole.shape[0] - SIZE_WH[1]) // 2, (whole.shape[1] - SIZE_WH[0]) // 2
        return whole[top : top + SIZE_WH[1], left : left + SIZE_WH[0]]

    def point(self, x: int, y: int) -> None:
        """Move the pointer to a place of the window."""
        whole = self.xvfb.screenshot().shape
        self.xvfb.do("mousemove", (whole[1] - SIZE_WH[0]) // 2 + x, (whole[0] - SIZE_WH[1]) // 2 + y)

    def key(self, name: str) -> None:
        """Press a key."""
        self.xvfb.do("key", name)

    def expect(self, there: Scene | None, **drawn: object) -> None:
        """Wait until the window shows what the composition draws."""
        wait_for(lambda: self.shows(there, **drawn))

    def shows(self, there: Scene | None, **drawn: object) -> bool:
        hint = _hint(self.stage)
        expected = Screen(ScreenSettings(), crop).draw(there, SIZE_WH, hint=hint, **drawn).pixels()  # type: ignore[arg-type]
        return bool(np.abs(self.seen().astype(int) - expected).max() <= 2)


def _hint(stage: Stage) -> str:
    from esrface.screen.window import HINT, HINT_BY_HAND

    return HINT_BY_HAND if stage.by_hand else HINT


def operate(
    xvfb: Display,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    acts: Callable[[Operator], None],
    stage: Stage | None = None,
) -> None:
    """Open a window here while somebody acts on it; closes it at the end whatever happens."""
    monkeypatch.setenv("DISPLAY", xvfb.name)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    stage = stage or Stage()
    problems: list[BaseException] = []

    def act() -> None:
        try:
            wait_for(lambda: xvfb.title() != "")
            acts(Operator(xvfb, stage, folder))
        except BaseException as error:
            problems.append(error)
        finally:
            stage.close()

    with Window(SIZE_WH, folder=folder) as window:
        screen = Screen(ScreenSettings(), crop)
        window.greet(screen)
        thread = threading.Thread(target=act)
        thread.start()
        window.run(screen, stage, lambda: True)
    stage.close()
    thread.join()
    if problems:
        raise problems[0]


def test_window_shows_the_newest_scene_as_it_is_composed(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acts(one: Operator) -> None:
        one.stage.show(scene(1))
        one.expect(one.stage.current())
        for faces in (2, 3, 1, 2, 3):
            one.stage.show(scene(faces))
        one.expect(one.stage.current())
        assert one.xvfb.title() == "room.mp4 - esrface"

    operate(xvfb, tmp_path, monkeypatch, acts)


def test_wheel_zooms_at_the_pointer_and_dragging_pans(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yellow = np.array(track_color(1), np.uint8)

    def middle(image: Image) -> tuple[float, float]:
        rows, columns = np.nonzero((image[:720, :560] == yellow).all(axis=2))
        return float(np.mean(columns)), float(np.mean(rows))

    def acts(one: Operator) -> None:
        one.stage.show(scene(1))
        one.expect(one.stage.current())
        before = one.seen()
        x, y = middle(before)
        one.point(round(x), round(y))
        one.xvfb.do("click", "--repeat", 3, "--delay", 50, 4)
        # Larger by 1.25 a notch, and the face's frame still lies around the pointer.
        wait_for(lambda: abs(width(one.seen()) / width(before) - 1.25**3) < 0.05)
        assert middle(one.seen()) == pytest.approx((x, y), abs=6)
        one.xvfb.do("mousedown", 1)
        one.point(round(x) + 20, round(y) + 10)
        one.point(round(x) + 60, round(y) + 30)
        one.xvfb.do("mouseup", 1)
        wait_for(lambda: abs(middle(one.seen())[0] - x - 60) < 6)
        assert middle(one.seen())[1] == pytest.approx(y + 30, abs=6)
        one.key("0")
        one.expect(one.stage.current())

    def width(image: Image) -> float:
        columns = np.nonzero((image[:720, :560] == yellow).all(axis=2).any(axis=0))[0]
        return float(columns.max() - columns.min())

    operate(xvfb, tmp_path, monkeypatch, acts)


def test_next_face_by_key_and_any_face_by_click(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acts(one: Operator) -> None:
        there = scene(3)
        one.stage.show(there)
        one.expect(there)
        for key, track in (("n", 2), ("Tab", 3), ("n", 1), ("shift+Tab", 3)):
            one.key(key)
            one.expect(there, chosen=track)
        pixels = one.seen()[:720, :560]
        rows, columns = np.nonzero((pixels == np.array(track_color(2), np.uint8)).all(axis=2))
        one.point(round((columns.min() + columns.max()) / 2), round((rows.min() + rows.max()) / 2) + 15)
        one.xvfb.do("click", 1)
        one.expect(there, chosen=2)

    operate(xvfb, tmp_path, monkeypatch, acts)


def test_pause_holds_the_run_and_step_lets_one_frame_through(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Scene] = []

    def run(stage: Stage) -> None:
        number = 0
        while not stage.closed:
            shown.append(scene(1, title=f"{number}", past=number % 60))
            stage.show(shown[-1])
            stage.wait_turn()
            stage.wait_until(0.02 + _now())
            number += 1

    def acts(one: Operator) -> None:
        worker = threading.Thread(target=run, args=(one.stage,))
        worker.start()
        wait_for(lambda: len(shown) > 3)
        one.key("space")
        wait_for(lambda: one.stage.paused)
        wait_for(lambda: one.shows(shown[-1], note="paused"))
        held = len(shown)
        for steps in (1, 2):
            one.key("Right" if steps == 1 else "period")
            wait_for(lambda steps=steps: len(shown) == held + steps)  # type: ignore[misc]
            one.expect(shown[held + steps - 1], note="paused")
        assert len(shown) == held + 2
        one.key("space")
        wait_for(lambda: len(shown) > held + 5)
        one.key("Escape")
        worker.join(20)
        assert not worker.is_alive()

    operate(xvfb, tmp_path, monkeypatch, acts)


def _now() -> float:
    import time

    return time.monotonic()


def test_a_camera_goes_on_behind_a_paused_window(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acts(one: Operator) -> None:
        first, second, third = (scene(faces) for faces in (1, 2, 3))
        one.stage.show(first, live=True)
        one.expect(first)
        one.key("space")
        one.expect(first, note="paused")
        one.stage.show(second, live=True)
        assert one.stage.current() is first
        one.key("Right")
        wait_for(lambda: _shown_by_next(one.stage, third))
        one.expect(third, note="paused")
        one.stage.show(first, live=True)
        assert one.stage.current() is third
        one.key("space")
        one.expect(first)

    operate(xvfb, tmp_path, monkeypatch, acts)


def _shown_by_next(stage: Stage, following: Scene) -> bool:
    stage.show(following, live=True)
    return stage.current() is following


def test_s_saves_what_is_seen_and_replaces_nothing(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def acts(one: Operator) -> None:
        one.stage.show(scene(2))
        one.expect(one.stage.current())
        before = one.seen()
        one.key("s")
        wait_for(lambda: (tmp_path / "room.png").exists())
        one.key("s")
        wait_for(lambda: (tmp_path / "room-2.png").exists())
        saved = np.asarray(PIL.Image.open(tmp_path / "room.png"))
        assert np.array_equal(saved, before)
        one.expect(one.stage.current(), note=f"saved {tmp_path / 'room-2.png'}")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["room-2.png", "room.png"]

    operate(xvfb, tmp_path, monkeypatch, acts)


def test_window_can_be_resized(xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def acts(one: Operator) -> None:
        one.stage.show(scene(2))
        one.expect(one.stage.current())
        one.xvfb.do("getwindowfocus", "windowmove", 0, 0, "windowsize", 1200, 800)

        def fits() -> bool:
            drawn = Screen(ScreenSettings(), crop).draw(
                one.stage.current(), (1200, 800), hint=_hint(one.stage)
            )
            seen = one.xvfb.screenshot()[:800, :1200]
            return bool(np.abs(seen.astype(int) - drawn.pixels()).max() <= 2)

        wait_for(fits)

    operate(xvfb, tmp_path, monkeypatch, acts)


def test_pictures_wait_and_can_be_seen_again(
    xvfb: Display, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = [scene(faces, past=None) for faces in (1, 2, 3)]
    reached: list[int] = []

    def run(stage: Stage) -> None:
        for number, picture in enumerate(pictures):
            reached.append(number)
            stage.show(picture)
            stage.wait_turn()
        reached.append(len(pictures))

    def acts(one: Operator) -> None:
        worker = threading.Thread(target=run, args=(one.stage,))
        worker.start()
        one.expect(pictures[0])
        assert reached == [0]
        one.key("a")
        one.expect(pictures[1])
        one.key("Left")
        one.expect(pictures[0])
        one.key("Right")
        one.expect(pictures[1])
        assert reached == [0, 1]
        one.key("space")
        one.expect(pictures[2])
        one.key("Return")
        worker.join(20)
        assert reached == [0, 1, 2, 3]

    operate(xvfb, tmp_path, monkeypatch, acts, Stage(by_hand=True))


def start(*arguments: str, folder: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "main_esr9.py"), *arguments]
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def test_image_command_walks_through_pictures_until_escape(xvfb: Display, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    line = ["image", *PICTURES, PICTURES[0], "-d", "-s", "3", "-b", "-g", "--csv", str(rows)]
    with start(*line, folder=tmp_path, environment=xvfb.environment) as run:
        wait_for(lambda: xvfb.title() == f"{PICTURES[0]} - esrface")
        xvfb.do("key", "space")
        wait_for(lambda: xvfb.title() == f"{PICTURES[1]} - esrface")
        xvfb.do("key", "Escape")
        out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (0, ""), err
    assert "2 pictures" in err
    assert [row.split(",")[0] for row in rows.read_text().splitlines()[1:]] == PICTURES


def test_video_command_pauses_and_ends_with_the_window(
    xvfb: Display, tmp_path: Path, demo_clip: Path
) -> None:
    with start(
        "video", "-i", str(demo_clip), "-d", "-s", "3", folder=tmp_path, environment=xvfb.environment
    ) as run:
        wait_for(lambda: xvfb.title() == f"{demo_clip} - esrface")
        xvfb.do("key", "space")
        wait_for(lambda: _stands_still(xvfb))
        assert run.poll() is None
        xvfb.do("key", "q")
        out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (0, ""), err
    assert "frame" in err
    assert list(tmp_path.iterdir()) == []


def _stands_still(xvfb: Display) -> bool:
    before = xvfb.screenshot()
    threading.Event().wait(0.7)
    return bool((before == xvfb.screenshot()).all()) and bool(
        (before == np.array(INK, np.uint8)).all(axis=2).any()
    )


def test_escape_ends_a_camera_that_hangs(
    xvfb: Display, tmp_path: Path, mjpeg_server: Callable[..., video_fixtures.MjpegServer]
) -> None:
    camera = f"http://{mjpeg_server((40, 'stall')).address}/cam.mjpg"
    line = [
        "webcam",
        "-d",
        "-s",
        "3",
        "-b",
        "-w",
        camera,
        "--stall",
        "300",
        "--every",
        "1",
        "--csv",
        "rows.csv",
    ]
    with start(*line, folder=tmp_path, environment=xvfb.environment) as run:
        wait_for(lambda: xvfb.title() == f"{camera} - esrface")
        wait_for(lambda: _stands_still(xvfb))
        xvfb.do("key", "Escape")
        # Well before the stream would count as stalled.
        _, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert len(rows) > 2
    assert rows[-1].startswith(camera)


def test_signal_ends_run_and_window(xvfb: Display, tmp_path: Path) -> None:
    with start("image", PICTURES[0], "-d", folder=tmp_path, environment=xvfb.environment) as run:
        wait_for(lambda: "astronaut" in xvfb.title())
        run.send_signal(signal.SIGTERM)
        _, err = run.communicate(timeout=60)
    assert run.returncode == 143
    assert "stopped by SIGTERM" in err
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a display")
@pytest.mark.parametrize(
    ("line", "instead"),
    [
        (["image", PICTURES[0], "-d"], "--save DIR and --report FILE.html need no window"),
        (["video", "no.mp4", "-d"], "--save-video FILE.mp4 and --report FILE.html need no window"),
        (["webcam", "-d"], "--save-video FILE.mp4 and --report FILE.html need no window"),
    ],
)
@pytest.mark.parametrize("missing", ["display", "extra"])
def test_what_is_missing_is_one_line_before_anything_begins(
    line: list[str], instead: str, missing: str, tmp_path: Path
) -> None:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    if missing == "extra":
        # A module of that name that cannot be found, as where nothing is installed.
        (tmp_path / "sdl2.py").write_text(
            "raise ModuleNotFoundError(\"No module named 'sdl2'\", name='sdl2')"
        )
        environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    with start(*line, "--csv", "rows.csv", folder=tmp_path, environment=environment) as run:
        out, err = run.communicate(timeout=60)
    assert (run.returncode, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert instead in err
    wanted = "needs a display" if missing == "display" else "pip install -c constraints.txt '.[window]'"
    if missing == "extra" or "pip install" not in err:
        assert wanted in err
    assert not (tmp_path / "rows.csv").exists()
