"""Annotated pictures: what must be there, what must stay untouched, at any size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface.annotate import UNSURE, annotate
from esrface.emotions import EMOTION_COLORS, EMOTIONS
from esrface.labels import DETAILS, Label, label_text, place_labels
from esrface.results import Box, Face
from made_faces import make_face


def grey(width: int, height: int) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 128, dtype=np.uint8)


def has_color(image: NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool((image == np.array(color, dtype=np.uint8)).all(axis=2).any())


def crowd(columns: int, rows: int, side: int, gap: int) -> list[Face]:
    step = side + gap
    return [
        make_face(
            EMOTIONS[(x + y) % 8],
            box=Box(gap + x * step, gap + y * step, gap + x * step + side, gap + y * step + side),
        )
        for y in range(rows)
        for x in range(columns)
    ]


def overlap(first: Box, second: Box) -> bool:
    return first.x0 < second.x1 and second.x0 < first.x1 and first.y0 < second.y1 and second.y0 < first.y1


def test_the_input_stays_as_it_is_and_nothing_is_drawn_without_faces() -> None:
    image = grey(200, 100)
    image.setflags(write=False)
    plain = annotate(image, [])
    assert np.array_equal(plain, image)
    marked = annotate(image, [make_face(box=Box(50, 40, 120, 95))])
    assert marked.shape == image.shape
    assert marked.dtype == np.uint8
    assert (image == 128).all()
    assert not np.array_equal(marked, image)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_the_frame_has_the_emotions_colour_and_lies_on_the_box(emotion: str) -> None:
    box = Box(60, 60, 160, 180)
    marked = annotate(grey(300, 300), [make_face(emotion, box=box)])
    color = EMOTION_COLORS[EMOTIONS.index(emotion)]
    assert tuple(marked[120, 60]) == tuple(marked[120, 159]) == tuple(marked[60, 110]) == color
    assert (marked[80:160, 80:140] == 128).all(), "the face itself must stay visible"


def test_an_unsure_answer_is_grey_and_has_a_question_mark() -> None:
    face = make_face("Happy", box=Box(60, 60, 160, 180), confidence=0.4)
    assert tuple(annotate(grey(300, 300), [face], abstain_below=0.5)[120, 60]) == UNSURE
    assert tuple(annotate(grey(300, 300), [face], abstain_below=0.4)[120, 60]) != UNSURE
    assert label_text(face, "share", True) == ("Happy?", "40%")
    assert label_text(make_face(confidence=0.9999), "share", False) == ("Happy", ">99%")


@pytest.mark.parametrize(
    ("size", "face_share"), [(64, 0.5), (200, 0.5), (1000, 0.1), (1000, 0.9), (4000, 0.3)]
)
def test_at_any_size_the_label_is_inside_legible_and_off_the_face(size: int, face_share: float) -> None:
    side = int(size * face_share)
    x0 = (size - side) // 2
    face = make_face("Surprise", box=Box(x0, x0, x0 + side, x0 + side))
    [label] = place_labels((size, size), [face], [False])
    plate = label.plate
    assert plate.x0 >= 0
    assert plate.y0 >= 0
    assert plate.x1 <= size
    assert plate.y1 <= size
    assert label.font_size >= 10
    if face_share < 0.9:
        assert not overlap(plate, face.box)
    marked = annotate(grey(size, size), [face])
    inside = marked[plate.y0 : plate.y1, plate.x0 : plate.x1].astype(int)
    assert inside.max() > 225, "letters stand out"
    assert np.median(inside) < 70, "on a dark plate"


def test_one_face_gets_everything_and_a_crowd_gets_less_without_a_mess() -> None:
    [alone] = place_labels((600, 600), [make_face(box=Box(250, 250, 400, 400))], [False])
    assert alone.detail == "full"
    faces = crowd(8, 5, side=60, gap=40)
    labels = place_labels((900, 600), faces, [False] * len(faces))
    assert {label.face for label in labels} == set(range(40))
    assert {label.detail for label in labels} <= set(DETAILS[1:])
    check_no_overlaps(labels, faces)


def test_where_there_is_no_room_at_all_labels_are_left_out() -> None:
    faces = crowd(30, 30, side=14, gap=2)
    labels = place_labels((500, 500), faces, [False] * len(faces))
    assert len(labels) < len(faces)
    check_no_overlaps(labels, faces)
    annotate(grey(500, 500), faces)


def check_no_overlaps(labels: list[Label], faces: list[Face]) -> None:
    for index, label in enumerate(labels):
        others = [other.plate for other in labels[index + 1 :]]
        others += [face.box for number, face in enumerate(faces) if number != label.face]
        assert not any(overlap(label.plate, other) for other in others)


def test_faces_at_the_edge_and_of_one_pixel_are_drawn() -> None:
    image = grey(120, 90)
    corners = [
        Box(0, 0, 40, 40),
        Box(80, 50, 120, 90),
        Box(60, 60, 61, 61),
        Box(0, 0, 120, 90),
        Box(5, 80, 100, 82),
    ]
    marked = annotate(image, [make_face(box=box) for box in corners])
    assert marked.shape == image.shape
    assert has_color(marked, EMOTION_COLORS[1])
    assert annotate(grey(1, 1), [make_face(box=Box(0, 0, 1, 1))]).shape == (1, 1, 3)


def test_valence_and_arousal_point_the_right_way() -> None:
    """The bar's part right of the middle is coloured for positive values, the left part for negative ones."""
    color = np.array(EMOTION_COLORS[1])
    box = Box(200, 200, 400, 400)
    sides = []
    for valence in (0.9, -0.9):
        face = make_face(box=box, valence=valence, arousal=0.0)
        [label] = place_labels((600, 600), [face], [False])
        assert label.detail == "full"
        plate = label.plate
        top = plate.y0 + label.padding_y + label.line_height + label.gap
        line = annotate(grey(600, 600), [face])[top : top + label.small_line_height, plate.x0 : plate.x1]
        columns = np.flatnonzero((np.abs(line.astype(int) - color).sum(axis=2) < 12).any(axis=0))
        assert len(columns) > 10
        sides.append(columns.mean())
    assert sides[0] > sides[1] + 10


def test_affect_read_out_of_emotions_says_so() -> None:
    plain, derived = (
        place_labels((600, 600), [make_face(box=Box(200, 200, 400, 400), affect_source=source)], [False])[0]
        for source in ("network", "circumplex")
    )
    assert derived.plate.height - plain.plate.height == derived.small_line_height
