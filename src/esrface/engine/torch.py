"""PyTorch: the engine of the original's own weights, a folder of ``.pt`` files, on the CPU or a GPU.

Torch is imported when the first network is loaded and not before, so that everything else works without it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from esrface._extras import how_to_install
from esrface._names import printable
from esrface._suggest import unknown_name
from esrface.engine import EngineOutput, join
from esrface.errors import DependencyError, DeviceError, InputError, ModelError
from esrface.models.card import ModelCard
from esrface.models.original import BATCH_NORMS, digest, read_state_files
from esrface.threads import resolve_threads

if TYPE_CHECKING:
    import torch

CHUNK = {"cpu": 8, "cuda": 64}
"""Inputs per call of the network: more than 8 gain no speed on a CPU, while each costs some 10 MB."""

_cuda_settings = threading.Lock()
"""Held while settings of cuDNN differ from the process's own."""


class TorchEngine:
    """The original's ensemble in PyTorch.

    Args:
        folder: With the files that ``esrface.networks.original.read_original`` reads.
        device: ``"cpu"`` or ``"cuda"``.
        threads: For one call of the network; None: see ``esrface.threads``. Ignored on a GPU.
        batch_norm: ``"instance"``: the branches normalise by the statistics of each face by itself, as the
            original program does; ``"running"``: by those gathered in training. The base does the latter.

    Raises:
        DependencyError: Torch is not installed, or cannot be loaded.
        DeviceError: ``"cuda"`` without a usable GPU or with a torch built without CUDA.
        InputError: An unknown ``batch_norm``.
        ModelError: The folder is not of that layout.
    """

    has_class_maps = True

    def __init__(
        self,
        folder: Path | str,
        *,
        device: str = "cpu",
        threads: int | None = None,
        batch_norm: str = "instance",
    ) -> None:
        if batch_norm not in BATCH_NORMS:
            raise InputError(unknown_name("batch_norm", batch_norm, BATCH_NORMS))
        _require_torch()
        import torch

        from esrface.networks.esr import use_face_statistics
        from esrface.networks.original import network_of

        self._name = printable(folder)
        self._threads = resolve_threads(threads)
        if device == "cuda":
            _check_cuda()
        self._device = torch.device(device)
        files = read_state_files(Path(folder))
        self._sha256 = digest(files)
        network = network_of(files)
        if batch_norm == "instance":
            use_face_statistics(network)
        self._config = network.config
        # A quarter faster for several faces at once.
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def branches(self) -> int:
        """K."""
        return int(self._config.branches)

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, S, S)."""
        return (self._config.input_channels, self._config.input_size, self._config.input_size)

    @property
    def has_affect(self) -> bool:
        """Whether outputs carry ``affect``."""
        return bool(self._config.affect)

    def check(self, card: ModelCard) -> None:
        """Raise ModelError unless the files are those that ``card`` was made from."""
        if self._sha256 != card.sha256:
            raise ModelError(
                f"the weights in {self._name} do not match their card; a file is damaged or was exchanged: "
                "copy or download them again"
            )
        described = (card.branches, (card.input.channels, *[card.input.size] * 2), len(card.emotions))
        if (self.branches, self.input_shape, self._config.emotions) != described:
            raise ModelError(f"the weights in {self._name} and their card describe different networks")
        if card.affect_source == "network" and not self.has_affect:
            raise ModelError(f"the weights in {self._name} have no affect layer, the card says they have")

    def run(self, inputs: NDArray[np.float32], *, class_maps: bool = False) -> EngineOutput:
        """Output for inputs (N, C, S, S) float32, computed in chunks of ``CHUNK`` to bound the memory."""
        if inputs.shape[1:] != self.input_shape:
            raise ValueError(f"expected inputs (N, *{self.input_shape}), got {inputs.shape}")
        # A blank input, thrown away, gives the shapes for none.
        padded = inputs if len(inputs) else np.zeros((1, *self.input_shape), dtype=np.float32)
        chunk = CHUNK[self._device.type]
        with self._settings():
            parts = [self._run(padded[i : i + chunk], class_maps) for i in range(0, len(padded), chunk)]
        output = join(parts)
        return output if len(inputs) else output[:0]

    def _run(self, inputs: NDArray[np.float32], class_maps: bool) -> EngineOutput:
        import torch

        with torch.inference_mode():
            x = torch.tensor(np.ascontiguousarray(inputs, dtype=np.float32), device=self._device)
            output = self._network(x.contiguous(memory_format=torch.channels_last))
        logits = _array(output.logits)
        affect = None if output.affect is None else _array(output.affect)
        maps = _array(output.class_maps) if class_maps else None
        if not all(np.isfinite(values).all() for values in (logits, affect, maps) if values is not None):
            raise ModelError(f"{self._name} answers with NaN or infinity: its weights are unusable")
        return EngineOutput(logits, affect, maps)

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Our threads on a CPU, full precision on a GPU; both are torch's for the process, so put back."""
        import torch

        if self._device.type == "cuda":
            # TF32 would cost the agreement with the CPU.
            with _cuda_settings, torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                yield
            return
        before = torch.get_num_threads()
        if before == self._threads:
            yield
            return
        torch.set_num_threads(self._threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _array(values: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(values.cpu().numpy(), dtype=np.float32)


def _require_torch() -> None:
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError:
        raise DependencyError(f"the original's .pt weights need torch: {how_to_install('torch')}") from None
    # A torch whose own libraries are missing or do not fit the machine.
    except (ImportError, OSError) as error:
        line = (str(error).splitlines() or [type(error).__name__])[0]
        raise DependencyError(f"torch is installed but cannot be loaded ({line}): reinstall it") from None


def _check_cuda() -> None:
    import torch

    if torch.version.cuda is None:
        problem = f"the installed torch {torch.__version__} is built without CUDA"
    elif not torch.cuda.is_available():
        problem = "torch finds no usable GPU"
    else:
        return
    raise DeviceError(
        f"device 'cuda' cannot be used: {problem}; install a torch for your GPU (https://pytorch.org), or "
        "leave the device out to use the CPU"
    )
