"""What is drawn onto the frames of a video: calm, told apart, and never over a face that is not its own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from esrface import Box
from esrface.annotate_tracks import TrackPainter, track_color
from esrface.video import TrackedFace
from made_faces import make_face

GREY = np.full((360, 640, 3), 90, np.uint8)


def face(box: tuple[int, int, int, int], track_id: int | None = 1, **expression: Any) -> TrackedFace:
    return TrackedFace(Box(*box), 0.9, None, make_face(**expression).expression, track_id=track_id)


def drawn(before: np.ndarray, after: np.ndarray) -> Box:
    """Where something differs."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def label(face_box: Box, image: np.ndarray) -> Box:
    """Where something was drawn beyond a face's frame."""
    beyond = (image != GREY).any(axis=2)
    top, left = max(0, face_box.y0 - 4), max(0, face_box.x0 - 4)
    beyond[top : face_box.y1 + 4, left : face_box.x1 + 4] = False
    rows, columns = np.nonzero(beyond)
    return Box(int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1)


def test_the_picture_given_stays_as_it_is() -> None:
    image = GREY.copy()
    image.setflags(write=False)
    painted = TrackPainter().paint(image, [face((200, 100, 300, 220))])
    assert (image == 90).all()
    assert painted.shape == image.shape
    assert painted.dtype == np.uint8
    assert (painted != image).any()


def test_no_face_no_mark() -> None:
    assert np.array_equal(TrackPainter().paint(GREY, []), GREY)


def test_the_middle_of_a_face_is_left_free() -> None:
    painted = TrackPainter().paint(GREY, [face((200, 100, 300, 220))])
    assert np.array_equal(painted[110:210, 210:290], GREY[110:210, 210:290])


def test_tracks_in_a_row_differ_in_colour_and_keep_it() -> None:
    colours = [np.array(track_color(track_id), float) for track_id in range(1, 40)]
    for one, other in pairwise(colours):
        assert np.linalg.norm(one - other) > 90
    for near in range(2, 6):
        assert min(np.linalg.norm(a - b) for a, b in zip(colours, colours[near:], strict=False)) > 25
    # Each stands out on the dark plate that its number is written on.
    assert all(colour @ [0.299, 0.587, 0.114] > 120 for colour in colours)
    assert track_color(7) == track_color(7)


def test_label_keeps_its_place_and_size_while_the_face_trembles() -> None:
    painter = TrackPainter()
    random = np.random.default_rng(3)
    offsets, sizes = set(), set()
    for _ in range(30):
        dx, dy, grow = (int(v) for v in random.integers(-3, 4, 3))
        box = Box(200 + dx, 150 + dy, 290 + dx + grow, 260 + dy)
        place = label(box, painter.paint(GREY, [face(tuple(box))]))
        offsets.add((place.x0 - box.x0, place.y1 - box.y0))
        sizes.add((place.width, place.height))
    assert len(sizes) == 1
    assert max(abs(x - y) for x, _ in offsets for y, _ in offsets) <= 1
    assert max(abs(x - y) for _, x in offsets for _, y in offsets) <= 1


def test_label_returns_to_nobody_elses_face() -> None:
    other = Box(210, 60, 300, 180)
    alone = TrackPainter().paint(GREY, [face(tuple(other), 2)])
    both = TrackPainter().paint(GREY, [face((200, 190, 290, 300)), face(tuple(other), 2)])
    inner = (slice(other.y0, other.y1), slice(other.x0, other.x1))
    assert np.array_equal(both[inner], alone[inner])


def test_at_the_picture_s_edges_labels_are_whole() -> None:
    middle = Box(200, 120, 290, 230)
    whole = label(middle, TrackPainter().paint(GREY, [face(tuple(middle))]))
    assert whole.width > middle.width
    for x, y in [(0, 0), (550, 0), (0, 250), (550, 250), (0, 120), (550, 120), (200, 0), (200, 250)]:
        corner = Box(x, y, x + 90, y + 110)
        place = label(corner, TrackPainter().paint(GREY, [face(tuple(corner))]))
        assert (place.width, place.height) == (whole.width, whole.height), (x, y)


def test_a_face_as_large_as_the_picture_has_its_label_within() -> None:
    happy, sad = (
        TrackPainter().paint(GREY, [face((0, 0, 640, 360), emotion=emotion)]) for emotion in ("Happy", "Sad")
    )
    # Only the label says which it is.
    assert drawn(happy, sad).width > 20


def test_smoothed_answer_is_what_is_shown() -> None:
    one = face((200, 100, 300, 220), emotion="Happy")
    smooth = TrackedFace(
        one.box,
        0.9,
        None,
        make_face("Sad").expression,
        track_id=1,
        smoothed=make_face("Happy").expression,
    )
    assert np.array_equal(TrackPainter().paint(GREY, [one]), TrackPainter().paint(GREY, [smooth]))


def test_unsure_answers_are_marked() -> None:
    one = [face((200, 100, 300, 220))]
    limit = one[0].expression.confidence
    sure = TrackPainter(abstain_below=limit - 0.01).paint(GREY, one)
    assert np.array_equal(sure, TrackPainter().paint(GREY, one))
    assert not np.array_equal(sure, TrackPainter(abstain_below=limit + 0.01).paint(GREY, one))


@pytest.mark.parametrize("size_wh", [(3, 3), (40, 30), (64, 48)])
def test_tiny_pictures(size_wh: tuple[int, int]) -> None:
    tiny = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    assert TrackPainter().paint(tiny, [face((0, 0, *size_wh))]).shape == tiny.shape


def test_a_crowd_gets_all_its_labels_within_the_picture() -> None:
    crowd = [
        face((20 + 60 * (n % 10), 20 + 80 * (n // 10), 60 + 60 * (n % 10), 70 + 80 * (n // 10)), n + 1)
        for n in range(40)
    ]
    painted = TrackPainter().paint(GREY, crowd)
    assert painted.shape == GREY.shape
