"""Grad-CAM in closed form is Grad-CAM by gradients: the same maps from one pass and from backward passes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from esrface.engine.onnx import OnnxEngine  # noqa: E402
from esrface.networks.config import network_config  # noqa: E402
from esrface.networks.esr import ESR  # noqa: E402
from esrface.networks.onnx_export import to_onnx  # noqa: E402
from esrface.saliency import branch_maps, ensemble_map, normalize  # noqa: E402
from test_networks import faces_for, lively_network  # noqa: E402

torch.set_num_threads(1)

Maps = NDArray[np.float32]
TOLERANCE = 1e-4


def grad_cam(network: ESR, faces: torch.Tensor) -> Maps:
    """Grad-CAM (Selvaraju et al., 2017) by its definition, (N, K, 8, h, w), before it is normalised.

    For each logit: its gradient by a branch's last feature maps, averaged over space, weighs these maps; what
    is positive in the weighted sum is the answer.
    """
    features: list[torch.Tensor] = []
    hooks = [
        branch.features.register_forward_hook(lambda _module, _inputs, output: features.append(output))
        for branch in network.branches
    ]
    logits = network(faces).logits
    for hook in hooks:
        hook.remove()
    found = []
    for branch, seen in enumerate(features):
        for emotion in range(logits.shape[2]):
            (gradient,) = torch.autograd.grad(logits[:, branch, emotion].sum(), seen, retain_graph=True)
            weights = gradient.mean(dim=(2, 3), keepdim=True)
            found.append(torch.relu((weights * seen).sum(dim=1)))
    stacked = torch.stack(found, dim=1).detach().numpy()
    return stacked.reshape(len(faces), len(features), logits.shape[2], *stacked.shape[2:])


def report(what: str, ours: Maps, theirs: Maps) -> None:
    gap = np.abs(ours - theirs)
    print(f"{what}: largest difference {gap.max():.2e}, mean {gap.mean():.2e} over {gap.size:,} values")
    assert gap.max() < TOLERANCE


@pytest.mark.parametrize("name", ["esr9-published", "esr9-mobile"])
def test_closed_form_equals_autograd(name: str) -> None:
    network = lively_network(network_config(name))
    faces = faces_for(network.config, count=2)
    by_gradient = grad_cam(network, faces)
    with torch.no_grad():
        class_maps = network(faces).class_maps.numpy()
    assert by_gradient.shape == class_maps.shape == (2, 9, 8, 6, 6)
    # The comparison would be empty if nothing spoke for anything, or everything everywhere.
    assert 0.2 < (by_gradient > 0).mean() < 0.8
    emotions = range(8)
    ours = np.stack([branch_maps(class_maps, emotion) for emotion in emotions], axis=2)
    report(f"{name}, branches x emotions", ours, normalize(by_gradient))
    ours = np.stack([ensemble_map(class_maps, emotion) for emotion in emotions], axis=1)
    report(f"{name}, ensemble x emotions", ours, normalize(by_gradient.mean(axis=1)))


def test_the_exported_network_gives_the_same_maps() -> None:
    """The default configuration as it is used: ONNX, batch norms folded, branches as grouped convolutions."""
    network = lively_network(network_config("esr9-mobile"))
    faces = faces_for(network.config, count=2)
    engine = OnnxEngine(to_onnx(network, half=False).SerializeToString(), threads=1)
    class_maps = engine.run(faces.numpy(), class_maps=True).class_maps
    assert class_maps is not None
    ours = np.stack([branch_maps(class_maps, emotion) for emotion in range(8)], axis=2)
    report("esr9-mobile in ONNX, branches x emotions", ours, normalize(grad_cam(network, faces)))


def test_another_weight_gives_another_map() -> None:
    """The tolerance is no net that everything goes through: a classifier changed by 1 % is told apart."""
    network = lively_network(network_config("esr9-mobile"))
    faces = faces_for(network.config, count=1)
    with torch.no_grad():
        class_maps = network(faces).class_maps.numpy()
        network.branches[0].classifier.weight[:, ::2] *= 1.01
    ours = np.stack([branch_maps(class_maps, emotion) for emotion in range(8)], axis=2)
    gap = np.abs(ours - normalize(grad_cam(network, faces)))
    assert gap[:, 0].max() > 10 * TOLERANCE
    assert gap[:, 1:].max() < TOLERANCE
