"""The original's call and its answer, for programs written against it.

>>> from esrface.compat import cvision
>>> fer = cvision.recognize_facial_expression(cv2.imread("picture.jpg"), False)  # doctest: +SKIP
>>> fer.list_emotion[-1]  # doctest: +SKIP
'Happy'

New programs are better off with `esrface.Recognizer`, which finds all faces and knows how sure it is.
"""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esrface.errors import InputError
from esrface.images import load_image
from esrface.preprocess import map_on_box
from esrface.recognizer import Recognizer
from esrface.results import mapped_arousal

if TYPE_CHECKING:
    from esrface.models.card import CropRule
    from esrface.recognizer import Image
    from esrface.results import Face

DETECTORS = {None: "auto", 1: "dlib-optimized", 2: "dlib-cnn", 3: "haar"}
"""What the numbers of ``face_detection_method`` mean."""

_recognizers: dict[tuple[str | None, bool, int | None], Recognizer] = {}
_loading = threading.Lock()


@dataclass(eq=False)
class FER:
    """What the original's call answers; without a face everything but ``input_image`` is None."""

    input_image: NDArray[np.uint8]
    """The image given."""
    face_image: NDArray[np.uint8] | None = None
    """(h, w, 3) uint8 BGR: the image inside ``face_coordinates``."""
    face_coordinates: NDArray[np.int64] | None = None
    """[[x0, y0], [x1, y1]] in pixels of the image."""
    list_emotion: list[str] | None = None
    """Each branch's emotion, then the ensemble's: the one that most branches name."""
    list_affect: NDArray[np.float32] | None = None
    """(K + 1, 2): [valence, arousal] of each branch, then their mean. Valence nominally -1..1, as the network
    gives it; arousal mapped to 0..1 by clip((arousal + 1) / 2, 0, 1)."""
    _maps: _Maps | None = field(default=None, repr=False)

    def get_grad_cam(self, i: int) -> NDArray[np.float32] | None:
        """Where branch ``i`` saw its own emotion: (h, w) float32 0-1 over ``face_image``.

        None without a face. None, with a warning, if the call was made without ``grad_cam=True``.
        """
        if self._maps is not None:
            return self._maps.on_face(i)
        if self.face_image is not None:
            warnings.warn(
                "there are no saliency maps: call recognize_facial_expression with grad_cam=True",
                stacklevel=2,
            )
        return None


@dataclass(frozen=True, eq=False)
class _Maps:
    """The branches' maps, enlarged only when somebody looks."""

    face: Face
    rule: CropRule

    def on_face(self, branch: int) -> NDArray[np.float32]:
        assert self.face.saliency is not None
        count = len(self.face.saliency.branches)
        if not -count <= branch < count:
            raise IndexError(f"a branch's number is from 0 to {count - 1}, got {branch}")
        heat = self.face.saliency.branches[branch]
        return map_on_box(heat, self.face.box, self.face.landmarks, self.rule)


def recognize_facial_expression(
    image: Image,
    on_gpu: bool = False,
    face_detection_method: int | None = None,
    grad_cam: bool = False,
    *,
    model: str | Path | None = None,
) -> FER:
    """Find the biggest face in an image and read its expression, as the original's function does.

    The network is loaded at the first call with a setting and kept; calls may come from many threads.

    Args:
        image: (H, W, 3) uint8 BGR, as OpenCV reads pictures, or whatever else ``Recognizer`` takes for one.
        on_gpu: Run the network on the GPU.
        face_detection_method: 1: dlib's network, on a smaller picture first; 2: dlib's network; 3: Haar
            cascade; None: esrface's own choice, which is better and faster than these.
        grad_cam: Whether ``get_grad_cam`` shall have maps to give.
        model: As for ``Recognizer``; None: the default model. A folder of the original's ``.pt`` files gives
            the original's own numbers.

    Raises:
        InputError: The image or the method cannot be used.
        DependencyError: The method or the model needs a package that is not installed.
        DeviceError: ``on_gpu`` without a usable GPU.
        ModelError: The model cannot be used.
    """
    recognizer = _recognizer(model, bool(on_gpu), face_detection_method)
    pixels = load_image(image, color="bgr")
    given = image if isinstance(image, np.ndarray) else np.ascontiguousarray(pixels[..., ::-1])
    faces = recognizer(pixels, saliency=grad_cam)
    if not faces:
        return FER(given)
    face = faces[0]
    x0, y0, x1, y1 = face.box
    affect = face.expression.branch_affect.copy()
    affect[:, 1] = mapped_arousal(affect[:, 1])
    return FER(
        input_image=given,
        face_image=np.ascontiguousarray(pixels[y0:y1, x0:x1, ::-1]),
        face_coordinates=np.array([[x0, y0], [x1, y1]], dtype=np.int64),
        list_emotion=[*face.expression.branch_emotions, face.expression.emotion],
        list_affect=np.concatenate([affect, affect.mean(axis=0, keepdims=True)]),
        _maps=_Maps(face, recognizer.card.crop) if grad_cam else None,
    )


def _recognizer(model: str | Path | None, on_gpu: bool, method: int | None) -> Recognizer:
    if not isinstance(method, (int, NoneType)) or isinstance(method, bool) or method not in DETECTORS:
        raise InputError(
            f"face_detection_method is 1 (dlib, faster), 2 (dlib), 3 (Haar cascade) or None, got {method!r}"
        )
    key = (None if model is None else str(Path(model).absolute()), on_gpu, method)
    # Under the lock, so that threads that come together load a network once.
    with _loading:
        if key not in _recognizers:
            _recognizers[key] = Recognizer(
                model,
                detector=DETECTORS[method],
                device="cuda" if on_gpu else "cpu",
                vote="plurality",
                max_faces=1,
            )
        return _recognizers[key]
