"""dlib's network, looked with as the original did; small pictures, since it takes seconds for large ones."""

from __future__ import annotations

import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

import esrface.detection.dlib as adapter
from esrface.cli import main
from esrface.detection import Detection, create_detector, detector_status
from esrface.errors import DependencyError
from esrface.results import Box

Image = NDArray[np.uint8]

NAMES = ("dlib-optimized", "dlib-cnn")
PACKAGES = {"dlib-bin": "dlib", "face-recognition-models": "face_recognition_models"}

status = next(status for status in detector_status() if status.name == "dlib-cnn")
needs_dlib = pytest.mark.skipif(not status.available, reason=status.detail)


@pytest.fixture(scope="module")
def hopper() -> Image:
    path = Path(__file__).parent.parent / "examples" / "grace_hopper.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


def portrait(hopper: Image, side: int) -> Image:
    """Head and shoulders in a square; the face is half as wide."""
    return np.asarray(
        cv2.resize(hopper[60:400, 90:430], (side, side), interpolation=cv2.INTER_AREA), np.uint8
    )


def as_rows(found: list[Detection]) -> list[tuple[Any, ...]]:
    return [(*hit.box, hit.score, hit.landmarks) for hit in found]


def seen_by_dlib(picture: Image, scale: float) -> list[tuple[int, ...]]:
    """dlib's own boxes (x0, y0, x1, y1) at a scale, in pixels of the whole picture."""
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    finds = adapter.load_network()(small)
    edges = [(f.rect.left(), f.rect.top(), f.rect.right() + 1, f.rect.bottom() + 1) for f in finds]
    return [tuple(round(edge / scale) for edge in box) for box in edges]


@needs_dlib
def test_the_standard_way_is_one_look_in_colour(hopper: Image) -> None:
    picture = portrait(hopper, 160)
    (hit,) = create_detector("dlib-cnn").detect(picture)
    assert [tuple(hit.box)] == seen_by_dlib(picture, 1.0)
    assert hit.landmarks is None
    # The network itself says 1.078.
    assert hit.score == 1.0


@needs_dlib
@pytest.mark.parametrize(
    ("side", "scale"),
    [
        (320, 0.5),
        # At half the size the face is too small for dlib.
        (160, 1.0),
    ],
)
def test_the_optimized_way_takes_the_first_scale_with_a_face(side: int, scale: float, hopper: Image) -> None:
    picture = portrait(hopper, side)
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    (hit,) = create_detector("dlib-optimized").detect(picture)
    assert [tuple(hit.box)] == seen_by_dlib(grey, scale)
    assert (scale == 1.0) == (seen_by_dlib(grey, 0.5) == [])


@needs_dlib
def test_the_optimized_way_looks_closer_where_a_face_is_not_to_be_reported(hopper: Image) -> None:
    picture = portrait(hopper, 240)
    (unsure,) = create_detector("dlib-optimized").detect(picture)
    (sure,) = create_detector("dlib-optimized", min_score=0.95).detect(picture)
    assert 0.8 < unsure.score < 0.95 < sure.score
    assert create_detector("dlib-optimized", min_face=200).detect(picture) == []


@needs_dlib
def test_a_picture_over_500_x_500_pixels_is_looked_at_smaller(hopper: Image) -> None:
    # Grace Hopper's face is large enough for half the size, the astronaut's is not: so it is in the original.
    (hit,) = create_detector("dlib-optimized").detect(hopper)
    # As dlib-bin 20.0.1.post1 and 19.24.6 give it.
    assert hit.box == Box(184, 152, 344, 312)
    astronaut = np.asarray(skimage.data.astronaut(), dtype=np.uint8)
    assert create_detector("dlib-optimized").detect(astronaut) == []
    (hit,) = create_detector("dlib-cnn").detect(astronaut[40:200, 120:320])
    assert abs(np.array(hit.box) - [48, 29, 144, 125]).max() <= 20


@pytest.mark.parametrize(
    ("size_wh", "optimized", "looks"),
    [
        ((500, 500), True, [(250, 250), (500, 500)]),
        ((501, 500), True, [(100, 100), (250, 250)]),
        ((1920, 1080), True, [(384, 216), (960, 540)]),
        ((640, 480), False, [(640, 480)]),
        ((1024, 768), False, [(1024, 768)]),
        # Kept to 1024 x 768, which the original did not do.
        ((4000, 3000), False, [(1024, 768)]),
        ((4000, 3000), True, [(800, 600), (1024, 768)]),
        ((8000, 6000), True, [(1024, 768)]),
        # Without the looks that are too small for a face.
        ((60, 50), True, [(60, 50)]),
        ((39, 4000), False, []),
        ((1, 1), True, []),
    ],
)
def test_sizes_of_the_looks(size_wh: tuple[int, int], optimized: bool, looks: list[tuple[int, int]]) -> None:
    assert list(adapter.look_sizes(size_wh, optimized)) == looks


@needs_dlib
@pytest.mark.parametrize("name", NAMES)
def test_places_come_back_from_a_picture_that_is_shrunk_first(
    name: str, hopper: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = np.zeros((1500, 3000, 3), dtype=np.uint8)
    wide[300:1300, 1800:2800] = portrait(hopper, 1000)
    monkeypatch.setattr(adapter, "LARGEST_LOOK", 500 * 250)
    (hit,) = create_detector(name).detect(wide)
    # In the portrait the face lies at 92 to 256 of 340 pixels across, and at 81 to 245 down.
    expected = np.array([1800 + 271, 300 + 238, 1800 + 753, 300 + 721])
    assert abs(np.array(hit.box) - expected).max() < 60


@needs_dlib
def test_the_largest_face_comes_first(hopper: Image) -> None:
    picture = np.zeros((180, 320, 3), dtype=np.uint8)
    picture[:140, :140] = portrait(hopper, 140)
    picture[:, 140:] = portrait(hopper, 180)
    found = create_detector("dlib-cnn").detect(picture)
    assert [hit.box.x0 > 140 for hit in found] == [True, False]
    assert as_rows(create_detector("dlib-cnn", max_faces=1).detect(picture)) == as_rows(found[:1])


@needs_dlib
@pytest.mark.parametrize("name", NAMES)
def test_odd_shapes_have_no_face(name: str) -> None:
    # Among them are shapes at which dlib itself ends the process.
    detector = create_detector(name)
    for shape in ((1, 1), (7, 7), (40, 2), (80, 2), (400, 5), (3, 5000), (10, 20000), (44, 40)):
        noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
        assert detector.detect(noise) == []


@needs_dlib
@pytest.mark.parametrize("name", NAMES)
def test_threads_pickles_and_views_agree(name: str, hopper: Image) -> None:
    detector = create_detector(name)
    picture = portrait(hopper, 140)
    frozen = picture.copy()
    frozen.setflags(write=False)
    pictures = [picture, picture[:, ::-1], np.asfortranarray(frozen)]
    alone = [as_rows(detector.detect(one)) for one in pictures]
    assert alone[0] == alone[2] != alone[1]
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.name == detector.name == name
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: as_rows(copy.detect(one)), pictures))
    assert together == alone


@needs_dlib
def test_the_model_is_found_without_importing_its_package() -> None:
    code = (
        "import sys; from esrface.detection.dlib import describe; print(describe())\n"
        "assert not {'face_recognition_models', 'pkg_resources'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dlib ")


@needs_dlib
def test_a_damaged_model_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = tmp_path / "network.dat"
    damaged.write_bytes(adapter.model_path().read_bytes()[:1000])
    monkeypatch.setattr(adapter, "model_path", lambda: damaged)
    with pytest.raises(DependencyError, match="dlib cannot read its network") as caught:
        create_detector("dlib-cnn")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("package", PACKAGES)
@pytest.mark.parametrize(("number", "name"), [("1", "dlib-optimized"), ("2", "dlib-cnn")])
def test_without_the_extra_one_line_says_how_to_get_it(
    package: str,
    number: str,
    name: str,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if package != "dlib-bin" and not status.available:
        pytest.skip(status.detail)
    # Python takes such a module for one that is not there.
    monkeypatch.setitem(sys.modules, PACKAGES[package], None)
    expected = (
        f"the package {package} of the extra 'dlib' is not installed: in a clone of esrface, "
        "pip install -c constraints.txt '.[dlib]', or use the detector haar (-fd 3)"
    )
    with pytest.raises(DependencyError) as caught:
        create_detector(name)
    assert str(caught.value) == expected
    told = {status.name: status for status in detector_status()}
    assert not told[name].available
    assert told[name].detail == f"the package {package} of the extra 'dlib' is not installed"
    picture = tmp_path / "face.png"
    assert cv2.imwrite(str(picture), np.zeros((64, 64, 3), np.uint8))
    assert main(["image", str(picture), "--model", str(tiny_model), "-fd", number]) == 2
    assert capsys.readouterr() == ("", f"esrface: {expected}\n")
