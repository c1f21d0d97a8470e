"""Where a network starts: its base and limbs from public face features or a finished run, each limb from its
own, or all of it, branches too, from one run or from several that go on as one network."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from esrface._names import printable
from esrface.errors import DataError
from esrface.networks.config import network_config
from esrface.networks.esr import ESR, ConvBlock
from esrface.networks.face_features import init_from_face_features
from esrface.training.config import TrainConfig, load_config
from esrface.training.run import CONFIG, members
from esrface.training.teacher import load_network


def start_from(network: ESR, config: TrainConfig, faces: Tensor) -> None:
    """Fill base and limbs in place as ``config.init`` and ``config.limb_init`` say.

    Branches stay random unless ``config.init_branches`` has them go on, from one run or from several.

    Args:
        network: as the configuration names it.
        config: of the run.
        faces: (N, 1, S, S) normalised training faces, for the batch norms of public features.

    Raises:
        DataError: a start is missing or is of another shape.
    """
    if config.limb_init and len(config.limb_init) != network.config.limbs:
        raise DataError(
            f"{len(config.limb_init)} starts for {network.config.limbs} limbs; give one each, or none"
        )
    if config.init_branches:
        _go_on(network, config.init)
        return
    if config.init is not None:
        if len(members(config.init)) > 1:
            raise DataError(
                f"init names several runs ({printable(config.init)}); only a network that goes on with their "
                "branches can start from these: set init_branches in a recipe, or name one"
            )
        source = _source(config.init, config, faces)
        for limb in network.limbs:
            _copy_start([network.base, limb], source, config.init)
    for limb, start in zip(network.limbs, config.limb_init, strict=False):
        # Of the start's layers only those above the base are wanted: the base is shared and has its own.
        _copy_start([copy.deepcopy(network.base), limb], _source(start, config, faces), start)


def _go_on(network: ESR, runs: str | None) -> None:
    """The mean of the runs' bases, and each limb with its branches from a run of its own.

    Bases that were fine-tuned from the same start stay so close that their mean serves the limbs of all.
    """
    starts = [] if runs is None else members(runs)
    if not starts or not all((Path(run) / CONFIG).is_file() for run in starts):
        raise DataError(f"init is {runs}, and branches can only go on from a finished run: name one")
    schools = {network.config.school_of(number) for number in range(network.config.branches)}
    if len(starts) > len(schools):
        raise DataError(f"init names {len(starts)} runs, of which at most {len(schools)} can go on as one")
    earlier = [_finished(run, network) for run in starts]
    network.base.load_state_dict(_mean([one.base for one in earlier]))
    for number, limb in enumerate(network.limbs):
        # A single limb is all branches' and shared like the base.
        own = earlier if len(network.limbs) == 1 else [earlier[number % len(earlier)]]
        limb.load_state_dict(_mean([one.limbs[number] for one in own]))
    for number, branch in enumerate(network.branches):
        own_run = earlier[network.config.school_of(number) % len(earlier)]
        branch.load_state_dict(own_run.branches[number].state_dict())


def _finished(run: str, like: ESR) -> ESR:
    earlier = load_network(Path(run), load_config(Path(run) / CONFIG))
    if not earlier.config.has_layers_of(like.config):
        raise DataError(
            f"{printable(run)}: its network is {earlier.config.name}, and only branches of such a one can go "
            f"on from there, not those of {like.config.name}"
        )
    return earlier


def _mean(modules: Sequence[nn.Module]) -> dict[str, Tensor]:
    """Weights and statistics averaged; what only counts is the first one's."""
    states = [module.state_dict() for module in modules]
    mean = dict(states[0])
    for name, first in mean.items():
        if first.is_floating_point():
            mean[name] = torch.stack([state[name] for state in states]).mean(dim=0)
    return mean


def _source(start: str, config: TrainConfig, faces: Tensor) -> list[ConvBlock]:
    """Layers to start from, from the picture upwards: of a finished run's base and first limb, or public."""
    if (Path(start) / CONFIG).is_file():
        earlier = load_network(Path(start), load_config(Path(start) / CONFIG))
    else:
        earlier = ESR(network_config("esr9-mobile", input_size=faces.shape[-1]))
        init_from_face_features(earlier, Path(start), faces, config.input_mean, config.input_std)
    return _blocks([earlier.base, earlier.limbs[0]])


def _copy_start(target: Sequence[nn.Module], source: Sequence[ConvBlock], name: str) -> None:
    blocks = _blocks(target)
    if [b.spec for b in blocks] != [b.spec for b in source[: len(blocks)]]:
        raise DataError(f"{printable(name)}: its layers are not those that this network begins with")
    for block, given in zip(blocks, source, strict=False):
        block.load_state_dict(given.state_dict())


def _blocks(parts: Sequence[nn.Module]) -> list[ConvBlock]:
    return [module for part in parts for module in part.modules() if isinstance(module, ConvBlock)]
