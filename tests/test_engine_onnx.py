"""The ONNX engine on a small real network, and on files that no engine should accept."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from conftest import BRANCHES, SIZE, ModelFactory, tiny_network
from esrface.emotions import EMOTIONS
from esrface.engine import create_engine, run_views
from esrface.engine.onnx import CHUNK, OnnxEngine
from esrface.errors import DeviceError, InputError, ModelError
from esrface.models.registry import resolve_model


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> OnnxEngine:
    return OnnxEngine(tiny_model / "model.onnx", threads=1)


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.float32]:
    """More than two chunks."""
    return np.random.default_rng(4).normal(size=(2 * CHUNK["cpu"] + 3, 1, SIZE, SIZE)).astype(np.float32)


def test_shapes_and_what_is_returned_only_on_request(engine: OnnxEngine, inputs: NDArray[np.float32]) -> None:
    output = engine.run(inputs)
    assert output.logits.shape == (len(inputs), BRANCHES, 8)
    assert output.logits.dtype == np.float32
    assert output.affect is None
    assert output.class_maps is None
    maps = engine.run(inputs, class_maps=True).class_maps
    assert maps is not None
    assert maps.shape == (len(inputs), BRANCHES, 8, 6, 6)


def test_class_maps_mean_and_bias_are_the_logits(engine: OnnxEngine, inputs: NDArray[np.float32]) -> None:
    output = engine.run(inputs, class_maps=True)
    assert output.class_maps is not None
    bias = output.logits - output.class_maps.mean(axis=(3, 4))
    assert np.abs(bias - bias[0]).max() < 1e-5
    assert np.abs(bias[0]).max() > 0.1


def test_a_batch_equals_single_calls(engine: OnnxEngine, inputs: NDArray[np.float32]) -> None:
    batch = engine.run(inputs, class_maps=True)
    for i in range(len(inputs)):
        one = engine.run(inputs[i : i + 1], class_maps=True)
        assert np.abs(one.logits[0] - batch.logits[i]).max() < 1e-5
        assert np.abs(one.class_maps[0] - batch.class_maps[i]).max() < 1e-5  # type: ignore[index]


def test_no_input_gives_empty_arrays_of_the_right_shape(
    engine: OnnxEngine, inputs: NDArray[np.float32]
) -> None:
    output = engine.run(inputs[:0], class_maps=True)
    assert output.logits.shape == (0, BRANCHES, 8)
    assert output.class_maps is not None
    assert output.class_maps.shape == (0, BRANCHES, 8, 6, 6)


def test_inputs_of_any_memory_layout(engine: OnnxEngine, inputs: NDArray[np.float32]) -> None:
    flipped = inputs[..., ::-1]
    assert not flipped.flags.c_contiguous
    assert np.array_equal(engine.run(flipped).logits, engine.run(np.ascontiguousarray(flipped)).logits)


def test_a_wrong_input_shape_names_both_shapes(engine: OnnxEngine) -> None:
    with pytest.raises(ValueError, match=r"expected inputs \(N, 1 x 48 x 48\), got \(1, 3, 48, 48\)"):
        engine.run(np.zeros((1, 3, 48, 48), dtype=np.float32))


def test_mirror_averages_with_the_mirrored_inputs(
    make_model: ModelFactory, inputs: NDArray[np.float32]
) -> None:
    engine = OnnxEngine(make_model(affect=True) / "model.onnx", threads=1)
    seen = engine.run(inputs, class_maps=True)
    turned = engine.run(np.ascontiguousarray(inputs[..., ::-1]), class_maps=True)
    both = run_views(engine, inputs, mirror=True, class_maps=True)
    assert both.logits == pytest.approx((seen.logits + turned.logits) / 2, abs=1e-5)
    assert both.affect == pytest.approx((seen.affect + turned.affect) / 2, abs=1e-5)  # type: ignore[operator]
    # Maps turned back: the mirrored pass's left column belongs to the right one.
    left, right = seen.class_maps[..., 0], turned.class_maps[..., -1]  # type: ignore[index]
    assert both.class_maps[..., 0] == pytest.approx((left + right) / 2, abs=1e-5)  # type: ignore[index]
    # A mirrored input has the same logits and the mirrored map.
    again = run_views(engine, np.ascontiguousarray(inputs[..., ::-1]), mirror=True, class_maps=True)
    assert again.logits == pytest.approx(both.logits, abs=1e-5)
    assert again.class_maps == pytest.approx(both.class_maps[..., ::-1], abs=1e-5)  # type: ignore[index]
    alone = run_views(engine, inputs, mirror=False)
    assert np.array_equal(alone.logits, seen.logits)


def test_float16_weights_run_in_float32(make_model: ModelFactory, engine: OnnxEngine) -> None:
    folder = make_model(half=True)
    half = OnnxEngine(folder / "model.onnx", threads=1)
    x = np.random.default_rng(0).normal(size=(4, 1, SIZE, SIZE)).astype(np.float32)
    difference = np.abs(half.run(x).logits - engine.run(x).logits).max()
    assert half.run(x).logits.dtype == np.float32
    assert 0 < difference < 0.02


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"branches": 8}, "it has 9 branches, the card says 8"),
        ({"emotions": [*EMOTIONS, "Bored"], "classes": 8}, "it has 8 classes, the card names 9"),
        ({"affect_source": "network"}, "it has no affect output, the card says affect_source network"),
        (
            {
                "input": {
                    "size": 64,
                    "channels": 1,
                    "color": "gray",
                    "mean": [0],
                    "std": [1],
                    "resize": "area_linear",
                }
            },
            "its input is 1 x 48 x 48, the card says 1 x 64 x 64",
        ),
    ],
)
def test_a_card_that_describes_another_network(
    make_model: ModelFactory, options: dict[str, Any], line: str
) -> None:
    with pytest.raises(ModelError) as caught:
        create_engine(resolve_model(make_model(**options)), threads=1)
    assert f"and its card do not belong together: {line}" in str(caught.value)


def test_class_maps_of_a_model_without_them(make_model: ModelFactory, inputs: NDArray[np.float32]) -> None:
    engine = OnnxEngine(make_model(maps=False) / "model.onnx", threads=1)
    assert engine.run(inputs).logits.shape == (len(inputs), BRANCHES, 8)
    with pytest.raises(ModelError, match="has no class maps: export it with the class_maps output"):
        engine.run(inputs, class_maps=True)


def refused(content: bytes | Path) -> str:
    """The one line with which a model is refused."""
    with pytest.raises(ModelError) as caught:
        OnnxEngine(content, threads=1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_files_that_are_no_onnx(tmp_path: Path, tiny_model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = (tiny_model / "model.onnx").read_bytes()
    noise = random.Random(0)
    for bad in (b"", b"\x00" * 100, noise.randbytes(1000), b"PK\x03\x04 no model", good[: len(good) // 2]):
        assert "the model is no usable ONNX model" in refused(bad)
    for _ in range(30):
        damaged = bytearray(good)
        for _ in range(20):
            damaged[noise.randrange(len(damaged))] = noise.randrange(256)
        # Changed weights alone leave a model; whatever else happens is a ModelError and no crash.
        with contextlib.suppress(ModelError):
            OnnxEngine(bytes(damaged), threads=1).run(np.zeros((1, 1, SIZE, SIZE), dtype=np.float32))
    assert refused(tmp_path / "gone.onnx").endswith("gone.onnx does not exist")
    assert "cannot be read: Is a directory" in refused(tmp_path)
    # The runtime's own log lines would appear as noise on the terminal.
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["/etc/hostname", "../../secret.bin", "beside.bin"])
@pytest.mark.parametrize("padded", [False, True])
def test_weights_in_another_file_are_refused(
    tmp_path: Path, location: str, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_network()
    weights = model.graph.initializer[0]
    (tmp_path / "beside.bin").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    content = model.SerializeToString()
    if padded:
        # The key's length 8 spelt with an extra byte, as protocol buffers allow. (The enclosing lengths no
        # longer fit, which a reader may notice first; here it must not slip through.)
        content = content.replace(b"\x0a\x08location", b"\x0a\x88\x00location")
    monkeypatch.chdir(tmp_path)
    assert refused(content) == "the model keeps weights in another file: export it with all weights inside"


def test_a_tensor_named_location_is_no_external_data(inputs: NDArray[np.float32]) -> None:
    model = tiny_network()
    model.graph.node.append(helper.make_node("Identity", ["base"], ["location"]))
    assert OnnxEngine(model.SerializeToString(), threads=1).branches == BRANCHES


def network_with(change: str) -> onnx.ModelProto:
    model = tiny_network(affect=True)
    value = {item.name: item for item in (*model.graph.input, *model.graph.output)}
    if change == "input name":
        model.graph.node[0].input[0] = model.graph.input[0].name = "pixels"
    elif change == "fixed batch":
        value["input"].type.tensor_type.shape.dim[0].dim_value = 1
    elif change == "free size":
        value["input"].type.tensor_type.shape.dim[2].dim_param = "height"
    elif change == "no logits":
        model.graph.output.remove(value["logits"])
    elif change == "any emotions":
        # How many of them there are depends on the face.
        for node in model.graph.node:
            node.output[:] = ["all" if name == "logits" else name for name in node.output]
            node.input[:] = ["all" if name == "logits" else name for name in node.input]
        bright = helper.make_node("Greater", ["all", "all"], ["bright"])
        model.graph.node.extend(
            [
                bright,
                helper.make_node("NonZero", ["bright"], ["where"]),
                helper.make_node("Shape", ["where"], ["count"], start=1),
                helper.make_node("Expand", ["first", "count"], ["chosen"]),
                helper.make_node("Gather", ["all", "chosen"], ["logits"], axis=2),
            ]
        )
        model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), "first"))
        value["logits"].type.tensor_type.shape.dim[2].dim_param = "C"
    elif change == "double":
        model.graph.node.append(helper.make_node("Cast", ["logits"], ["affect64"], to=TensorProto.DOUBLE))
        model.graph.output.remove(value["affect"])
        for node in model.graph.node:
            node.output[:] = ["affect32" if name == "affect" else name for name in node.output]
            node.output[:] = ["affect" if name == "affect64" else name for name in node.output]
        model.graph.output.append(helper.make_tensor_value_info("affect", TensorProto.DOUBLE, ["N", 9, 8]))
    return model


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("input name", "expected one input 'input' (N, C, S, S) of float32 with C and S fixed"),
        ("free size", "expected one input 'input' (N, C, S, S) of float32 with C and S fixed"),
        ("fixed batch", "expected an input for any number of faces (its batch axis is fixed)"),
        ("no logits", "expected an output 'logits' of 3 axes of float32"),
        ("any emotions", "expected an output 'logits' (N, K, E) with K and E fixed"),
        ("double", "expected an output 'affect' of 3 axes of float32"),
    ],
)
def test_networks_of_another_form(change: str, line: str) -> None:
    assert line in refused(network_with(change).SerializeToString())


def test_weights_that_are_not_finite(inputs: NDArray[np.float32]) -> None:
    model = tiny_network()
    weights = numpy_helper.to_array(model.graph.initializer[0]).copy()
    weights[0, 0, 0, 0] = np.nan
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, model.graph.initializer[0].name))
    engine = OnnxEngine(model.SerializeToString(), threads=1)
    with pytest.raises(ModelError, match="answers with NaN or infinity"):
        engine.run(inputs)


def test_devices(tiny_model: Path) -> None:
    file = resolve_model(tiny_model)
    # Who writes "gpu" means no CPU, near as the words are.
    for given, meant in (
        ("cude", "cuda"),
        ("gpu", "cuda"),
        ("GPU:0", "cuda"),
        ("cuda:1", "cuda"),
        ("cpi", "cpu"),
    ):
        with pytest.raises(InputError, match=f"unknown device '{given}': did you mean '{meant}'"):
            create_engine(file, device=given, threads=1)
    with pytest.raises(InputError, match="unknown device 'mps': choose from cpu, cuda"):
        create_engine(file, device="mps", threads=1)
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    with pytest.raises(DeviceError) as caught:
        create_engine(file, device="cuda", threads=1)
    line = str(caught.value)
    assert "the installed onnxruntime has no CUDA support" in line
    assert "'pip uninstall -y onnxruntime' and 'pip install onnxruntime-gpu'" in line
    assert "\n" not in line
