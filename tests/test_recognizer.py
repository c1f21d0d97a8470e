"""Image -> faces -> expressions with a small real model and the real detector on a public-domain picture."""

from __future__ import annotations

import copy
import io
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from conftest import BRANCHES, ModelFactory
from esrface import Box, Expression, Face, InputError, ModelError, Recognizer
from esrface.detection import Detection, create_detector
from esrface.emotions import EMOTIONS
from esrface.engine.onnx import OnnxEngine
from esrface.ensemble import build_expressions, combine_arrays
from esrface.preprocess import crop_face, to_input
from esrface.recognizer import BATCH
from esrface.saliency import branch_maps, ensemble_map

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def recognizer(tiny_model: Path) -> Recognizer:
    return Recognizer(tiny_model)


@pytest.fixture(scope="module")
def crops() -> list[Image]:
    """More crops than one batch holds, of mixed sizes and all different."""
    rng = np.random.default_rng(8)
    sizes = [(48, 48), (96, 80), (20, 30), (1, 1), (200, 120)]
    return [
        rng.integers(0, 256, (*sizes[i % len(sizes)], 3), dtype=np.uint8) // (i % 5 + 1)
        for i in range(BATCH + 9)
    ]


@dataclass(frozen=True)
class FixedDetector:
    """A detector at the outer boundary: it finds the same boxes in every image."""

    boxes: tuple[Box, ...]
    name: str = "fixed"

    def detect(self, image: Image) -> list[Detection]:
        """The boxes, in the order given."""
        return [Detection(box, 0.5) for box in self.boxes]


def plain(faces: list[Face]) -> list[dict[str, Any]]:
    return [face.to_dict() for face in faces]


def close(one: Expression, other: Expression) -> bool:
    """Equal within 1e-5."""
    same = (one.emotion, one.branch_emotions) == (other.emotion, other.branch_emotions)
    gaps = (
        np.abs(one.branch_probabilities - other.branch_probabilities).max(),
        np.abs(one.branch_affect - other.branch_affect).max(),
        abs(one.confidence - other.confidence),
        abs(one.uncertainty - other.uncertainty),
    )
    return same and max(gaps) < 1e-5


def test_a_face_is_found_and_read(recognizer: Recognizer, face_picture: Image) -> None:
    (face,) = recognizer(face_picture)
    # The face fills columns 175-275 and rows 70-200 of the portrait, give or take.
    assert face.box.x0 in range(160, 200)
    assert face.box.x1 in range(245, 295)
    assert face.box.y0 in range(50, 100)
    assert face.box.y1 in range(165, 225)
    assert 0.5 < face.detection_score <= 1
    expression = face.expression
    assert expression.probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert expression.branch_probabilities.shape == (BRANCHES, 8)
    assert len({row.tobytes() for row in expression.branch_probabilities}) == BRANCHES


def test_the_answer_is_detection_crop_engine_and_ensemble_in_turn(
    make_model: ModelFactory, face_picture: Image
) -> None:
    folder = make_model(
        temperature=1.7,
        crop={"margin": 0.1, "square": True, "align": True},
        uncertainty={"measure": "entropy", "weights": None},
    )
    recognizer = Recognizer(folder, vote="plurality")
    (detection,) = create_detector().detect(face_picture)
    card = recognizer.card
    crop = crop_face(face_picture, detection.box, detection.landmarks, card.crop)
    output = OnnxEngine(folder / "model.onnx").run(to_input([crop], card.input))
    answers = combine_arrays(
        output.logits, None, temperature=1.7, vote="plurality", uncertainty=card.uncertainty
    )
    (expected,) = build_expressions(answers)
    (face,) = recognizer(face_picture)
    assert face.box == detection.box
    assert face.expression.to_dict() == expected.to_dict()


def test_path_bytes_picture_and_array_give_the_same(
    recognizer: Recognizer, face_picture: Image, tmp_path: Path
) -> None:
    file = tmp_path / "a face.png"
    PIL.Image.fromarray(face_picture).save(file)
    expected = plain(recognizer(face_picture))
    read_only = face_picture.copy()
    read_only.setflags(write=False)
    sources = [file, str(file), file.read_bytes(), PIL.Image.open(io.BytesIO(file.read_bytes())), read_only]
    for source in sources:
        assert plain(recognizer(source)) == expected
    assert plain(recognizer(face_picture[..., ::-1], color="bgr")) == expected


def test_many_pictures_equal_single_calls(recognizer: Recognizer, face_picture: Image) -> None:
    pictures = [
        face_picture,
        np.zeros((60, 60, 3), dtype=np.uint8),
        face_picture[:300, 100:400],
        face_picture[:, ::-1],
    ]
    many = recognizer.recognize_many(picture for picture in pictures)
    assert [len(faces) for faces in many] == [1, 0, 1, 1]
    for faces, picture in zip(many, pictures, strict=True):
        alone = recognizer(picture)
        assert [face.box for face in faces] == [face.box for face in alone]
        assert all(close(a.expression, b.expression) for a, b in zip(faces, alone, strict=True))
    assert recognizer.recognize_many([]) == []


def test_faces_of_many_pictures_stay_with_their_picture(tiny_model: Path, crops: list[Image]) -> None:
    two = FixedDetector((Box(0, 0, 1, 1), Box(0, 0, 20, 20)))
    recognizer = Recognizer(tiny_model, detector=two)
    pictures = [crop for crop in crops if min(crop.shape[:2]) >= 20]
    many = recognizer.recognize_many(pictures)
    assert sum(map(len, many)) > BATCH
    for faces, picture in zip(many, pictures, strict=True):
        # Largest first, whatever the detector's order.
        assert [face.box.width for face in faces] == [20, 1]
        expected = recognizer.predict([picture[:20, :20], picture[:1, :1]])
        assert all(close(face.expression, one) for face, one in zip(faces, expected, strict=True))


def test_several_faces_come_largest_first_and_can_be_limited(tiny_model: Path, face_picture: Image) -> None:
    canvas = np.full((512, 800, 3), 128, dtype=np.uint8)
    canvas[:256, :256] = face_picture[::2, ::2]
    canvas[:, 280:792] = face_picture
    large, small = Recognizer(tiny_model)(canvas)
    assert large.box.area > 2 * small.box.area
    assert small.box.x1 < 256 < large.box.x0
    only = Recognizer(tiny_model, max_faces=1)(canvas)
    assert [face.box for face in only] == [large.box]
    bigger = Recognizer(tiny_model, min_face=max(small.box.width, small.box.height) + 5)(canvas)
    assert [face.box for face in bigger] == [large.box]


def test_boxes_of_a_detector_of_ones_own_are_clipped(tiny_model: Path, face_picture: Image) -> None:
    height, width = face_picture.shape[:2]
    boxes = (Box(-10, -10, 6000, 6000), Box(10, 20, width + 7, 90))
    faces = Recognizer(tiny_model, FixedDetector(boxes), threads=1)(face_picture)
    assert [face.box for face in faces] == [Box(0, 0, width, height), Box(10, 20, width, 90)]


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            Detection(Box(-30, 5, -10, 9), 0.5),
            "the box (-30, 5, -10, 9) holds nothing of the image of 4 x 3 pixels",
        ),
        (Detection(Box(2, 2, 2, 3), 0.5), "the box (2, 2, 2, 3) holds nothing of the image"),
        (Detection(Box(0, 0, 2, 2), 5), "expected a score from 0 to 1, got 5"),
        (Detection(Box(0, 0, 2, 2), float("nan")), "expected a score from 0 to 1, got nan"),
        (
            Detection(Box(0, 0, float("inf"), 2), 0.5),  # type: ignore[arg-type]
            "expected a box of four numbers x0, y0, x1, y1, got (0, 0, inf, 2)",
        ),
        ((0, 0, 2, 2), "expected an esrface.detection.Detection, got (0, 0, 2, 2)"),
    ],
)
def test_a_detector_of_ones_own_that_answers_nonsense_is_named(
    tiny_model: Path, answer: Any, line: str
) -> None:
    class Own:
        name = "mine"

        def detect(self, image: Image) -> list[Any]:
            return [answer]

    with pytest.raises(InputError) as caught:
        Recognizer(tiny_model, Own(), threads=1)(np.zeros((3, 4, 3), np.uint8))
    assert str(caught.value).startswith(f"the detector 'mine' answers what cannot be used: {line}")


def test_no_face_is_a_normal_answer(recognizer: Recognizer) -> None:
    assert recognizer(np.full((100, 100, 3), 90, dtype=np.uint8)) == []
    assert recognizer(np.zeros((1, 1, 3), dtype=np.uint8)) == []


def test_crops_of_mixed_sizes_equal_single_calls_in_order(recognizer: Recognizer, crops: list[Image]) -> None:
    answers = recognizer.predict(crops)
    assert len(answers) == len(crops)
    for crop, answer in zip(crops, answers, strict=True):
        assert close(recognizer.predict([crop])[0], answer)
    # All different, so that an exchanged order would show; crops of one pixel may be of the same grey.
    distinct = [
        answer.probabilities.tobytes() for answer, crop in zip(answers, crops, strict=True) if crop.size > 3
    ]
    assert len(set(distinct)) == len(distinct) > BATCH / 2


def test_one_array_of_crops_and_no_crops(recognizer: Recognizer, crops: list[Image]) -> None:
    same_size = [crop for crop in crops if crop.shape == (48, 48, 3)]
    stacked = recognizer.predict(np.stack(same_size))
    assert [answer.to_dict() for answer in stacked] == [a.to_dict() for a in recognizer.predict(same_size)]
    assert recognizer.predict([]) == []
    assert recognizer.predict(np.empty((0, 48, 48, 3), dtype=np.uint8)) == []
    assert recognizer.predict(iter(same_size))[1].to_dict() == stacked[1].to_dict()


@pytest.mark.parametrize(
    ("crops", "got"),
    [
        (np.zeros((48, 48, 3), dtype=np.uint8), r"an array of shape \(48, 48, 3\)"),
        ("face.png", "'face.png'"),
        (Path("face.png"), "face.png"),
        (b"bytes", "b'bytes'"),
    ],
)
def test_a_single_crop_is_not_mistaken_for_many(recognizer: Recognizer, crops: Any, got: str) -> None:
    with pytest.raises(
        InputError, match=rf"expected a list of crops or one array \(N, H, W, 3\), got .*{got}"
    ):
        recognizer.predict(crops)


def test_without_a_detector_the_picture_is_the_crop(make_model: ModelFactory, face_picture: Image) -> None:
    folder = make_model(crop={"margin": 0.3, "square": True, "align": True})
    recognizer = Recognizer(folder, detector="none")
    (face,) = recognizer(face_picture[:300])
    assert face.box == Box(0, 0, 512, 300)
    assert face.expression.to_dict() == recognizer.predict([face_picture[:300]])[0].to_dict()


def test_mirror_is_the_cards_unless_asked_otherwise(make_model: ModelFactory, face_picture: Image) -> None:
    # Twice the input's size: resizing averages whole blocks and treats both sides alike.
    crop = face_picture[80:176, 170:266]
    as_card = Recognizer(make_model("mirrored", mirror=True), detector="none")
    assert as_card.mirror
    here, there = as_card.predict([crop, crop[:, ::-1]])
    assert close(here, there)
    once = Recognizer(make_model("once", mirror=False), detector="none")
    assert not close(*once.predict([crop, crop[:, ::-1]]))
    asked = Recognizer(make_model("asked", mirror=False), detector="none", mirror=True)
    assert close(asked.predict([crop])[0], here)
    refused = Recognizer(make_model("refused", mirror=True), detector="none", mirror=False)
    assert close(refused.predict([crop])[0], once.predict([crop])[0])


def test_a_networks_own_affect_is_used(make_model: ModelFactory, face_picture: Image) -> None:
    recognizer = Recognizer(make_model(affect=True, affect_source="network"), detector="none")
    (expression,) = recognizer.predict([face_picture])
    assert expression.affect_source == "network"
    # This model's affect layer copies the first two logits.
    logits = recognizer.forward([face_picture]).logits
    assert expression.branch_affect == pytest.approx(logits[0, :, :2], abs=1e-6)
    assert expression.valence == pytest.approx(logits[0, :, 0].mean(), abs=1e-6)


def test_arrays_and_maps_for_evaluation(recognizer: Recognizer, crops: list[Image]) -> None:
    answers = recognizer.answers(crops)
    expressions = recognizer.predict(crops)
    assert answers.confidence == pytest.approx(
        [expression.confidence for expression in expressions], abs=1e-6
    )
    maps = recognizer.class_maps(crops)
    assert maps.shape == (len(crops), BRANCHES, 8, 6, 6)
    bias = recognizer.forward(crops).logits - maps.mean(axis=(3, 4))
    assert np.abs(bias - bias[0]).max() < 1e-5
    seen = ensemble_map(maps, answers.emotion)
    assert seen.shape == (len(crops), 6, 6)
    assert seen.max() == 1
    assert recognizer.class_maps([]).shape == (0, BRANCHES, 8, 6, 6)
    assert recognizer.answers([]).probabilities.shape == (0, 8)


def test_maps_come_on_request_and_change_nothing_else(recognizer: Recognizer, face_picture: Image) -> None:
    (plain_face,) = recognizer(face_picture)
    (face,) = recognizer(face_picture, saliency=True)
    assert plain_face.saliency is None
    assert face.saliency is not None
    assert face.to_dict() == plain_face.to_dict()
    seen, said = face.saliency, face.expression
    assert (seen.emotion, seen.branch_emotions) == (said.emotion, said.branch_emotions)
    class_maps = recognizer.class_maps([recognizer.crop(face_picture, face)])
    assert seen.class_maps == pytest.approx(class_maps[0], abs=1e-6)
    own = np.array([EMOTIONS.index(name) for name in said.branch_emotions])
    assert seen.branches == pytest.approx(branch_maps(class_maps, own)[0], abs=1e-6)
    assert seen.ensemble == pytest.approx(ensemble_map(class_maps, EMOTIONS.index(said.emotion))[0], abs=1e-6)
    for array, shape in ((seen.ensemble, (6, 6)), (seen.branches, (BRANCHES, 6, 6))):
        assert array.shape == shape
        assert array.dtype == np.float32
        assert array.max() == 1
        assert array.min() >= 0
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_maps_can_explain_any_emotion(recognizer: Recognizer, face_picture: Image, emotion: str) -> None:
    (face,) = recognizer(face_picture, saliency=True, emotion=emotion)
    assert face.saliency is not None
    assert face.saliency.emotion == emotion
    assert face.saliency.branch_emotions == (emotion,) * BRANCHES
    class_maps, index = face.saliency.class_maps[None], EMOTIONS.index(emotion)
    assert np.array_equal(face.saliency.ensemble, ensemble_map(class_maps, index)[0])
    assert np.array_equal(face.saliency.branches, branch_maps(class_maps, index)[0])
    assert face.to_dict() == recognizer(face_picture)[0].to_dict()
    # The same from maps that were asked for another emotion: the network need not run again.
    (other,) = recognizer(face_picture, saliency=True)
    assert other.saliency is not None
    assert np.array_equal(other.saliency.explain(emotion).branches, face.saliency.branches)


def test_maps_stay_with_their_faces(tiny_model: Path, crops: list[Image]) -> None:
    recognizer = Recognizer(tiny_model, detector="none")
    many = recognizer.recognize_many(crops, saliency=True)
    alone = recognizer.class_maps(crops)
    assert len(many) == len(crops) > BATCH
    for (face,), maps in zip(many, alone, strict=True):
        assert face.saliency is not None
        assert face.saliency.class_maps == pytest.approx(maps, abs=1e-5)
    assert recognizer.recognize_many([], saliency=True) == []


def test_maps_of_the_mirror_pass_are_turned_back(make_model: ModelFactory, face_picture: Image) -> None:
    recognizer = Recognizer(make_model(), detector="none", mirror=True)
    crop = face_picture[80:176, 170:266]
    here, there = recognizer.recognize_many([crop, crop[:, ::-1]], saliency=True, emotion="Happy")
    assert here[0].saliency is not None
    assert there[0].saliency is not None
    assert here[0].saliency.branches.any()
    assert here[0].saliency.branches == pytest.approx(there[0].saliency.branches[..., ::-1], abs=1e-4)


def test_maps_that_cannot_be_had(
    make_model: ModelFactory, recognizer: Recognizer, face_picture: Image
) -> None:
    with pytest.raises(InputError, match="unknown emotion 'happy': did you mean 'Happy'"):
        recognizer(face_picture, saliency=True, emotion="happy")
    with pytest.raises(InputError, match=r"emotion='Sad' says what the maps explain: .* saliency=True"):
        recognizer.recognize_many([face_picture], emotion="Sad")
    (face,) = recognizer(face_picture, saliency=True)
    assert face.saliency is not None
    with pytest.raises(InputError, match="unknown emotion 'Joy'"):
        face.saliency.explain("Joy")
    with pytest.raises(InputError, match="expected a branch from 0 to 8, got 9"):
        face.saliency.overlay(face_picture, 9)
    without = Recognizer(make_model(maps=False), detector="none")
    assert len(without(face_picture)) == 1
    with pytest.raises(ModelError, match="has no class maps"):
        without(face_picture, saliency=True)


def test_a_face_shows_where_it_was_looked_at(recognizer: Recognizer, face_picture: Image) -> None:
    (face,) = recognizer(face_picture, saliency=True)
    assert face.saliency is not None
    crop = recognizer.crop(face_picture, face)
    shown = [face.saliency.overlay(crop), face.saliency.overlay(crop, 0), face.saliency.overlay(crop, 8)]
    assert all(picture.shape == crop.shape and picture.dtype == np.uint8 for picture in shown)
    assert len({picture.tobytes() for picture in shown}) == 3


def test_files_are_limited_in_size_and_arrays_are_not(
    recognizer: Recognizer, face_picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    PIL.Image.fromarray(face_picture).save(file, "PNG")
    for module in ("esrface.images", "esrface.recognizer"):
        monkeypatch.setattr(f"{module}.DEFAULT_MAX_PIXELS", 1000)
    with pytest.raises(InputError, match="over the limit"):
        recognizer(file.getvalue())
    assert len(recognizer(face_picture)) == 1


def test_a_crop_is_what_the_network_was_shown(make_model: ModelFactory, face_picture: Image) -> None:
    folder = make_model(crop={"margin": 0.2, "square": True, "align": True})
    recognizer = Recognizer(folder)
    (face,) = recognizer(face_picture)
    crop = recognizer.crop(face_picture, face)
    assert np.array_equal(crop, crop_face(face_picture, face.box, face.landmarks, recognizer.card.crop))
    assert recognizer.predict([crop])[0].to_dict() == face.expression.to_dict()
    whole = Recognizer(folder, detector="none")
    assert np.array_equal(whole.crop(face_picture, whole(face_picture)[0]), face_picture)


@pytest.mark.parametrize("again", [lambda face: pickle.loads(pickle.dumps(face)), copy.deepcopy])
def test_answers_survive_pickling_and_copying_and_stay_read_only(
    recognizer: Recognizer, face_picture: Image, again: Callable[[Face], Face]
) -> None:
    (face,) = recognizer(face_picture, saliency=True)
    twin = again(face)
    assert np.array_equal(twin.saliency.branches, face.saliency.branches)
    assert repr(twin) == repr(face)
    for record in (twin, twin.expression, twin.saliency):
        for array in (value for value in vars(record).values() if isinstance(value, np.ndarray)):
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0


def test_many_threads_get_the_answers_of_one(recognizer: Recognizer, face_picture: Image) -> None:
    pictures = [np.roll(face_picture, 3 * i, axis=1) for i in range(8)]
    expected = [plain(recognizer(picture)) for picture in pictures]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda picture: plain(recognizer(picture)), pictures * 2)) == expected * 2


def test_a_pickled_copy_works_with_the_same_settings(make_model: ModelFactory, face_picture: Image) -> None:
    detector = FixedDetector((Box(180, 70, 280, 200),))
    original = Recognizer(make_model(mirror=False), detector, mirror=True, vote="plurality", threads=1)
    for twin in (pickle.loads(pickle.dumps(original)), copy.deepcopy(original)):
        assert repr(twin) == repr(original)
        assert plain(twin(face_picture)) == plain(original(face_picture))


def test_a_pickled_copy_looks_at_the_hash_again(make_model: ModelFactory) -> None:
    folder = make_model()
    pickled = pickle.dumps(Recognizer(folder))
    (folder / "model.onnx").write_bytes(b"something else")
    with pytest.raises(ModelError, match="does not match its card"):
        pickle.loads(pickled)


def test_one_picture_is_not_several(recognizer: Recognizer, face_picture: Image) -> None:
    with pytest.raises(InputError, match=r"got an array of shape \(512, 512, 3\): put one image into a list"):
        recognizer.recognize_many(face_picture)
    with pytest.raises(InputError, match=r"got 'photo\.jpg': put one image into a list"):
        recognizer.recognize_many("photo.jpg")
    for one in (Path("photo.jpg"), PIL.Image.fromarray(face_picture), None):
        with pytest.raises(InputError, match="expected a list of images or one array"):
            recognizer.recognize_many(one)
    assert len(recognizer.recognize_many(np.stack([face_picture] * 2))) == 2


def test_a_closed_recognizer_says_so(tiny_model: Path, face_picture: Image) -> None:
    with Recognizer(tiny_model, detector="none") as recognizer:
        assert len(recognizer(face_picture)) == 1
    recognizer.close()
    for use in (recognizer, lambda picture: recognizer.predict([picture]), lambda _: recognizer.forward([])):
        with pytest.raises(InputError, match="this recognizer is closed: make a new one"):
            use(face_picture)


def test_its_repr_says_what_is_in_use(tiny_model: Path) -> None:
    recognizer = Recognizer(tiny_model, detector="haar", vote="plurality")
    assert repr(recognizer) == (
        "Recognizer(model='tiny', detector='haar', device='cpu', mirror=False, vote='plurality')"
    )


@pytest.mark.parametrize(
    ("arguments", "error", "line"),
    [
        ({"vote": "median"}, InputError, "unknown vote 'median': did you mean 'mean'"),
        ({"detector": "har"}, InputError, "did you mean 'haar'"),
        ({"device": "gpu"}, InputError, "unknown device 'gpu': did you mean 'cuda'"),
        ({"mirror": "no"}, InputError, "mirror must be True, False or None (as the card says), got 'no'"),
        ({"mirror": 1}, InputError, "mirror must be True, False or None (as the card says), got 1"),
        ({"threads": 0}, InputError, "threads must be a whole number of at least 1, got 0"),
        (
            {"batch_norm": "running"},
            ModelError,
            "batch_norm is for the original's .pt weights only; 'tiny' is",
        ),
        (
            {"detector": None},
            InputError,
            "expected a detector's name or an object with name and detect, got None",
        ),
        ({"detector": FixedDetector(()), "max_faces": 1}, InputError, "are for detectors given by name"),
    ],
)
def test_arguments_that_cannot_be_used(
    tiny_model: Path, arguments: dict[str, Any], error: type[Exception], line: str
) -> None:
    with pytest.raises(error) as caught:
        Recognizer(tiny_model, **arguments)
    assert line in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pictures_that_cannot_be_used_are_one_clear_error(recognizer: Recognizer, tmp_path: Path) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for bad in (
        tmp_path / "gone.jpg",
        text,
        b"",
        np.full((5, 5, 3), np.nan),
        np.zeros((0, 4, 3), dtype=np.uint8),
    ):
        with pytest.raises(InputError):
            recognizer(bad)
        with pytest.raises(InputError):
            recognizer.predict([bad])


def test_pictures_are_read_one_at_a_time(tiny_model: Path) -> None:
    alive = 0
    most = 0

    class Counted(np.ndarray):  # type: ignore[type-arg]
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    def pictures() -> Iterator[Image]:
        nonlocal alive, most
        for _ in range(3 * BATCH):
            alive += 1
            most = max(most, alive)
            yield np.zeros((64, 64, 3), dtype=np.uint8).view(Counted)

    assert len(Recognizer(tiny_model, detector="none").recognize_many(pictures())) == 3 * BATCH
    assert most <= 3


AUDIT = """
import sys
seen = []
def hook(event, arguments):
    if event.startswith(("socket.", "urllib.", "http.", "subprocess.", "os.system")):
        seen.append(event)
    elif event == "open" and isinstance(arguments[2], int) and arguments[2] & 3:
        seen.append(f"write {arguments[0]}")
    elif event in ("os.mkdir", "os.rename", "os.remove", "tempfile.mkstemp", "tempfile.mkdtemp"):
        seen.append(f"{event} {arguments}")
sys.addaudithook(hook)
import esrface
recognizer = esrface.Recognizer(sys.argv[1])
assert len(recognizer(sys.argv[2])) == 1
recognizer.class_maps([sys.argv[2]])
print(seen)
"""


def test_nothing_is_sent_and_nothing_is_written(
    tiny_model: Path, face_picture: Image, tmp_path: Path
) -> None:
    picture = tmp_path / "face.png"
    PIL.Image.fromarray(face_picture).save(picture)
    command = [sys.executable, "-B", "-c", AUDIT, str(tiny_model), str(picture)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr, done.returncode) == ("[]\n", "", 0)
    assert sorted(tmp_path.iterdir()) == [picture]
