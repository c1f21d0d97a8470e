"""What a network looks like, as data: the shared base, one branch, and how many of them.

A configuration is plain data, so that it travels in a model's card and in a training run's folder, and one
class (`esrface.networks.esr.ESR`) builds every network from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from esrface.errors import InputError


@dataclass(frozen=True)
class Conv:
    """Convolution, batch norm, activation."""

    channels: int
    """Output channels; ignored for a depthwise convolution, which keeps its input's."""
    kernel: int = 3
    stride: int = 1
    padding: tuple[int, int] = (0, 0)
    """Pixels of zeros (before, after) on both axes; TensorFlow's "SAME" at stride 2 is (0, 1)."""
    depthwise: bool = False
    bias: bool = False
    """Whether the convolution has a bias of its own in front of the batch norm."""
    activation: str = "relu"
    """``"relu"`` or ``"relu6"``."""


@dataclass(frozen=True)
class MaxPool:
    """Maximum over ``kernel`` x ``kernel``, stride ``kernel``."""

    kernel: int = 2


Layer = Conv | MaxPool

_STACKS = ("base", "limb", "branch")


@dataclass(frozen=True)
class NetworkConfig:
    """An ensemble with a shared base and independent branches of equal shape.

    Between the two there may be limbs: stacks of equal shape that start at the base and carry some branches
    each, so that neighbours share more than strangers do (a tree; Lee et al., 2015, "Why M heads are better
    than one"). It is the paper's branching level, chosen twice.
    """

    name: str
    input_size: int
    """Side of the square input in pixels."""
    input_channels: int
    base: tuple[Layer, ...]
    branch: tuple[Layer, ...]
    """Layers of one branch before its global average pooling and linear classifier."""
    limb: tuple[Layer, ...] = ()
    """Layers of one limb; none: branches start at the base."""
    limbs: int = 1
    """How many limbs there are; the branches are spread evenly over them, in their order."""
    mirrored: tuple[int, ...] = ()
    """Limbs that look at the mirror image instead of the picture: the ensemble sees both for the price of a
    second pass through the base. In training, where pictures are mirrored at random, all look at the same."""
    branches: int = 9
    emotions: int = 8
    affect: bool = False
    """Whether each branch ends in a linear layer from ReLU(logits) to [valence, arousal]."""
    subspace: float = 1.0
    """Share of the channels before it that each branch looks at, a random choice of its own (Ho, 1998)."""
    dropout: float = 0.0
    """Dropout on the features in front of each branch's classifier, in training only."""

    def __post_init__(self) -> None:
        if self.branches % self.limbs or (self.limbs > 1 and not self.limb):
            raise InputError(f"{self.branches} branches cannot be spread evenly over {self.limbs} limbs")
        if set(self.mirrored) - set(range(self.limbs if self.limb else 0)):
            there = f"its limbs are numbered 0 to {self.limbs - 1}" if self.limb else "it has none"
            raise InputError(f"limbs {self.mirrored} of {self.name} cannot look at the mirror image: {there}")

    def limb_of(self, branch: int) -> int:
        """Which limb carries the branch."""
        return branch * self.limbs // self.branches

    def school_of(self, branch: int) -> int:
        """Number of the group that starts and learns alike: the branch's limb, or without limbs itself."""
        return self.limb_of(branch) if self.limbs > 1 else branch

    def has_layers_of(self, other: NetworkConfig) -> bool:
        """Whether the two are one network, but for its name and for which limbs look at the mirror image."""
        return replace(self, name="", mirrored=()) == replace(other, name="", mirrored=())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data; `network_from_dict` reads it back."""
        plain = asdict(self)
        for part in _STACKS:
            plain[part] = [
                {"type": type(layer).__name__, **layer_dict}
                for layer, layer_dict in zip(getattr(self, part), plain[part], strict=True)
            ]
        return plain


def network_from_dict(plain: Mapping[str, Any]) -> NetworkConfig:
    """The configuration that `NetworkConfig.to_dict` wrote."""
    fields = dict(plain)
    for part in _STACKS:
        fields[part] = tuple(_layer_from_dict(layer) for layer in plain.get(part, ()))
    fields["mirrored"] = tuple(plain.get("mirrored", ()))
    return NetworkConfig(**fields)


def _layer_from_dict(plain: Mapping[str, Any]) -> Layer:
    fields = dict(plain)
    kind = fields.pop("type")
    if kind == "MaxPool":
        return MaxPool(**fields)
    fields["padding"] = tuple(fields["padding"])
    return Conv(**fields)


def esr_published() -> NetworkConfig:
    """ESR-9 "in the wild" as published (Siqueira et al., AAAI-2020): 20,349,546 parameters."""

    def conv(channels: int, kernel: int = 3, padding: int = 0) -> Conv:
        return Conv(channels, kernel, padding=(padding, padding), bias=True)

    return NetworkConfig(
        name="esr9-published",
        input_size=96,
        input_channels=3,
        base=(conv(64, 5), conv(128), MaxPool(), conv(128), conv(128), MaxPool()),
        branch=(conv(128), conv(256), MaxPool(), conv(256), conv(512, padding=1)),
        affect=True,
    )


def esr_small(width: int = 32) -> NetworkConfig:
    """A plain ESR-9 for FER+'s own 48x48 pictures, trained from nothing; 2.04 M parameters at width 32."""

    def conv(channels: int) -> Conv:
        return Conv(channels, padding=(1, 1))

    base: list[Layer] = []
    for block in (width, 2 * width, 4 * width):
        base += [conv(block), conv(block), MaxPool()]
    return NetworkConfig(
        name="esr9-small",
        input_size=48,
        input_channels=1,
        base=tuple(base),
        branch=(conv(96), conv(96)),
        dropout=0.3,
    )


def esr_wide(width: int = 64, limbs: int = 3) -> NetworkConfig:
    """The same wider, with limbs: the best of those that start from nothing but FER+'s own pictures."""
    small = esr_small(width)
    cut = len(small.base) // 3 * 2
    return replace(small, name="esr9-wide", base=small.base[:cut], limb=small.base[cut:], limbs=limbs)


MOBILENET_WIDTHS = (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
MOBILENET_STRIDED = frozenset({2, 4, 6, 12})

LAB_CONVOLUTIONS = 5
"""Convolutions from the picture to a classifier in the paper's networks for CK+."""


def esr_mobile(blocks: int = 11, input_size: int = 96) -> NetworkConfig:
    """ESR-9 whose shared base is the beginning of a MobileNet v1, so that it can start from face features.

    The base ends after ``blocks`` of MobileNet's 13 depthwise-separable blocks (Howard et al., 2017) with
    maps of a sixteenth of the input. Each branch narrows them before it looks around (1x1 to 128, 3x3
    depthwise, 1x1 to 384): nearly half the cost of a branch that widens first, which counts nine times.
    """

    def pointwise(channels: int, activation: str) -> Conv:
        return Conv(channels, kernel=1, activation=activation)

    base: list[Layer] = [Conv(32, 3, 2, padding=(0, 1), activation="relu6")]
    channels = 32
    for number, width in enumerate(MOBILENET_WIDTHS[:blocks], start=1):
        strided = number in MOBILENET_STRIDED
        padding = (0, 1) if strided else (1, 1)
        base.append(Conv(channels, 3, 2 if strided else 1, padding, depthwise=True, activation="relu6"))
        base.append(pointwise(width, "relu6"))
        channels = width
    return NetworkConfig(
        name="esr9-mobile",
        input_size=input_size,
        input_channels=1,
        base=tuple(base),
        branch=(
            pointwise(128, "relu"),
            Conv(128, 3, padding=(1, 1), depthwise=True),
            pointwise(384, "relu"),
        ),
        dropout=0.3,
    )


def esr_mobile_halves() -> NetworkConfig:
    """The same with every branch on a random half of the shared channels: branches that know other things."""
    return replace(esr_mobile(), name="esr9-mobile-halves", subspace=0.5)


def esr_mobile_tree(fork: int = 5, blocks: int = 9, limbs: int = 3) -> NetworkConfig:
    """The same tree-wise: the base ends after ``fork`` blocks, ``limbs`` limbs go on to ``blocks`` apart.

    Branches of different limbs share what costs most (the large maps of the first blocks) and nothing that
    tells emotions apart, so that they err on different faces.
    """
    whole = esr_mobile(blocks)
    cut = 1 + 2 * fork
    return replace(
        whole,
        name="esr9-mobile-tree",
        base=whole.base[:cut],
        limb=whole.base[cut:],
        limbs=limbs,
        subspace=0.5,
    )


def esr_mobile_limbs() -> NetworkConfig:
    """The tree with limbs that reach as far as `esr_mobile`'s base: no branch knows less than there."""
    return replace(esr_mobile_tree(blocks=11), name="esr9-mobile-limbs")


def esr_mobile_views() -> NetworkConfig:
    """The same with the middle limb on the mirror image: most of what two passes know, at little cost."""
    return replace(esr_mobile_limbs(), name="esr9-mobile-views", mirrored=(1,))


def esr_lab(level: int = 3) -> NetworkConfig:
    """ESR-4 "in the lab" as published, for 96x96 grey faces: branches start after ``level`` convolutions.

    355,104 parameters at level 3, 243,936 at level 4. At level 5 all five convolutions are shared and a
    branch is a classifier alone; at level 0 nothing is shared (`lab_ensemble`).
    """
    if level not in range(LAB_CONVOLUTIONS + 1):
        raise InputError(f"an ESR-4 branches after 0 to {LAB_CONVOLUTIONS} convolutions, got level {level!r}")

    def conv(channels: int, kernel: int = 3) -> Conv:
        return Conv(channels, kernel, bias=True)

    blocks: tuple[tuple[Layer, ...], ...] = (
        (conv(32, 5),),
        (conv(64), MaxPool()),
        (conv(64), MaxPool()),
        (conv(64), MaxPool()),
        (conv(64),),
    )
    return NetworkConfig(
        name="esr4-lab" if level == 3 else f"esr4-lab-level{level}",
        input_size=96,
        input_channels=1,
        base=tuple(layer for block in blocks[:level] for layer in block),
        branch=tuple(layer for block in blocks[level:] for layer in block),
        branches=4,
    )


def lab_single() -> NetworkConfig:
    """The paper's single network, the base line of ESR-4: 131,208 parameters."""
    return replace(esr_lab(), name="lab-single", branches=1)


def lab_ensemble() -> NetworkConfig:
    """The paper's traditional ensemble of four single networks, which share nothing: 524,832 parameters."""
    return replace(esr_lab(level=0), name="lab-ensemble")


NETWORKS: Mapping[str, Callable[[], NetworkConfig]] = {
    "esr9-mobile": esr_mobile,
    "esr9-mobile-halves": esr_mobile_halves,
    "esr9-mobile-tree": esr_mobile_tree,
    "esr9-mobile-limbs": esr_mobile_limbs,
    "esr9-mobile-views": esr_mobile_views,
    "esr9-small": esr_small,
    "esr9-wide": esr_wide,
    "esr9-published": esr_published,
    "esr4-lab": esr_lab,
}
"""Networks by the name that ``--network`` takes."""


def network_config(name: str, **changes: Any) -> NetworkConfig:
    """The named configuration, with fields replaced; an unknown name is an `InputError`."""
    if name not in NETWORKS:
        raise InputError(f"no network is called {name!r}; choose one of {', '.join(NETWORKS)}")
    return replace(NETWORKS[name](), **changes)
