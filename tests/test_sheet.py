"""Sheets: everything has a place of its own, says the truth, and can be read."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface import InputError
from esrface.canvas import PANEL, PAPER, TRACK, Area, Canvas, on_dark
from esrface.emotions import AROUSAL, EMOTION_COLORS, EMOTIONS, PLEASANT, UNPLEASANT
from esrface.results import Face
from esrface.saliency import Saliency
from esrface.sheet import (
    TILE,
    branch_sheet,
    draw_branches,
    draw_emotions,
    emotion_sheet,
)
from made_faces import make_face

Image = NDArray[np.uint8]


def explained(face: Face, class_maps: NDArray[np.float32] | None = None) -> Face:
    """The face with maps: random ones unless given."""
    expression = face.expression
    if class_maps is None:
        shape = (len(expression.branch_emotions), 8, 6, 6)
        class_maps = np.random.default_rng(4).normal(size=shape).astype(np.float32)
    return replace(face, saliency=Saliency(class_maps, expression.emotion, expression.branch_emotions))


def skin(width: int = 120, height: int = 120) -> Image:
    """Flat and of a hue, so that grey in a sheet tells that something was done to it."""
    return np.full((height, width, 3), (200, 140, 120), dtype=np.uint8)


def color_of(emotion: str) -> tuple[int, int, int]:
    return on_dark(EMOTION_COLORS[EMOTIONS.index(emotion)])


def columns_with(pixels: Image, color: tuple[int, int, int]) -> NDArray[np.intp]:
    return np.flatnonzero((pixels == np.array(color, dtype=np.uint8)).all(axis=2).any(axis=0))


def overlap(one: Area, other: Area) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def check_layout(canvas: Canvas) -> None:
    """All texts and pictures lie on the sheet, and no text touches another or a picture."""
    for index, (text, place) in enumerate(canvas.texts):
        assert place.x >= 8, text
        assert place.y >= 8, text
        assert place.right <= canvas.width - 8, text
        assert place.bottom <= canvas.height - 8, text
        for other, where in canvas.texts[index + 1 :]:
            assert not overlap(place, where), (text, other)
        assert not any(overlap(place, picture) for picture in canvas.pictures), text
    for index, picture in enumerate(canvas.pictures):
        assert picture.right <= canvas.width
        assert picture.bottom <= canvas.height
        assert not any(overlap(picture, other) for other in canvas.pictures[index + 1 :])


def row_of(canvas: Canvas, title: str) -> Image:
    """The pixels of a table row right of its title, at scale 1."""
    [place] = [place for text, place in canvas.texts if text == title]
    middle = round(place.middle)
    return canvas.pixels()[middle - 20 : middle + 20, round(place.right) + 1 :]


@pytest.mark.parametrize("emotion", ["Contempt", "Surprise"])
@pytest.mark.parametrize("saliency", [True, False])
@pytest.mark.parametrize("branches", [1, 4, 9, 10])
def test_texts_and_pictures_never_touch(branches: int, saliency: bool, emotion: str) -> None:
    """With the longest names, the widest numbers, and ten branches as with one."""
    face = explained(
        make_face(
            emotion,
            branches=branches,
            dissenters=min(2, branches - 1),
            confidence=0.996,
            valence=-0.888,
            arousal=-0.888,
            affect_source="circumplex",
        )
    )
    check_layout(draw_branches(skin(), face, saliency=saliency))
    check_layout(draw_emotions(skin(), face))


@pytest.mark.parametrize("scale", [0.7, 1, 2.5])
def test_a_sheet_is_the_same_at_any_scale(scale: float) -> None:
    face = explained(make_face())
    for draw in (draw_branches, draw_emotions):
        once, scaled = draw(skin(), face), draw(skin(), face, scale=scale)
        check_layout(scaled)
        height, width = once.pixels().shape[:2]
        assert scaled.pixels().shape == pytest.approx((height * scale, width * scale, 3), abs=1)
        for (text, place), (same, other) in zip(once.texts, scaled.texts, strict=True):
            assert text == same
            assert (place.x, place.middle) == pytest.approx((other.x, other.middle), abs=12)


def test_sheets_fit_a_page_and_a_readme() -> None:
    face = explained(make_face(branches=9))
    for sheet in (branch_sheet(skin(), face), emotion_sheet(skin(), face)):
        assert sheet.dtype == np.uint8
        assert 700 < sheet.shape[0] < 1000 < sheet.shape[1] < 1300
    few = explained(make_face(branches=4))
    # Fewer branches get more room each instead of an empty half.
    assert branch_sheet(skin(), few).shape[0] == pytest.approx(branch_sheet(skin(), face).shape[0], abs=80)
    assert emotion_sheet(skin(), few).shape[1] < emotion_sheet(skin(), face).shape[1]


def test_every_row_says_what_its_branch_says() -> None:
    canvas = draw_branches(skin(), explained(make_face("Happy", branches=5, dissenters=2, confidence=0.6)))
    texts = [text for text, _ in canvas.texts]
    assert [text for text in texts if text.startswith(("Ensemble", "Branch"))] == [
        "Ensemble",
        *(f"Branch {number}" for number in range(1, 6)),
    ]
    assert "3 of 5 branches agree" in texts
    assert "uncertainty 0.40" in texts
    for title in ("Ensemble", "Branch 1", "Branch 2", "Branch 3"):
        assert len(columns_with(row_of(canvas, title), color_of("Happy"))) > 80
        assert not len(columns_with(row_of(canvas, title), color_of("Neutral")))
    for title in ("Branch 4", "Branch 5"):
        assert len(columns_with(row_of(canvas, title), color_of("Neutral"))) > 5
        assert not len(columns_with(row_of(canvas, title), color_of("Happy")))


def test_bars_are_as_long_as_the_numbers_say() -> None:
    lengths = []
    for confidence in (0.25, 0.5, 1.0):
        canvas = draw_branches(skin(), explained(make_face("Anger", confidence=confidence)))
        lengths.append(len(columns_with(row_of(canvas, "Ensemble"), color_of("Anger"))))
        assert [text for text, _ in canvas.texts].count(f"{confidence:.0%}") >= 2
    assert lengths[0] == pytest.approx(lengths[2] / 4, abs=2)
    assert lengths[1] == pytest.approx(lengths[2] / 2, abs=2)


def test_arousal_and_valence_point_the_right_way() -> None:
    for value, valence_color in ((0.5, PLEASANT), (-0.5, UNPLEASANT)):
        face = explained(make_face(valence=value, arousal=value))
        canvas = draw_branches(skin(), face)
        [title] = [place for text, place in canvas.texts if text == "Branch 3"]
        middles = {text: place.x + place.width / 2 - title.right for text, place in canvas.texts}
        row = row_of(canvas, "Branch 3")
        for name, color in (("Arousal", AROUSAL), ("Valence", valence_color)):
            filled = columns_with(row, color)
            assert len(filled) > 20
            assert np.sign(filled.mean() - middles[name]) == np.sign(value)
        assert [text for text, _ in canvas.texts].count(f"{value:+.2f}") == 2 * 10
    # Values beyond -1..1 fill the bar to its end and are written as they are.
    canvas = draw_branches(skin(), explained(make_face(valence=-1.3)))
    assert "-1.30" in [text for text, _ in canvas.texts]
    check_layout(canvas)


def test_the_source_of_affect_is_named_where_no_layer_gave_it() -> None:
    notes = [
        [text for text, _ in draw_branches(skin(), explained(make_face(affect_source=source))).texts]
        for source in ("circumplex", "network")
    ]
    [extra] = set(notes[0]) - set(notes[1])
    assert extra == "Arousal and valence are read out of the emotions' probabilities."


def corner_maps() -> NDArray[np.float32]:
    """(9, 8, 6, 6): each branch sees happiness at the top left, anger at the bottom right, nothing else."""
    maps = np.full((9, 8, 6, 6), -1, dtype=np.float32)
    maps[:, EMOTIONS.index("Happy"), 0, 0] = 1
    maps[:, EMOTIONS.index("Anger"), 5, 5] = 1
    return maps


def heat_places(canvas: Canvas, picture: Area) -> tuple[bool, bool]:
    """Whether a picture has heat (red far above blue) in its top left, in its bottom right quarter."""
    x0, y0, x1, y1 = (round(edge) for edge in (picture.x, picture.y, picture.right, picture.bottom))
    pixels = canvas.pixels()[y0:y1, x0:x1].astype(int)
    hot = pixels[..., 0] - pixels[..., 2] > 60
    height, width = hot.shape
    return bool(hot[: height // 2, : width // 2].any()), bool(hot[height // 2 :, width // 2 :].any())


def test_maps_lie_in_their_rows() -> None:
    face = explained(make_face("Happy", dissenters=0), corner_maps())
    canvas = draw_branches(np.full((90, 90, 3), 120, np.uint8), face)
    # The face itself, the ten maps, the scale of colours.
    assert len(canvas.pictures) in (12, 13)
    tiles = [picture for picture in canvas.pictures[1:] if picture.height == picture.width]
    assert len(tiles) == 10
    assert all(heat_places(canvas, tile) == (True, False) for tile in tiles)
    assert "Evidence for Happy" in [text for text, _ in canvas.texts]
    assert face.saliency is not None
    angry = replace(face, saliency=face.saliency.explain("Anger"))
    canvas = draw_branches(np.full((90, 90, 3), 120, np.uint8), angry)
    tiles = [picture for picture in canvas.pictures[1:] if picture.height == picture.width]
    assert all(heat_places(canvas, tile) == (False, True) for tile in tiles)
    assert "Evidence for Anger" in [text for text, _ in canvas.texts]
    mixed = draw_branches(skin(), explained(make_face("Happy", dissenters=2), corner_maps()))
    assert "Evidence for each row's emotion" in [text for text, _ in mixed.texts]


def test_without_maps_there_are_none() -> None:
    face = make_face()
    canvas = draw_branches(skin(), face, saliency=False)
    assert len(canvas.pictures) == 1
    assert not any("Map" in text or "Evidence" in text for text, _ in canvas.texts)
    for sheet in (branch_sheet, emotion_sheet):
        with pytest.raises(
            InputError, match="this face has no maps to show: recognise it with saliency=True"
        ):
            sheet(skin(), face)


def test_every_emotion_meets_every_branch() -> None:
    canvas = draw_emotions(np.full((90, 90, 3), 120, np.uint8), explained(make_face("Happy"), corner_maps()))
    tiles = canvas.pictures[1:]
    assert len(tiles) == 8 * 10
    for index, emotion in enumerate(EMOTIONS):
        expected = (emotion == "Happy", emotion == "Anger")
        row = tiles[index * 10 : index * 10 + 10]
        assert len({tile.y for tile in row}) == 1
        assert all(heat_places(canvas, tile) == expected for tile in row), emotion
        [label] = [place for text, place in canvas.texts if text == emotion]
        assert row[0].y < label.middle < row[0].bottom
    titles = ["Ensemble", *(f"Branch {number}" for number in range(1, 10))]
    for title, tile in zip(titles, tiles, strict=False):
        [place] = [place for text, place in canvas.texts if text == title]
        assert place.x + place.width / 2 == pytest.approx(tile.x + TILE / 2, abs=2)


def test_answers_are_framed_in_their_emotions_colour() -> None:
    """Branches 8 and 9 say Neutral, the ensemble and the others say Happy."""
    canvas = draw_emotions(skin(), explained(make_face("Happy", branches=9, dissenters=2)))
    pixels = canvas.pixels()
    for index, tile in enumerate(canvas.pictures[1:]):
        emotion, column = EMOTIONS[index // 10], index % 10
        above = tuple(pixels[round(tile.y) - 2, round(tile.x + tile.width / 2)])
        answer = "Neutral" if column in (8, 9) else "Happy"
        assert above == (color_of(emotion) if emotion == answer else PAPER), (emotion, column)


@pytest.mark.parametrize("size", [(1, 1), (30, 200), (300, 40), (17, 17)])
def test_crops_of_any_shape_keep_it(size: tuple[int, int]) -> None:
    width, height = size
    face = explained(make_face())
    for draw in (draw_branches, draw_emotions):
        canvas = draw(skin(width, height), face)
        check_layout(canvas)
        large = canvas.pictures[0]
        assert large.width / large.height == pytest.approx(width / height, rel=0.01)
        x, y = round(large.x + large.width / 2), round(large.middle)
        assert tuple(canvas.pixels()[y, x]) == (200, 140, 120), "the face is shown in its own colours"


def test_letters_stand_out() -> None:
    canvas = draw_branches(skin(), explained(make_face("Surprise")))
    pixels = canvas.pixels().astype(int)
    for text, place in canvas.texts:
        around = pixels[int(place.y) - 1 : round(place.bottom) + 1, int(place.x) - 1 : round(place.right) + 1]
        assert around.max() > 150, text
        assert np.median(around) < 70, text
        assert place.height >= 7, text


def test_a_bar_is_never_a_sliver_and_an_empty_one_is_empty() -> None:
    for share, expected in ((0.0, 0), (0.02, 10), (0.5, 50), (1.0, 100), (1.7, 100)):
        canvas = Canvas(140, 40)
        canvas.bar(Area(20, 15, 100, 10), share, (255, 0, 0))
        pixels = canvas.pixels()
        assert len(columns_with(pixels, (255, 0, 0))) == pytest.approx(expected, abs=2)
        assert tuple(pixels[5, 5]) == PAPER
        assert share >= 1 or tuple(pixels[20, 110]) == TRACK
    assert PANEL != PAPER
