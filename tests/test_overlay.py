"""Heat over faces: smooth, in range, in the right place, and told apart by every eye."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.overlay import OPACITY, enlarge, heat_colors, overlay_heat

# Machado, Oliveira & Fernandes (2009), severity 1.0, for linear RGB.
EYES = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}


def lightness(colors: NDArray[np.float32], eye: NDArray[np.float64]) -> NDArray[np.float64]:
    """CIE L* (0-100) of RGB 0-255 as an eye sees them."""
    part = colors.astype(np.float64) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    luminance = np.clip(linear @ eye.T, 0, 1) @ [0.2126, 0.7152, 0.0722]
    return np.where(luminance > 0.008856, 116 * np.cbrt(luminance) - 16, 903.3 * luminance)


def textured_face(width: int = 60, height: int = 80) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("eye", EYES)
def test_more_heat_is_lighter_in_even_steps_for_every_eye(eye: str) -> None:
    steps = np.diff(lightness(heat_colors(np.linspace(0, 1, 11)), EYES[eye]))
    assert steps.min() > 3
    assert steps.max() < 3 * steps.min()


def test_strengths_outside_the_range_take_the_end_colours() -> None:
    low, high = heat_colors(np.array([0.0, 1.0]))
    assert np.array_equal(heat_colors(np.array([-0.5, 1.5])), [low, high])
    assert heat_colors(np.zeros((2, 3))).shape == (2, 3, 3)


@pytest.mark.parametrize("size", [(96, 96), (300, 200), (7, 400), (4, 3), (1, 1)])
def test_enlarged_maps_stay_within_0_and_1(size: tuple[int, int]) -> None:
    # Nothing but 0 and 1: where splines overshoot most.
    heat = np.random.default_rng(2).integers(0, 2, (6, 6)).astype(np.float32)
    large = enlarge(heat, size)
    assert large.shape == size[::-1]
    assert large.dtype == np.float32
    assert large.min() >= 0
    assert large.max() <= 1


def test_enlarging_goes_through_the_values_given() -> None:
    heat = np.random.default_rng(3).random((6, 5)).astype(np.float32)
    # Cells of 9 x 9 pixels have a pixel in their middle.
    assert enlarge(heat, (45, 54))[4::9, 4::9] == pytest.approx(heat, abs=1e-6)
    assert enlarge(heat, (5, 6)) == pytest.approx(heat, abs=1e-6)


def test_enlarging_keeps_an_even_map_even_and_zero_zero() -> None:
    assert enlarge(np.full((6, 6), 0.4), (50, 70)) == pytest.approx(0.4, abs=1e-6)
    assert enlarge(np.full((1, 1), 0.4), (50, 70)) == pytest.approx(0.4, abs=1e-6)
    assert not enlarge(np.zeros((6, 6)), (50, 70)).any()


def test_enlarging_shows_no_blocks_and_no_creases() -> None:
    """Between neighbouring pixels neither the value nor the slope jumps; the grid of cells cannot be seen."""
    heat = np.zeros((6, 6), dtype=np.float32)
    heat[2, 3], heat[4, 1] = 0.9, 0.6
    large = enlarge(heat, (240, 240)).astype(np.float64)
    # A cell is 40 pixels wide: nearest neighbours would jump by 0.9, straight lines crease by 0.9 / 40.
    for axis in (0, 1):
        assert np.abs(np.diff(large, axis=axis)).max() < 1.5 * 0.9 / 40
        # Clipping at 0 may crease; what has not been clipped may not.
        inside = np.moveaxis(large, axis, 0)
        bends = np.abs(np.diff(inside, n=2, axis=0))
        unclipped = (inside[:-2] > 0) & (inside[1:-1] > 0) & (inside[2:] > 0)
        assert bends[unclipped].max() < 0.2 * 0.9 / 40


def test_heat_lies_where_the_map_has_it_and_the_rest_is_the_grey_face() -> None:
    face = textured_face()
    heat = np.zeros((6, 6), dtype=np.float32)
    heat[0, 5] = 1
    over = overlay_heat(face, heat)
    assert over.shape == face.shape
    assert over.dtype == np.uint8
    colored = np.ptp(over.astype(int), axis=2) > 0
    assert colored[:8, 52:].all(), "top right"
    assert not colored[30:].any()
    assert not colored[:, :30].any()
    grey = np.rint(face @ [0.299, 0.587, 0.114])
    assert np.abs(over[40:, :, 0] - grey[40:]).max() <= 1
    # Red above blue: hot, not some blend of the face's own colours.
    assert (over[:6, 55:, 0].astype(int) > over[:6, 55:, 2]).all()


def test_the_face_is_visible_under_the_strongest_heat() -> None:
    face = np.full((40, 40, 3), 40, dtype=np.uint8)
    face[:, 20:] = 220
    over = overlay_heat(face, np.ones((6, 6))).astype(int)
    dark, light = over[20, 5], over[20, 35]
    assert (light - dark).min() > 0.9 * 180 * (1 - OPACITY) > 40
    assert np.array_equal(overlay_heat(face, np.ones((6, 6)), opacity=0), face)


def test_the_face_given_stays_as_it_is_and_must_be_rgb() -> None:
    face = textured_face()
    before = face.copy()
    face.setflags(write=False)
    overlay_heat(face, np.ones((6, 6)))
    assert np.array_equal(face, before)
    with pytest.raises(ValueError, match=r"expected a face \(H, W, 3\) of uint8, got \(80, 60\) of uint8"):
        overlay_heat(face[..., 0], np.ones((6, 6)))
    with pytest.raises(ValueError, match=r"expected a map \(h, w\), got \(9, 6, 6\)"):
        overlay_heat(face, np.ones((9, 6, 6)))
