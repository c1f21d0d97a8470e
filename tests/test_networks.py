"""Networks: published sizes, independence of the branches, class maps, and torch = ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
torch.set_num_threads(1)
pytest.importorskip("onnx")

import onnxruntime as ort  # noqa: E402

from esrface.errors import DataError, InputError  # noqa: E402
from esrface.networks.config import NETWORKS, NetworkConfig, network_config, network_from_dict  # noqa: E402
from esrface.networks.esr import ESR, parameter_count  # noqa: E402
from esrface.networks.face_features import read_face_features  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402


def lively_network(config: NetworkConfig) -> ESR:
    """A network whose batch norms do something, in evaluation mode."""
    torch.manual_seed(5)
    network = ESR(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 2)
            module.bias.data.normal_(0, 0.2)
    for branch in network.branches:
        branch.classifier.bias.data.normal_()
    return network.eval()


def faces_for(config: NetworkConfig, count: int = 3) -> torch.Tensor:
    generator = torch.Generator().manual_seed(6)
    return torch.randn(
        count, config.input_channels, config.input_size, config.input_size, generator=generator
    )


def test_published_esr9_has_the_published_number_of_parameters() -> None:
    network = ESR(network_config("esr9-published"))
    assert parameter_count(network) == 20_349_546
    assert parameter_count(network.base) == 374_784
    assert parameter_count(network.branches[0]) == 2_219_418


def test_small_esr_has_its_known_number_of_parameters() -> None:
    assert parameter_count(ESR(network_config("esr9-small"))) == 2_039_144


NINE = [name for name in NETWORKS if name.startswith("esr9")]


@pytest.mark.parametrize("name", NINE)
def test_nine_branches_share_nothing_and_start_apart(name: str) -> None:
    network = ESR(network_config(name))
    assert len(network.branches) == 9
    owners = [id(parameter) for branch in network.branches for parameter in branch.parameters()]
    assert len(owners) == len(set(owners))
    assert not set(owners) & {id(parameter) for parameter in network.base.parameters()}
    for branch in network.branches:
        assert sum(isinstance(module, torch.nn.Conv2d) for module in branch.features.modules()) >= 2
    starts = [branch.classifier.weight.detach().numpy().tobytes() for branch in network.branches]
    assert len(set(starts)) == 9


@pytest.mark.parametrize("name", NINE)
def test_mean_of_class_maps_and_bias_are_the_logits(name: str) -> None:
    network = lively_network(network_config(name))
    with torch.no_grad():
        output = network(faces_for(network.config))
    bias = torch.stack([branch.classifier.bias for branch in network.branches])
    assert output.class_maps.shape[:3] == (3, 9, 8)
    assert min(output.class_maps.shape[3:]) >= 6
    torch.testing.assert_close(output.class_maps.mean(dim=(3, 4)) + bias, output.logits)


@pytest.mark.parametrize("name", NETWORKS)
def test_onnx_answers_as_torch_does(name: str) -> None:
    network = lively_network(network_config(name))
    faces = faces_for(network.config)
    with torch.no_grad():
        expected = network(faces)
    for half, tolerance in ((False, 1e-5), (True, 2e-3)):
        session = ort.InferenceSession(
            to_onnx(network, half=half).SerializeToString(), providers=["CPUExecutionProvider"]
        )
        names = [output.name for output in session.get_outputs()]
        assert ("affect" in names) == network.config.affect
        for output, values in zip(names, session.run(None, {"input": faces.numpy()}), strict=True):
            np.testing.assert_allclose(values, getattr(expected, output).numpy(), atol=tolerance)


def test_branches_that_see_a_share_of_the_channels_see_different_ones_and_export_the_same() -> None:
    network = lively_network(network_config("esr9-mobile", subspace=0.5))
    assert len({tuple(branch.seen.tolist()) for branch in network.branches}) == 9
    assert all(len(branch.seen) == 256 for branch in network.branches)
    faces = faces_for(network.config)
    session = ort.InferenceSession(
        to_onnx(network, half=False).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    with torch.no_grad():
        expected = network(faces).logits.numpy()
    np.testing.assert_allclose(session.run(["logits"], {"input": faces.numpy()})[0], expected, atol=1e-5)


def test_branches_of_a_limb_depend_on_their_own_limb_alone() -> None:
    network = lively_network(network_config("esr9-mobile-tree"))
    assert [network.config.limb_of(k) for k in range(9)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    faces = faces_for(network.config)
    with torch.no_grad():
        before = network(faces).logits
        for weights in network.limbs[1].parameters():
            weights.mul_(1.1)
        moved = (network(faces).logits - before).abs().amax(dim=(0, 2))
    assert (moved[3:6] > 1e-4).all()
    assert (moved[[0, 1, 2, 6, 7, 8]] == 0).all()


def test_a_limb_on_the_mirror_image_answers_as_it_would_if_the_picture_were_mirrored() -> None:
    views = lively_network(network_config("esr9-wide", mirrored=(1,)))
    limbs = ESR(network_config("esr9-wide")).eval()
    limbs.load_state_dict(views.state_dict())
    faces = faces_for(views.config)
    with torch.no_grad():
        given, seen, mirrored = views(faces), limbs(faces), limbs(faces.flip(-1))
    for output, turned in (("logits", False), ("class_maps", True)):
        other = getattr(mirrored, output)
        expected = getattr(seen, output).clone()
        expected[:, 3:6] = (other.flip(-1) if turned else other)[:, 3:6]
        assert (expected[:, 3:6] - getattr(seen, output)[:, 3:6]).abs().max() > 1e-3
        torch.testing.assert_close(getattr(given, output), expected, atol=1e-5, rtol=1e-4)
    # In training pictures are mirrored at random, so that a second view would only cost time.
    torch.manual_seed(0)
    learning = views.train()(faces).logits
    torch.manual_seed(0)
    assert torch.equal(learning, limbs.train()(faces).logits)


def test_limbs_that_are_not_there_cannot_look_at_the_mirror_image() -> None:
    with pytest.raises(InputError, match=r"limbs \(3,\) of .*: its limbs are numbered 0 to 2"):
        network_config("esr9-mobile-limbs", mirrored=(3,))
    with pytest.raises(InputError, match="mirror image: it has none"):
        network_config("esr9-mobile", mirrored=(0,))


def test_branches_that_limbs_cannot_share_evenly_are_refused() -> None:
    with pytest.raises(InputError, match="9 branches cannot be spread evenly over 2 limbs"):
        network_config("esr9-mobile-tree", limbs=2)
    with pytest.raises(InputError, match="over 3 limbs"):
        network_config("esr9-mobile", limbs=3)


def test_logit_shift_moves_the_exported_logits_and_nothing_else() -> None:
    network = lively_network(network_config("esr9-small"))
    faces = {"input": faces_for(network.config).numpy()}
    shift = np.linspace(-1, 1, 72, dtype=np.float32).reshape(9, 8)
    plain, moved = (
        ort.InferenceSession(
            to_onnx(network, logit_shift=s, half=False).SerializeToString(),
            providers=["CPUExecutionProvider"],
        ).run(["logits", "class_maps"], faces)
        for s in (None, shift)
    )
    np.testing.assert_allclose(moved[0] - plain[0], np.broadcast_to(shift, (3, 9, 8)), atol=1e-5)
    np.testing.assert_array_equal(moved[1], plain[1])


@pytest.mark.parametrize("name", NETWORKS)
def test_configuration_survives_being_plain_data(name: str) -> None:
    config = network_config(name)
    assert network_from_dict(config.to_dict()) == config


def test_unknown_network_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="choose one of esr9-mobile, "):
        network_config("esr10")


def test_foreign_face_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="npm pack"):
        read_face_features(tmp_path / "missing.tgz")
    (tmp_path / "faceres.json").write_text("{}")
    (tmp_path / "faceres.bin").write_bytes(b"not the features")
    with pytest.raises(DataError, match="SHA-256"):
        read_face_features(tmp_path)
