"""The screen as pixels: everything has its place, says the truth, can be read, and looks as it did."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from esrface.annotate_tracks import track_color
from esrface.canvas import PANEL, Area, Canvas
from esrface.emotions import PLEASANT, UNPLEASANT
from esrface.labels import shortened, writable
from esrface.screen.compose import NO_FACE, Screen
from esrface.screen.feed import ClipFeed
from esrface.screen.parts import VALENCE
from esrface.screen.scene import History, Moment, ScreenSettings, affect_of, numbered
from esrface.screen.stage import Stage
from esrface.screen.viewport import LARGEST, WHOLE
from esrface.video import Frame
from made_faces import make_face
from screens import Image, crop, scene, tracked

SIZES = [(1024, 768), (1440, 900), (1920, 1080), (640, 480), (2000, 700)]
HINT = "space: pause   right: step   n: next face   s: save   Esc: end"
GOLDEN = Path(__file__).parent / "golden"
GOLDENS = {
    "ensemble": (ScreenSettings(), (1024, 768)),
    "maps": (ScreenSettings(saliency=True), (1024, 768)),
    "branches": (ScreenSettings(branches=True, saliency=True), (1440, 900)),
}


def overlap(one: Area, other: Area) -> bool:
    return one.x < other.right and other.x < one.right and one.y < other.bottom and other.y < one.bottom


def check_layout(canvas: Canvas) -> None:
    """All texts and pictures lie on the screen, and none touches another."""
    assert all(place.x >= 0 and place.y >= 0 for _, place in canvas.texts)
    for text, place in canvas.texts:
        assert place.right <= canvas.width + 0.01, text
        assert place.bottom <= canvas.height + 0.01, text
        assert not any(overlap(place, picture) for picture in canvas.pictures), text
    for (text, place), (other, where) in combinations(canvas.texts, 2):
        assert not overlap(place, where), (text, other)
    for picture, other_picture in combinations(canvas.pictures, 2):
        assert not overlap(picture, other_picture)
    for picture in canvas.pictures:
        assert picture.x >= 0
        assert picture.y >= 0
        assert picture.right <= canvas.width
        assert picture.bottom <= canvas.height


def words(canvas: Canvas) -> list[str]:
    return [text for text, _ in canvas.texts]


def has(pixels: Image, color: tuple[int, int, int]) -> int:
    """How many pixels have exactly this colour."""
    return int((pixels == np.array(color, np.uint8)).all(axis=2).sum())


@pytest.mark.parametrize("size_wh", SIZES)
@pytest.mark.parametrize("branches", [False, True])
@pytest.mark.parametrize("saliency", [False, True])
@pytest.mark.parametrize("past", [None, 0, 1, 60])
def test_nothing_overlaps_or_falls_off(
    size_wh: tuple[int, int], branches: bool, saliency: bool, past: int | None
) -> None:
    screen = Screen(ScreenSettings(branches, saliency, abstain_below=0.9), crop)
    long = scene(3, title="a folder with a long name/" * 12 + "clip.mp4", past=past)
    canvas = screen.draw(long, size_wh, chosen=2, hint=HINT, note="saved " + "name" * 60 + ".png")
    assert canvas.pixels().shape == (size_wh[1], size_wh[0], 3)
    check_layout(canvas)
    assert "Contempt?" in words(canvas)


@pytest.mark.parametrize("count", [1, 3, 8, 25])
@pytest.mark.parametrize("size_wh", [(1024, 768), (2000, 700)])
@pytest.mark.parametrize(("branches", "saliency"), [(False, False), (False, True), (True, True)])
def test_any_number_of_new_classes_has_room_or_is_counted(
    count: int, size_wh: tuple[int, int], branches: bool, saliency: bool
) -> None:
    new = ("Confused by the question that was asked", *(f"Class {number}" for number in range(count - 1)))
    screen = Screen(ScreenSettings(branches, saliency, abstain_below=0.9), crop)
    canvas = screen.draw(scene(3, past=60, new=new), size_wh, hint=HINT)
    check_layout(canvas)
    said = words(canvas)
    assert any(word.startswith("Con") and word.endswith("?") for word in said)
    if not branches:
        listed = sum(word.startswith(("Class", "Conf")) and not word.endswith("?") for word in said)
        left_out = sum(int(word.split()[1]) for word in said if word.endswith("less probable"))
        assert listed + left_out == count
        assert bool(left_out) == (count > 8)


@pytest.mark.parametrize("count", [1, 2, 4, 9, 10, 12, 30])
@pytest.mark.parametrize("size_wh", SIZES[:3])
@pytest.mark.parametrize("affect_source", ["network", "circumplex"])
def test_any_number_of_branches_has_room_or_is_counted(
    count: int, size_wh: tuple[int, int], affect_source: str
) -> None:
    screen = Screen(ScreenSettings(branches=True, saliency=True), crop)
    canvas = screen.draw(scene(branches=count, affect_source=affect_source), size_wh, hint=HINT)
    check_layout(canvas)
    said = words(canvas)
    rows = sum(word in {str(number) for number in range(1, count + 1)} for word in said)
    # A graph's axis has a 1 of its own.
    listed = rows - 1
    left_out = [int(word.split()[1]) for word in said if word.startswith("and ")]
    assert listed + sum(left_out) == count
    assert count > 12 or not left_out
    assert any("read out of the emotions" in word for word in said) == (affect_source == "circumplex")


def test_numbers_are_those_of_the_chosen_face() -> None:
    shown_scene = scene(3)
    for face in shown_scene.faces:
        canvas = Screen(ScreenSettings(), crop).draw(shown_scene, (1024, 768), chosen=face.track_id)
        said, expression = words(canvas), face.expression
        assert f"Face {face.track_id}" in said
        assert expression.emotion in said
        assert said.count(f"{expression.confidence:.0%}") == 2
        assert "one of 3 here" in said
        activation, valence = affect_of(expression)
        assert f"{activation:.2f}" in said
        assert f"{max(valence, 0):.2f}" in said
        assert (f"{valence:.2f}" in said) == (valence != 0)


def test_activation_is_mapped_as_in_the_original_and_valence_is_not() -> None:
    expression = make_face(valence=-1.3, arousal=1.8).expression
    assert affect_of(expression) == (1.0, -1.3)
    assert affect_of(make_face(arousal=-0.5).expression)[0] == 0.25


def test_unpleasant_faces_have_the_other_bar() -> None:
    pleasant, unpleasant = (
        Screen(ScreenSettings(plot=False), crop).draw(scene(2), (1024, 768), chosen=track).pixels()
        for track in (1, 2)
    )
    assert has(pleasant, PLEASANT)
    assert not has(pleasant, UNPLEASANT)
    assert has(unpleasant, UNPLEASANT)
    assert not has(unpleasant, PLEASANT)


def test_a_track_that_is_gone_gives_way_to_the_largest_face() -> None:
    canvas = Screen(ScreenSettings(), crop).draw(scene(2), (1024, 768), chosen=77)
    assert "Face 1" in words(canvas)


@pytest.mark.parametrize("branches", [False, True])
def test_without_a_face_it_says_so(branches: bool) -> None:
    canvas = Screen(ScreenSettings(branches=branches), crop).draw(scene(0), (1024, 768), hint=HINT)
    assert NO_FACE in words(canvas)
    check_layout(canvas)


def test_every_face_is_framed_in_its_track_s_colour() -> None:
    pixels = Screen(ScreenSettings(), crop).draw(scene(3), (1440, 900)).pixels()
    for track in (1, 2, 3):
        assert has(pixels, track_color(track)) > 200


def test_maps_are_over_the_face_only_when_asked_for() -> None:
    def tiles(settings: ScreenSettings) -> int:
        return len(Screen(settings, crop).draw(scene(1), (1440, 900)).pictures)

    assert tiles(ScreenSettings()) == 2
    assert tiles(ScreenSettings(saliency=True)) == 3
    assert tiles(ScreenSettings(branches=True)) == 2
    assert tiles(ScreenSettings(branches=True, saliency=True)) == 3 + 9


def test_no_plot_and_single_pictures_have_no_graph() -> None:
    def graph(settings: ScreenSettings, past: int | None) -> bool:
        return has(Screen(settings, crop).draw(scene(past=past), (1024, 768)).pixels(), VALENCE) > 0

    assert graph(ScreenSettings(), 40)
    assert graph(ScreenSettings(branches=True), 40)
    assert not graph(ScreenSettings(plot=False), 40)
    assert not graph(ScreenSettings(), None)


def test_gap_in_the_past_is_a_gap_in_the_graph() -> None:
    def columns(with_gap: bool) -> int:
        past = tuple(Moment(n / 5, {} if with_gap and 20 <= n < 40 else {1: (0.9, -0.5)}) for n in range(60))
        drawn = Screen(ScreenSettings(), crop).draw(replace(scene(1), past=past), (1024, 768)).pixels()
        return int((drawn[500:] == np.array(VALENCE, np.uint8)).all(axis=2).any(axis=0).sum())

    whole, broken = columns(False), columns(True)
    assert 0.55 < broken / whole < 0.75


def test_history_follows_tracks_and_forgets() -> None:
    history = History(3)
    for number in range(5):
        faces = (tracked(0),) if number % 2 else (tracked(0), tracked(1))
        past = history.add(Frame(number, number / 10, np.zeros((4, 4, 3), np.uint8), faces))
    assert [moment.time_s for moment in past] == [0.2, 0.3, 0.4]
    assert [sorted(moment.affect) for moment in past] == [[1, 2], [1], [1, 2]]


def test_smoothed_answers_are_shown_where_there_are_such() -> None:
    face = replace(tracked(0), smoothed=make_face("Anger", confidence=0.61).expression)
    said = words(Screen(ScreenSettings(), crop).draw(replace(scene(1), faces=(face,)), (1024, 768)))
    assert "61%" in said
    assert "75%" not in said


def test_zoom_is_sharp_and_stays_at_the_pointer() -> None:
    screen, size_wh = Screen(ScreenSettings(), crop), (1024, 768)
    near = WHOLE.zoomed(8, 0.7, 0.3)
    assert near.place(0.7, 0.3) == pytest.approx((0.7, 0.3))
    small = screen.draw(scene(1), size_wh).pixels()
    large = screen.draw(scene(1), size_wh, view=near, hint=HINT).pixels()
    assert large.shape == small.shape
    part = near.seen(1024, 768)
    cut = PIL.Image.fromarray(small).resize(
        size_wh, PIL.Image.Resampling.BICUBIC, (part.x, part.y, part.right, part.bottom)
    )
    # The same things in the same places, letters and edges sharper; the line at the bottom stays.
    above = slice(0, 720)
    assert np.abs(large[above].astype(int) - np.asarray(cut)[above]).mean() < 8
    assert np.abs(large[above].astype(int) - small[above]).mean() > 20
    assert has(large[735:], PANEL) > 10_000


def test_zoom_never_leaves_the_screen() -> None:
    view = WHOLE
    for steps, x, y in [(30, 0.99, 0.01), (-2, 0.0, 1.0), (3, 0.5, 0.5)]:
        view = view.zoomed(steps, x, y).moved(0.4, -0.7)
        part = view.seen(1.0, 1.0)
        assert part.x >= 0
        assert part.y >= 0
        assert part.right <= 1 + 1e-9
        assert part.bottom <= 1 + 1e-9
        assert 1 <= view.zoom <= LARGEST
    assert view.zoomed(-100, 0.3, 0.3) == WHOLE


def test_click_finds_the_face() -> None:
    screen, there = Screen(ScreenSettings(), crop), scene(2)
    pixels = screen.draw(there, (1024, 768)).pixels()
    rows, columns = np.nonzero((pixels[:600] == np.array(track_color(2), np.uint8)).all(axis=2))
    left = columns < 560
    x, y = float(np.median(columns[left])), float(rows[left].mean())
    hit = screen.face_at(there, (1024, 768), x / 1024, y / 768)
    assert hit is not None
    assert hit.track_id == 2
    assert screen.face_at(there, (1024, 768), 0.01, 0.01) is None


def test_long_names_are_shortened_in_the_middle_and_odd_letters_replaced() -> None:
    text = shortened("first" + "-" * 300 + "last.mp4", 14, 200)
    assert text.startswith("first")
    assert text.endswith("last.mp4")
    assert "…" in text
    assert shortened("clip.mp4", 14, 200) == "clip.mp4"
    assert writable("Zoë_東京.mp4") == "Zoe_??.mp4"


def test_faces_of_pictures_are_numbered() -> None:
    assert [face.track_id for face in numbered([make_face(), make_face()])] == [1, 2]


def test_a_clip_begins_without_a_past() -> None:
    stage = Stage()
    feed = ClipFeed(stage, real_time=False)
    for number in range(3):
        feed.show(Frame(number, number / 10, np.zeros((4, 4, 3), np.uint8), (tracked(0),)))
    shown = stage.current()
    assert shown is not None
    assert shown.past is not None
    assert len(shown.past) == 3
    assert shown.place == "0.20 s, frame 2"


def test_a_picture_too_large_to_keep_others_beside_it_is_what_one_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small, large = scene(1), replace(scene(1), image=np.zeros((2000, 2000, 3), np.uint8))
    monkeypatch.setattr("esrface.screen.stage.KEPT_BYTES", 3 * small.image.nbytes)
    stage = Stage(by_hand=True)
    stage.show(small)
    stage.show(replace(small))
    # While the next one is loading, back to the one before.
    stage.step()
    stage.step_back()
    assert stage.current() is small
    stage.show(large)
    assert stage.current() is large
    stage.step_back()
    assert stage.current() is large


@pytest.mark.parametrize("name", GOLDENS)
def test_screens_look_as_they_did(name: str) -> None:
    expected = np.asarray(PIL.Image.open(GOLDEN / f"screen_{name}.png").convert("RGB")).astype(int)
    drawn = golden(name).astype(int)
    assert drawn.shape == expected.shape
    differences = np.abs(drawn - expected).max(axis=2)
    # Versions of libraries draw letters and edges a little differently.
    assert (differences > 48).mean() < 0.01
    assert differences.mean() < 2


def golden(name: str) -> Image:
    """Half the size: small files, and less to tell versions of libraries apart."""
    settings, size_wh = GOLDENS[name]
    canvas = Screen(settings, crop).draw(scene(2), size_wh, hint=HINT, note="paused")
    half = (size_wh[0] // 2, size_wh[1] // 2)
    return np.asarray(PIL.Image.fromarray(canvas.pixels()).resize(half, PIL.Image.Resampling.BOX))


if __name__ == "__main__":
    # python tests/test_screen.py golden: after a change that was looked at.
    if sys.argv[1:] == ["golden"]:
        GOLDEN.mkdir(exist_ok=True)
        for each in GOLDENS:
            image = PIL.Image.fromarray(golden(each))
            image.quantize(128).save(GOLDEN / f"screen_{each}.png", optimize=True)
