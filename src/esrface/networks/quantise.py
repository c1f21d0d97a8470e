"""An exported graph in int8: a quarter of float32's size, and some three times its speed where the CPU can.

Static quantisation of the graphs that `esrface.networks.onnx_export` writes, as ONNX wants it written down:
QuantizeLinear and DequantizeLinear around plain convolutions, which every runtime can compute and a fast one
fuses. What keeps the answers (Nagel et al., 2019, "Data-free quantization through weight equalization and
bias correction", with faces instead of none):

- every channel is scaled to its own largest value on the calibration faces, the scales being absorbed by the
  weights on both sides, so that one step fits all channels of a layer;
- values are quantised after the activation only: uint8 ends at 0 and at 6, which is the activation itself;
- biases are corrected, layer by layer, by what quantising moved each channel's mean;
- weights have 7 bits and a step for each output channel. With 8 bits, processors without VNNI would saturate
  sums of two products and answer otherwise than those that have it.

The first convolution, with one or three input channels, stays float32: that is more exact, and no slower.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor

from esrface.errors import ModelError

Array = NDArray[np.float32]

CALIBRATION_FACES = 256
"""Faces that are enough: twice as many changed nothing that could be measured."""

WEIGHT_LIMIT = 63
"""Largest quantised weight, by magnitude."""

TOP = 6.0
"""Every channel is scaled to 0-6, so that the ReLU6 of a network read back from the file does what uint8
does."""

ACTIVATION_STEP = TOP / 255

_PASSED_ON = {"MaxPool", "Concat", "Split", "Slice"}
"""Operators that do with uint8 what they do with the values it stands for."""


def to_int8(model: onnx.ModelProto, faces: Array) -> onnx.ModelProto:
    """The same network, computing in int8.

    Args:
        model: As `to_onnx` writes it with ``half=False``.
        faces: (N, C, S, S) float32 inputs, normalised: faces of the training data, some hundred.

    Raises:
        ModelError: The network normalises by each face's own statistics, or has nothing to quantise.
    """
    if not len(faces):
        raise ValueError("no faces to calibrate with")
    return _Quantiser(model, torch.from_numpy(np.ascontiguousarray(faces, np.float32))).run()


@dataclass
class _Values:
    """What a tensor of the graph holds for the calibration faces."""

    exact: Tensor
    """(N, C, h, w) float32, as the given network computes them."""
    stored: Tensor | None = None
    """(N, C, h, w) uint8, as the quantised network does; None: it has them exactly."""
    range: Tensor | None = None
    """(C,) what 255 stands for."""

    def each(self, change: Callable[[Tensor], Tensor]) -> _Values:
        """The same change to both; channels stay where they are."""
        return _Values(change(self.exact), None if self.stored is None else change(self.stored), self.range)


class _Quantiser:
    """Walks through the graph once, computing both networks layer by layer while the new graph grows."""

    def __init__(self, model: onnx.ModelProto, faces: Tensor) -> None:
        if any(node.op_type == "InstanceNormalization" for node in model.graph.node):
            raise ModelError(
                "a model that normalises by each face's own statistics cannot be stored in int8: use fp16"
            )
        self._model = model
        self._constants = {value.name: value for value in model.graph.initializer}
        self._values = {"input": _Values(faces)}
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)
        self._left = Counter({name: len(users) for name, users in self._users.items()})
        self._nodes: list[onnx.NodeProto] = []
        self._new: list[onnx.TensorProto] = []
        self._quantised = 0

    @torch.no_grad()
    def run(self) -> onnx.ModelProto:
        """The quantised model."""
        fused: set[str] = set()
        for node in self._model.graph.node:
            if node.name in fused:
                continue
            if node.op_type == "Conv":
                activation = self._activation_of(node)
                self._convolution(node, activation)
                fused |= {activation.name} if activation is not None else set()
            elif node.op_type in _PASSED_ON and all(
                name in self._values or name in self._constants for name in node.input
            ):
                self._pass_on(node)
            else:
                self._nodes.append(node)
            self._forget(node)
        if not self._quantised:
            raise ModelError("the network has too few layers to be stored in int8: use fp16")
        return self._finish()

    def _activation_of(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        users = self._users.get(node.output[0], [])
        return users[0] if len(users) == 1 and users[0].op_type in ("Relu", "Clip") else None

    def _convolution(self, node: onnx.NodeProto, activation: onnx.NodeProto | None) -> None:
        """A convolution with its activation; one without an activation ends the quantised part."""
        before = self._values[node.input[0]]
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        weight = self._constant(node.input[1])
        bias = self._constant(node.input[2]) if len(node.input) > 2 else torch.zeros(len(weight))
        exact = _convolve(before.exact, weight, attributes) + bias[:, None, None]
        means = exact.mean(dim=(0, 2, 3))
        if activation is not None:
            exact = exact.clamp_(0, TOP if activation.op_type == "Clip" else None)
            largest = exact.amax(dim=(0, 2, 3))
            # A channel that no calibration face wakes has no range to go by.
            ranges = largest.clamp_min(max(1e-3 * float(largest.max()), 1e-6))
            low, step, zero = 0.0, ACTIVATION_STEP, 0
        else:
            ranges = torch.full((len(weight),), TOP)
            low, high = min(float(exact.min()), 0.0), max(float(exact.max()), 1e-6)
            step = (high - low) / 255
            zero = round(-low / step)
        scale = ranges / TOP
        if before.stored is None:
            inputs, sums = self._plain(
                node, weight / scale[:, None, None, None], bias / scale, before, attributes
            )
        else:
            inputs, sums = self._whole_numbers(node, weight, bias, scale, means / scale, before, attributes)
        raw = self._node("Conv", inputs, f"{node.name}_sums", name=node.name, **attributes)
        grid = [self._store(np.float32(step)), self._store(np.uint8(zero))]
        name = activation.output[0] if activation is not None else node.output[0]
        if activation is not None:
            self._node("QuantizeLinear", [raw, *grid], name)
        else:
            stored_as = self._node("QuantizeLinear", [raw, *grid], f"{name}_stored")
            self._node("DequantizeLinear", [stored_as, *grid], name)
        stored = sums.div_(step).round_().add_(zero).clamp_(0, 255).to(torch.uint8)
        if activation is not None:
            self._values[name] = _Values(exact, stored, ranges)

    def _plain(
        self,
        node: onnx.NodeProto,
        weight: Tensor,
        bias: Tensor,
        before: _Values,
        attributes: dict[str, Any],
    ) -> tuple[list[str], Tensor]:
        """Inputs and sums of a convolution that stays float32."""
        sums = _convolve(before.exact, weight, attributes) + bias[:, None, None]
        return [node.input[0], self._store(weight.numpy()), self._store(bias.numpy())], sums

    def _whole_numbers(
        self,
        node: onnx.NodeProto,
        weight: Tensor,
        bias: Tensor,
        scale: Tensor,
        means: Tensor,
        before: _Values,
        attributes: dict[str, Any],
    ) -> tuple[list[str], Tensor]:
        """Inputs and sums of a convolution in int8, its bias corrected so that its means are ``means``."""
        assert before.stored is not None
        assert before.range is not None
        weight = weight * _per_input(before.range / TOP, weight, attributes.get("group", 1))
        whole, steps = _round_weights(weight)
        steps = steps / scale
        sums = _convolve(before.stored.float(), whole, attributes)
        sums.mul_((steps * ACTIVATION_STEP)[:, None, None])
        bias_steps = steps * ACTIVATION_STEP
        corrected = means - sums.mean(dim=(0, 2, 3))
        # A channel without weights is its bias alone, which has to fit into 32 bits all the same.
        silent = bias_steps < corrected.abs() / 2**30
        bias_steps[silent] = corrected[silent].abs() / 2**20
        steps = bias_steps / ACTIVATION_STEP
        whole_bias = (corrected / bias_steps.clamp_min(1e-30)).round()
        sums.add_((whole_bias * bias_steps)[:, None, None])
        self._quantised += 1
        zeros = np.zeros(len(whole), np.int8)
        return [
            self._node(
                "DequantizeLinear",
                [node.input[0], self._store(np.float32(ACTIVATION_STEP)), self._store(np.uint8(0))],
                f"{node.name}_input",
            ),
            self._node(
                "DequantizeLinear",
                [self._store(whole.numpy().astype(np.int8)), self._store(steps.numpy()), self._store(zeros)],
                f"{node.name}_weight",
                axis=0,
            ),
            self._node(
                "DequantizeLinear",
                [self._store(whole_bias.numpy().astype(np.int32)), self._store(bias_steps.numpy())],
                f"{node.name}_bias",
                axis=0,
            ),
        ], sums

    def _pass_on(self, node: onnx.NodeProto) -> None:
        """Pooling, joining, parting and mirroring: the node as it is, on uint8 where values are stored so."""
        parts = [self._values[name] for name in node.input if name in self._values]
        attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        if node.op_type == "Concat":
            self._values[node.output[0]] = _joined(parts, attributes["axis"])
        elif node.op_type == "Split":
            chunks = _chunks(parts[0], len(node.output), attributes["axis"])
            self._values.update(zip(node.output, chunks, strict=True))
        elif node.op_type == "Slice":  # Values are sliced for nothing but mirroring.
            self._values[node.output[0]] = parts[0].each(lambda values: values.flip(-1))
        else:
            side, stride = attributes["kernel_shape"][0], attributes["strides"][0]
            self._values[node.output[0]] = parts[0].each(
                lambda values: F.max_pool2d(values.float(), side, stride).to(values.dtype)
            )
        self._nodes.append(node)

    def _forget(self, node: onnx.NodeProto) -> None:
        """Drop values that no later node reads: the first layers' are large."""
        for name in node.input:
            self._left[name] -= 1
            if not self._left[name]:
                self._values.pop(name, None)

    def _constant(self, name: str) -> Tensor:
        return torch.from_numpy(np.array(numpy_helper.to_array(self._constants[name]), np.float32))

    def _store(self, values: NDArray[Any] | np.generic) -> str:
        name = f"stored_{len(self._new)}"
        self._new.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], output: str, name: str = "", **attributes: Any) -> str:
        node = helper.make_node(kind, list(inputs), [output], name=name or f"{output}_node", **attributes)
        self._nodes.append(node)
        return output

    def _finish(self) -> onnx.ModelProto:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        used = {name for node in self._nodes for name in node.input}
        constants = [*model.graph.initializer, *self._new]
        del model.graph.node[:], model.graph.initializer[:]
        model.graph.node.extend(self._nodes)
        model.graph.initializer.extend(value for value in constants if value.name in used)
        onnx.checker.check_model(model)
        return model


def _joined(parts: Sequence[_Values], axis: int) -> _Values:
    """Laid end to end; all are stored or none is."""
    stored = [part.stored for part in parts if part.stored is not None]
    ranges = [part.range for part in parts if part.range is not None]
    exact = torch.cat([part.exact for part in parts], dim=axis)
    if not stored:
        return _Values(exact)
    # Only channels have ranges: along any other axis parts have to have the same ones.
    return _Values(exact, torch.cat(stored, dim=axis), torch.cat(ranges) if axis == 1 else ranges[0])


def _chunks(values: _Values, count: int, axis: int) -> list[_Values]:
    """Equal parts along an axis."""
    assert axis == 0 or values.range is None

    def part(number: int) -> _Values:
        return values.each(lambda whole: whole.chunk(count, dim=axis)[number])

    return [part(number) for number in range(count)]


def _convolve(x: Tensor, weight: Tensor, attributes: dict[str, Any]) -> Tensor:
    """A convolution without bias, by the attributes of its ONNX node."""
    top, left, bottom, right = attributes.get("pads", (0, 0, 0, 0))
    if top or left or bottom or right:
        x = F.pad(x, (left, right, top, bottom))
    return F.conv2d(
        x, weight, stride=tuple(attributes.get("strides", (1, 1))), groups=attributes.get("group", 1)
    )


def _per_input(scale: Tensor, weight: Tensor, groups: int) -> Tensor:
    """A scale (C_in,) of input channels, laid out to multiply a weight (C_out, C_in / groups, k, k)."""
    inputs = scale.reshape(groups, weight.shape[1])
    return inputs.repeat_interleave(len(weight) // groups, dim=0)[:, :, None, None]


def _round_weights(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers (as float32) for a weight, and the step (C_out,) of each output channel."""
    steps = weight.flatten(1).abs().amax(dim=1).clamp_min(1e-12) / WEIGHT_LIMIT
    return (weight / steps[:, None, None, None]).round(), steps
