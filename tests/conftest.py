"""A small real model: nine independent branches with fixed random weights, in the form of the shipped one."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from esrface.cli import main
from esrface.emotions import EMOTIONS

# Before torch is loaded: its threads sleep while they wait, or tiny networks take minutes on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
# What the person who runs the tests has downloaded must not matter.
os.environ["ESRFACE_MODELS"] = str(Path(__file__).parent / "no-such-folder")

BRANCHES = 9
SIZE = 48
ModelFactory = Callable[..., Path]
Run = Callable[..., int]
"""A command with some arguments given; takes the others and returns the exit code."""


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with ``model.onnx`` and ``card.json``; usable as ``Recognizer(tiny_model)``."""
    return write_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def make_model(tmp_path: Path) -> ModelFactory:
    """Function that writes a variant: ``make_model("name", affect=True, temperature=2.0)`` -> its folder.

    Keywords other than ``affect``, ``maps``, ``half`` and ``classes`` replace keys of the card; the network
    has a class for each of its ``emotions`` unless ``classes`` says otherwise.
    """

    def make(name: str = "variant", **options: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        return write_model(folder, **options)

    return make


@pytest.fixture
def image(tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """``esrface image`` in a folder of its own, on the small model; whole pictures count as faces."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str | Path, detector: str | None = "none") -> int:
        chosen = ["--detector", detector] if detector else []
        return main(["image", "--model", str(tiny_model), *chosen, *map(str, arguments)])

    return run


@pytest.fixture(scope="session")
def face_picture() -> NDArray[np.uint8]:
    """RGB (512, 512, 3) uint8 with one smiling face: NASA's portrait of Eileen Collins, public domain."""
    from skimage import data

    return np.ascontiguousarray(data.astronaut())


def write_model(
    folder: Path,
    *,
    affect: bool = False,
    maps: bool = True,
    half: bool = False,
    classes: int | None = None,
    **card: Any,
) -> Path:
    """Write ``model.onnx`` and its ``card.json`` into ``folder`` and return it."""
    classes = classes or len(card.get("emotions", EMOTIONS))
    network = tiny_network(affect=affect, maps=maps, half=half, classes=classes)
    content = network.SerializeToString()
    (folder / "model.onnx").write_bytes(content)
    described = {**tiny_card(), "sha256": hashlib.sha256(content).hexdigest(), **card}
    (folder / "card.json").write_text(json.dumps(described), encoding="utf-8")
    return folder


def tiny_card() -> dict[str, Any]:
    """The card of ``tiny_network`` as plain data, but for the hash."""
    return {
        "schema_version": 1,
        "name": "tiny",
        "version": "1",
        "description": "Nine untrained branches, for tests",
        "network": {"base": "conv 8, conv 12", "branches": "conv 4, classifier"},
        "input": {
            "size": SIZE,
            "channels": 1,
            "color": "gray",
            "mean": [127.5],
            "std": [63.75],
            "resize": "area_linear",
        },
        "crop": {"margin": 0.0, "square": True, "align": False},
        "emotions": list(EMOTIONS),
        "branches": BRANCHES,
        "temperature": 1.0,
        "mirror": False,
        "uncertainty": {"measure": "one_minus_confidence", "weights": None},
        "affect_source": "circumplex",
        "logit_adjustment": None,
        "training_data": [],
        "protocol": {},
        "seeds": [0],
        "scores": [],
        "licence": "MIT",
        "sha256": "0" * 64,
    }


def tiny_network(
    *, affect: bool = False, maps: bool = True, half: bool = False, classes: int = len(EMOTIONS)
) -> onnx.ModelProto:
    """Two shared convolutions, then per branch one convolution and a classifier as class maps (6x6)."""
    rng = np.random.default_rng(20)
    stored: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def constant(values: NDArray[Any]) -> str:
        name = f"value_{len(stored)}"
        stored.append(numpy_helper.from_array(values, name))
        return name

    def weight(*shape: int) -> str:
        values = rng.normal(0, 1.6 / np.sqrt(np.prod(shape[1:])), shape).astype(np.float32)
        if not half:
            return constant(values)
        name = constant(values.astype(np.float16))
        nodes.append(helper.make_node("Cast", [name], [f"{name}_32"], to=TensorProto.FLOAT))
        return f"{name}_32"

    def conv(source: str, name: str, shape: tuple[int, ...], **attributes: Any) -> str:
        inputs = [source, weight(*shape), constant(rng.normal(0, 0.1, shape[0]).astype(np.float32))]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}_conv"], **attributes))
        nodes.append(helper.make_node("Relu", [f"{name}_conv"], [name]))
        return name

    halving: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1]}
    conv("input", "low", (8, 1, 3, 3), **halving)
    conv("low", "base", (12, 8, 3, 3), **halving)
    conv("base", "branches", (BRANCHES * 4, 12, 3, 3), **halving)
    classifiers = weight(BRANCHES * classes, 4, 1, 1)
    nodes.append(helper.make_node("Conv", ["branches", classifiers], ["flat"], group=BRANCHES))
    nodes.append(helper.make_node("ReduceMean", ["flat"], ["pooled"], axes=[2, 3], keepdims=0))
    shape = constant(np.array([-1, BRANCHES, classes], dtype=np.int64))
    nodes.append(helper.make_node("Reshape", ["pooled", shape], ["means"]))
    bias = constant(rng.normal(0, 0.3, (1, BRANCHES, classes)).astype(np.float32))
    nodes.append(helper.make_node("Add", ["means", bias], ["logits"]))
    outputs = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", BRANCHES, classes])]
    if maps:
        form = constant(np.array([-1, BRANCHES, classes, SIZE // 8, SIZE // 8], dtype=np.int64))
        nodes.append(helper.make_node("Reshape", ["flat", form], ["class_maps"]))
        shape_of_maps = ["N", BRANCHES, classes, SIZE // 8, SIZE // 8]
        outputs.append(helper.make_tensor_value_info("class_maps", TensorProto.FLOAT, shape_of_maps))
    if affect:
        nodes.append(
            helper.make_node("MatMul", ["logits", constant(np.eye(classes, 2, dtype=np.float32))], ["affect"])
        )
        outputs.append(helper.make_tensor_value_info("affect", TensorProto.FLOAT, ["N", BRANCHES, 2]))
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 1, SIZE, SIZE])]
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
