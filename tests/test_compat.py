"""The drop-in gives the original's numbers, all of them: against its arithmetic written out by hand."""

from __future__ import annotations

import json
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

import esrface  # noqa: E402
from conftest import ModelFactory  # noqa: E402
from drawn import drawn_face  # noqa: E402
from esrface import EMOTIONS, DependencyError, DeviceError, InputError, Recognizer  # noqa: E402
from esrface.compat import cvision  # noqa: E402
from esrface.detection import detector_status  # noqa: E402
from original_layout import Literal, gap, write_folder  # noqa: E402

Image = NDArray[np.uint8]
HAAR = 3
LABELS = ["Neutral", "Happy", "Sad", "Surprise", "Fear", "Disgust", "Anger", "Contempt"]
HOPPER = Path(__file__).parent.parent / "examples" / "grace_hopper.jpg"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine branches, as published but for the weights, which are random and fixed."""
    return write_folder(tmp_path_factory.mktemp("esr_9"), branches=9, seed=11)


@pytest.fixture(scope="module")
def literal(published: Path) -> Literal:
    return Literal(published, branches=9)


def pictures() -> dict[str, Image]:
    """As OpenCV reads them, BGR: two public-domain photographs, a drawing, two faces side by side."""
    from skimage import data

    astronaut = np.ascontiguousarray(data.astronaut()[..., ::-1])
    drawing = np.full((400, 400, 3), 128, np.uint8)
    # Coloured, so that an exchange of red and blue would show.
    drawing[80:320, 80:320] = drawn_face("Happy", 1, 240)[..., None] * np.array([0.5, 0.8, 1.0])
    two = np.full((512, 800, 3), 128, np.uint8)
    two[:256, :256] = astronaut[::2, ::2]
    two[:, 280:792] = astronaut
    return {"astronaut": astronaut, "hopper": cv2.imread(str(HOPPER)), "drawing": drawing, "two faces": two}


def found_by_hand(image: Image) -> tuple[int, int, int, int]:
    """The biggest face of the Haar cascade with the original's parameters."""
    cascade = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_default.xml")
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    boxes = cascade.detectMultiScale(grey, 1.2, 9, minSize=(60, 60))
    x, y, w, h = max(boxes, key=lambda box: box[2] * box[3])
    return int(x), int(y), int(x + w), int(y + h)


@pytest.mark.parametrize("name", ["astronaut", "hopper", "drawing", "two faces"])
def test_every_number_is_the_originals(published: Path, literal: Literal, name: str) -> None:
    image = pictures()[name]
    fer = cvision.recognize_facial_expression(image, False, HAAR, True, model=published)

    x0, y0, x1, y1 = found_by_hand(image)
    assert fer.input_image is image
    assert fer.face_coordinates.tolist() == [[x0, y0], [x1, y1]]
    np.testing.assert_array_equal(fer.face_image, image[y0:y1, x0:x1])

    features = literal.features(literal.input(image[y0:y1, x0:x1]))
    logits, affect = literal.answer(features)
    votes = [0] * 8
    for row in logits:
        votes[int(np.argmax(row))] += 1
    expected = [LABELS[int(np.argmax(row))] for row in logits] + [LABELS[int(np.argmax(votes))]]
    assert fer.list_emotion == expected
    assert len(set(expected)) > 1, "the branches agree on everything: these weights test little"

    affect[:, 1] = np.clip((affect[:, 1] + 1) / 2, 0, 1)
    assert gap(fer.list_affect, np.vstack([affect, affect.mean(axis=0)])) < 1e-4

    for branch in range(9):
        heat = literal.grad_cam(features, branch, int(np.argmax(logits[branch])))
        enlarged = cv2.resize(heat, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        assert gap(fer.get_grad_cam(branch), enlarged) < 1e-4


def test_the_lines_of_the_originals_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """With one import changed and one picture of ours, on the model that ships."""
    image = cv2.imread(str(HOPPER), cv2.IMREAD_COLOR)
    fer = cvision.recognize_facial_expression(image, False)
    print(fer.list_emotion)
    printed = capsys.readouterr().out
    assert printed.count("'") == 20
    assert "np.str" not in printed
    assert set(fer.list_emotion) <= set(EMOTIONS)
    assert fer.list_affect.shape == (10, 2)


def test_both_names_are_one_function() -> None:
    assert esrface.recognize_facial_expression is cvision.recognize_facial_expression


def test_answers_are_the_recognizers_own(tiny_model: Path, face_picture: Image) -> None:
    bgr = np.ascontiguousarray(face_picture[..., ::-1])
    fer = cvision.recognize_facial_expression(bgr, model=tiny_model)
    (face,) = Recognizer(tiny_model, vote="plurality")(face_picture)
    expression = face.expression
    assert fer.list_emotion == [*expression.branch_emotions, expression.emotion]
    assert all(type(name) is str for name in fer.list_emotion)
    assert json.loads(json.dumps(fer.list_emotion)) == fer.list_emotion
    assert fer.face_coordinates.ravel().tolist() == list(face.box)
    np.testing.assert_allclose(fer.list_affect[:-1, 0], expression.branch_affect[:, 0])
    np.testing.assert_allclose(fer.list_affect[-1], fer.list_affect[:-1].mean(axis=0), rtol=1e-6)
    assert fer.list_affect[:, 1].min() >= 0
    assert fer.list_affect[:, 1].max() <= 1
    # RGB given for BGR is another picture.
    other = cvision.recognize_facial_expression(face_picture, model=tiny_model)
    assert not np.allclose(other.list_affect, fer.list_affect, atol=1e-5)


def test_arousal_is_clipped_and_the_mean_is_of_the_clipped(tmp_path: Path, face_picture: Image) -> None:
    folder = write_folder(tmp_path, branches=2)
    for number, arousal in ((1, 3.0), (2, -0.5)):
        path = folder / f"Net-Branch_{number}.pt"
        state = torch.load(path)
        state["fc_dimensional.weight"].zero_()
        state["fc_dimensional.bias"].copy_(torch.tensor([1.5, arousal]))
        torch.save(state, path)
    fer = cvision.recognize_facial_expression(face_picture[..., ::-1], model=folder)
    np.testing.assert_allclose(fer.list_affect, [[1.5, 1], [1.5, 0.25], [1.5, 0.625]], atol=1e-6)


def test_a_tie_goes_to_the_lowest_emotion(tmp_path: Path, face_picture: Image) -> None:
    folder = write_folder(tmp_path, branches=2)
    for number, emotion in ((1, 5), (2, 2)):
        path = folder / f"Net-Branch_{number}.pt"
        state = torch.load(path)
        state["fc.bias"].copy_(torch.eye(8)[emotion] * 1000)
        torch.save(state, path)
    fer = cvision.recognize_facial_expression(face_picture[..., ::-1], model=folder)
    assert fer.list_emotion == ["Disgust", "Sad", "Sad"]


def test_without_a_face_only_the_image_is_there(tiny_model: Path) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    for grad_cam in (False, True):
        fer = cvision.recognize_facial_expression(image, grad_cam=grad_cam, model=tiny_model)
        assert fer.input_image is image
        attributes = (fer.face_image, fer.face_coordinates, fer.list_emotion, fer.list_affect)
        assert attributes == (None,) * 4
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert fer.get_grad_cam(0) is None


def test_maps_that_nobody_asked_for(tiny_model: Path, face_picture: Image) -> None:
    fer = cvision.recognize_facial_expression(face_picture[..., ::-1], model=tiny_model)
    with pytest.warns(UserWarning, match="call recognize_facial_expression with grad_cam=True") as caught:
        assert fer.get_grad_cam(0) is None
    assert caught[0].filename == __file__


def test_maps_lie_over_the_face_whatever_the_network_was_shown(
    make_model: ModelFactory, face_picture: Image
) -> None:
    """The crop reaches beyond the box, the map given does not."""
    folder = make_model(crop={"margin": 0.25, "square": True, "align": False})
    bgr = np.ascontiguousarray(face_picture[..., ::-1])
    fer = cvision.recognize_facial_expression(bgr, grad_cam=True, model=folder)
    recognizer = Recognizer(folder)
    (face,) = recognizer(face_picture, saliency=True)
    crop = recognizer.crop(face_picture, face)
    side = max(face.box.width, face.box.height)
    assert crop.shape[:2] == (round(1.5 * side), round(1.5 * side))
    for branch in (0, 8):
        whole = cv2.resize(face.saliency.branches[branch], crop.shape[1::-1])
        # Where the box lies in the crop, found by looking.
        places = [
            (y, x)
            for y in range(crop.shape[0] - face.box.height + 1)
            for x in range(crop.shape[1] - face.box.width + 1)
            if np.array_equal(crop[y, x : x + face.box.width, ::-1], fer.face_image[0])
        ]
        ((y, x),) = places
        expected = whole[y : y + face.box.height, x : x + face.box.width]
        ours = fer.get_grad_cam(branch)
        assert ours.dtype == np.float32
        assert ours.shape == fer.face_image.shape[:2]
        assert gap(ours, expected) < 1e-6
    with pytest.raises(IndexError, match="from 0 to 8, got 9"):
        fer.get_grad_cam(9)


def test_a_model_is_loaded_once_for_all_threads(
    tiny_model: Path, face_picture: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    class Counted(Recognizer):
        def __init__(self, *arguments: object, **settings: object) -> None:
            loaded.append(settings["detector"])
            super().__init__(*arguments, **settings)  # type: ignore[arg-type]

    monkeypatch.setattr(cvision, "Recognizer", Counted)
    monkeypatch.setattr(cvision, "_recognizers", {})
    bgr = np.ascontiguousarray(face_picture[..., ::-1])

    def read(method: int | None) -> list[str]:
        answer = cvision.recognize_facial_expression(bgr, False, method, model=tiny_model).list_emotion
        assert answer is not None
        return answer

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(read, [None] * 6))
    assert all(answer == answers[0] for answer in answers)
    assert loaded == ["auto"]
    read(HAAR)
    read(HAAR)
    assert loaded == ["auto", "haar"]


@pytest.mark.parametrize("method", [0, 4, "3", -1, [], True])
def test_other_methods_do_not_exist(method: object) -> None:
    with pytest.raises(InputError, match="face_detection_method is 1"):
        cvision.recognize_facial_expression(np.zeros((9, 9, 3), np.uint8), False, method)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", [1, 2])
def test_dlib_finds_the_face_or_says_what_is_missing(
    tiny_model: Path, face_picture: Image, method: int
) -> None:
    # Little around the face: the network takes long over large pictures.
    bgr = np.ascontiguousarray(face_picture[40:240, 125:325, ::-1])
    available = {status.name for status in detector_status() if status.available}
    if cvision.DETECTORS[method] not in available:
        with pytest.raises(DependencyError, match="dlib"):
            cvision.recognize_facial_expression(bgr, False, method, model=tiny_model)
        return
    fer = cvision.recognize_facial_expression(bgr, False, method, model=tiny_model)
    x0, x1 = fer.face_coordinates[:, 0]
    assert x0 in range(25, 85)
    assert x1 in range(120, 170)


def test_what_cannot_be_used_is_the_familys_error(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        cvision.recognize_facial_expression(None, False, model=tiny_model)  # type: ignore[arg-type]
    with pytest.raises(esrface.ModelError):
        cvision.recognize_facial_expression(np.zeros((9, 9, 3), np.uint8), model=tmp_path)
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="device 'cuda' cannot be used"):
            cvision.recognize_facial_expression(np.zeros((9, 9, 3), np.uint8), True, model=tiny_model)
