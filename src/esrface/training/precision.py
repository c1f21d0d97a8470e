"""How exactly a model file keeps its network, what that changes, and how much change is too much."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.ensemble import combine_arrays
from esrface.errors import InputError, ModelError
from esrface.evaluation import metrics
from esrface.evaluation.exported import calibration_choice
from esrface.networks.esr import ESR
from esrface.networks.onnx_export import to_onnx
from esrface.networks.quantise import to_int8

PRECISIONS = ("fp32", "fp16", "int8")
"""``fp32``: as trained. ``fp16``: weights rounded, half the size, computed in float32. ``int8``: weights and
values rounded, a quarter of the size, computed in whole numbers, which is faster where the CPU can."""

LARGEST_DIFFERENCE = 1e-4
"""Of a branch's probability, between a file and its network, where nothing is rounded."""

MEAN_DIFFERENCES = {"fp16": 0.002, "int8": 0.02}
"""Mean difference of the branches' probabilities where weights are rounded: single ones move further, in a
good file of float16 weights by 0.02."""

ALLOWED_LOSS = 0.002
"""Of validation accuracy, for int8; two images are always allowed."""

EFFECTS = {"fp16": "float16_weights", "int8": "int8"}
"""Keys of a card's score under which stands what the precision changed."""

Logits = NDArray[np.float32]


def model_content(
    network: ESR, precision: str, *, logit_shift: Logits | None = None, faces: Logits | None = None
) -> bytes:
    """The model file of a network.

    Args:
        network: In evaluation mode.
        precision: One of ``PRECISIONS``.
        logit_shift: (K, 8), see `to_onnx`.
        faces: For ``int8``: (N, C, S, S) normalised training faces; ``CALIBRATION_FACES`` of them, evenly
            spread, are used.

    Raises:
        InputError: An unknown precision, or ``int8`` without faces.
        ModelError: The network cannot be stored in int8.
    """
    if precision not in PRECISIONS:
        raise InputError(unknown_name("precision", precision, PRECISIONS))
    if precision != "int8":
        return _bytes(to_onnx(network, logit_shift=logit_shift, half=precision == "fp16"))
    if faces is None or not len(faces):
        raise InputError("int8 needs training faces to calibrate with")
    exact = to_onnx(network, logit_shift=logit_shift, half=False)
    return _bytes(to_int8(exact, faces[calibration_choice(len(faces))]))


def precision_of(content: bytes) -> str:
    """In which precision a model file is stored."""
    kinds = {value.data_type for value in onnx.load_from_string(content).graph.initializer}
    if onnx.TensorProto.INT8 in kinds:
        return "int8"
    return "fp16" if onnx.TensorProto.FLOAT16 in kinds else "fp32"


def check_answers(given: Logits, expected: Logits, precision: str) -> float:
    """Difference of the branches' probabilities that matters at this precision.

    Args:
        given: (N, K, 8) logits of a file.
        expected: (N, K, 8) of the network that it was made from.
        precision: Of the file.

    Raises:
        ModelError: It is too large.
    """
    differences = np.abs(_probabilities(given) - _probabilities(expected))
    allowed = MEAN_DIFFERENCES.get(precision)
    difference = float(differences.max() if allowed is None else differences.mean())
    if difference > (LARGEST_DIFFERENCE if allowed is None else allowed):
        raise ModelError(
            f"the exported file answers unlike the network (probabilities differ by {difference:.2g}"
            f"{'' if allowed is None else ' on average'})"
        )
    return difference


def effect(
    given: Logits, expected: Logits, labels: NDArray[np.int64], temperature: float
) -> dict[str, float]:
    """What a precision changes on labelled faces, for a card.

    Args:
        given: (N, K, 8) logits of the file, as the card's inference gives them.
        expected: (N, K, 8) of the same network in float32.
        labels: (N,)
        temperature: Of the card: the mean of the branches' probabilities depends on it.
    """
    changed, exact = (combine_arrays(logits, None, temperature=temperature) for logits in (given, expected))
    differences = np.abs(changed.branch_probabilities - exact.branch_probabilities)
    return {
        "accuracy_change": metrics.accuracy(changed.emotion, labels)
        - metrics.accuracy(exact.emotion, labels),
        "equal_answers": float((changed.emotion == exact.emotion).mean()),
        "largest_probability_difference": float(differences.max()),
    }


def check_loss(change: float, images: int) -> None:
    """Raise ModelError where so many images' accuracy changed (a share, negative is worse) by too much."""
    if -change > max(ALLOWED_LOSS, 2 / images) + 1e-9:
        raise ModelError(
            f"int8 would cost {-100 * change:.2f} points of validation accuracy, {100 * ALLOWED_LOSS:g} are "
            "allowed: use fp16"
        )


def _probabilities(logits: Logits) -> NDArray[np.float64]:
    return combine_arrays(logits, None).branch_probabilities


def _bytes(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString())
