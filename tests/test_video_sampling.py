"""Which frames are processed, to the frame."""

from __future__ import annotations

import pytest

from esrface import InputError
from esrface.video.sampling import choose_sampling, original_step


def taken(times: list[float], **options: float) -> list[int]:
    sampler = choose_sampling(**options).start()  # type: ignore[arg-type]
    return [number for number, time_s in enumerate(times) if sampler.take(number, time_s)]


def regular(rate: float, count: int) -> list[float]:
    return [number / rate for number in range(count)]


# The original grabs int(30 / N) frames and keeps the last, whatever the file's rate.
@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (1, [29]),
        (5, [5, 11, 17, 23, 29]),
        (4, [6, 13, 20, 27]),
        (7, [3, 7, 11, 15, 19, 23, 27]),
        (16, list(range(30))),
        (30, list(range(30))),
        (31, list(range(30))),
        (1000, list(range(30))),
    ],
)
@pytest.mark.parametrize("rate", [24, 30, 60])
def test_frames_count_as_in_the_original(frames: int, expected: list[int], rate: float) -> None:
    assert taken(regular(rate, 30), frames=frames) == expected


def test_step_of_the_original() -> None:
    assert [original_step(n) for n in (1, 2, 4, 5, 7, 15, 16, 30, 31)] == [30, 15, 7, 6, 4, 2, 1, 1, 1]


@pytest.mark.parametrize(("every", "expected"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (99, [0])])
def test_every_begins_with_the_first_frame(every: int, expected: list[int]) -> None:
    assert taken(regular(25, 7), every=every) == expected


@pytest.mark.parametrize(
    ("times", "fps", "expected"),
    [
        (regular(30, 12), 10, [0, 3, 6, 9]),
        (regular(30, 8), 30, [0, 1, 2, 3, 4, 5, 6, 7]),
        (regular(30, 8), 100, [0, 1, 2, 3, 4, 5, 6, 7]),
        (regular(30000 / 1001, 8), 29.97, [0, 1, 2, 3, 4, 5, 6, 7]),
        # Matroska rounds to milliseconds.
        ([0.0, 0.033, 0.067, 0.1, 0.133, 0.167], 30, [0, 1, 2, 3, 4, 5]),
        # Nothing for 2 s, then on: no catching up.
        ([0.0, 0.1, 2.1, 2.2, 2.3, 3.0], 1, [0, 2, 5]),
        # A stream need not begin at 0.
        ([7.0, 7.25, 7.5, 7.75, 8.0], 2, [0, 2, 4]),
        ([0.0, 1.0, 2.0, 3.0], 0.5, [0, 2]),
    ],
)
def test_fps_counts_stream_time(times: list[float], fps: float, expected: list[int]) -> None:
    assert taken(times, fps=fps) == expected


def test_fps_and_every_override_frames_and_nothing_means_every_frame() -> None:
    assert taken(regular(30, 7), frames=5, every=2) == [0, 2, 4, 6]
    assert taken(regular(30, 7), frames=5, fps=15) == [0, 2, 4, 6]
    assert taken(regular(30, 7)) == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("options", [{"fps": 7.3}, {"every": 4}, {"frames": 7}])
def test_goes_on_where_it_stopped(options: dict[str, float]) -> None:
    times = [number * 0.037 + 0.011 * (number % 3) for number in range(90)]
    for stop in (0, 1, 40, 89):
        first = choose_sampling(**options).start()  # type: ignore[arg-type]
        before = [n for n in range(stop) if first.take(n, times[n])]
        second = choose_sampling(**options).start(first.state)  # type: ignore[arg-type]
        after = [n for n in range(stop, 90) if second.take(n, times[n])]
        assert before + after == taken(times, **options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"frames": 0}, "frames"),
        ({"frames": 2.5}, "frames"),
        ({"every": -1}, "every"),
        ({"every": True}, "every"),
        ({"fps": 0}, "fps"),
        ({"fps": float("nan")}, "fps"),
        ({"fps": float("inf")}, "fps"),
        ({"fps": 5, "every": 2}, "one of them"),
    ],
)
def test_refuses_what_makes_no_sense(options: dict[str, float], named: str) -> None:
    with pytest.raises(InputError, match=named):
        choose_sampling(**options)  # type: ignore[arg-type]
