"""A finished run that teaches another: its probabilities on the very views that the student sees."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from esrface.errors import DataError
from esrface.networks.config import network_config
from esrface.networks.esr import ESR, ConvBlock
from esrface.training.config import TrainConfig, load_config
from esrface.training.run import CONFIG, WEIGHTS

VOTES = "votes"
"""Stands among the teachers for branches that learn from the votes alone."""


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
        self._network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        strengths = torch.tensor(self._config.advocates, device=device)
        self._adjustment = strengths[:, None] * log_prior.to(device)

    @torch.no_grad()
    def __call__(self, pixels: Tensor) -> Tensor:
        """Probabilities (N, 8) for grey views (N, 1, S, S) of any side in 0-255."""
        shape = self._network.config
        if pixels.shape[-1] != shape.input_size:
            side = (shape.input_size, shape.input_size)
            pixels = F.interpolate(pixels, size=side, mode="bilinear", align_corners=False)
        x = (pixels - self._config.input_mean) / self._config.input_std
        x = x.expand(-1, shape.input_channels, -1, -1).contiguous(memory_format=torch.channels_last)
        logits = self._network(x).logits.float()
        if self._mirror:
            logits = (logits + self._network(x.flip(-1)).logits.float()) / 2
        return torch.softmax(logits + self._adjustment, dim=-1).mean(dim=1)


def without_batch_norm(network: ESR) -> ESR:
    """The same function with each batch norm folded into its convolution, in place; a third faster."""
    for block in network.modules():
        if isinstance(block, ConvBlock):
            block.conv = fuse_conv_bn_eval(block.conv, block.bn)
            block.bn = nn.Identity()  # type: ignore[assignment]
    return network


def load_network(run: Path, config: TrainConfig) -> ESR:
    """A finished run's averaged weights in their network, ready to answer."""
    if not (run / WEIGHTS).is_file():
        raise DataError(f"{run}: no {WEIGHTS} here; the run is not finished, go on with --resume")
    network = ESR(network_config(config.network)).eval()
    network.load_state_dict(load_file(run / WEIGHTS))
    return network
