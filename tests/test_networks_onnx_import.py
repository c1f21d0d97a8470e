"""The exporter's inverse: every kind of network comes back as the function that it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
torch.set_num_threads(1)

from esrface.engine.onnx import OnnxEngine  # noqa: E402
from esrface.errors import ModelError  # noqa: E402
from esrface.models.registry import resolve_model  # noqa: E402
from esrface.networks.config import (  # noqa: E402
    Conv,
    MaxPool,
    NetworkConfig,
    esr_lab,
    esr_mobile,
    lab_ensemble,
    network_from_dict,
)
from esrface.networks.esr import ESR, use_face_statistics  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402
from esrface.networks.onnx_import import from_onnx, renew_batch_norms  # noqa: E402

TINY = NetworkConfig(
    "tiny", 24, 3, (Conv(8, bias=True), MaxPool()), (Conv(6), MaxPool(), Conv(5, padding=(1, 1))), branches=3
)
CONFIGS = {
    "biases and poolings": TINY,
    "affect": replace(TINY, affect=True),
    "half of the channels each": replace(TINY, subspace=0.5),
    "depthwise with uneven padding": esr_mobile(blocks=3, input_size=32),
    "nothing shared": replace(lab_ensemble(), input_size=48, branches=2, base=()),
    "classifiers alone": replace(esr_lab(5), input_size=48),
    "branches on limbs": replace(TINY, limb=(Conv(6, padding=(1, 1)), MaxPool()), limbs=3),
    "limbs on the mirror image": replace(
        TINY, limb=(Conv(6, padding=(1, 1)), MaxPool()), limbs=3, mirrored=(1,)
    ),
    "classifiers on half of the channels": replace(esr_lab(5), input_size=48, subspace=0.5),
}


def random_network(config: NetworkConfig) -> ESR:
    """With batch norms that have seen something."""
    torch.manual_seed(3)
    network = ESR(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_()
    return network


def inputs_for(config: NetworkConfig, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(
        count, config.input_channels, config.input_size, config.input_size, generator=generator
    )


def test_a_card_that_tells_of_other_views_than_the_file_has_is_refused() -> None:
    views = CONFIGS["limbs on the mirror image"]
    for written, told in ((views, replace(views, mirrored=())), (replace(views, mirrored=(0, 1)), views)):
        content = to_onnx(random_network(written), half=False).SerializeToString()
        with pytest.raises(ModelError, match="limbs look at other views than those of the card's network"):
            from_onnx(content, told)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("half", [False, True])
@torch.no_grad()
def test_a_network_comes_back_as_it_was(kind: str, half: bool) -> None:
    config = CONFIGS[kind]
    network = random_network(config)
    content = to_onnx(network, half=half).SerializeToString()
    again = from_onnx(content, config)
    expected, given = network(inputs_for(config)), again(inputs_for(config))
    scale = float(expected.logits.abs().max())
    assert float((expected.logits - given.logits).abs().max()) < (2e-3 if half else 1e-5) * max(1, scale)
    torch.testing.assert_close(given.class_maps, expected.class_maps, atol=1e-2 if half else 1e-4, rtol=1e-2)
    if config.affect:
        torch.testing.assert_close(given.affect, expected.affect, atol=1e-2, rtol=1e-2)
    # What float16 rounded once stays as it is.
    assert to_onnx(again, half=half).SerializeToString() == content


@torch.no_grad()
def test_a_shift_of_the_logits_stays_in() -> None:
    shift = np.arange(24, dtype=np.float32).reshape(3, 8)
    network = random_network(TINY)
    again = from_onnx(to_onnx(network, logit_shift=shift, half=False).SerializeToString(), TINY)
    x = inputs_for(TINY)
    torch.testing.assert_close(
        again(x).logits, network(x).logits + torch.from_numpy(shift), atol=1e-4, rtol=0
    )


@torch.no_grad()
def test_renewed_batch_norms_hold_the_faces_and_change_nothing() -> None:
    network = from_onnx(to_onnx(random_network(TINY), half=False).SerializeToString(), TINY)
    faces = 3 + 2 * inputs_for(TINY, 64)
    before = network(faces).logits
    renew_batch_norms(network, faces)
    torch.testing.assert_close(network(faces).logits, before, atol=1e-4, rtol=0)
    # So training mode, which normalises by the batch itself, begins where evaluation is.
    torch.testing.assert_close(network.train()(faces).logits, before, atol=1e-3, rtol=0)


@torch.no_grad()
def test_the_shipped_model_can_be_read_back() -> None:
    file = resolve_model()
    config = network_from_dict(file.card.network)
    x = inputs_for(config)
    expected = OnnxEngine(file.path, threads=1).run(x.numpy()).logits
    read = from_onnx(file.read(), config)(x).logits.numpy()
    # The file computes in whole numbers and the network does not: they differ by the rounding of values, a
    # small share of the logits' spread.
    assert np.abs(read - expected).max() < 0.1 * expected.std()
    assert (read.argmax(-1) == expected.argmax(-1)).mean() > 0.9


@pytest.mark.parametrize(
    ("content", "config", "said"),
    [
        (b"torn", TINY, "no ONNX file"),
        (lambda: to_onnx(random_network(TINY)), replace(TINY, branches=4), "not of the network 'tiny'"),
        (lambda: to_onnx(random_network(TINY)), replace(TINY, branch=TINY.branch[:1]), "not of the network"),
        (
            lambda: to_onnx(random_network(replace(TINY, base=(*TINY.base, Conv(8))))),
            TINY,
            "expected a convolution of the branches",
        ),
        (
            lambda: to_onnx(use_face_statistics(random_network(TINY))),
            TINY,
            "each face's own statistics cannot be trained further",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(content: object, config: NetworkConfig, said: str) -> None:
    data = content if isinstance(content, bytes) else content().SerializeToString()  # type: ignore[operator]
    with pytest.raises(ModelError) as caught:
        from_onnx(data, config)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
