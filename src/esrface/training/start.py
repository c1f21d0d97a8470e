"""Where base and limbs start: from public face features, from a finished run, each limb from its own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from esrface.errors import DataError
from esrface.networks.config import network_config
from esrface.networks.esr import ESR, ConvBlock
from esrface.networks.face_features import init_from_face_features
from esrface.training.config import TrainConfig, load_config
from esrface.training.run import CONFIG
from esrface.training.teacher import load_network


def start_from(network: ESR, config: TrainConfig, faces: Tensor) -> None:
    """Fill base and limbs in place as ``config.init`` and ``config.limb_init`` say.

    Branches stay random unless ``config.init_branches`` has them go on.

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
        source = _source(config.init, config, faces)
        for limb in network.limbs:
            _copy_start([network.base, limb], source, config.init)
    for limb, start in zip(network.limbs, config.limb_init, strict=False):
        # Of the start's layers only those above the base are wanted: the base is shared and has its own.
        _copy_start([copy.deepcopy(network.base), limb], _source(start, config, faces), start)


def _go_on(network: ESR, run: str | None) -> None:
    if run is None or not (Path(run) / CONFIG).is_file():
        raise DataError(f"init is {run}, and branches can only go on from a finished run: name one")
    earlier = load_network(Path(run), load_config(Path(run) / CONFIG))
    if earlier.config != network.config:
        raise DataError(
            f"{run}: its network is {earlier.config.name}, and only branches of such a one can go on from "
            f"there, not those of {network.config.name}"
        )
    network.load_state_dict(earlier.state_dict())


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
        raise DataError(f"{name}: its layers are not those that this network begins with")
    for block, given in zip(blocks, source, strict=False):
        block.load_state_dict(given.state_dict())


def _blocks(parts: Sequence[nn.Module]) -> list[ConvBlock]:
    return [module for part in parts for module in part.modules() if isinstance(module, ConvBlock)]
