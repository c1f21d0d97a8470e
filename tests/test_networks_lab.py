"""ESR "in the lab": the published sizes at every branching level, and the same answers in ONNX."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("onnx")

from esrface.engine.onnx import OnnxEngine  # noqa: E402
from esrface.errors import InputError  # noqa: E402
from esrface.networks.config import (  # noqa: E402
    NetworkConfig,
    esr_lab,
    esr_small,
    lab_ensemble,
    lab_single,
    network_config,
    network_from_dict,
)
from esrface.networks.esr import ESR, parameter_count, use_face_statistics  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402
from original_layout import gap, lively  # noqa: E402

LEVELS = range(6)


def network_and_faces(config: NetworkConfig) -> tuple[ESR, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    network = ESR(config).eval()
    lively(network, generator)
    shape = (3, config.input_channels, config.input_size, config.input_size)
    return network, torch.randn(shape, generator=generator)


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (lab_single(), 131_208),
        (lab_ensemble(), 524_832),
        (esr_lab(), 355_104),
        (esr_lab(4), 243_936),
    ],
)
def test_the_published_numbers_of_parameters(config: NetworkConfig, parameters: int) -> None:
    assert parameter_count(ESR(config)) == parameters


def test_sharing_more_takes_fewer_parameters_and_every_branch_keeps_its_own() -> None:
    networks = [ESR(esr_lab(level)) for level in LEVELS]
    counts = [parameter_count(network) for network in networks]
    # Sharing a block saves three of its four copies: the blocks have 896, 18,624 and three times 37,056.
    saved = [before - after for before, after in itertools.pairwise(counts)]
    assert saved == [2_688, 55_872, 111_168, 111_168, 111_168]
    for network in networks:
        whole = parameter_count(network.base) + parameter_count(network.branches[0])
        assert whole == 131_208, "one branch on the base is the single network, wherever it branches"
        owners = [id(p) for part in (network.base, *network.branches) for p in part.parameters()]
        assert len(owners) == len(set(owners))
        starts = {branch.classifier.weight.detach().numpy().tobytes() for branch in network.branches}
        assert len(starts) == 4


def test_the_traditional_ensemble_is_four_networks_side_by_side() -> None:
    ensemble, faces = network_and_faces(lab_ensemble())
    single = ESR(lab_single()).eval()
    with torch.no_grad():
        together = ensemble(faces).logits
        for number, branch in enumerate(ensemble.branches):
            layers = [*single.base, *single.branches[0].features]
            for ours, theirs in zip(layers, branch.features, strict=True):
                ours.load_state_dict(theirs.state_dict())
            single.branches[0].classifier.load_state_dict(branch.classifier.state_dict())
            torch.testing.assert_close(single(faces).logits[:, 0], together[:, number])


@pytest.mark.parametrize("config", [*map(esr_lab, LEVELS), lab_single()], ids=lambda config: config.name)
@pytest.mark.parametrize("batch_norm", ["running", "instance"])
def test_onnx_answers_as_torch_does(config: NetworkConfig, batch_norm: str) -> None:
    network, faces = network_and_faces(config)
    if batch_norm == "instance":
        use_face_statistics(network)
    with torch.no_grad():
        expected = network(faces)
    engine = OnnxEngine(to_onnx(network, half=False).SerializeToString(), threads=1)
    assert engine.branches == config.branches
    assert engine.input_shape == (1, 96, 96)
    given = engine.run(faces.numpy(), class_maps=True)
    assert gap(given.logits, expected.logits.numpy()) < 1e-4
    assert gap(given.class_maps, expected.class_maps.numpy()) < 1e-3
    assert given.class_maps.shape == (3, config.branches, 8, 7, 7)
    assert not engine.has_affect


def test_classifiers_right_on_a_share_of_the_shared_maps_export_too() -> None:
    config = replace(esr_small(), branch=(), subspace=0.5)
    network, faces = network_and_faces(config)
    with torch.no_grad():
        expected = network(faces).logits.numpy()
    given = OnnxEngine(to_onnx(network, half=False).SerializeToString(), threads=1).run(faces.numpy())
    assert gap(given.logits, expected) < 1e-4


def test_by_name_and_as_plain_data() -> None:
    assert network_config("esr4-lab") == esr_lab(3)
    assert len({esr_lab(level).name for level in LEVELS}) == 6
    for level in LEVELS:
        assert network_from_dict(esr_lab(level).to_dict()) == esr_lab(level)


@pytest.mark.parametrize("level", [-1, 6, 100])
def test_there_are_no_other_levels(level: int) -> None:
    with pytest.raises(InputError, match=f"after 0 to 5 convolutions, got level {level}"):
        esr_lab(level)


def test_it_learns() -> None:
    """A few steps of gradient descent, shared layers and all branches together, lower the loss."""
    torch.manual_seed(0)
    network = ESR(esr_lab()).train()
    faces = torch.randn(8, 1, 96, 96)
    labels = torch.arange(8)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(5):
        logits = network(faces).logits
        loss = sum(torch.nn.functional.cross_entropy(logits[:, k], labels) for k in range(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert np.isfinite(losses).all()
