"""Networks in safetensors files that say themselves which network they are."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from esrface._names import printable, reason_of
from esrface.errors import EsrfaceError, ModelError
from esrface.networks.config import network_from_dict
from esrface.networks.esr import ESR
from esrface.outputs import write_whole

NETWORK = "network"
"""Key of the file's metadata under which the configuration stands, as JSON."""


def save_network(network: ESR, path: Path) -> None:
    """Write weights and configuration, in place of what was there."""
    write_whole(path, saved_content(network), overwrite=True)


def saved_content(network: ESR, *, half: bool = False, **more: str) -> bytes:
    """The file that `load_saved` reads: weights, as float16 where asked for, and configuration.

    Args:
        network: What to keep.
        half: Round the weights to float16.
        more: Further metadata by their keys.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    if half:
        tensors = {
            name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
        }
    return bytes(save(tensors, metadata={NETWORK: json.dumps(network.config.to_dict()), **more}))


def load_saved(path: Path) -> ESR:
    """The network that `save_network` wrote, in evaluation mode.

    Raises:
        ModelError: It cannot be read, or does not say which network it is.
    """
    try:
        with safe_open(path, framework="pt") as file:
            described = (file.metadata() or {}).get(NETWORK)
            if described is None:
                raise ModelError(f"{printable(path)}: the file does not say which network it holds")
            with torch.random.fork_rng(devices=[]):
                network = ESR(network_from_dict(json.loads(described)))
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except EsrfaceError:
        raise
    except OSError as error:
        raise ModelError(f"{printable(path)}: {reason_of(error)}") from error
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"{printable(path)}: damaged, or of another version ({type(error).__name__})"
        ) from error
    return network.eval()
