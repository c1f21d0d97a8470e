"""Crops and network input on drawn pictures whose pixels are known."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.models.card import CropRule, InputSpec
from esrface.preprocess import as_rgb, crop_face, map_on_box, to_input
from esrface.results import Box

BOX_ITSELF = CropRule(margin=0.0, square=False, align=False)
SQUARE = CropRule(margin=0.0, square=True, align=False)
LEVEL = CropRule(margin=0.0, square=True, align=True)
GRAY = InputSpec(size=48, channels=1, color="gray", mean=(0.0,), std=(1.0,))


@pytest.fixture
def image() -> NDArray[np.uint8]:
    """(40, 60, 3): red = row, green = column, blue = 7."""
    rows, columns = np.mgrid[:40, :60]
    return np.stack([rows, columns, np.full_like(rows, 7)], axis=-1).astype(np.uint8)


def test_a_crop_is_the_box(image: NDArray[np.uint8]) -> None:
    assert np.array_equal(crop_face(image, Box(10, 5, 30, 35), None, BOX_ITSELF), image[5:35, 10:30])


def test_square_takes_the_larger_side_about_the_boxs_centre(image: NDArray[np.uint8]) -> None:
    # 20 x 30 at (10, 5): 30 x 30 about the centre (20, 20).
    assert np.array_equal(crop_face(image, Box(10, 5, 30, 35), None, SQUARE), image[5:35, 5:35])


def test_margin_is_a_share_of_the_side_beyond_every_edge(image: NDArray[np.uint8]) -> None:
    rule = CropRule(margin=0.25, square=False, align=False)
    assert np.array_equal(crop_face(image, Box(20, 16, 32, 24), None, rule), image[14:26, 17:35])
    inwards = CropRule(margin=-0.25, square=False, align=False)
    assert np.array_equal(crop_face(image, Box(20, 16, 32, 24), None, inwards), image[18:22, 23:29])


def test_outside_the_image_its_border_is_repeated(image: NDArray[np.uint8]) -> None:
    crop = crop_face(image, Box(50, 0, 60, 30), None, SQUARE)
    assert crop.shape == (30, 30, 3)
    # Columns 40..69 of the image, of which 60..69 repeat column 59.
    assert crop[0, :, 1].tolist() == [*range(40, 60), *[59] * 10]
    wide = crop_face(image, Box(0, 0, 60, 40), None, SQUARE)
    assert wide[:, 0, 0].tolist() == [*[0] * 10, *range(40), *[39] * 10]


@pytest.mark.parametrize("degrees", [-25.0, 10.0, 40.0])
def test_align_levels_the_eyes_and_keeps_the_scale(degrees: float) -> None:
    # Two bright dots 40 pixels apart on a line that falls by `degrees`, in a face centred at (100, 90).
    angle = math.radians(degrees)
    step = np.array([math.cos(angle), math.sin(angle)])
    up = np.array([math.sin(angle), -math.cos(angle)])
    center = np.array([99.5, 89.5])
    eyes = [center + 15 * up - 20 * step, center + 15 * up + 20 * step]
    canvas = np.zeros((200, 220, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:200, :220]
    for x, y in eyes:
        spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 8)
        canvas = np.maximum(canvas, (255 * spot)[..., None].astype(np.uint8))
    landmarks = np.array([*eyes, center, center, center], dtype=np.float32)
    crop = crop_face(canvas, Box(60, 50, 140, 130), landmarks, LEVEL)
    assert crop.shape == (80, 80, 3)
    halves = [crop[:, :40, 0].astype(float), crop[:, 40:, 0].astype(float)]
    grid = np.arange(40)
    found = [
        ((half.sum(axis=0) * grid).sum() / half.sum(), (half.sum(axis=1) * np.arange(80)).sum() / half.sum())
        for half in halves
    ]
    # Level, 15 above the centre (39.5, 39.5) and 20 to either side of it.
    assert found[0] == pytest.approx((19.5, 24.5), abs=0.15)
    assert found[1] == pytest.approx((59.5 - 40, 24.5), abs=0.15)


def test_align_does_nothing_without_landmarks_or_with_level_eyes(image: NDArray[np.uint8]) -> None:
    box = Box(10, 5, 30, 35)
    level = np.array([[15, 15], [25, 15], [20, 20], [15, 28], [25, 28]], dtype=np.float32)
    assert np.array_equal(crop_face(image, box, None, LEVEL), crop_face(image, box, None, SQUARE))
    assert np.array_equal(crop_face(image, box, level, LEVEL), crop_face(image, box, None, SQUARE))


def test_align_reaches_over_the_edge_of_very_wide_pictures() -> None:
    # cv2.warpAffine itself refuses sources of 32,768 pixels and more on a side.
    wide = np.zeros((30, 40_000, 3), dtype=np.uint8)
    wide[:, 39_000:] = 200
    eyes = np.array([[39_490, 10], [39_510, 20], [0, 0], [0, 0], [0, 0]], dtype=np.float32)
    crop = crop_face(wide, Box(39_480, 0, 39_520, 30), eyes, LEVEL)
    assert crop.shape == (40, 40, 3)
    assert (crop == 200).all()


def test_grey_faces_become_rgb_and_rgb_ones_stay() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    face = as_rgb(grey)
    assert face.shape == (3, 4, 3)
    assert all(np.array_equal(face[..., channel], grey) for channel in range(3))
    assert as_rgb(face) is face


def test_grey_uses_the_usual_weights_and_the_cards_scale() -> None:
    crop = np.full((48, 48, 3), (200, 100, 50), dtype=np.uint8)
    spec = InputSpec(size=48, channels=1, color="gray", mean=(127.5,), std=(63.75,))
    inputs = to_input([crop], spec)
    assert (inputs.shape, inputs.dtype) == ((1, 1, 48, 48), np.float32)
    # 0.299 x 200 + 0.587 x 100 + 0.114 x 50 = 124.2, in whole grey levels 124.
    assert inputs == pytest.approx(np.full((1, 1, 48, 48), (124 - 127.5) / 63.75))


@pytest.mark.parametrize(("color", "order"), [("rgb", (200, 100, 50)), ("bgr", (50, 100, 200))])
def test_colour_order_and_scale_per_channel(color: str, order: tuple[int, int, int]) -> None:
    crop = np.full((10, 12, 3), (200, 100, 50), dtype=np.uint8)
    spec = InputSpec(size=4, channels=3, color=color, mean=(1.0, 2.0, 3.0), std=(1.0, 10.0, 100.0))
    inputs = to_input([crop], spec)
    assert inputs.shape == (1, 3, 4, 4)
    expected = [(order[0] - 1) / 1, (order[1] - 2) / 10, (order[2] - 3) / 100]
    assert inputs[0, :, 2, 2] == pytest.approx(expected)


def test_grey_over_three_channels_is_one_picture_three_times() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    three = InputSpec(size=6, channels=3, color="gray", mean=(0.0,) * 3, std=(1.0,) * 3)
    one = InputSpec(size=6, channels=1, color="gray", mean=(0.0,), std=(1.0,))
    assert np.array_equal(to_input([crop], three)[0], np.repeat(to_input([crop], one)[0], 3, axis=0))


def test_shrinking_averages_instead_of_skipping_pixels() -> None:
    # A fine chequerboard of 0 and 200 averages to 100; bilinear sampling would keep it or lose it by luck.
    board = (np.indices((480, 480)).sum(axis=0) % 2 * 200).astype(np.uint8)
    inputs = to_input([np.repeat(board[..., None], 3, axis=-1)], GRAY)
    assert (inputs == 100).all()


def test_growing_is_bilinear_in_floats() -> None:
    # What the networks are trained on: a 24 x 24 picture enlarged to 48 x 48 without rounding.
    small = np.random.default_rng(3).integers(0, 256, (24, 24), dtype=np.uint8)
    expected = cv2.resize(small.astype(np.float32), (48, 48), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(to_input([np.repeat(small[..., None], 3, axis=-1)], GRAY)[0, 0], expected)
    assert (expected % 1 != 0).any()


def test_linear_is_bilinear_on_bytes_at_any_scale() -> None:
    spec = InputSpec(48, 3, "rgb", (0.0,) * 3, (255.0,) * 3, resize="linear")
    for size in (24, 48, 300):
        crop = np.random.default_rng(3).integers(0, 256, (size, size, 3), dtype=np.uint8)
        whole = cv2.resize(crop, (48, 48), interpolation=cv2.INTER_LINEAR)
        assert np.array_equal(to_input([crop], spec)[0], whole.transpose(2, 0, 1).astype(np.float32) / 255)


@pytest.mark.parametrize(
    "rule", [BOX_ITSELF, SQUARE, CropRule(0.3, True, False), CropRule(0.2, False, False)]
)
@pytest.mark.parametrize("box", [Box(60, 40, 100, 110), Box(0, 0, 50, 30), Box(150, 70, 200, 150)])
def test_a_map_over_the_crop_comes_back_onto_the_box(rule: CropRule, box: Box) -> None:
    ramp = np.add.outer(np.arange(150), np.arange(200) / 2).astype(np.uint8)
    crop = crop_face(np.repeat(ramp[..., None], 3, axis=2), box, None, rule)
    assert np.array_equal(map_on_box(crop[..., 0], box, None, rule), ramp[box.y0 : box.y1, box.x0 : box.x1])


def test_a_map_comes_back_with_the_boxs_border_repeated_where_the_crop_was_smaller() -> None:
    rule = CropRule(margin=-0.25, square=False, align=False)
    values = np.add.outer(np.arange(10), 100 * np.arange(20)).astype(np.float32)
    back = map_on_box(values, Box(0, 0, 40, 20), None, rule)
    assert back.shape == (20, 40)
    assert np.array_equal(back[5:15, 10:30], values)
    assert (back[:5, 10:30] == values[0]).all()
    assert (back[5:15, 30:] == values[:, -1:]).all()


@pytest.mark.parametrize("degrees", [-30.0, 8.0, 75.0])
def test_a_map_over_a_levelled_crop_is_turned_back(degrees: float) -> None:
    x, y = np.meshgrid(np.arange(240.0), np.arange(200.0))
    smooth = (127 + 60 * np.sin(x / 17) + 60 * np.cos(y / 13)).astype(np.uint8)
    box = Box(80, 50, 150, 140)
    eyes = np.zeros((5, 2), np.float32)
    eyes[1] = 30 * math.cos(math.radians(degrees)), 30 * math.sin(math.radians(degrees))
    # Large enough that no corner of the box is left out.
    rule = CropRule(margin=0.4, square=True, align=True)
    crop = crop_face(np.repeat(smooth[..., None], 3, axis=2), box, eyes, rule)
    back = map_on_box(crop[..., 0], box, eyes, rule)
    apart = np.abs(back - smooth[box.y0 : box.y1, box.x0 : box.x1])
    print(f"largest difference {apart.max():.2f}, mean {apart.mean():.2f} of 255")
    assert apart.max() < 4
    level = CropRule(margin=0.4, square=True, align=False)
    assert np.abs(map_on_box(crop[..., 0], box, eyes, level) - back).max() > 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 1), (2, 40_000), (48, 48), (7, 90)])
def test_crops_of_any_shape_become_the_square_input(shape: tuple[int, int]) -> None:
    crop = np.full((*shape, 3), 90, dtype=np.uint8)
    assert to_input([crop], GRAY) == pytest.approx(np.full((1, 1, 48, 48), 90.0))


def test_no_crop_gives_no_input() -> None:
    assert to_input([], GRAY).shape == (0, 1, 48, 48)
