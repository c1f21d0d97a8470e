"""The original's state dicts and our ESR: the same network, kept in two ways.

The original keeps a shared base and each branch in a file of their own, with layers ``conv1`` … ``conv4``,
``bn1`` … ``bn4``, in a branch also ``fc`` (a linear layer, our 1x1 convolution ``classifier``) and
``fc_dimensional`` (8 emotions to valence and arousal, our ``affect``). Weights fine-tuned on FER+ come
without the last.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from esrface._names import printable
from esrface.emotions import EMOTIONS
from esrface.errors import ModelError
from esrface.models.original import BASE_FILE, BRANCH_FILE, StateFile, read_state_files
from esrface.networks.config import NetworkConfig, esr_published
from esrface.networks.esr import ESR, Branch, ConvBlock
from esrface.outputs import make_folder, write_together

COUNTER = "num_batches_tracked"
"""A batch norm's count of training steps: in files of newer torch only, and of no use for answering."""

AFFECT = "fc_dimensional"


def read_original(folder: Path, config: NetworkConfig | None = None) -> ESR:
    """An ensemble out of the original's files, in evaluation mode, batch norms on running statistics.

    Args:
        folder: With ``Net-Base-Shared_Representations.pt`` and ``Net-Branch_1.pt`` … without gaps.
        config: Of another network kept in that layout, e.g. by `write_original`; None: ESR-9 as published,
            with as many branches as there are files, and with the affect layer where the files have it.

    Raises:
        ModelError: A file or a tensor is missing, too many, of another shape or not finite. Nothing in the
            files is ever executed.
    """
    return network_of(read_state_files(folder), config)


def network_of(files: Sequence[StateFile], config: NetworkConfig | None = None) -> ESR:
    """`read_original` for files that are read already: the base's, then the branches'."""
    states = [_load(file) for file in files]
    branches = len(files) - 1
    if config is None:
        has_affect = any(f"{AFFECT}.weight" in state for state in states)
        config = replace(esr_published(), branches=branches, affect=has_affect)
    if config.branches != branches:
        raise ModelError(
            f"{printable(files[0].path.parent)} holds {branches} branches, expected {config.branches}"
        )
    # The random start is overwritten; nobody's random numbers shall depend on it.
    with torch.random.fork_rng(devices=[]):
        network = ESR(config)
    for file, state, tensors in zip(files, states, _parts(network), strict=True):
        _fill(file, state, tensors)
    return network.eval()


def write_original(network: ESR, folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write an ensemble in the original's layout, one file for the base and one for each branch.

    The original program reads what comes from `esrface.networks.config.esr_published`; `read_original` reads
    any, given its configuration.

    Raises:
        ModelError: See `original_files`.
        OutputError: A file is there already, or cannot be written.
    """
    files = original_files(network, folder)
    make_folder(folder)
    write_together({file.path: file.content for file in files}, overwrite=overwrite)
    return [file.path for file in files]


def original_files(network: ESR, folder: Path) -> list[StateFile]:
    """The files that `write_original` writes, which `network_of` reads.

    Raises:
        ModelError: The branches see a choice of channels each, or grow from limbs, or there are classes
            beyond the eight emotions: that layout cannot say so.
    """
    problem = (
        "its branches see a part of the shared channels each"
        if network.config.subspace != 1
        else "its branches grow from limbs"
        if network.config.limb
        else "it has classes beyond the eight emotions"
        if network.config.emotions > len(EMOTIONS)
        else None
    )
    if problem is not None:
        raise ModelError(
            f"network {network.config.name!r} cannot be written in the original's layout: {problem}"
        )
    names = (BASE_FILE, *(BRANCH_FILE.format(number) for number in range(1, network.config.branches + 1)))
    files = []
    for name, tensors in zip(names, _parts(network), strict=True):
        buffer = io.BytesIO()
        torch.save({name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, buffer)
        files.append(StateFile(folder / name, buffer.getvalue()))
    return files


def _parts(network: ESR) -> list[dict[str, Tensor]]:
    """The network's own tensors by the original's names: of the base, then of each branch."""
    parts = [_of_stack(network.base)]
    for branch in cast("list[Branch]", list(network.branches)):
        tensors = _of_stack(branch.features)
        assert branch.classifier.bias is not None
        # The 1x1 convolution seen as the linear layer that it is.
        tensors["fc.weight"] = branch.classifier.weight.detach()[:, :, 0, 0]
        tensors["fc.bias"] = branch.classifier.bias.detach()
        if branch.affect is not None:
            tensors[f"{AFFECT}.weight"] = branch.affect.weight.detach()
            tensors[f"{AFFECT}.bias"] = branch.affect.bias.detach()
        parts.append(tensors)
    return parts


def _of_stack(stack: nn.Sequential) -> dict[str, Tensor]:
    blocks = [module for module in stack if isinstance(module, ConvBlock)]
    tensors: dict[str, Tensor] = {}
    for number, block in enumerate(blocks, start=1):
        for layer, module in (("conv", block.conv), ("bn", block.bn)):
            tensors |= {f"{layer}{number}.{name}": value for name, value in module.state_dict().items()}
    return tensors


def _load(file: StateFile) -> dict[str, Any]:
    """The state dict in a file; plain tensors in a plain dict or nothing."""
    try:
        with warnings.catch_warnings():
            # About pickles in strange forms; whether they can be used is said below.
            warnings.simplefilter("ignore")
            state = torch.load(io.BytesIO(file.content), map_location="cpu", weights_only=True)
    # Whatever a hostile or torn file makes of the reader.
    except Exception as error:
        _refuse(file, f"it is damaged or holds something else than tensors ({type(error).__name__})")
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        _refuse(file, "it holds no tensors by name")
    return dict(state)


def _fill(file: StateFile, state: dict[str, Any], tensors: dict[str, Tensor]) -> None:
    """Copy a file's tensors into the network's, checking every one."""
    for name, target in tensors.items():
        if name not in state:
            if not name.endswith(COUNTER):
                _refuse(file, f"tensor {name} is missing")
            continue
        value = state.pop(name)
        if not _is_plain(value):
            _refuse(file, f"{name} is no plain tensor")
        if value.shape != target.shape:
            _refuse(file, f"tensor {name} is {_shape(value)}, expected {_shape(target)}")
        if value.is_floating_point() != target.is_floating_point():
            _refuse(file, f"tensor {name} is {value.dtype}, expected {target.dtype}")
        target.copy_(value.detach())
        if not torch.isfinite(target).all():
            _refuse(file, f"tensor {name} holds NaN or infinity")
        if name.endswith("running_var") and (target < 0).any():
            _refuse(file, f"tensor {name} holds negative variances")
    if state:
        _refuse(file, f"tensor {printable(sorted(state)[0])} belongs to no layer")


def _is_plain(value: object) -> bool:
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and not value.is_nested
        and not value.is_quantized
        and not value.is_complex()
        and value.device.type == "cpu"
    )


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "one number"


def _refuse(file: StateFile, problem: str) -> NoReturn:
    raise ModelError(
        f"{printable(file.path)} is none of the original's weights: {problem}; get the file again"
    )
