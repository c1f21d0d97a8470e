"""Who is who: crossings, occlusions and cuts, with pictures of two people and boxes where they are seen."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from esrface import Box
from esrface.detection import Detection
from esrface.video.assignment import assign
from esrface.video.cuts import CutDetector, pack_cuts
from esrface.video.motion import start
from esrface.video.tracking import Tracker, pack
from video_fixtures import load_tool

tool = load_tool()
Image = NDArray[np.uint8]
Paths = dict[str, Callable[[float], float]]
FACE = 0.42
"""Side of a face's box, as a share of the square around the head."""
SIDE = 160


@pytest.fixture(scope="module")
def heads() -> dict[str, tuple[Image, Image]]:
    return {who: tool._head(*spec) for who, spec in tool.HEADS.items()}


def film(
    heads: dict[str, tuple[Image, Image]],
    paths: Paths,
    seconds: float,
    rate: float,
    *,
    hidden: Callable[[str, float], bool] = lambda who, t: False,
    jitter: float = 1.5,
) -> Iterator[tuple[float, Image, list[Detection], list[str]]]:
    """(time, picture, faces seen, whose they are); people later in ``paths`` stand before the others.

    A face that is covered by another one for more than a third, or ``hidden``, is not found.
    """
    rng = np.random.default_rng(3)
    room = tool._room(7, (70, 92, 120))
    for number in range(round(seconds * rate)):
        t = number / rate
        picture = room.copy()
        found: list[tuple[str, Box]] = []
        for who, path in paths.items():
            x, y = path(t) + rng.normal(0, jitter), 180 + rng.normal(0, jitter)
            half = FACE * SIDE / 2 + rng.normal(0, jitter / 2)
            if not hidden(who, t):
                tool._paste(picture, heads[who], tool.Place(who, path(t), 180, SIDE))
                found.append((who, Box(*(round(v) for v in (x - half, y - half, x + half, y + half)))))
        seen = [
            (who, box)
            for index, (who, box) in enumerate(found)
            if all(covered(box, other) < 1 / 3 for _, other in found[index + 1 :])
        ]
        yield t, picture, [Detection(box, 0.9) for _, box in seen], [who for who, _ in seen]


def covered(box: Box, other: Box) -> float:
    width = min(box.x1, other.x1) - max(box.x0, other.x0)
    height = min(box.y1, other.y1) - max(box.y0, other.y0)
    return max(0, width) * max(0, height) / box.area


def identities(frames: Iterator[tuple[float, Image, list[Detection], list[str]]]) -> dict[str, set[int]]:
    """The numbers that each person got."""
    tracker = Tracker()
    given: dict[str, set[int]] = {}
    for t, picture, found, names in frames:
        ids = tracker.update(picture, found, t)
        assert len(set(ids)) == len(ids)
        for name, track_id in zip(names, ids, strict=True):
            given.setdefault(name, set()).add(track_id)
    return given


def by_overlap(frames: Iterator[tuple[float, Image, list[Detection], list[str]]]) -> dict[str, set[int]]:
    """The same by overlap alone, with the same memory: what most simple trackers do."""
    tracks: dict[int, tuple[float, Box]] = {}
    fresh = itertools.count(1)
    given: dict[str, set[int]] = {}
    for t, _, found, names in frames:
        tracks = {number: seen for number, seen in tracks.items() if t - seen[0] <= 2}
        pairs = sorted(
            ((covered(track[1], d.box), number, index) for number, track in tracks.items()
             for index, d in enumerate(found)),
            reverse=True,
        )  # fmt: skip
        ids: dict[int, int] = {}
        for share, number, index in pairs:
            if share > 0.1 and number not in ids.values() and index not in ids:
                ids[index] = number
        for index, detection in enumerate(found):
            number = ids.get(index) or next(fresh)
            tracks[number] = (t, detection.box)
            given.setdefault(names[index], set()).add(number)
    return given


def crossing(t: float) -> tuple[float, float]:
    """They pass one another at 1.5 s; some 0.5 s long one hides the other."""
    return 320 - 80 * (t - 1.5), 320 + 80 * (t - 1.5)


CROSS: Paths = {"Hopper": lambda t: crossing(t)[0], "Collins": lambda t: crossing(t)[1]}
BOUNCE: Paths = {
    "Hopper": lambda t: 325 + 60 * abs(t - 1.5),
    "Collins": lambda t: 315 - 60 * abs(t - 1.5),
}


@pytest.mark.parametrize("rate", [30, 15, 5])
@pytest.mark.parametrize("paths", [CROSS, BOUNCE], ids=["cross", "bounce"])
def test_two_faces_meet_and_one_hides_the_other(
    heads: dict[str, tuple[Image, Image]], paths: Paths, rate: float
) -> None:
    frames = list(film(heads, paths, 3, rate))
    hidden = [t for t, _, found, _ in frames if len(found) == 1]
    assert max(hidden) - min(hidden) + 2 / rate >= 0.5
    assert identities(iter(frames)) == {"Hopper": {1}, "Collins": {2}}


def test_overlap_alone_would_mix_them_up(heads: dict[str, tuple[Image, Image]]) -> None:
    given = by_overlap(film(heads, CROSS, 3, 30))
    assert given["Hopper"] & given["Collins"] or len(given["Hopper"]) + len(given["Collins"]) > 2


@pytest.mark.parametrize("gone_s", [0.5, 1.0, 1.3])
@pytest.mark.parametrize("rate", [30, 5])
def test_occlusion_of_a_second_by_something_else(
    heads: dict[str, tuple[Image, Image]], gone_s: float, rate: float
) -> None:
    paths: Paths = {"Hopper": lambda t: 120 + 80 * t, "Collins": lambda t: 520 - 20 * t}
    frames = film(heads, paths, 4, rate, hidden=lambda who, t: who == "Hopper" and 1 <= t < 1 + gone_s)
    assert identities(frames) == {"Hopper": {1}, "Collins": {2}}


def test_both_hidden_at_once_while_they_cross(heads: dict[str, tuple[Image, Image]]) -> None:
    frames = film(heads, CROSS, 3, 30, hidden=lambda who, t: 1.2 <= t < 1.8)
    assert identities(frames) == {"Hopper": {1}, "Collins": {2}}


def test_somebody_else_in_the_same_place_is_somebody_else(heads: dict[str, tuple[Image, Image]]) -> None:
    paths: Paths = {"Hopper": lambda t: 300, "Collins": lambda t: 300}
    frames = film(heads, paths, 3, 30, hidden=lambda who, t: t >= 1 if who == "Hopper" else t < 1.6)
    given = identities(frames)
    assert set(given) == {"Hopper", "Collins"}
    assert not given["Hopper"] & given["Collins"]


def test_out_of_sight_for_long_is_forgotten_but_not_between_rare_frames(
    heads: dict[str, tuple[Image, Image]],
) -> None:
    still: Paths = {"Hopper": lambda t: 300}
    away = film(heads, still, 6, 10, hidden=lambda who, t: 1 <= t < 4)
    assert identities(away) == {"Hopper": {1, 2}}
    # One frame in three seconds: nothing is known in between.
    assert identities(film(heads, still, 12, 1 / 3)) == {"Hopper": {1}}


def test_every_face_has_a_number_from_its_first_frame_on(heads: dict[str, tuple[Image, Image]]) -> None:
    tracker = Tracker()
    _, picture, found, _ = next(film(heads, CROSS, 1, 1))
    assert tracker.update(picture, found, 0.0) == [1, 2]
    assert tracker.update(picture, found[::-1], 0.1) == [2, 1]
    tracker.cut()
    assert tracker.update(picture, found, 0.2) == [3, 4]
    assert tracker.update(picture, [], 0.3) == []


def test_state_goes_through_json_without_a_change(heads: dict[str, tuple[Image, Image]]) -> None:
    frames = list(film(heads, CROSS, 3, 30))
    whole = Tracker()
    for stop in (3, 40, 47, 60):
        whole, first = Tracker(), Tracker()
        for t, picture, found, _ in frames[:stop]:
            assert whole.update(picture, found, t) == first.update(picture, found, t)
        second = Tracker(json.loads(json.dumps(pack(first.tracks, first.next_id))))
        for t, picture, found, _ in frames[stop:]:
            assert whole.update(picture, found, t) == second.update(picture, found, t)
        assert pack(whole.tracks, whole.next_id) == pack(second.tracks, second.next_id)


def test_crowd_of_fifty_is_told_apart(heads: dict[str, tuple[Image, Image]]) -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 255, (900, 1600, 3), dtype=np.uint8)
    places = [(80 + 155 * (i % 10), 80 + 170 * (i // 10)) for i in range(50)]
    tracker = Tracker()
    first: list[int] = []
    for step in range(5):
        moved = [(x + 4 * step, y - 3 * step) for x, y in places]
        found = [Detection(Box(x - 40, y - 40, x + 40, y + 40), 0.9) for x, y in moved]
        order = rng.permutation(50)
        ids = tracker.update(picture, [found[i] for i in order], step / 30)
        by_place = [ids[list(order).index(i)] for i in range(50)]
        first = first or by_place
        assert by_place == first


def test_assignment_is_the_cheapest() -> None:
    rng = np.random.default_rng(5)
    for _ in range(60):
        rows, columns = rng.integers(1, 6, 2)
        cost = rng.uniform(-3, 10, (rows, columns))
        cost[rng.random((rows, columns)) < 0.3] = np.inf
        pairs = assign(cost)
        assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
        assert (len(pairs), sum(cost[p] for p in pairs)) == pytest.approx(best_by_trial(cost))


def best_by_trial(cost: NDArray[np.float64]) -> tuple[int, float]:
    if cost.shape[0] > cost.shape[1]:
        cost = cost.T
    best = (0, 0.0)
    for columns in itertools.permutations(range(cost.shape[1]), cost.shape[0]):
        chosen = [cost[r, c] for r, c in enumerate(columns) if np.isfinite(cost[r, c])]
        if (len(chosen), -sum(chosen)) > (best[0], -best[1]):
            best = len(chosen), float(sum(chosen))
    return best


def test_assignment_of_nothing() -> None:
    assert assign(np.empty((0, 3))) == []
    assert assign(np.empty((3, 0))) == []
    assert assign(np.full((2, 2), np.inf)) == []


def test_motion_learns_a_speed_and_does_not_run_away() -> None:
    motion = start(0.0, 0.0, 100.0)
    for step in range(1, 31):
        motion = motion.after(1 / 30).seen(step * 10.0, 0.0, 100.0)
    assert motion.vx == pytest.approx(300, rel=0.05)
    assert motion.after(0.5).x == pytest.approx(450, abs=15)
    # After a second out of sight nobody is supposed to have gone on for ever.
    assert motion.after(10).x == motion.after(1).x
    assert motion.after(10).spread <= 2.5


def test_cuts_in_the_demo_clip_and_nowhere_else() -> None:
    detector = CutDetector()
    cuts = [number for number, picture in enumerate(tool.frames()) if detector.is_cut(picture)]
    # One cut; people who appear, vanish, cross and come nearer are none.
    assert cuts == [round(tool.CUT_S * tool.RATE)]


@pytest.mark.parametrize("rate", [15, 6])
def test_no_cut_by_flash_fade_pan_or_noise(rate: int) -> None:
    rng = np.random.default_rng(2)
    wide = np.concatenate([tool._room(7, (70, 92, 120)), tool._room(9, (60, 80, 90))], axis=1)
    detector = CutDetector()
    for number in range(2 * rate):
        t = number / rate
        x = int(120 * t)
        picture = wide[:, x : x + 640].astype(np.float32)
        picture *= 1.6 if number == rate else 0.6 + 0.4 * np.cos(t)
        picture += rng.normal(0, 6, picture.shape)
        assert not detector.is_cut(np.clip(picture, 0, 255).astype(np.uint8)), f"at {t:.2f} s"


def test_cut_detector_goes_on_from_its_state() -> None:
    pictures = [picture for number, picture in enumerate(tool.frames()) if 140 <= number < 156]
    whole = CutDetector()
    expected = [whole.is_cut(picture) for picture in pictures]
    first = CutDetector()
    before = [first.is_cut(picture) for picture in pictures[:10]]
    second = CutDetector(json.loads(json.dumps(pack_cuts(first.snapshot()))))
    assert before + [second.is_cut(picture) for picture in pictures[10:]] == expected
    assert sum(expected) == 1
    assert pack_cuts(CutDetector().snapshot()) is None
