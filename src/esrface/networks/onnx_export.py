"""Write an ESR as an ONNX graph: the form in which a network is used.

The graph is written layer by layer instead of traced, so that it is exactly what a fast engine wants: batch
norms folded into the convolutions, paddings inside them, and the K branches of equal shape side by side in
one grouped convolution per layer. Limbs, which are wide, stay by themselves and are laid end to end for them;
where some look at the mirror image, the base computes both views in one batch.
Branches stay independent: a group sees its own branch's channels only.
Normalisation by each face's own statistics (`esrface.networks.esr.use_face_statistics`) cannot be folded and
becomes the operator that does just that, InstanceNormalization.

Input ``input`` (N, C, S, S) float32, normalised; outputs ``logits`` (N, K, E), ``class_maps``
(N, K, E, h, w) and, where the network has it, ``affect`` (N, K, 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from esrface.networks.config import Conv, NetworkConfig
from esrface.networks.esr import ESR, Branch, ConvBlock

OPSET = 17

Array = NDArray[np.float32]


def to_onnx(network: ESR, *, logit_shift: Array | None = None, half: bool = True) -> onnx.ModelProto:
    """The network in evaluation mode as an ONNX model; its base may be empty, a branch a classifier alone.

    Args:
        network: trained; dropout and batch statistics play no part.
        logit_shift: (K, E) added to the classifiers' biases, e.g. the share of the log prior given back.
        half: store weights as float16 (half the size; computing stays in float32).
    """
    graph = _Graph(half)
    config = network.config
    x = "input"
    if config.mirrored:
        x = graph.node("Concat", [x, graph.mirror(x)], "views", axis=0)
    for module in network.base:
        x = graph.layer(x, [module], "base")
    if config.limb:
        views = graph.split(x, 2, axis=0) if config.mirrored else [x]
        limbs = [
            _limb(graph, views[number in config.mirrored], limb) for number, limb in enumerate(network.limbs)
        ]
        x = graph.node("Concat", limbs, "limbs", axis=1)
    branches = [branch for branch in network.branches if isinstance(branch, Branch)]
    _branches(graph, x, branches, config, logit_shift)
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", config.branches, config.emotions]),
        helper.make_tensor_value_info(
            "class_maps", TensorProto.FLOAT, ["N", config.branches, config.emotions, None, None]
        ),
    ]
    if config.affect:
        outputs.insert(
            1, helper.make_tensor_value_info("affect", TensorProto.FLOAT, ["N", config.branches, 2])
        )
    size, channels = config.input_size, config.input_channels
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", channels, size, size])]
    proto = helper.make_graph(graph.nodes, config.name, inputs, outputs, graph.initializers)
    # IR version 8 is read by every onnxruntime since 1.13.
    model = helper.make_model(proto, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    model.producer_name = "esrface"
    onnx.checker.check_model(model)
    return model


def _limb(graph: _Graph, x: str, limb: nn.Module) -> str:
    for module in limb.children():
        x = graph.layer(x, [module], "limb")
    return x


def _branches(
    graph: _Graph,
    shared: str,
    branches: Sequence[Branch],
    config: NetworkConfig,
    logit_shift: Array | None,
) -> None:
    """Classifiers' logits and maps of all branches from the limbs' channels, laid end to end."""
    count, limbs = len(branches), config.limbs
    emotions = branches[0].classifier.out_channels
    seen = [(branch.seen.numpy(), branch.in_channels) for branch in branches]
    x, inside = shared, False
    for layers in zip(*(branch.features for branch in branches), strict=True):
        groups = count if inside else limbs
        x = graph.layer(x, layers, "branches", groups=groups, seen=None if inside else seen)
        inside = inside or isinstance(layers[0], ConvBlock)
    weights = [_array(branch.classifier.weight) for branch in branches]
    if not inside:  # Classifiers right on the shared maps.
        weights = list(map(_spread, weights, seen))
    classifiers = graph.weight(np.concatenate(weights))
    flat = graph.node("Conv", [x, classifiers], "classifiers", group=count if inside else limbs)
    # The maps' own height and width: axes of a reshape that are 0 are copied, -1 is inferred once, so the
    # (N, K*E, h, w) maps become (N, K, E, h*w) for the mean and get their space back from its shape.
    pooled = graph.node("ReduceMean", [flat], "pooled", axes=[2, 3], keepdims=0)
    bias = np.stack([_array(branch.classifier.bias) for branch in branches])
    if logit_shift is not None:
        bias = bias + logit_shift.astype(np.float32)
    logits = graph.node("Reshape", [pooled, graph.integers([-1, count, emotions])], "reshaped")
    graph.node("Add", [logits, graph.constant(bias[None])], "logits", output="logits")
    space = graph.node(
        "Slice", [graph.node("Shape", [flat], "shape"), *map(graph.integers, ([2], [4]))], "space"
    )
    target = graph.node("Concat", [graph.integers([-1, count, emotions]), space], "maps_shape", axis=0)
    if config.mirrored:
        parts = graph.split(flat, limbs, axis=1)
        turned = [
            graph.mirror(part) if number in config.mirrored else part for number, part in enumerate(parts)
        ]
        flat = graph.node("Concat", turned, "turned", axis=1)
    graph.node("Reshape", [flat, target], "class_maps", output="class_maps")
    if branches[0].affect is not None:
        _affect(graph, branches)


def _affect(graph: _Graph, branches: Sequence[Branch]) -> None:
    """ReLU(logits) (N, K, E) through each branch's own linear layer -> (N, K, 2)."""
    layers = [branch.affect for branch in branches if branch.affect is not None]
    weight = np.stack([_array(layer.weight).T for layer in layers])
    bias = np.stack([_array(layer.bias) for layer in layers])
    positive = graph.node("Relu", ["logits"], "positive")
    columns = graph.node("Unsqueeze", [positive, graph.integers([2])], "columns")
    product = graph.node("MatMul", [columns, graph.constant(weight[None])], "product")
    rows = graph.node("Squeeze", [product, graph.integers([2])], "rows")
    graph.node("Add", [rows, graph.constant(bias[None])], "affect", output="affect")


class _Graph:
    """Nodes and initializers in the making."""

    def __init__(self, half: bool) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._half = half

    def layer(
        self,
        x: str,
        modules: Sequence[nn.Module],
        where: str,
        *,
        groups: int = 1,
        seen: Sequence[tuple[NDArray[np.int64], int]] | None = None,
    ) -> str:
        """One layer of one or several parallel stacks.

        Args:
            x: the layer's input.
            modules: the same layer of each stack.
            where: label of the nodes.
            groups: into how many parts the channels of ``x`` are apart; the stacks are spread over them.
            seen: which channels of its part each stack reads, and how many there are; None: all.
        """
        module = modules[0]
        if isinstance(module, nn.MaxPool2d):
            side = cast(int, module.kernel_size)
            return self.node("MaxPool", [x], f"{where}_pool", kernel_shape=[side, side], strides=[side, side])
        blocks = [block for block in modules if isinstance(block, ConvBlock)]
        norms = [block.bn for block in blocks if isinstance(block.bn, nn.InstanceNorm2d)]
        biases: Sequence[Array] = ()
        if norms:
            weights: Sequence[Array] = [_array(block.conv.weight) for block in blocks]
        else:
            weights, biases = zip(*(fold_batch_norm(block) for block in blocks), strict=True)
        if seen is not None:
            weights = tuple(map(_spread, weights, seen))
        spec = blocks[0].spec
        x = self._conv(x, np.concatenate(weights), biases, spec, groups, where)
        if norms:
            x = self._instance_norm(x, norms, where)
        if spec.activation == "relu6":
            return self.node(
                "Clip", [x, self.constant(np.float32(0)), self.constant(np.float32(6))], f"{where}_relu6"
            )
        return self.node("Relu", [x], f"{where}_relu")

    def _instance_norm(self, x: str, norms: Sequence[nn.InstanceNorm2d], where: str) -> str:
        """Each channel of each face by its own mean and variance; the convolution's bias is subtracted with
        the mean and therefore left out."""
        scale, bias = (
            self.constant(np.concatenate([_array(getattr(norm, name)) for norm in norms]))
            for name in ("weight", "bias")
        )
        return self.node("InstanceNormalization", [x, scale, bias], f"{where}_norm", epsilon=norms[0].eps)

    def _conv(
        self,
        x: str,
        weight: Array,
        biases: Sequence[Array],
        spec: Conv,
        groups: int,
        where: str,
    ) -> str:
        before, after = spec.padding
        return self.node(
            "Conv",
            [x, self.weight(weight), *([self.constant(np.concatenate(biases))] if biases else [])],
            f"{where}_conv",
            kernel_shape=[spec.kernel, spec.kernel],
            strides=[spec.stride, spec.stride],
            pads=[before, before, after, after],
            group=len(weight) if spec.depthwise else groups,
        )

    def node(
        self, kind: str, inputs: Sequence[str], label: str, *, output: str | None = None, **attributes: Any
    ) -> str:
        """Append a node with one output and return the output's name."""
        name = output or f"{label}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, x: str, parts: int, axis: int) -> list[str]:
        """Equal parts of ``x`` along an axis."""
        names = [f"part_{len(self.nodes)}_{number}" for number in range(parts)]
        self.nodes.append(helper.make_node("Split", [x], names, name=f"split_{len(self.nodes)}", axis=axis))
        return names

    def mirror(self, x: str) -> str:
        """``x`` (N, C, H, W) with left and right exchanged."""
        whole = np.iinfo(np.int64).min
        return self.node("Slice", [x, *map(self.integers, ([-1], [whole], [3], [-1]))], "mirror")

    def weight(self, values: Array) -> str:
        """A large constant, stored as float16 where asked for and cast back when the file is loaded."""
        if not self._half:
            return self.constant(values)
        return self.node("Cast", [self._store(values.astype(np.float16))], "weight", to=TensorProto.FLOAT)

    def constant(self, values: Array | np.float32) -> str:
        """A float32 constant."""
        return self._store(np.asarray(values, dtype=np.float32))

    def integers(self, values: Sequence[int]) -> str:
        """An int64 constant."""
        return self._store(np.asarray(values, dtype=np.int64))

    def _store(self, values: NDArray[np.generic]) -> str:
        name = f"value_{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def fold_batch_norm(block: ConvBlock) -> tuple[Array, Array]:
    """Weight and bias of the one convolution that does what convolution and batch norm (running) do."""
    bn = block.bn
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = _array(bn.weight) / np.sqrt(_array(bn.running_var) + np.float32(bn.eps))
    weight = _array(block.conv.weight) * scale[:, None, None, None]
    own = _array(block.conv.bias) if block.conv.bias is not None else np.float32(0)
    return weight, _array(bn.bias) + (own - _array(bn.running_mean)) * scale


def _spread(weight: Array, seen: tuple[NDArray[np.int64], int]) -> Array:
    """Weight over some input channels as one over all of them, zero for those that are not seen."""
    channels, total = seen
    whole = np.zeros((weight.shape[0], total, *weight.shape[2:]), np.float32)
    whole[:, channels] = weight
    return whole


def _array(values: Tensor | None) -> Array:
    assert values is not None
    return np.asarray(values.detach().cpu().float().numpy())
