"""YuNet in ONNX Runtime: libfacedetection's network for every platform."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._onnxruntime import onnxruntime
from esrface.detection.base import NO_CANDIDATES, Candidates, Limits
from esrface.detection.pyramid import PyramidDetector, suppress
from esrface.errors import ModelError
from esrface.threads import resolve_threads

WEIGHTS = Path(__file__).parent / "weights" / "yunet.onnx"
SHA256 = "d5a88f00146cc6cd134ec493aed8da6f6c8cceaa9e0197745116f6ebfb9645ee"
"""Of the weights file, verified at each load. ``tools/convert_yunet.py`` writes the file."""

FLOOR = 0.2
"""Nothing is reported below this score, whatever ``min_score`` says (as in libfacedetection)."""

STRIDES = (8, 16, 32)
"""Pixels of the picture for each step on the network's three maps."""


class YuNetDetector(PyramidDetector):
    """Faces with five landmarks, by a network of 54,000 parameters.

    Args:
        limits: Which finds are reported.
        threads: For one call; None: see ``esrface.threads``.
        detection_size: See ``create_detector``.

    Raises:
        ModelError: The weights file is missing or damaged.
    """

    name = "yunet"

    def __init__(
        self, limits: Limits, *, threads: int | None = None, detection_size: int | None = None
    ) -> None:
        self._settings = (limits, threads, detection_size)
        super().__init__(limits, detection_size)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = resolve_threads(threads)
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Pictures differ in size: a plan of memory kept for each size would only pile up.
        options.enable_mem_pattern = False
        # Threads that spin while they wait cost other work its CPU time.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            read_weights(WEIGHTS), options, providers=["CPUExecutionProvider"]
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (create, self._settings)

    def find(self, image: NDArray[np.uint8]) -> Candidates:
        """Candidates of one look at an RGB image (H, W, 3) uint8 in its own size."""
        height, width = image.shape[:2]
        step = STRIDES[-1]
        padded = np.zeros((1, -(-height // step) * step, -(-width // step) * step, 3), dtype=np.uint8)
        padded[0, :height, :width] = image
        maps = self._session.run(None, {"image": padded})
        return suppress(np.concatenate([_decode(m[0], s) for m, s in zip(maps, STRIDES, strict=True)]))


def read_weights(path: Path) -> bytes:
    """The weights file's content, its SHA-256 verified; ModelError where it does not fit."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"the face detector {path} cannot be read ({error.strerror}): reinstall esrface"
        ) from None
    if hashlib.sha256(content).hexdigest() != SHA256:
        raise ModelError(f"the face detector {path} is damaged or was exchanged: reinstall esrface")
    return content


def _decode(maps: NDArray[np.float32], stride: int) -> Candidates:
    """Candidates of one map (16, h, w): class, objectness, box (4) and landmarks (10) at each place."""
    # Logits far below zero may overflow in exp; the score is 0 there, as it should be.
    with np.errstate(over="ignore"):
        scores = 1 / np.sqrt((1 + np.exp(-maps[0])) * (1 + np.exp(-maps[1])))
    rows, columns = np.nonzero(scores > FLOOR)
    if not len(rows):
        return NO_CANDIDATES
    values = maps[2:, rows, columns].T * stride
    places = np.stack([columns, rows], axis=1).astype(np.float32) * stride
    sides = np.exp(values[:, 2:4] / stride) * stride
    corners = places + values[:, :2] - sides / 2
    points = np.tile(places, 5) + values[:, 4:]
    score = scores[rows, columns][:, None]
    return np.concatenate([score, corners, sides, points], axis=1, dtype=np.float32)


def create(limits: Limits, threads: int | None = None, detection_size: int | None = None) -> YuNetDetector:
    """Build the detector (see ``create_detector``)."""
    return YuNetDetector(limits, threads=threads, detection_size=detection_size)


def describe() -> str:
    """What the detector runs on; ModelError where its weights are missing or damaged."""
    read_weights(WEIGHTS)
    return f"onnxruntime {onnxruntime.__version__}"
