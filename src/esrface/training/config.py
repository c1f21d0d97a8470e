"""Everything that decides how a training runs, as plain data that is saved with the run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, overload

from esrface.datasets.augment import Augmentation
from esrface.datasets.degrade import Degradation
from esrface.networks.config import NetworkConfig, network_config
from esrface.training.recipes import (
    PRECISIONS,
    Limits,
    check_choice,
    check_limits,
    load_recipe,
    plain_settings,
    save_recipe,
)

ADVOCATES = (0.0, 0.0, 0.0, 0.15, 0.15, 0.3, 0.3, 0.5, 0.5)
"""Strengths of the logit adjustment for nine branches: from none to advocates of the rare emotions."""

OPTIMIZERS = ("adamw", "sgd")

_LIMITS: Limits = (
    (("epochs", "warmup_steps"), lambda n: n >= 0, "at least 0"),
    (("seed",), lambda n: 0 <= n < 2**32, "from 0 to 4294967295"),
    (("batch",), lambda n: n >= 2, "at least 2"),
    (
        ("lr", "branch_lr_factor", "weight_decay", "apart"),
        lambda x: 0 <= x < math.inf,
        "a number of at least 0",
    ),
    (("clip_norm",), lambda x: x > 0, "a number above 0"),
    (("ema", "teacher_share", "held_out", "joint", "mixup"), lambda x: 0 <= x <= 1, "a number from 0 to 1"),
    (("keep",), lambda x: 0 < x <= 1, "a number above 0, at most 1"),
    (("degrade_from", "rare_from"), lambda x: x >= 0, "a number of at least 0"),
    (("input_mean",), math.isfinite, "a number"),
    (("input_std",), lambda x: 0 < x < math.inf, "a number above 0"),
)
"""What settings have to be; not a number is none of it."""


@dataclass(frozen=True)
class TrainConfig:
    """One training run; two runs of equal configuration give equal curves on one kind of machine."""

    network: str = "esr9-mobile"
    init: str | None = None
    """Where the shared base starts: an archive or folder of public face features, or the folder of a finished
    run whose base begins like this one's; None starts from nothing."""
    limb_init: tuple[str, ...] = ()
    """The same for each limb by itself, where limbs shall not all start alike."""
    init_branches: bool = False
    """Whether limbs and branches start from the run ``init`` too, to go on with other settings; it has to be
    of the same network, whichever of its limbs look at the mirror image. With ``init="runs/a+runs/b"`` the
    base starts from the mean of the runs' bases, and limb l with its branches (without limbs: branch k) from
    run l mod their number: several networks in one. The runs have to come from one start, or their mean is of
    no use."""
    teachers: tuple[str, ...] = ()
    """Folders of finished runs that teach on the training views, and ``"votes"`` for the votes alone. Branch
    k learns from teacher k mod their number, or where there are limbs the branches of limb l from teacher
    l mod their number (Hydra, Tran et al., 2020), so that several teachers keep the branches apart.
    ``"runs/a+runs/b"`` is one teacher: the mean of both."""
    teacher_mirror: bool = True
    """Whether teachers look at the mirrored view too: better and twice as slow."""
    teacher_share: float = 0.5
    """Share of the teacher's probabilities in the targets; the rest are the votes."""
    held_out: float = 0.0
    """Share of the training images, a fixed one, that is kept out of training: to choose on it what must
    not be chosen on validation."""
    epochs: int = 12
    """0 learns nothing: with ``init_branches``, the runs that ``init`` names become one as they are."""
    batch: int = 64
    seed: int = 1
    optimizer: str = "adamw"
    """``"adamw"`` or ``"sgd"`` (Nesterov momentum 0.9)."""
    lr: float = 6e-4
    """Peak learning rate of the shared base."""
    branch_lr_factor: float = 4.0
    """Rate of the branches over that of the base: they start from nothing, the base may not."""
    weight_decay: float = 0.02
    """On weights only, never on biases and batch norms."""
    warmup_steps: int = 400
    clip_norm: float = 5.0
    ema: float = 0.999
    """Decay of the running average of the weights, which is what is evaluated and exported."""
    keep: float = 0.75
    """Share of the images that each branch ever sees: a bag of its own, fixed for the run."""
    advocates: tuple[float, ...] = ADVOCATES
    """Per branch, the strength of its logit adjustment (Menon et al., 2021): the loss sees
    ``logits + strength * log prior``, so that a strong advocate speaks up for rare emotions."""
    input_mean: float = 127.5
    input_std: float = 64.0
    """The network sees ``(pixel - mean) / std``, pixels in 0-255."""
    precision: str = "auto"
    """``"fp32"``, ``"bf16"`` or ``"auto"``: bf16 where the hardware computes in it."""
    joint: float = 0.0
    """Share of the loss that is the ensemble's own, see `esrface.training.loss.ensemble_loss`."""
    apart: float = 0.0
    """Weight of a penalty on branches that look at the same places, see
    `esrface.training.loss.map_similarity`."""
    rare: bool = False
    """Whether images of rare emotions are drawn more often, see `esrface.training.loss.rare_weights`."""
    rare_from: float = 0.0
    """Share of the schedule after which they are."""
    mixup: float = 0.0
    """Share of the images that another one is mixed into (Zhang et al., 2018), votes alike: at a weight that
    is even in 0 to 0.5. Teachers see the mixture, as their students do."""
    early_sizes: tuple[int, ...] = ()
    """Sides of the pictures in the first parts of the schedule, which is divided evenly among them and the
    network's own side, which comes last (progressive resizing, Tan & Le, 2021): small pictures cost less.
    Validation is always at the network's own side, so that the first parts look worse than they are."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    degradation: Degradation = field(default_factory=Degradation)
    """Applied after teachers have looked."""
    degrade_from: float = 0.0
    """Share of the schedule after which pictures are made worse."""

    def __post_init__(self) -> None:
        check_limits(self, _LIMITS)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def shape(self) -> NetworkConfig:
        """The network, without the layer for valence and arousal, which learns nothing from emotions."""
        return network_config(self.network, affect=False)

    def save(self, path: Path) -> None:
        """Write as YAML."""
        save_recipe(self, path)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for YAML and JSON."""
        return plain_settings(self)


Config = TypeVar("Config", bound=TrainConfig)


@overload
def load_config(path: Path) -> TrainConfig: ...
@overload
def load_config(
    path: Path, kind: type[Config], defaults: Callable[[Config], Config] | None = None
) -> Config: ...
def load_config(
    path: Path, kind: type[Any] = TrainConfig, defaults: Callable[[Any], Any] | None = None
) -> Any:
    """Read what `TrainConfig.save` wrote, or a part of it; see `esrface.training.recipes.load_recipe`."""
    return load_recipe(path, kind, defaults)
