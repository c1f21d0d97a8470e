"""A video as an iterator of frames: nothing lost, nothing mixed up, nothing that hangs."""

from __future__ import annotations

import gc
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import esrface
import video_fixtures
from esrface import Box, Face, InputError, Recognizer, open_video
from esrface.detection import Detection, create_detector
from esrface.rows import face_rows
from esrface.video import DETECTION_SIZE, Frame, TrackedFace, open_source
from processes import until
from video_fixtures import Image, MadeSource, SquareDetector, load_tool, square_frame, write_video

demo_clip = video_fixtures.demo_clip
tool = load_tool()


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    """A small real network behind a detector at the outer boundary."""
    return Recognizer(tiny_model, SquareDetector(), threads=1)


@pytest.fixture(scope="module")
def seeing(tiny_model: Path) -> Recognizer:
    """The same network behind the real detector."""
    return Recognizer(tiny_model, create_detector(detection_size=DETECTION_SIZE, threads=1), threads=1)


@pytest.fixture(scope="module")
def demo_frames(demo_clip: Path, seeing: Recognizer) -> list[dict[str, Any]]:
    with open_video(demo_clip, seeing) as video:
        return [frame.to_dict() for frame in video]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    until(lambda: not ours())
    assert ours() == []


def ours() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("esrface-")]


def ids_from(frames: list[dict[str, Any]], begin_s: float, end_s: float) -> dict[str, set[int]]:
    """The numbers that each person of the demo clip got in a part of it; by who is nearest."""
    given: dict[str, set[int]] = {}
    for frame in frames:
        places = tool.scene(frame["time_s"])
        xs = [place.x for place in places]
        # Where one is behind the other, nearness says nothing.
        one_by_one = len(xs) < 2 or abs(xs[0] - xs[1]) > 70
        for face in frame["faces"] if begin_s <= frame["time_s"] < end_s and one_by_one else []:
            x = (face["box"][0] + face["box"][2]) / 2
            who = min(places, key=lambda place: abs(place.x - x)).who
            given.setdefault(who, set()).add(face["track_id"])
    return given


def check_demo(frames: list[dict[str, Any]]) -> None:
    before = ids_from(frames, 0, tool.CUT_S)
    assert {who: len(ids) for who, ids in before.items()} == {"Collins": 1, "Hopper": 1}
    after = ids_from(frames, tool.CUT_S, tool.EMPTY_S)
    last = ids_from(frames, tool.LAST_S, tool.SECONDS)
    everybody = [*before.values(), *after.values(), *last.values()]
    assert len(everybody) == 4
    assert set.union(*everybody) == {face["track_id"] for frame in frames for face in frame["faces"]}
    assert len(set.union(*everybody)) == 4
    assert not any(frame["faces"] for frame in frames if tool.EMPTY_S <= frame["time_s"] < tool.LAST_S)


def test_demo_clip_every_frame_and_every_person_accounted_for(demo_frames: list[dict[str, Any]]) -> None:
    assert [frame["frame"] for frame in demo_frames] == list(range(300))
    assert [frame["time_s"] for frame in demo_frames] == pytest.approx([n / 30 for n in range(300)])
    check_demo(demo_frames)
    hidden = [
        frame["time_s"] for frame in demo_frames if frame["time_s"] < tool.CUT_S and len(frame["faces"]) == 1
    ]
    crossing = [t for t in hidden if t < 2.7]
    pillar = [t for t in hidden if t > 2.7]
    assert crossing[-1] - crossing[0] > 0.5
    assert pillar[-1] - pillar[0] > 0.5


@pytest.mark.parametrize("options", [{"frames": 5}, {"fps": 4}, {"every": 3}, {"detect_every": 3}])
def test_identities_do_not_depend_on_sampling(
    demo_clip: Path, seeing: Recognizer, options: dict[str, Any]
) -> None:
    with open_video(demo_clip, seeing, **options) as video:
        check_demo([frame.to_dict() for frame in video])


def test_frames_say_what_the_recogniser_says_of_their_pictures(demo_clip: Path, seeing: Recognizer) -> None:
    with open_video(demo_clip, seeing, every=40) as video:
        frames = list(video)
    assert len(frames) == 8
    for frame in frames:
        single = seeing(frame.image)
        assert [face.to_dict() for face in single] == [
            {key: value for key, value in face.to_dict().items() if key != "track_id"} for face in frame.faces
        ]


def test_frame_and_face_are_data(recognizer: Recognizer) -> None:
    with open_video(MadeSource(3), recognizer, smooth_s=0.5) as video:
        frame = list(video)[2]
    assert isinstance(frame, esrface.Frame)
    assert (frame.number, frame.time_s, frame.size_wh, frame.track_ids) == (2, 2 / 30, (320, 240), (1,))
    assert frame.image.shape == (240, 320, 3)
    assert not frame.image.flags.writeable
    face = frame.faces[0]
    assert isinstance(face, TrackedFace)
    assert isinstance(face, esrface.Face)
    assert face.smoothed is not None
    assert face.detected
    plain = json.loads(json.dumps(frame.to_dict()))
    assert plain["faces"][0]["track_id"] == 1
    assert plain["faces"][0]["smoothed"]["emotion"] == face.smoothed.emotion
    # Rows of a video need nothing more than those of a picture.
    row = face_rows("made", frame.faces, frame=frame.number, time_s=frame.time_s)[0]
    assert (row["track_id"], row["frame"], row["x0"]) == (1, 2, face.box.x0)
    assert "track_id 1" in repr(face)
    assert "Frame 2" in frame._repr_html_()


def test_smoothing_is_off_unless_asked_for_and_leaves_the_raw_answer(recognizer: Recognizer) -> None:
    with open_video(MadeSource(20), recognizer) as video:
        raw = list(video)
    with open_video(MadeSource(20), recognizer, smooth_s=1.0) as video:
        smooth = list(video)
    assert all(face.smoothed is None for frame in raw for face in frame.faces)
    for one, other in zip(raw, smooth, strict=True):
        assert one.faces[0].expression.to_dict() == other.faces[0].expression.to_dict()
    travelled = [
        sum(np.abs(np.diff(np.stack(values), axis=0)).sum(axis=1))
        for values in (
            [frame.faces[0].expression.probabilities for frame in smooth],
            [frame.faces[0].smoothed.probabilities for frame in smooth],  # type: ignore[union-attr]
        )
    ]
    assert travelled[1] < 0.5 * travelled[0]


def test_without_tracking_there_are_no_numbers(recognizer: Recognizer) -> None:
    with open_video(MadeSource(5), recognizer, track=False) as video:
        assert [frame.track_ids for frame in video] == [(None,)] * 5


class CountingDetector(SquareDetector):
    """Remembers at which pictures (of ``marked``) it looked; misses some, and may burst at one."""

    def __init__(self, missed: tuple[int, ...] = (), burst_at: int | None = None) -> None:
        self.looked: list[int] = []
        self._missed = missed
        self._burst_at = burst_at

    def detect(self, image: Image) -> list[Detection]:
        """What is found, or not."""
        number = int(image[0, 0, 2])
        self.looked.append(number)
        if number == self._burst_at:
            raise RuntimeError("the detector burst")
        return [] if number in self._missed else super().detect(image)


def marked(number: int) -> Image:
    frame = square_frame(number)
    frame[:8, :8, 2] = number
    return frame


def test_faces_are_placed_between_detections(tiny_model: Path) -> None:
    detector = CountingDetector(missed=(12,))
    with open_video(MadeSource(21, marked), Recognizer(tiny_model, detector), detect_every=4) as video:
        frames = list(video)
    # Every fourth one, and the last one.
    assert detector.looked == [0, 4, 8, 12, 16, 20]
    assert [frame.number for frame in frames] == list(range(21))
    for frame in frames:
        if 8 < frame.number < 16:
            # Not found at 12: nothing is made up before and after.
            assert frame.faces == ()
            continue
        face = frame.faces[0]
        assert (face.track_id, face.detected) == (1, frame.number % 4 == 0)
        assert abs(face.box.x0 - (40 + 80 - frame.number)) <= 4
    assert [f.faces[0].box.x0 for f in frames[:5]] == sorted(
        (f.faces[0].box.x0 for f in frames[:5]), reverse=True
    )


def test_new_shot_is_detected_at_once(tiny_model: Path) -> None:
    rng = np.random.default_rng(0)
    rooms = [tool._room(seed, (70, 92, 120))[:240, :320] for seed in (7, 8)]
    rooms[1] = rng.permutation(rooms[1].reshape(-1, 3)).reshape(rooms[1].shape) // 2

    def make(number: int) -> Image:
        frame = np.minimum(rooms[number >= 6], 190).astype(np.uint8)
        frame[40:104, 40:104] = (230, 180, 150)
        frame[:8, :8, 2] = number
        return frame

    detector = CountingDetector()
    with open_video(MadeSource(12, make), Recognizer(tiny_model, detector), detect_every=5) as video:
        frames = list(video)
    assert detector.looked == [0, 5, 6, 11]
    assert [frame.track_ids for frame in frames] == [(1,)] * 6 + [(2,)] * 6


# Faults: each ends the run with its own error, after all that came before it, and leaves no thread.


def collect(source: Any, recognizer: Recognizer, **options: Any) -> tuple[list[int], Exception | None]:
    """Numbers of the frames that come out, and what ends them."""
    numbers = []
    try:
        with open_video(source, recognizer, **options) as video:
            for frame in video:
                numbers.append(frame.number)
    except Exception as error:
        assert list(video) == []
        return numbers, error
    return numbers, None


@pytest.mark.parametrize("detect_every", [1, 3])
def test_failing_stage_ends_the_run_after_what_came_before(
    tiny_model: Path, recognizer: Recognizer, detect_every: int
) -> None:
    source = MadeSource(10_000, marked, fail_at=20)
    numbers, error = collect(source, recognizer, detect_every=detect_every)
    assert (numbers, str(error)) == (list(range(20)), "the source burst")
    assert source.closed
    source = MadeSource(10_000, marked)
    burst = Recognizer(tiny_model, CountingDetector(burst_at=21))
    numbers, error = collect(source, burst, detect_every=detect_every)
    # Frames that waited for this detection are lost with it.
    assert (numbers, str(error)) == (list(range(21 if detect_every == 1 else 19)), "the detector burst")
    assert source.closed


def test_network_that_fails(recognizer: Recognizer, tiny_model: Path) -> None:
    broken = Recognizer(tiny_model, SquareDetector())
    source = MadeSource(10_000)
    with open_video(source, broken) as video:
        next(video)
        broken.close()
        with pytest.raises(InputError, match="closed"):
            list(video)
    assert source.closed


def test_source_that_breaks_off_gives_all_that_was_read(tmp_path: Path, recognizer: Recognizer) -> None:
    path = write_video(tmp_path / "a.mp4", (square_frame(n) for n in range(60)), movflags="faststart")
    content = path.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    for options in ({}, {"detect_every": 7}):
        numbers, error = collect(path, recognizer, **options)  # type: ignore[arg-type]
        assert isinstance(error, InputError)
        assert f"a.mp4 breaks off after {numbers[-1] / 30:.2f} s" in str(error)
        assert len(numbers) > 15
        assert numbers == list(range(len(numbers)))


def test_unreadable_picture_among_others_is_left_out_and_told(tmp_path: Path, recognizer: Recognizer) -> None:
    import cv2

    for number in range(5):
        cv2.imwrite(str(tmp_path / f"{number}.png"), square_frame(number)[..., ::-1])
    (tmp_path / "2.png").write_bytes(b"no picture")
    numbers, error = collect(tmp_path, recognizer)
    assert numbers == [0, 1, 3, 4]
    assert isinstance(error, InputError)
    assert re.search(r"2\.png.*all other frames were read", str(error))


def test_consumer_that_stops_early_frees_everything_at_once(recognizer: Recognizer) -> None:
    source = MadeSource(100_000)
    with open_video(source, recognizer) as video:
        for frame in video:
            if frame.number == 10:
                break
    assert source.closed
    assert ours() == []
    # Read ahead, but not far.
    assert video.frames_read < 60
    assert list(video) == []
    video.close()


def test_consumer_that_drops_the_video_frees_everything(recognizer: Recognizer) -> None:
    source = MadeSource(100_000)
    for frame in open_video(source, recognizer):
        if frame.number == 10:
            break
    gc.collect()
    assert until(lambda: source.closed)


def test_consumer_that_fails_frees_everything(recognizer: Recognizer) -> None:
    source = MadeSource(100_000)

    def consume() -> None:
        with open_video(source, recognizer) as video:
            for frame in video:
                _ = 1 // (5 - frame.number)

    with pytest.raises(ZeroDivisionError):
        consume()
    assert source.closed


def test_video_that_was_never_read_is_closed(recognizer: Recognizer) -> None:
    source = MadeSource(10)
    with open_video(source, recognizer):
        pass
    assert source.closed


def test_slow_consumer_of_a_file_loses_nothing(recognizer: Recognizer) -> None:
    numbers = []
    with open_video(MadeSource(40), recognizer) as video:
        for frame in video:
            time.sleep(0.005)
            numbers.append(frame.number)
    assert numbers == list(range(40))
    assert video.dropped == 0


def test_several_videos_share_a_recogniser(recognizer: Recognizer) -> None:
    videos = [open_video(MadeSource(30), recognizer) for _ in range(3)]
    together = [list(frames) for frames in zip(*videos, strict=True)]
    assert len(together) == 30
    for frames in together:
        assert len({json.dumps(frame.to_dict()) for frame in frames}) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"smooth_s": 0.5},
        {"detect_every": 3, "smooth_s": 0.5},
        {"fps": 7},
        {"frames": 5, "detect_every": 2},
    ],
)
def test_resumed_run_gives_what_an_uninterrupted_one_gives(
    demo_clip: Path, seeing: Recognizer, options: dict[str, Any]
) -> None:
    whole: list[dict[str, Any]] = []
    checkpoints: dict[int, Any] = {}
    with open_video(demo_clip, seeing, **options) as video:
        assert video.checkpoint() is None
        for frame in video:
            whole.append(frame.to_dict())
            if len(checkpoints) < 2 and frame.time_s > (2.2, 6.0)[len(checkpoints)]:
                # In the middle of the crossing, and after the cut.
                checkpoints[frame.number] = json.loads(json.dumps(video.checkpoint()))
    for number, checkpoint in checkpoints.items():
        assert number - 12 <= checkpoint["frame"] <= number
        assert len(json.dumps(checkpoint)) < 30_000
        with open_video(demo_clip, seeing, resume_after=checkpoint, **options) as video:
            rest = [frame.to_dict() for frame in video]
        assert rest == [frame for frame in whole if frame["frame"] > checkpoint["frame"]]


def test_checkpoint_of_another_version_is_refused(recognizer: Recognizer) -> None:
    source = MadeSource(3)
    with pytest.raises(InputError, match="another version"):
        open_video(source, recognizer, resume_after={"version": 0})


def test_what_is_no_source_is_refused(recognizer: Recognizer) -> None:
    for source in (None, b"clip.mp4", ["clip.mp4"]):
        with pytest.raises(InputError, match="expected a path, an address, a camera's number or"):
            open_video(source, recognizer)  # type: ignore[arg-type]
    for option in ("stall_s", "picture_rate"):
        with pytest.raises(InputError, match=f"{option} must be a number"):
            open_video("clip.mp4", recognizer, **{option: "a"})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"detect_every": 0}, "detect_every"),
        ({"detect_every": 2, "track": False}, "track"),
        ({"smooth_s": 1, "track": False}, "track"),
        ({"smooth_s": -1}, "smooth_s"),
        ({"smooth_s": "a"}, "smooth_s"),
        ({"resume_after": 5}, "resume_after"),
        ({"every": 0}, "every"),
        ({"workers": 0}, "workers"),
    ],
)
def test_options_that_make_no_sense(recognizer: Recognizer, options: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        open_video(MadeSource(3), recognizer, **options)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_memory_stays_flat_over_ten_thousand_frames(recognizer: Recognizer) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    sizes = []
    with open_video(MadeSource(10_000), recognizer, smooth_s=0.5, detect_every=2) as video:
        for frame in video:
            if frame.number >= 5000 and frame.number % 250 == 0:
                sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
    slope = np.polyfit(range(len(sizes)), sizes, 1)[0] / 250
    assert len(sizes) == 20
    # A frame has 230 kB; one in a thousand that stays would be 230 bytes a frame.
    assert slope < 200, f"{slope:.0f} bytes a frame, {sizes}"


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_decoded_frames_are_freed_at_once(demo_clip: Path) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    sizes = []
    # What Python's collector of cycles would free later is held meanwhile: 300 frames are 200 MB.
    gc.disable()
    try:
        for frame in open_source(demo_clip).frames():
            frame.image()
            sizes.append(int(Path("/proc/self/statm").read_text().split()[1]) * page)
    finally:
        gc.enable()
    assert len(sizes) == 300
    assert sizes[-1] - sizes[50] < 40_000_000


def test_another_size_midway_is_another_shot(tmp_path: Path, recognizer: Recognizer) -> None:
    one = write_video(tmp_path / "one.ts", map(square_frame, range(5)))
    other = write_video(tmp_path / "other.ts", (square_frame(n, (400, 300)) for n in range(5, 10)))
    (tmp_path / "both.ts").write_bytes(one.read_bytes() + other.read_bytes())
    frames: list[Frame] = list(open_video(tmp_path / "both.ts", recognizer))
    assert [frame.size_wh for frame in frames] == [(320, 240)] * 5 + [(400, 300)] * 5
    assert [frame.track_ids for frame in frames] == [(1,)] * 5 + [(2,)] * 5


@pytest.mark.parametrize(
    "options",
    [{"frames": 5}, {"fps": 4}, {"every": 7}, {"every": 3, "detect_every": 4}, {"every": 200}, {}],
)
def test_frames_that_sampling_leaves_out_come_in_their_places(
    recognizer: Recognizer, options: dict[str, Any]
) -> None:
    with open_video(MadeSource(100), recognizer, **options) as video:
        alone = [frame.to_dict() for frame in video]
    with open_video(MadeSource(100), recognizer, skipped=True, **options) as video:
        together = list(video)
    assert [frame.number for frame in together] == list(range(100))
    assert [frame.to_dict() for frame in together if frame.processed] == alone
    for frame in together:
        assert frame.faces == () or frame.processed
        assert np.array_equal(frame.image, square_frame(frame.number))


def test_run_with_skipped_frames_can_be_resumed_anywhere(recognizer: Recognizer) -> None:
    options: dict[str, Any] = {"every": 3, "detect_every": 2, "skipped": True}
    with open_video(MadeSource(60), recognizer, **options) as video:
        whole = [frame.to_dict() for frame in video]
    with open_video(MadeSource(60), recognizer, **options) as video:
        for frame in video:
            if frame.number == 31:
                break
        checkpoint = video.checkpoint()
    assert checkpoint is not None
    with open_video(MadeSource(60), recognizer, resume_after=checkpoint, **options) as video:
        rest = [frame.to_dict() for frame in video]
    assert rest == [frame for frame in whole if frame["frame"] > checkpoint["frame"]]


class Crowd:
    """A detector at the outer boundary: twelve faces in every frame, each elsewhere."""

    name = "crowd"

    def detect(self, image: Image) -> list[Detection]:
        corners = [(x, y) for y in range(0, 180, 60) for x in range(0, 240, 60)]
        return [Detection(Box(x, y, x + 60 - n, y + 60 - n), 0.9) for n, (x, y) in enumerate(corners)]


class Meeting:
    """A recogniser whose calls wait for one another."""

    def __init__(self, recognizer: Recognizer, calls: int) -> None:
        self._recognizer = recognizer
        self._barrier = threading.Barrier(calls)
        self.detector = recognizer.detector
        self.vote = recognizer.vote

    def express(self, located: Any, **options: Any) -> list[Face]:
        self._barrier.wait(60)
        if any((image == 255).all() for image, _ in located):
            raise RuntimeError("a call burst")
        return self._recognizer.express(located, **options)


def test_many_faces_are_shared_out_and_come_together_again(tiny_model: Path) -> None:
    crowd = Recognizer(tiny_model, Crowd(), threads=1)
    with open_video(MadeSource(20), crowd, workers=1) as video:
        alone = [frame.to_dict() for frame in video]
    assert [len(frame["faces"]) for frame in alone] == [12] * 20
    for workers in (2, 3):
        with open_video(MadeSource(20), crowd, workers=workers) as video:
            assert [frame.to_dict() for frame in video] == alone
    meeting: Any = Meeting(crowd, 2)
    with open_video(MadeSource(20), meeting, workers=2) as video:
        assert [frame.to_dict() for frame in video] == alone
    # Where one of the calls fails, what came before is there and nothing hangs.
    burst = MadeSource(9, make=lambda n: square_frame(n) if n < 8 else np.full((240, 320, 3), 255, np.uint8))
    numbers, error = collect(burst, meeting, workers=2)
    assert str(error) == "a call burst"
    assert numbers == list(range(len(numbers)))


def test_live_sources_give_what_is_processed_only(recognizer: Recognizer) -> None:
    with open_video(MadeSource(20, live=True), recognizer, every=2, skipped=True) as video:
        frames = list(video)
    assert frames[-1].number == 18
    assert all(frame.processed and frame.number % 2 == 0 for frame in frames)
