"""int8: the same answers from a quarter of the bytes, whatever the network's form; and back into torch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

from esrface.engine.onnx import OnnxEngine  # noqa: E402
from esrface.ensemble import softmax  # noqa: E402
from esrface.errors import ModelError  # noqa: E402
from esrface.networks.config import Conv, MaxPool, NetworkConfig, esr_lab, esr_mobile  # noqa: E402
from esrface.networks.esr import ESR, use_face_statistics  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402
from esrface.networks.onnx_import import from_onnx  # noqa: E402
from esrface.networks.quantise import WEIGHT_LIMIT, to_int8  # noqa: E402

PLAIN = NetworkConfig(
    "plain",
    24,
    1,
    (Conv(16, padding=(1, 1), bias=True), Conv(16, padding=(1, 1)), MaxPool()),
    (Conv(12, padding=(1, 1)), MaxPool(), Conv(24, kernel=1)),
    branches=3,
)
CONFIGS = {
    "poolings": PLAIN,
    "affect": replace(PLAIN, affect=True),
    "half of the channels each": replace(PLAIN, subspace=0.5),
    "branches on limbs": replace(PLAIN, limb=(Conv(16, padding=(1, 1)), MaxPool()), limbs=3),
    "limbs on the mirror image": replace(
        PLAIN, limb=(Conv(16, padding=(1, 1)), MaxPool()), limbs=3, mirrored=(1, 2)
    ),
    "limbs on the mirror image alone": replace(PLAIN, base=(), limb=PLAIN.base, limbs=3, mirrored=(0,)),
    "depthwise with uneven padding": replace(esr_mobile(blocks=4, input_size=48), subspace=0.5),
    "classifiers alone": replace(esr_lab(5), input_size=48),
}


@torch.no_grad()
def lively_network(config: NetworkConfig) -> ESR:
    """Channels of very different sizes, which is what makes quantising hard, and answers that differ."""
    torch.manual_seed(11)
    network = ESR(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.weight.data.uniform_(0.1, 2)
            module.bias.data.normal_(0.2, 0.4)
            module.momentum = 1.0
    faces = torch.from_numpy(drawn(config, 64, seed=3))
    network.train()(faces)  # Batch norms on these faces.
    logits = network.eval()(faces).logits
    for k, branch in enumerate(network.branches):
        spread = logits[:, k].std(dim=0)
        branch.classifier.weight.mul_(2 / spread[:, None, None, None])
        branch.classifier.bias.copy_(-2 * (logits[:, k].mean(dim=0) - branch.classifier.bias) / spread)
    return network


def drawn(config: NetworkConfig, count: int, seed: int) -> np.ndarray:
    """Smooth pictures, each of its own brightness."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(count, config.input_channels, 6, 6, generator=generator)
    size = (config.input_size, config.input_size)
    fine = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear", align_corners=False)
    return (fine + torch.randn(count, 1, 1, 1, generator=generator) / 2).numpy()


@pytest.mark.parametrize("kind", CONFIGS)
def test_int8_answers_as_the_network_does(kind: str) -> None:
    config = CONFIGS[kind]
    network = lively_network(config)
    exact = to_onnx(network, half=False)
    content = to_int8(exact, drawn(config, 48, seed=1)).SerializeToString()
    x = drawn(config, 32, seed=2)
    expected, given = (
        OnnxEngine(file, threads=1).run(x, class_maps=True) for file in (exact.SerializeToString(), content)
    )
    before, after = softmax(expected.logits), softmax(given.logits)
    spread = float(before.std(axis=0).mean())
    assert np.abs(after - before).mean() < 0.15 * spread
    assert (after.mean(axis=1).argmax(axis=1) == before.mean(axis=1).argmax(axis=1)).mean() > 0.8
    assert np.corrcoef(expected.class_maps.ravel(), given.class_maps.ravel())[0, 1] > 0.99
    if config.affect:
        assert np.abs(given.affect - expected.affect).mean() < 0.1 * expected.affect.std()


def test_limbs_on_the_mirror_image_are_calibrated_on_mirrored_faces() -> None:
    config = CONFIGS["limbs on the mirror image"]
    network = lively_network(config)
    # All are lit from one side, so that a mirrored one looks like none of them.
    shade = np.linspace(-4, 4, config.input_size, dtype=np.float32)
    exact = to_onnx(network, half=False)
    content = to_int8(exact, drawn(config, 48, seed=1) + shade).SerializeToString()
    x = drawn(config, 32, seed=2) + shade
    expected, given = (
        softmax(OnnxEngine(file, threads=1).run(x).logits) for file in (exact.SerializeToString(), content)
    )
    assert np.abs(given - expected).mean() < 0.1 * expected.std(axis=0).mean()


def test_runtimes_fuse_it_to_whole_numbers_and_may_as_well_not() -> None:
    config = CONFIGS["depthwise with uneven padding"]
    model = to_int8(to_onnx(lively_network(config), half=False), drawn(config, 48, seed=1))
    x = drawn(config, 4, seed=2)
    answers = []
    for level in (ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL):
        options = ort.SessionOptions()
        options.graph_optimization_level = level
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        answers.append(softmax(session.run(["logits"], {"input": x})[0]))
    assert np.abs(answers[0] - answers[1]).max() < 0.03
    assert not {"Clip", "Relu"} & {node.op_type for node in model.graph.node}


def test_no_two_products_can_saturate_sixteen_bits() -> None:
    config = CONFIGS["half of the channels each"]
    model = to_int8(to_onnx(lively_network(config), half=False), drawn(config, 16, seed=1))
    whole = [numpy_helper.to_array(value) for value in model.graph.initializer]
    weights = [values for values in whole if values.dtype == np.int8 and values.ndim == 4]
    assert len(weights) == 4
    assert max(np.abs(values.astype(int)).max() for values in weights) == WEIGHT_LIMIT
    assert np.iinfo(np.int16).max >= 2 * 255 * WEIGHT_LIMIT


def test_the_same_faces_give_the_same_file_of_a_quarter_of_the_size() -> None:
    config = replace(esr_mobile(blocks=11, input_size=32), branches=2)
    exact = to_onnx(lively_network(config), half=False)
    faces = drawn(config, 4, seed=1)
    content = to_int8(exact, faces).SerializeToString()
    assert to_int8(exact, faces).SerializeToString() == content
    assert len(content) < 0.3 * len(exact.SerializeToString())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["limbs on the mirror image", "depthwise with uneven padding", "affect"])
def test_it_comes_back_into_torch_to_be_trained_further(kind: str) -> None:
    config = CONFIGS[kind]
    content = to_int8(
        to_onnx(lively_network(config), half=False), drawn(config, 48, seed=1)
    ).SerializeToString()
    x = drawn(config, 16, seed=2)
    given = softmax(OnnxEngine(content, threads=1).run(x).logits)
    again = softmax(from_onnx(content, config)(torch.from_numpy(x)).logits.numpy())
    assert np.abs(given - again).mean() < 0.15 * given.std(axis=0).mean()


def test_a_channel_that_no_face_wakes_does_no_harm() -> None:
    network = lively_network(PLAIN)
    first = network.base[0]
    first.bn.bias.data[:4] = -1000
    network.base[1].conv.weight.data[5] = 0
    exact = to_onnx(network, half=False)
    content = to_int8(exact, drawn(PLAIN, 32, seed=1)).SerializeToString()
    x = drawn(PLAIN, 16, seed=2)
    expected, given = (
        softmax(OnnxEngine(file, threads=1).run(x).logits) for file in (exact.SerializeToString(), content)
    )
    assert np.abs(given - expected).mean() < 0.1 * expected.std(axis=0).mean()


def test_what_cannot_be_quantised_is_refused() -> None:
    network = use_face_statistics(lively_network(PLAIN))
    with pytest.raises(ModelError, match="own statistics cannot be stored in int8: use fp16"):
        to_int8(to_onnx(network, half=False), drawn(PLAIN, 2, seed=1))
    single = replace(PLAIN, base=(), branch=())
    with pytest.raises(ModelError, match="too few layers"):
        to_int8(to_onnx(lively_network(single), half=False), drawn(single, 2, seed=1))


def test_weights_of_the_exact_model_do_not_stay_in_the_file() -> None:
    model = to_int8(to_onnx(lively_network(PLAIN), half=False), drawn(PLAIN, 8, seed=1))
    used = {name for node in model.graph.node for name in node.input}
    assert {value.name for value in model.graph.initializer} <= used
    onnx.checker.check_model(model, full_check=True)
