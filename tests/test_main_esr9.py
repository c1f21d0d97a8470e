"""The original's command: the lines of its instructions, with our pictures in the place of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import video_fixtures
from video_fixtures import square_frame, write_video
from xvfb import Display, display, wait_for

ROOT = Path(__file__).parent.parent
PICTURE = str(ROOT / "examples" / "astronaut.jpg")

demo_clip = video_fixtures.demo_clip


@pytest.fixture(scope="module")
def xvfb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Display]:
    with display(tmp_path_factory.mktemp("xvfb"), (1600, 1000)) as shown:
        yield shown


def esr9(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, str(ROOT / "main_esr9.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, check=False)


@pytest.mark.parametrize("option", ["-h", "--help", "-help"])
def test_help(option: str, tmp_path: Path) -> None:
    done = esr9(option, folder=tmp_path)
    assert done.returncode == 0
    assert all(mode in done.stdout for mode in ("image", "video", "webcam"))
    of_mode = esr9("video", option, folder=tmp_path).stdout
    for name in (
        *(
            "-d, --display",
            "-i, --input",
            "-s, --size",
            "-b, --branch",
            "-np, --no_plot",
            "-fd, --face_detection",
        ),
        *("-c, --cuda", "-w, --webcam, --webcam_id", "-f, --frames", "-o, --output", "-g, --gradcam", "-h, "),
    ):
        assert name in of_mode


@pytest.mark.parametrize(
    "line",
    [
        "image -i PICTURE -d -s 2",
        "image -i PICTURE -d -s 2 -b",
        "image -i PICTURE -d -s 2 -b -g",
        "video -i VIDEO -d -f 5 -s 2",
        "video -i VIDEO -d -f 5 -s 2 -np",
    ],
)
def test_window_opens_and_escape_ends_the_run(
    line: str, tmp_path: Path, demo_clip: Path, xvfb: Display
) -> None:
    source = PICTURE if "PICTURE" in line else str(demo_clip)
    arguments = line.replace("PICTURE", source).replace("VIDEO", source).split()
    command = [sys.executable, str(ROOT / "main_esr9.py"), *arguments]
    with subprocess.Popen(
        command, cwd=tmp_path, env=xvfb.environment, stderr=subprocess.PIPE, text=True
    ) as run:
        wait_for(lambda: xvfb.title() == f"{source} - esrface")
        xvfb.do("key", "Escape")
        _, told = run.communicate(timeout=60)
    assert run.returncode == 0, told
    assert list(tmp_path.iterdir()) == []


def test_window_of_a_missing_camera_closes_with_one_line(tmp_path: Path, xvfb: Display) -> None:
    if Path("/dev/video0").exists():
        pytest.skip("there is a camera")
    command = [sys.executable, str(ROOT / "main_esr9.py"), "webcam", "-d", "-s", "2", "-b"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, env=xvfb.environment, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "camera 0 cannot be opened" in done.stderr


def test_image_without_window_and_output_prints_the_table(tmp_path: Path) -> None:
    done = esr9("image", "-i", PICTURE, "-s", "2", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "astronaut.jpg" in done.stderr
    assert "Happy" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_video_without_window_and_output_prints_the_table(tmp_path: Path, demo_clip: Path) -> None:
    done = esr9("video", "-i", str(demo_clip), "-f", "1", "-s", "2", "-np", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Happy" in done.stderr
    assert "Neutral" in done.stderr


def test_output_is_the_original_s_csv(tmp_path: Path) -> None:
    clip = write_video(tmp_path / "clip.one.mp4", (square_frame(number) for number in range(24)))
    done = esr9("video", "-i", str(clip), "-f", "5", "-fd", "3", "-o", str(tmp_path / "out"), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "out" / "clip.csv").read_text().splitlines()
    assert rows[0].startswith(
        "Timestamp(sec),Ensemble_Emotion,Ensemble_Arousal,Ensemble_Valence,Branch_0_Emotion"
    )
    assert [round(float(row.split(",")[0]) * 30) for row in rows[1:]] == [5, 11, 17, 23]


def test_missing_camera_is_one_line(tmp_path: Path) -> None:
    if Path("/dev/video0").exists():
        pytest.skip("there is a camera")
    done = esr9("webcam", "-s", "2", "-b", "-w", "0", folder=tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "camera 0 cannot be opened" in done.stderr


@pytest.mark.parametrize("arguments", [["-s", "2", "-i", "image", "image"], ["-i", "image", "image"]])
def test_the_mode_may_come_last_and_files_may_be_called_like_one(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "image").write_bytes(Path(PICTURE).read_bytes())
    done = esr9(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Happy" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["-i", "a.jpg"], ["train"], ["pictures"]])
def test_without_a_mode_one_line_names_them(tmp_path: Path, arguments: list[str]) -> None:
    done = esr9(*arguments, folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "main_esr9.py: give a mode: image, video, webcam (see 'main_esr9.py -h')\n"
