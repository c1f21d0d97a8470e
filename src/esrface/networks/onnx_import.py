"""Read an ONNX file that `esrface.networks.onnx_export` wrote back into a torch network, to train it further.

The exporter folds every batch norm into its convolution, so the inverse has free choice: the convolution gets
the folded weight and its batch norm does nothing but add the folded bias. That is the same function, up to
the rounding of float16 weights, or of int8 weights and values (`esrface.networks.quantise`; its channels come
back scaled to 0-6, which is the same network in other units). Before training, `renew_batch_norms` gives the
batch norms statistics of real faces without changing the function, so that training mode, which normalises by
the batch, starts there too (nearly so where limbs look at the mirror image, which they do not in training).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from esrface.errors import ModelError
from esrface.networks.config import NetworkConfig
from esrface.networks.esr import ESR, Branch, ConvBlock

Array = NDArray[np.float32]


def from_onnx(content: bytes, config: NetworkConfig) -> ESR:
    """The network in evaluation mode.

    Args:
        content: Of the ONNX file.
        config: What the file was exported from, as the card's ``network`` has it. A shift of the logits that
            was folded into the classifiers stays in them.

    Raises:
        ModelError: The file was not written by our exporter, or from a network of another configuration.
    """
    graph = _Graph(content)
    network = ESR(config).eval()
    try:
        with torch.no_grad():
            for block in network.base:
                if isinstance(block, ConvBlock):
                    _fill(block, *graph.convolution("base"))
            for block in network.limbs.modules():
                if isinstance(block, ConvBlock):
                    _fill(block, *graph.convolution("limb"))
            _fill_branches(graph, [branch for branch in network.branches if isinstance(branch, Branch)])
    except (ValueError, RuntimeError, IndexError) as error:
        raise ModelError(
            f"the model file is not of the network {config.name!r} that its card describes ({error})"
        ) from error
    if graph.mirrors != (1 + len(set(config.mirrored)) if config.mirrored else 0):
        raise ModelError(
            f"the model file's limbs look at other views than those of the card's network {config.name!r}"
        )
    if graph.left:
        raise ModelError(f"the model file has more layers than the network {config.name!r} of its card")
    return network


@torch.no_grad()
def renew_batch_norms(network: ESR, inputs: Tensor) -> None:
    """Let batch norms hold the statistics of these faces; what the network computes does not change.

    Args:
        network: In evaluation mode; changed in place.
        inputs: (N, C, S, S) normalised faces, some hundred of them.
    """

    def renew(norm: nn.BatchNorm2d, args: tuple[Tensor]) -> None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(args[0], dim=(0, 2, 3), correction=0)
        slope = norm.weight / (norm.running_var + norm.eps).sqrt()
        offset = norm.bias - slope * norm.running_mean
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_(slope * (variance + norm.eps).sqrt())
        norm.bias.copy_(offset + slope * mean)

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(renew) for norm in norms]
    try:
        network(inputs)
    finally:
        for hook in hooks:
            hook.remove()


class _Graph:
    """The convolutions of an exported file in their order, and its other constants."""

    def __init__(self, content: bytes) -> None:
        try:
            self._graph = onnx.load_from_string(content).graph
        except Exception as error:  # Protobuf's own errors share no base class.
            raise ModelError(f"the model file is no ONNX file ({type(error).__name__})") from error
        kinds = {node.op_type for node in self._graph.node}
        if "InstanceNormalization" in kinds:
            raise ModelError(
                "a model that normalises by each face's own statistics cannot be trained further: export it "
                "with running batch norms"
            )
        self._stored = {value.name: value for value in self._graph.initializer}
        # float16 weights pass through a cast.
        self._origin = {node.output[0]: node.input[0] for node in self._graph.node if node.op_type == "Cast"}
        self._convolutions = [node for node in self._graph.node if node.op_type == "Conv"]
        self._by_output = {name: node for node in self._graph.node for name in node.output}

    @property
    def left(self) -> int:
        """Convolutions that nobody has asked for."""
        return len(self._convolutions)

    def convolution(self, where: str) -> tuple[Array, Array]:
        """Weight and bias of the next convolution, which has to belong to a part of the network."""
        if not self._convolutions or not self._convolutions[0].name.startswith(where):
            raise ValueError(f"expected a convolution of the {where}")
        node = self._convolutions.pop(0)
        weight = self._array(node.input[1])
        bias = self._array(node.input[2]) if len(node.input) > 2 else np.zeros(len(weight), np.float32)
        return weight, bias

    def added(self, output: str) -> Array:
        """The constant that is added to make an output."""
        return self._array(self._by_output[output].input[1])

    def affect_weight(self) -> Array:
        """(K, E, 2) of the layer from logits to affect."""
        products = [node for node in self._graph.node if node.op_type == "MatMul"]
        return np.asarray(self._array(products[0].input[1])[0])

    @property
    def mirrors(self) -> int:
        """How often left and right are exchanged: of the picture, and back in the maps of each such limb."""
        return sum(node.name.startswith("mirror") for node in self._graph.node)

    def has(self, output: str) -> bool:
        """Whether the file has an output of that name."""
        return output in self._by_output

    def _array(self, name: str) -> Array:
        node = self._by_output.get(name)
        if node is not None and node.op_type == "DequantizeLinear":
            whole, steps = (self._array(part) for part in node.input[:2])
            return whole * steps.reshape(-1, *[1] * (whole.ndim - 1))
        value: Any = self._stored.get(self._origin.get(name, name))
        if value is None:
            raise ValueError(f"{name} is not a stored weight")
        return np.asarray(numpy_helper.to_array(value), dtype=np.float32)


def _fill(block: ConvBlock, weight: Array, bias: Array) -> None:
    """A convolution that does it all and a batch norm that does nothing but add the bias."""
    norm = block.bn
    assert norm.running_mean is not None
    assert norm.running_var is not None
    _copy(block.conv.weight, weight)
    if block.conv.bias is not None:
        block.conv.bias.zero_()
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)
    norm.weight.fill_(1)
    _copy(norm.bias, bias)


def _fill_branches(graph: _Graph, branches: list[Branch]) -> None:
    count = len(branches)
    layers = [
        blocks
        for blocks in zip(*(branch.features for branch in branches), strict=True)
        if isinstance(blocks[0], ConvBlock)
    ]
    for number, blocks in enumerate(layers):
        weights, biases = (np.split(values, count) for values in graph.convolution("branches"))
        for branch, block, weight, bias in zip(branches, blocks, weights, biases, strict=True):
            # The exporter spreads the first layer over all channels before it, zero where a branch sees none.
            _fill(block, weight if number else _seen(branch, weight), bias)
    classifiers, _ = graph.convolution("classifiers")
    offsets = graph.added("logits")[0]
    for branch, weight, bias in zip(branches, np.split(classifiers, count), offsets, strict=True):
        _copy(branch.classifier.weight, weight if layers else _seen(branch, weight))
        assert branch.classifier.bias is not None
        _copy(branch.classifier.bias, bias)
    if branches[0].affect is not None:
        if not graph.has("affect"):
            raise ValueError("it has no affect output")
        for branch, weight, bias in zip(
            branches, graph.affect_weight(), graph.added("affect")[0], strict=True
        ):
            assert branch.affect is not None
            _copy(branch.affect.weight, weight.T)
            _copy(branch.affect.bias, bias)


def _seen(branch: Branch, weight: Array) -> Array:
    return weight if len(branch.seen) == branch.in_channels else weight[:, branch.seen.numpy()]


def _copy(target: Tensor, values: Array) -> None:
    if tuple(target.shape) != values.shape:
        raise ValueError(f"a layer has the shape {values.shape} instead of {tuple(target.shape)}")
    target.copy_(torch.from_numpy(np.array(values)))
