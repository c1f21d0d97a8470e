"""At which sizes a picture is looked at: bounded cost, and coordinates that come back exactly."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.detection.base import NO_CANDIDATES, Candidates, Limits
from esrface.detection.pyramid import search, suppress

LIMITS = Limits(min_score=0.8)


def candidate(score: float, x: float, y: float, width: float, height: float) -> Candidates:
    row = np.zeros((1, 15), dtype=np.float32)
    row[0, :5] = score, x, y, width, height
    row[0, 5:] = np.tile([x, y], 5)
    return row


class Finder:
    """Finds the brightest pixel's surroundings; remembers what it was shown."""

    def __init__(self, side: float = 0.0, score: float = 0.9) -> None:
        self.side, self.score = side, score
        self.shown: list[tuple[int, int]] = []

    def __call__(self, image: NDArray[np.uint8]) -> Candidates:
        height, width = image.shape[:2]
        self.shown.append((width, height))
        if not self.side or not image.any():
            return NO_CANDIDATES
        # The mean place of the brightest pixels' centres.
        y, x = (axis.mean() + 0.5 for axis in np.nonzero(image[:, :, 0] == image[:, :, 0].max()))
        side = self.side * max(width, height)
        return candidate(self.score, x - side / 2, y - side / 2, side, side)


@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (48, 48),
        (480, 640),
        (1000, 1000),
        (3000, 4000),
        (4000, 3000),
        (400, 16000),
        (1, 60000),
        (70000, 2),
    ],
)
def test_the_cost_is_bounded_for_every_shape(shape: tuple[int, int]) -> None:
    finder = Finder()
    search(np.zeros((*shape, 3), dtype=np.uint8), finder, LIMITS, 1280)
    pixels = sum(width * height for width, height in finder.shown)
    assert pixels <= 1.02 * (1280 * 960 + 640 * 480 + 320 * 240), finder.shown
    assert max(max(size) for size in finder.shown) <= 4 * 1280
    assert 1 <= len(finder.shown) <= 3


@pytest.mark.parametrize(
    ("shape", "side", "expected"),
    [
        # One face of middling size: one look, whatever the picture's size.
        ((3000, 4000), 0.2, [(640, 480)]),
        # It fills the picture: once more, smaller.
        ((3000, 4000), 0.7, [(640, 480), (320, 240)]),
        # It is small, so there may be smaller ones: once more, larger.
        ((3000, 4000), 0.05, [(640, 480), (1280, 960)]),
        # The picture has no more to show than the first look.
        ((480, 640), 0.05, [(640, 480)]),
        # A small picture is enlarged, four times at most.
        ((60, 80), 0.5, [(320, 240)]),
        ((48, 48), 0.9, [(192, 192)]),
        # Nothing at all: every size.
        ((3000, 4000), 0.0, [(640, 480), (320, 240), (1280, 960)]),
    ],
)
def test_which_sizes_are_looked_at(
    shape: tuple[int, int], side: float, expected: list[tuple[int, int]]
) -> None:
    picture = np.zeros((*shape, 3), dtype=np.uint8)
    picture[shape[0] // 2 - 8 : shape[0] // 2 + 8, shape[1] // 2 - 8 : shape[1] // 2 + 8] = 255
    finder = Finder(side)
    search(picture, finder, LIMITS, 1280)
    assert finder.shown == expected


def test_small_faces_that_are_not_wanted_are_not_looked_for() -> None:
    picture = np.zeros((3000, 4000, 3), dtype=np.uint8)
    finder = Finder()
    search(picture, finder, Limits(min_score=0.8, min_face=400), 1280)
    assert finder.shown == [(640, 480), (320, 240)]


@pytest.mark.parametrize("shape", [(3001, 4003), (1999, 1501), (900, 5000), (333, 517), (50, 67)])
def test_places_come_back_in_pixels_of_the_picture(shape: tuple[int, int]) -> None:
    height, width = shape
    # A bright square near the far corner, where errors of scale are largest.
    size = max(12, width // 25)
    x, y = width - 2 * size, height - 2 * size
    picture = np.zeros((*shape, 3), dtype=np.uint8)
    picture[y : y + size, x : x + size] = 255
    (row,) = search(picture, Finder(0.2), LIMITS, 1280)
    centre = row[1:3] + row[3:5] / 2
    # Half a pixel of the first look, and half of the picture.
    tolerance = 0.5 * max(1, max(shape) / 640) + 0.5
    np.testing.assert_allclose(centre, [x + size / 2, y + size / 2], atol=tolerance)


def test_a_face_seen_twice_is_one_face() -> None:
    overlapping = np.concatenate([candidate(0.8, 12, 10, 100, 100), candidate(0.9, 10, 10, 100, 100)])
    beside = candidate(0.7, 60, 10, 100, 100)
    kept = suppress(np.concatenate([overlapping, beside]))
    assert kept[:, 0].tolist() == [np.float32(0.9), np.float32(0.7)]


def test_a_part_of_a_face_in_another_look_is_no_face() -> None:
    # In a picture of 1280 x 960: a whole face, and its mouth taken for a face by the other look.
    looks = {
        640: np.concatenate([candidate(0.85, 300, 250, 40, 30), candidate(0.9, 10, 10, 40, 40)]),
        1280: candidate(0.95, 500, 200, 300, 400),
    }
    found = search(
        np.zeros((960, 1280, 3), dtype=np.uint8), lambda image: looks[image.shape[1]], LIMITS, 1280
    )
    assert found[:, :5].tolist() == [
        pytest.approx([0.95, 500, 200, 300, 400]),
        pytest.approx([0.9, 20, 20, 80, 80]),
    ]
