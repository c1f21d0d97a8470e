"""A training that grows an ensemble, as data: which parts learn at what rate, for how long, stage by stage.

The four protocols of the paper are lists of stages; `StagedTrainer` walks through any such list.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from esrface.networks.esr import ESR, Branch

BASE = 0
"""The part that all branches share; part k is branch k, counted from 1."""


@dataclass(frozen=True)
class Rate:
    """How fast one part of the network learns."""

    part: int
    """`BASE`, or a branch counted from 1."""
    lr: float
    """In the stage's first epoch; 0: the part is frozen, its batch norms included."""
    layers: str = "all"
    """``"all"``, or ``"affect"``: the layer for valence and arousal alone, the rest is frozen."""

    @property
    def name(self) -> str:
        """For people, and as the optimizer's group."""
        part = "base" if self.part == BASE else f"branch {self.part}"
        return part if self.layers == "all" else f"{part}, {self.layers} layer"


@dataclass(frozen=True)
class Stage:
    """One stage: a number of branches trained together, and the best epoch's weights are kept."""

    number: int
    """From 1."""
    branches: int
    """That the ensemble has in this stage; all of them count in loss and validation."""
    rates: tuple[Rate, ...]
    """Of every part there is."""
    epochs: int
    decay: float = 1.0
    """The rates are multiplied by this …"""
    decay_every: int = 1
    """… after so many epochs, again and again."""
    order: str = "together"
    """``"together"``: each step takes one batch, the losses of the branches are summed. ``"in turn"``: each
    step trains one branch, and the base with it, on a batch from that branch's own images."""

    def lr(self, rate: Rate, epoch: int) -> float:
        """A part's rate in an epoch, counted from 0."""
        return rate.lr * self.decay ** (epoch // self.decay_every)


@dataclass(frozen=True)
class Pace:
    """How long and how fast a growing ensemble learns."""

    epochs: int
    later_epochs: int
    lr: float
    trained_lr: float
    decay: float = 1.0
    decay_every: int = 1


def growth(branches: int, pace: Pace, *, layers: str = "all", shared: bool = True) -> tuple[Stage, ...]:
    """The paper's algorithm: base and first branch at the full rate, then one new branch a stage.

    The new branch learns at the full rate, what was trained before goes on at the lower one.

    Args:
        branches: At the end.
        pace: Epochs and rates.
        layers: ``"affect"`` trains these alone, and the base never.
        shared: Whether there is a base.
    """
    stages = []
    for number in range(1, branches + 1):
        rates = [Rate(BASE, pace.lr if number == 1 else pace.trained_lr)] if shared else []
        rates += [Rate(part, pace.trained_lr, layers) for part in range(1, number)]
        rates.append(Rate(number, pace.lr, layers))
        if layers != "all":
            rates[0] = Rate(BASE, 0.0)
        epochs = pace.epochs if number == 1 else pace.later_epochs
        stages.append(Stage(number, number, tuple(rates), epochs, pace.decay, pace.decay_every))
    return tuple(stages)


def interleaved(branches: int, pace: Pace) -> tuple[Stage, ...]:
    """All branches from the start, in turn, at the full rate; as many epochs as the growth would take."""
    epochs = pace.epochs + (branches - 1) * pace.later_epochs
    rates = tuple(Rate(part, pace.lr) for part in range(branches + 1))
    return (Stage(1, branches, rates, epochs, pace.decay, pace.decay_every, order="in turn"),)


def make_optimizer(network: ESR, stage: Stage, momentum: float) -> torch.optim.SGD:
    """One group for each part that learns, by the name ``name``; everything else is frozen.

    Parts without parameters of their own, such as an empty base, have no group.
    """
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    groups = []
    for rate in stage.rates:
        parameters = [p for module in _modules(network, rate) for p in module.parameters()]
        if rate.lr > 0 and parameters:
            for parameter in parameters:
                parameter.requires_grad_(True)
            groups.append({"params": parameters, "lr": rate.lr, "name": rate.name})
    return torch.optim.SGD(groups, lr=0.0, momentum=momentum)


def set_modes(network: ESR, stage: Stage, *, batch_norm: bool = True) -> None:
    """Training mode for what learns, evaluation mode for what is frozen.

    A frozen part answers as it did and its batch norms gather no statistics, which freezing parameters alone
    would not ensure.

    Args:
        network: Of the stage.
        stage: As given.
        batch_norm: False: all batch norms normalise by the statistics that they have.
    """
    network.eval()
    for rate in stage.rates:
        if rate.lr > 0:
            for module in _modules(network, rate):
                module.train()
    if not batch_norm:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()


def set_rates(optimizer: torch.optim.Optimizer, stage: Stage, epoch: int) -> dict[str, float]:
    """Give each group its rate for an epoch, counted from 0; returns them by the parts' names."""
    rates = {rate.name: stage.lr(rate, epoch) for rate in stage.rates}
    for group in optimizer.param_groups:
        group["lr"] = rates[group["name"]]
    return rates


def _modules(network: ESR, rate: Rate) -> Iterator[nn.Module]:
    """What a rate is about; the shared part is all that is no branch."""
    if rate.part == BASE:
        yield from (module for name, module in network.named_children() if name != "branches")
        return
    branch = cast(Branch, network.branches[rate.part - 1])
    if rate.layers == "all":
        yield branch
    elif branch.affect is not None:
        yield branch.affect
