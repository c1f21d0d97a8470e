"""Run a network on prepared crops. An engine knows nothing of faces, boxes or emotions' names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.errors import InputError, ModelError

if TYPE_CHECKING:
    from esrface.models.registry import ModelFile

DEVICES = ("cpu", "cuda")


@dataclass(frozen=True, eq=False)
class EngineOutput:
    """What a network of K branches and E classes gives for N inputs; float32."""

    logits: NDArray[np.float32]
    """(N, K, E), before temperature."""
    affect: NDArray[np.float32] | None
    """(N, K, 2) [valence, arousal] of a trained layer; None where the network has none."""
    class_maps: NDArray[np.float32] | None
    """(N, K, E, h, w) logits by place, before the bias; None unless asked for."""

    def __getitem__(self, rows: slice) -> EngineOutput:
        """The outputs for some of the inputs."""
        affect = None if self.affect is None else self.affect[rows]
        maps = None if self.class_maps is None else self.class_maps[rows]
        return EngineOutput(self.logits[rows], affect, maps)


class Engine(Protocol):
    """A loaded network. Thread-safe."""

    @property
    def branches(self) -> int:
        """K."""

    @property
    def has_affect(self) -> bool:
        """Whether outputs carry ``affect``."""

    def run(self, inputs: NDArray[np.float32], *, class_maps: bool = False) -> EngineOutput:
        """Output for inputs (N, C, S, S) float32 as ``esrface.preprocess.to_input`` makes them."""


def unknown_device(device: str) -> str:
    """Line for a device that is none of ``DEVICES``."""
    # By its letters "gpu" is near to "cpu".
    gpu = str(device).lower().partition(":")[0] in ("gpu", "cuda")
    return unknown_name("device", device, DEVICES, meant="cuda" if gpu else None)


def create_engine(
    file: ModelFile, *, device: str = "cpu", threads: int, batch_norm: str | None = None
) -> Engine:
    """Load a model.

    Args:
        file: As ``esrface.models.registry.resolve_model`` finds it.
        device: ``"cpu"`` or ``"cuda"``.
        threads: For one call of the network.
        batch_norm: For the original's weights, see ``esrface.engine.torch``; None: ``"instance"``.

    Raises:
        ModelError: File and card do not fit one another, or ``batch_norm`` is given for an ONNX model.
        DeviceError: The device cannot be used here.
        DependencyError: The original's weights without torch.
    """
    if device not in DEVICES:
        raise InputError(unknown_device(device))
    if file.is_original:
        return _torch_engine(file, device, threads, batch_norm or "instance")
    if batch_norm is not None:
        raise ModelError(
            f"batch_norm is for the original's .pt weights only; '{file.card.name}' is an ONNX model "
            "with its statistics inside: leave batch_norm out"
        )
    # Here and not above: listing models or reading a card does not need the runtime.
    from esrface.engine.onnx import OnnxEngine

    engine = OnnxEngine(file.read(), device=device, threads=threads, name=str(file.path))
    engine.check(file.card)
    return engine


def _torch_engine(file: ModelFile, device: str, threads: int, batch_norm: str) -> Engine:
    from esrface.engine.torch import TorchEngine

    engine = TorchEngine(file.path, device=device, threads=threads, batch_norm=batch_norm)
    engine.check(file.card)
    return engine


def run_views(
    engine: Engine, inputs: NDArray[np.float32], *, mirror: bool, class_maps: bool = False
) -> EngineOutput:
    """Output for inputs (N, C, S, S); with ``mirror`` the mean of it and the mirrored inputs' output.

    The mirrored inputs' class maps are turned back before, so that maps stay in the inputs' coordinates.
    """
    if not mirror:
        return engine.run(inputs, class_maps=class_maps)
    both = engine.run(np.concatenate([inputs, inputs[..., ::-1]]), class_maps=class_maps)
    seen, mirrored = both[: len(inputs)], both[len(inputs) :]
    affect = maps = None
    if seen.affect is not None and mirrored.affect is not None:
        affect = _mean(seen.affect, mirrored.affect)
    if seen.class_maps is not None and mirrored.class_maps is not None:
        maps = _mean(seen.class_maps, mirrored.class_maps[..., ::-1])
    return EngineOutput(_mean(seen.logits, mirrored.logits), affect, maps)


def join(outputs: Sequence[EngineOutput]) -> EngineOutput:
    """The outputs for successive inputs (at least one) as one."""
    affect = [output.affect for output in outputs if output.affect is not None]
    maps = [output.class_maps for output in outputs if output.class_maps is not None]
    return EngineOutput(
        np.concatenate([output.logits for output in outputs]),
        np.concatenate(affect) if affect else None,
        np.concatenate(maps) if maps else None,
    )


def _mean(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray((a + b) / 2, dtype=np.float32)
