"""Ensembles with Shared Representations (Siqueira, Magg & Wermter, AAAI-2020) as one torch module.

A shared base computes low and middle-level features once; K independent branches compete for it and each
gives its own opinion. A branch ends in global average pooling and a linear classifier. Both are linear and
commute, so the classifier is written as a 1x1 convolution: its output, the class maps, averaged over space
plus the bias gives the logits, and is Grad-CAM up to a factor (see `esrface.saliency`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from esrface.networks.config import Conv, Layer, MaxPool, NetworkConfig


class ESROutput(NamedTuple):
    """One forward pass over N faces, K branches and E classes."""

    logits: Tensor
    """(N, K, E)"""
    affect: Tensor | None
    """(N, K, 2) [valence, arousal], or None where the network has no layer for it."""
    class_maps: Tensor
    """(N, K, E, h, w), without the bias: their spatial mean plus the classifier's bias is the logits."""


class ConvBlock(nn.Module):
    """Convolution, batch norm, activation."""

    def __init__(self, in_channels: int, spec: Conv) -> None:
        super().__init__()
        self.spec = spec
        out_channels = in_channels if spec.depthwise else spec.channels
        before, after = spec.padding
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            spec.kernel,
            spec.stride,
            padding=before if before == after else 0,
            groups=in_channels if spec.depthwise else 1,
            bias=spec.bias,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self._pad = (before, after, before, after) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H', W')."""
        if self._pad is not None:
            x = F.pad(x, self._pad)
        x = self.bn(self.conv(x))
        if self.spec.activation == "relu6":
            return F.relu6(x, inplace=True)
        return F.relu(x, inplace=True)


class Branch(nn.Module):
    """One independent branch: its own convolutions and its own classifier.

    Args:
        in_channels: of the features that it grows from.
        config: of the whole network.
        number: of this branch; decides which of these channels it sees where it sees but a share.
    """

    seen: Tensor

    def __init__(self, in_channels: int, config: NetworkConfig, number: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        chosen = torch.randperm(in_channels, generator=torch.Generator().manual_seed(number))
        count = round(config.subspace * in_channels)
        self.register_buffer("seen", chosen[:count].sort().values, persistent=False)
        self.features, channels = _stack(count, config.branch)
        self.dropout = config.dropout
        self.classifier = nn.Conv2d(channels, config.emotions, kernel_size=1)
        self.affect = nn.Linear(config.emotions, 2) if config.affect else None

    def forward(self, shared: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Shared features (N, C, h, w) -> logits (N, E), affect (N, 2) or None, class maps (N, E, h, w)."""
        features = self.features(self._part(shared))
        if self.dropout:
            # Whole channels: a mask that is constant over space is dropout on the pooled features.
            features = F.dropout2d(features, self.dropout, self.training)
        class_maps = F.conv2d(features, self.classifier.weight)
        assert self.classifier.bias is not None
        logits = class_maps.mean(dim=(2, 3)) + self.classifier.bias
        affect = self.affect(F.relu(logits)) if self.affect is not None else None
        return logits, affect, class_maps

    def _part(self, shared: Tensor) -> Tensor:
        """What this branch sees of (N, C, h, w)."""
        # Not by indexing: its gradient is slow on a GPU.
        return shared if len(self.seen) == self.in_channels else shared.index_select(1, self.seen)


class ESR(nn.Module):
    """A shared base and K branches, built from a `NetworkConfig`; where the base is empty, K whole networks.

    Where the configuration has limbs, branches grow from these instead of from the base. Some limbs may look
    at the picture's mirror image; their class maps are turned back, so that all maps lie over the picture.

    Input: (N, C, S, S) float, normalised as the model's card says (C and S are the configuration's).
    """

    layout: ClassVar[torch.memory_format] = torch.channels_last
    """Of weights and inputs in which training and teaching compute."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.base, shared = _stack(config.input_channels, config.base)
        limbs = [_stack(shared, config.limb) for _ in range(config.limbs)]
        self.limbs = nn.ModuleList(limb for limb, _ in limbs)
        channels = limbs[0][1]
        self.branches = nn.ModuleList(Branch(channels, config, number) for number in range(config.branches))

    def forward(self, x: Tensor) -> ESROutput:
        """Logits, affect and class maps of every branch; the base runs once for each view of the picture."""
        mirrored = () if self.training else self.config.mirrored
        shared = self.base(torch.cat([x, x.flip(-1)]) if mirrored else x)
        views = shared.chunk(2) if mirrored else (shared,)
        features = [limb(views[number in mirrored]) for number, limb in enumerate(self.limbs)]
        answers = []
        for number, branch in enumerate(self.branches):
            limb = self.config.limb_of(number)
            branch_logits, branch_affect, maps = branch(features[limb])
            answers.append((branch_logits, branch_affect, maps.flip(-1) if limb in mirrored else maps))
        logits, affect, class_maps = zip(*answers, strict=True)
        return ESROutput(
            torch.stack(logits, dim=1),
            torch.stack(affect, dim=1) if self.config.affect else None,
            torch.stack(class_maps, dim=1),
        )


def use_face_statistics(network: ESR) -> ESR:
    """Let the branches' batch norms use the statistics of each face by itself, in place.

    That is what batch norm in training mode does to a batch of one. Whatever the batch, each face is
    normalised by its own mean and (biased) variance, so that a batch answers as single calls do; running
    statistics of the branches play no part any more. The base keeps its own.
    """
    for branch in network.branches:
        for block in branch.modules():
            if isinstance(block, ConvBlock):
                alone = nn.InstanceNorm2d(block.bn.num_features, eps=block.bn.eps, affine=True)
                alone.weight, alone.bias = block.bn.weight, block.bn.bias
                block.bn = alone  # type: ignore[assignment]
    return network


def parameter_count(module: nn.Module) -> int:
    """Number of trainable values."""
    return sum(parameter.numel() for parameter in module.parameters())


def _stack(channels: int, layers: Iterable[Layer]) -> tuple[nn.Sequential, int]:
    """The layers as a module, and the channels they end in."""
    modules: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, MaxPool):
            modules.append(nn.MaxPool2d(layer.kernel))
        else:
            modules.append(ConvBlock(channels, layer))
            channels = channels if layer.depthwise else layer.channels
    return nn.Sequential(*modules), channels
