"""Settings of the paper's protocols; the defaults are the published ones."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from esrface.datasets.ckplus import FOLDS, NEUTRAL_FRAMES
from esrface.datasets.jitter import Jitter
from esrface.errors import InputError
from esrface.networks.config import NetworkConfig, esr_lab, lab_ensemble, lab_single, network_config
from esrface.training.protocols.stages import Pace
from esrface.training.recipes import PRECISIONS, Limits, check_choice, check_limits

_LIMITS: Limits = (
    (("branches", "epochs", "batch", "cap", "validate_every", "decay_every"), lambda n: n >= 1, "at least 1"),
    (("later_epochs", "seed"), lambda n: n >= 0, "at least 0"),
    (("lr", "decay", "input_std"), lambda x: 0 < x < math.inf, "a number above 0"),
    (("trained_lr",), lambda x: 0 <= x < math.inf, "a number of at least 0"),
    (("momentum",), lambda x: 0 <= x < 1, "a number from 0 to below 1"),
    (("input_mean",), math.isfinite, "a number"),
)
"""What settings have to be; not a number is none of it."""


@dataclass(frozen=True)
class ProtocolConfig:
    """What all protocols have."""

    network: str = "esr9-published"
    init: str | None = None
    """Where the weights start: a folder of the original's files, or a run of a protocol; None: nowhere."""
    branches: int = 9
    epochs: int = 50
    """Of the first branch."""
    later_epochs: int = 20
    """Of each later one."""
    lr: float = 0.1
    """Of the newest branch, and of the base beside the first one."""
    trained_lr: float = 0.01
    """Of base and branches that were trained before."""
    decay: float = 0.5
    """The rates are multiplied by this after every ``decay_every`` epochs of a stage."""
    decay_every: int = 10
    momentum: float = 0.9
    batch: int = 32
    cap: int = 5000
    """Images of each class or quadrant that a branch's sample may hold."""
    validate_every: int = 2
    """Epochs; the last one of a stage always counts."""
    freeze_batch_norm: bool = False
    """Keep the batch norms' statistics as they are, for fine-tuning on few images."""
    seed: int = 1
    precision: str = "fp32"
    """``"fp32"``, ``"bf16"`` or ``"auto"``: bf16 where the hardware computes in it."""
    input_mean: float = 0.0
    input_std: float = 255.0
    """The network sees ``(pixel - mean) / std``, pixels in 0-255."""
    augmentation: Jitter = field(default_factory=Jitter)

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def pace(self) -> Pace:
        """Epochs and rates."""
        return Pace(self.epochs, self.later_epochs, self.lr, self.trained_lr, self.decay, self.decay_every)

    @property
    def shape(self) -> NetworkConfig:
        """The network at its full size."""
        return network_config(self.network, branches=self.branches, affect=False)


@dataclass(frozen=True)
class AffectNetDiscreteConfig(ProtocolConfig):
    """ESR-9 from nothing on AffectNet's eight emotions."""


@dataclass(frozen=True)
class AffectNetContinuousConfig(ProtocolConfig):
    """The layer for valence and arousal of a network that knows the emotions; all else is frozen."""

    epochs: int = 2
    later_epochs: int = 2
    lr: float = 0.01
    trained_lr: float = 0.001
    decay: float = 1.0
    decay_every: int = 1
    validate_every: int = 1

    @property
    def shape(self) -> NetworkConfig:
        """With the layer that is trained."""
        return network_config(self.network, branches=self.branches, affect=True)


@dataclass(frozen=True)
class FerPlusPaperConfig(ProtocolConfig):
    """ESR-9 from AffectNet fine-tuned on FER+, one more branch a stage."""

    epochs: int = 100
    later_epochs: int = 60
    trained_lr: float = 0.02
    decay: float = 0.75
    drop_copies: bool = False
    """Leave out training images whose pixels stand in the validation split too; the paper did not."""


STRATEGIES = ("frozen", "varied", "fixed", "interleaved")
"""How ESR-4 grows on CK+: whether and how fast what is trained learns on, or all of it from the start."""
LEVELS = (1, 2, 3, 4)

VARIANTS = (
    "single",
    "ensemble",
    *(f"level{level}-{strategy}" for level in LEVELS for strategy in STRATEGIES),
)
"""What CK+ compares: the single network, the traditional ensemble, and ESR-4 by level and strategy."""


@dataclass(frozen=True)
class CkPlusConfig(ProtocolConfig):
    """ESR-4 on CK+ in ten subject-independent trials, and what it is compared with."""

    network: str = "esr4-lab"
    branches: int = 4
    epochs: int = 2000
    later_epochs: int = 1000
    trained_lr: float = 0.02
    """Of the strategy "varied"."""
    decay_every: int = 250
    cap: int = 100_000
    """No class is capped; each branch leaves out one of four folds of subjects instead."""
    validate_every: int = 1
    variants: tuple[str, ...] = ("level3-varied",)
    """Rows of the table, each trained in every trial: see `VARIANTS`."""
    trials: tuple[int, ...] = tuple(range(10))
    neutral: str = "first"
    """The frame that stands for neutral, see `esrface.datasets.ckplus.NEUTRAL_FRAMES`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for variant in self.variants:
            check_choice("variant", variant, VARIANTS)
        check_choice("neutral frame", self.neutral, tuple(NEUTRAL_FRAMES))
        for name in ("network", "branches", "cap"):
            if getattr(self, name) != getattr(CkPlusConfig, name):
                raise InputError(f"{name}: on CK+ it follows from the variants: leave it out")
        if not self.variants or not self.trials:
            raise InputError("there is nothing to train: name at least one variant and one trial")
        if set(self.trials) - set(range(FOLDS)):
            raise InputError(f"trials: CK+ has those from 0 to {FOLDS - 1}, got {list(self.trials)}")
        if len(set(self.variants)) != len(self.variants) or len(set(self.trials)) != len(self.trials):
            raise InputError("a variant or trial is named twice")


def variant_shape(variant: str) -> NetworkConfig:
    """The network of a variant of CK+."""
    if variant == "single":
        return lab_single()
    if variant == "ensemble":
        return lab_ensemble()
    return esr_lab(int(variant[len("level")]))
