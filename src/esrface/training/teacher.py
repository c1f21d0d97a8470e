"""Finished runs that teach another: their probabilities on the very views that the student sees."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from esrface._names import printable, reason_of
from esrface.errors import DataError
from esrface.networks.esr import ESR, ConvBlock
from esrface.training.config import TrainConfig, load_config
from esrface.training.run import CONFIG, WEIGHTS, members

VOTES = "votes"
"""Stands among the teachers for branches that learn from the votes alone."""

Teaching = Callable[[Tensor], Tensor]
"""Probabilities (N, 8) for grey views (N, 1, S, S) in 0-255."""


class Teacher:
    """A finished run's ensemble; the mean over its branches, the view and, if asked, the mirrored view.

    Args:
        run: folder of the run.
        log_prior: (8,) of the training images, to give back the branches' logit adjustments.
        device: to answer on.
        mirror: whether to look at the mirrored view too.
    """

    def __init__(self, run: Path, log_prior: Tensor, device: torch.device, mirror: bool = True) -> None:
        self._mirror = mirror
        self._config = load_config(run / CONFIG)
        network = without_batch_norm(load_network(run, self._config))
        self._network = network.to(device, memory_format=ESR.layout)  # type: ignore[call-overload]
        strengths = torch.tensor(self._config.advocates, device=device)
        self._adjustment = strengths[:, None] * log_prior.to(device)
        self._last: tuple[Tensor, Tensor] | None = None

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Probabilities (N, 8) for grey views (N, 1, S, S) of any side in 0-255."""
        # A run may teach several groups of branches: it looks at a batch once.
        if self._last is None or self._last[0] is not pixels:
            self._last = pixels, self._answer(pixels)
        return self._last[1]

    def _answer(self, pixels: Tensor) -> Tensor:
        shape = self._network.config
        if pixels.shape[-1] != shape.input_size:
            side = (shape.input_size, shape.input_size)
            pixels = F.interpolate(pixels, size=side, mode="bilinear", align_corners=False)
        x = (pixels - self._config.input_mean) / self._config.input_std
        x = torch.cat([x, x.flip(-1)]) if self._mirror else x
        x = x.expand(-1, shape.input_channels, -1, -1).contiguous(memory_format=ESR.layout)
        logits = self._network(x).logits.float().unflatten(0, (-1, len(pixels))).mean(dim=0)
        return torch.softmax(logits + self._adjustment, dim=-1).mean(dim=1)


class Teachers:
    """Several that teach as one: the mean of their probabilities."""

    def __init__(self, members: Sequence[Teaching]) -> None:
        self._members = members

    def __call__(self, pixels: Tensor) -> Tensor:
        """As of one teacher."""
        return torch.stack([member(pixels) for member in self._members]).mean(dim=0)


def call_teachers(config: TrainConfig, log_prior: Tensor, device: torch.device) -> list[Teaching | None]:
    """The configuration's teachers in their order; None where the votes alone teach.

    Raises:
        DataError: one is no finished run.
    """
    known: dict[str, Teacher] = {}

    def teacher(run: str) -> Teacher:
        if run not in known:
            known[run] = Teacher(Path(run), log_prior, device, config.teacher_mirror)
        return known[run]

    return [
        None if entry == VOTES else Teachers([teacher(run) for run in members(entry)])
        for entry in config.teachers
    ]


def without_batch_norm(network: ESR) -> ESR:
    """The same function with each batch norm folded into its convolution, in place; a third faster."""
    for block in network.modules():
        if isinstance(block, ConvBlock):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()  # type: ignore[assignment]
    return network


def load_network(run: Path, config: TrainConfig) -> ESR:
    """A finished run's averaged weights in their network, ready to answer.

    Raises:
        DataError: The run is not finished, or its weights cannot be used.
    """
    path = run / WEIGHTS
    if not path.is_file():
        raise DataError(f"{printable(run)}: no {WEIGHTS} here; the run is not finished, go on with --resume")
    with torch.random.fork_rng(devices=[]):
        network = ESR(config.shape).eval()
    try:
        # Earlier versions kept a layer for affect as it was at random.
        weights = {name: value for name, value in load(path.read_bytes()).items() if ".affect." not in name}
        network.load_state_dict(weights)
    except OSError as error:
        raise DataError(f"{printable(path)}: {reason_of(error)}") from None
    except (SafetensorError, RuntimeError):
        raise DataError(f"{printable(path)} is damaged, or of another network than its run says") from None
    return network
