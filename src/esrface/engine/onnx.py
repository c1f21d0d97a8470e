"""ONNX Runtime: the engine of every model that comes as an ``.onnx`` file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from esrface._onnxruntime import onnxruntime
from esrface.engine import EngineOutput, join
from esrface.errors import DeviceError, ModelError
from esrface.models.card import ModelCard
from esrface.threads import resolve_threads

CHUNK = {"cpu": 8, "cuda": 64}
"""Inputs per call of the runtime. On a CPU more than 8 gain no speed while each costs some 3 MB at 96 px; a
GPU wants more."""

# A tensor kept in another file: the key "location" of TensorProto.external_data, in every way that protocol
# buffers allow to write its tag and length. That file would escape the card's hash, and may be any file.
_EXTERNAL_DATA = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")


class OnnxEngine:
    """A network in ONNX Runtime.

    The file has an input ``input`` (N, C, S, S) float32 and outputs ``logits`` (N, K, E), optionally
    ``affect`` (N, K, 2) and ``class_maps`` (N, K, E, h, w), all float32; all weights are inside it.

    Args:
        model: The file's path, or its bytes (as ``ModelFile.read`` gives them, hash verified).
        device: ``"cpu"`` or ``"cuda"``.
        threads: For one call of the network; None: see ``esrface.threads``. Ignored on a GPU.
        name: How errors name the model where ``model`` is bytes.

    Raises:
        ModelError: Not readable, not ONNX, or without the inputs and outputs above.
        DeviceError: ``"cuda"`` without a usable GPU or without onnxruntime-gpu.
    """

    def __init__(
        self, model: Path | str | bytes, *, device: str = "cpu", threads: int | None = None, name: str = ""
    ) -> None:
        self._name = name or ("the model" if isinstance(model, bytes) else str(model))
        content = model if isinstance(model, bytes) else _read(Path(model))
        if b"location" in content and _EXTERNAL_DATA.search(content):
            raise ModelError(f"{self._name} keeps weights in another file: export it with all weights inside")
        providers = _providers(device)
        self._chunk = CHUNK[device]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = resolve_threads(threads)
        options.inter_op_num_threads = 1
        # What goes wrong reaches us as exceptions; the runtime's own lines on stderr would be noise.
        options.log_severity_level = 4
        # Threads spin within a call (else two of them are no faster than one) but not after it, where they
        # would take CPU time from detection and other workers.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=providers, enable_fallback=0
            )
        # The runtime's errors share no base class below Exception.
        except Exception as error:
            if device == "cuda" and "cuda" in str(error).lower():
                raise DeviceError(_no_cuda(f"the GPU could not be used ({_first_line(error)})")) from None
            raise ModelError(f"{self._name} is no usable ONNX model ({_first_line(error)})") from None
        if device == "cuda" and "CUDAExecutionProvider" not in self._session.get_providers():
            raise DeviceError(_no_cuda("CUDA or cuDNN libraries are missing or no GPU answers"))
        self._outputs = {output.name: output for output in self._session.get_outputs()}
        self._input_shape, self._branches, self._classes = self._inspect()

    @property
    def branches(self) -> int:
        """K."""
        return self._branches

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, S, S)."""
        return self._input_shape

    @property
    def has_affect(self) -> bool:
        """Whether outputs carry ``affect``."""
        return "affect" in self._outputs

    @property
    def has_class_maps(self) -> bool:
        """Whether class maps can be asked for."""
        return "class_maps" in self._outputs

    def check(self, card: ModelCard) -> None:
        """Raise ModelError unless the network is what ``card`` describes."""
        described = (card.input.channels, card.input.size, card.input.size)
        if self._input_shape != described:
            self._misfit(f"its input is {_times(self._input_shape)}, the card says {_times(described)}")
        if self._branches != card.branches:
            self._misfit(f"it has {self._branches} branches, the card says {card.branches}")
        if self._classes != len(card.emotions):
            self._misfit(f"it has {self._classes} classes, the card names {len(card.emotions)}")
        if card.affect_source == "network" and not self.has_affect:
            self._misfit("it has no affect output, the card says affect_source network")

    def run(self, inputs: NDArray[np.float32], *, class_maps: bool = False) -> EngineOutput:
        """Output for inputs (N, C, S, S) float32, computed in chunks of ``CHUNK`` to bound the memory."""
        if inputs.shape[1:] != self._input_shape:
            raise ValueError(f"expected inputs (N, {_times(self._input_shape)}), got {inputs.shape}")
        if class_maps and not self.has_class_maps:
            raise ModelError(f"{self._name} has no class maps: export it with the class_maps output")
        wanted = ("logits", *(("affect",) * self.has_affect), *(("class_maps",) * class_maps))
        # The runtime's kernels are not made for empty batches: a blank input, thrown away, gives the shapes.
        padded = inputs if len(inputs) else np.zeros((1, *self._input_shape), dtype=np.float32)
        chunks = [padded[i : i + self._chunk] for i in range(0, len(padded), self._chunk)]
        output = join([self._run_chunk(chunk, wanted) for chunk in chunks])
        return output if len(inputs) else output[:0]

    def _run_chunk(self, inputs: NDArray[np.float32], wanted: tuple[str, ...]) -> EngineOutput:
        try:
            feed = {"input": np.ascontiguousarray(inputs, dtype=np.float32)}
            arrays = self._session.run(list(wanted), feed)
        except Exception as error:
            raise ModelError(f"{self._name} failed to run ({_first_line(error)})") from None
        values = dict(zip(wanted, arrays, strict=True))
        if not all(np.isfinite(array).all() for array in arrays):
            raise ModelError(f"{self._name} answers with NaN or infinity: its weights are unusable")
        return EngineOutput(values["logits"], values.get("affect"), values.get("class_maps"))

    def _inspect(self) -> tuple[tuple[int, int, int], int, int]:
        """Input shape (C, S, S), K and how many classes, or a ModelError where the file has another form."""
        inputs = self._session.get_inputs()
        shape = inputs[0].shape if len(inputs) == 1 and inputs[0].name == "input" else []
        fixed = all(isinstance(side, int) and side > 0 for side in shape[1:])
        if len(shape) != 4 or not fixed or inputs[0].type != "tensor(float)":
            self._refuse("one input 'input' (N, C, S, S) of float32 with C and S fixed")
        if isinstance(shape[0], int):
            self._refuse("an input for any number of faces (its batch axis is fixed)")
        for name, rank, last in (("logits", 3, ()), ("affect", 3, (2,)), ("class_maps", 5, ())):
            output = self._outputs.get(name)
            if output is None and name != "logits":
                continue
            form = [] if output is None else output.shape
            if output is None or len(form) != rank or output.type != "tensor(float)":
                self._refuse(f"an output '{name}' of {rank} axes of float32")
            if last and tuple(form[-1:]) != last:
                self._refuse(f"an output '{name}' whose last axis is {last[0]}, not {form[-1]}")
        _, branches, classes = self._outputs["logits"].shape
        if not isinstance(branches, int) or not isinstance(classes, int):
            self._refuse("an output 'logits' (N, K, E) with K and E fixed")
        return (shape[1], shape[2], shape[3]), branches, classes

    def _refuse(self, expected: str) -> NoReturn:
        raise ModelError(f"{self._name} does not fit: expected {expected}; export it with esrface")

    def _misfit(self, problem: str) -> NoReturn:
        raise ModelError(f"{self._name} and its card do not belong together: {problem}")


def _providers(device: str) -> list[Any]:
    if device != "cuda":
        return ["CPUExecutionProvider"]
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DeviceError(_no_cuda("the installed onnxruntime has no CUDA support"))
    # TF32 would cost the agreement with the CPU; an exhaustive search would stop at every new batch size.
    return [("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})]


def _no_cuda(problem: str) -> str:
    return (
        f"device 'cuda' cannot be used: {problem}; for a GPU run 'pip uninstall -y onnxruntime' and "
        "'pip install onnxruntime-gpu', or leave the device out to use the CPU"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"the model {path} does not exist") from None
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror or error}") from None


def _first_line(error: BaseException) -> str:
    """The runtime's message without its codes and source paths."""
    line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    line = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", line)
    return line if len(line) <= 160 else f"{line[:157]}..."


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in shape)
