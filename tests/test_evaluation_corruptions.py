"""Corruptions do what they say, the same every time, and the table counts what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drawn import drawn_face, write_ferplus
from esrface.detection import Detection
from esrface.errors import InputError
from esrface.evaluation.corruption_sheet import draw_corruptions
from esrface.evaluation.corruptions import CORRUPTIONS, FRAMINGS, SEVERITIES, TITLES, corrupt
from esrface.evaluation.ferplus import evaluate_ferplus
from esrface.evaluation.framing import located_view, whole_view
from esrface.evaluation.judged import with_robustness
from esrface.evaluation.robustness import NAMES, Robustness
from esrface.models.card import CropRule
from esrface.preprocess import crop_face
from esrface.recognizer import Recognizer
from esrface.results import Box

FACE = np.repeat(drawn_face("Happy", 3)[..., None], 3, axis=2)


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_severity_is_worse_and_repeats(name: str) -> None:
    faces = [corrupt(FACE, name, severity, seed=5) for severity in SEVERITIES]
    apart = [distance(face, FACE) for face in faces]
    assert apart == sorted(apart)
    assert apart[0] > 0
    assert apart[-1] > 1.5 * apart[0]
    for severity, face in zip(SEVERITIES, faces, strict=True):
        assert face.shape == FACE.shape
        assert face.dtype == np.uint8
        assert np.array_equal(face, corrupt(FACE, name, severity, seed=5))


@pytest.mark.parametrize("name", ["gaussian_noise", "occlusion"])
def test_another_seed_is_another_picture(name: str) -> None:
    assert not np.array_equal(corrupt(FACE, name, 3, seed=1), corrupt(FACE, name, 3, seed=2))


@pytest.mark.parametrize("name", ["rotation", "colour_cast"])
def test_both_directions_occur(name: str) -> None:
    assert len({corrupt(FACE, name, 5, seed=seed).tobytes() for seed in range(12)}) == 2


def test_strengths_are_what_the_table_says() -> None:
    grey = np.full((48, 48, 3), 128, np.uint8)
    noise = corrupt(grey, "gaussian_noise", 2).astype(float) - 128
    assert noise.std() == pytest.approx(0.08 * 255, rel=0.05)
    assert np.array_equal(noise[..., 0], noise[..., 2])  # grey pictures stay grey
    covered = np.zeros((50, 50, 3), np.uint8)
    assert (corrupt(covered, "occlusion", 4) == 128).mean() == pytest.approx(0.25)
    tinted = corrupt(grey, "colour_cast", 3)[0, 0].tolist()
    assert sorted([tinted[0], tinted[2]]) == [round(0.7 * 128), round(1.3 * 128)]
    assert tinted[1] == 128
    flat = corrupt(FACE, "contrast", 1).astype(float)
    assert flat.std() / FACE.std() == pytest.approx(0.4, rel=0.03)


def test_low_resolution_leaves_as_many_pixels_as_it_says() -> None:
    steps = np.tile(np.arange(48) % 2 * 200, (48, 1)).astype(np.uint8)
    assert corrupt(steps, "low_resolution", 2).std() < 2  # 24 pixels cannot show stripes of one


def test_grey_arrays_and_faces_of_all_sizes_work() -> None:
    grey = drawn_face("Happy", 3)
    for name in TITLES:
        assert np.array_equal(corrupt(grey, name, 3), corrupt(FACE, name, 3))
        for size in ((1, 1), (7, 5), (300, 200)):
            picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
            worse = corrupt(picture, name, 5)
            assert worse.ndim == 3
            assert min(worse.shape[:2]) >= 1


def test_large_faces_are_brought_to_96_pixels_first() -> None:
    assert corrupt(np.zeros((300, 200, 3), np.uint8), "jpeg", 1).shape == (96, 64, 3)


def test_a_larger_box_repeats_edges_of_a_crop_and_shows_more_of_a_picture() -> None:
    assert corrupt(FACE, "box_smaller", 5).shape == (38, 38, 3)
    assert np.array_equal(corrupt(FACE, "box_smaller", 5), FACE[5:43, 5:43])
    larger = corrupt(FACE, "box_larger", 5)
    assert larger.shape == (58, 58, 3)
    assert np.array_equal(larger[5:53, 5:53], FACE)
    assert np.array_equal(larger[0, 5:53], FACE[0])
    picture = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)
    found = Detection(Box(50, 50, 150, 150), 1.0, None)
    view = located_view(picture, found, CropRule(margin=0.0, square=True, align=False))
    assert np.array_equal(view(1.0), picture[50:150, 50:150])
    assert np.array_equal(view(1.2), picture[40:160, 40:160])
    rule = CropRule(margin=-0.025, square=True, align=False)
    assert np.array_equal(located_view(picture, found, rule)(1.0), crop_face(picture, found.box, None, rule))


def test_unknown_names_and_severities_are_one_line() -> None:
    with pytest.raises(InputError, match="did you mean 'rotation'"):
        corrupt(FACE, "rotatoin", 1)
    with pytest.raises(InputError, match="severity is a whole number from 1 to 5, got 6"):
        corrupt(FACE, "jpeg", 6)


def test_the_table_counts_right_answers() -> None:
    labels, clean = np.array([1, 2]), np.array([1, 0])
    emotion = np.zeros((2, len(NAMES), 5), dtype=np.int64)
    emotion[0] = 1  # the first face is always recognised,
    emotion[1, 0, :2] = 2  # the second under mild noise,
    emotion[1, len(CORRUPTIONS) :] = 2  # and in boxes of any wrong size.
    table = Robustness(labels, clean, emotion).to_dict()
    assert table["clean_accuracy"] == 0.5
    assert table["accuracy"]["gaussian_noise"] == [1, 1, 0.5, 0.5, 0.5]
    assert table["accuracy"]["blur"] == [0.5] * 5
    assert table["accuracy"]["box_smaller"] == [1] * 5
    assert table["mean_accuracy"] == pytest.approx((7 * 0.5 + 0.7) / 8)  # boxes left out
    assert table["retained"] == pytest.approx(table["mean_accuracy"] / 0.5)


def test_answers_are_those_that_users_get_on_these_pictures(tmp_path: Path, tiny_model: Path) -> None:
    write_ferplus(tmp_path, "zip", "valid", ["Happy", "Sad", "NF", "Anger"])
    done: list[tuple[int, int]] = []
    with Recognizer(tiny_model, detector="none", threads=1) as recognizer:
        judged = evaluate_ferplus(tmp_path, "valid", recognizer)
        tested = with_robustness(judged, recognizer, lambda what, at, total: done.append((at, total)))
        assert tested.robustness is not None
        # The third labelled face, under the fourth severity of rotation.
        worse = corrupt(judged.pixels[2], "rotation", 4, seed=2)
        [expected] = recognizer.answers([worse]).emotion
    assert tested.robustness.emotion[2, NAMES.index("rotation"), 3] == expected
    assert done == [(1, 3), (2, 3), (3, 3)]
    record = tested.to_dict()
    assert record["corruptions"]["clean_accuracy"] == record["accuracy"]
    assert list(record["corruptions"]["accuracy"]) == [*CORRUPTIONS, *FRAMINGS]


def test_the_sheet_shows_every_corruption_beside_the_face() -> None:
    sheet = np.asarray(draw_corruptions(whole_view(FACE), seed=1))
    assert sheet.shape[2] == 3
    rows = np.split(sheet[30:, 128:], len(TITLES))
    assert len({row[:96, :96].tobytes() for row in rows}) == 1  # the face as it is
    assert len({row[:96, 5 * 102 : 5 * 102 + 96].tobytes() for row in rows}) == len(TITLES)
