"""Two people in one seat are two, and one is one whatever befalls the face: jump cuts before one backdrop."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from esrface import Box
from esrface.detection import Detection
from esrface.video.cuts import CutDetector
from esrface.video.swaps import SIDE, is_swapped, view_of
from esrface.video.tracking import Tracker, pack
from video_fixtures import load_tool

tool = load_tool()
Image = NDArray[np.uint8]
Spoil = Callable[[NDArray[np.float32]], NDArray[np.float32]]
ROOM = tool._room(7, (70, 92, 120))
X, Y, HEAD = 320, 170, 200
FACE = 84
"""Side of the face's box, in a head ``HEAD`` wide."""


@pytest.fixture(scope="module")
def heads() -> dict[str, tuple[Image, Image]]:
    return {who: tool._head(*spec) for who, spec in tool.HEADS.items()}


def sitting(head: tuple[Image, Image], rng: np.random.Generator, spoil: Spoil | None = None) -> Image:
    """Somebody in the seat, as a camera with some noise sees it."""
    picture: Image = ROOM.copy()
    tool._paste(picture, head, tool.Place("", X + rng.normal(0, 1), Y + rng.normal(0, 1), HEAD))
    seen = picture.astype(np.float32)
    seen = (spoil(seen) if spoil else seen) + rng.normal(0, 3, picture.shape)
    return np.clip(seen, 0, 255).astype(np.uint8)


def box(rng: np.random.Generator) -> Box:
    """Where a detector puts the face, more or less."""
    x, y, half = X + rng.normal(0, 2), Y + rng.normal(0, 2), FACE / 2 + rng.normal(0, 1.5)
    return Box(*(round(v) for v in (x - half, y - half, x + half, y + half)))


def numbers(pictures: Iterator[Image], rate: float, tracker: Tracker | None = None) -> list[int]:
    """The number of the one face in each picture."""
    tracker, rng = tracker or Tracker(), np.random.default_rng(4)
    found = (tracker.update(p, [Detection(box(rng), 0.9)], n / rate) for n, p in enumerate(pictures))
    return [ids[0] for ids in found]


@pytest.mark.parametrize("rate", [30, 25, 8, 4])
def test_two_people_in_one_seat_are_two(heads: dict[str, tuple[Image, Image]], rate: float) -> None:
    rng = np.random.default_rng(1)
    turns = ["Hopper"] * 6 + ["Collins"] * 6 + ["Hopper"] * 6
    pictures = [sitting(heads[who], rng) for who in turns]
    cuts = CutDetector()
    assert sum(cuts.is_cut(picture) for picture in pictures) == 0
    ids = numbers(iter(pictures), rate)
    assert len(set(ids[:6])) == len(set(ids[6:12])) == len(set(ids[12:])) == 1
    assert ids[5] != ids[6] != ids[12]


def grey(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(picture.mean(axis=2, keepdims=True), 3, axis=2)


def turned(degrees: float, zoom: float = 1.0) -> Spoil:
    matrix = cv2.getRotationMatrix2D((X, Y), degrees, zoom)
    return lambda picture: np.float32(
        cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
    )


def hidden(left: float, top: float, right: float, bottom: float, colour: tuple[int, int, int]) -> Spoil:
    """Something before the face: its edges in faces from the middle of it."""

    def spoil(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        covered = picture.copy()
        rows = slice(round(Y + FACE * top), round(Y + FACE * bottom))
        covered[rows, round(X + FACE * left) : round(X + FACE * right)] = colour
        return covered

    return spoil


def averaged(scale: float) -> Spoil:
    """As if there were fewer pixels."""

    def spoil(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return np.float32(cv2.resize(small, picture.shape[1::-1]))

    return spoil


def coded(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    data = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 5])[1]
    return np.float32(cv2.imdecode(data, cv2.IMREAD_COLOR))


def mouth_open(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.float32(cv2.ellipse(picture.copy(), (X, Y + 26), (16, 13), 0, 0, 360, (60, 15, 15), -1))


HAND, WHITE, DARK = (170, 125, 105), (235, 235, 235), (30, 30, 40)
SPOILS: dict[str, Spoil] = {
    "blur": lambda picture: np.float32(cv2.GaussianBlur(picture, (0, 0), 0.08 * FACE)),
    "motion blur": lambda picture: np.float32(cv2.blur(picture, (round(0.3 * FACE), 1))),
    "dark": lambda picture: picture * np.float32(0.15),
    "flash": lambda picture: picture * np.float32(2) + np.float32(40),
    "red lamp": lambda picture: picture * np.float32([1.2, 0.3, 0.3]),
    "blue lamp": lambda picture: picture * np.float32([0.2, 0.3, 1.5]),
    "grey": grey,
    "tilted": turned(15),
    "tilted back": turned(-25),
    "nearer": turned(0, 1.25),
    "mouth open": mouth_open,
    "left half hidden": hidden(-1, -1, 0, 1, HAND),
    "right half hidden": hidden(0, -1, 1, 1, HAND),
    "mouth hidden": hidden(-1, 0.1, 1, 1, WHITE),
    "eyes hidden": hidden(-1, -0.25, 1, 0, DARK),
    "few pixels": averaged(0.15),
    "coding": coded,
}


@pytest.mark.parametrize("rate", [30, 4])
@pytest.mark.parametrize("what", SPOILS)
@pytest.mark.parametrize("who", ["Hopper", "Collins"])
def test_one_person_is_one_whatever_befalls_the_face(
    heads: dict[str, tuple[Image, Image]], who: str, what: str, rate: float
) -> None:
    rng = np.random.default_rng(2)
    spoilt = [False, False, False, True, True, False, True, False, False]
    pictures = [sitting(heads[who], rng, SPOILS[what] if bad else None) for bad in spoilt]
    assert set(numbers(iter(pictures), rate)) == {1}


def test_detector_that_puts_one_box_elsewhere_swaps_nobody(heads: dict[str, tuple[Image, Image]]) -> None:
    rng = np.random.default_rng(3)
    before, after = (sitting(heads["Hopper"], rng) for _ in range(2))
    here = Box(X - 42, Y - 42, X + 42, Y + 42)
    for there in (Box(X - 70, Y - 42, X + 14, Y + 42), Box(X - 25, Y - 20, X + 25, Y + 30)):
        assert not is_swapped(view_of(before, here), after, there)


def test_nothing_is_said_of_what_has_no_structure(heads: dict[str, tuple[Image, Image]]) -> None:
    seen = view_of(sitting(heads["Hopper"], np.random.default_rng(3)), Box(X - 42, Y - 42, X + 42, Y + 42))
    for level in (0, 255):
        assert not is_swapped(seen, np.full((360, 640, 3), level, np.uint8), seen.box)


def test_view_of_a_box_that_is_not_in_the_picture() -> None:
    view = view_of(np.zeros((40, 60, 3), np.uint8), Box(100, 100, 180, 180))
    assert view.grey.shape == (SIDE, SIDE)


def test_state_knows_who_sat_there(heads: dict[str, tuple[Image, Image]]) -> None:
    rng = np.random.default_rng(1)
    first = Tracker()
    numbers((sitting(heads["Hopper"], rng) for _ in range(3)), 25, first)
    state = json.loads(json.dumps(pack(first.tracks, first.next_id)))
    next_picture = sitting(heads["Collins"], rng)
    found = [Detection(Box(X - 42, Y - 42, X + 42, Y + 42), 0.9)]
    assert Tracker(state).update(next_picture, found, 3 / 25) == [2]
    # A run that was begun without it goes on all the same.
    del state["tracks"][0]["view"]
    assert Tracker(state).update(sitting(heads["Hopper"], rng), found, 3 / 25) == [1]
