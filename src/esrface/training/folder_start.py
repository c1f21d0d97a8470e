"""Where training on one's own pictures begins: nothing, or a finished model whose outputs are made to fit.

The shared layers and the branches of a model are taken as they are; its classifiers keep the rows of the
classes that they know and get new ones for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from esrface._names import printable
from esrface.datasets.augment import plain_view
from esrface.datasets.folder import class_key
from esrface.errors import ModelError
from esrface.models.card import CropRule, ModelCard
from esrface.models.registry import ModelFile, resolve_model
from esrface.networks.config import NetworkConfig, network_config, network_from_dict
from esrface.networks.esr import ESR, Branch
from esrface.networks.onnx_import import from_onnx, renew_batch_norms
from esrface.training.config import TrainConfig
from esrface.training.folder_data import FolderData

ABSENT_LOGIT = -1e4
"""Bias of an emotion without training pictures: at any temperature its probability is 0."""

UNLIKELY_LOGIT = -5.0
"""Bias from which an emotion that was barred is learnt: seldom answered yet, and within reach."""

WHOLE_PICTURE = CropRule(margin=0.0, square=True, align=False)
"""How the faces of new pictures are cut out for a model that was trained from nothing."""


@dataclass(frozen=True)
class Start:
    """Where training begins."""

    config: NetworkConfig
    file: ModelFile | None
    """The model to fine-tune; None: nothing."""

    @property
    def card(self) -> ModelCard | None:
        """That model's card."""
        return self.file.card if self.file else None

    @property
    def crop(self) -> CropRule:
        """How faces are cut out of pictures."""
        return self.file.card.crop if self.file else WHOLE_PICTURE

    @property
    def resize(self) -> str:
        """How crops are resized (see `esrface.models.card.InputSpec`)."""
        return self.file.card.input.resize if self.file else "area_linear"


def find_start(config: TrainConfig) -> Start:
    """The model to fine-tune, or the network to begin from nothing."""
    if config.init is None:
        return Start(network_config(config.network), None)
    file = resolve_model(config.init)
    spec = file.card.input
    if file.is_original or spec.color != "gray" or len(set(spec.mean)) > 1 or len(set(spec.std)) > 1:
        raise ModelError(
            f"{printable(config.init)} cannot be trained further here: only grey models of this package can; "
            "leave --init out, or give --init none"
        )
    try:
        return Start(network_from_dict(file.card.network), file)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{printable(config.init)} cannot be trained further: its card does not describe its network "
            "layer by layer"
        ) from error


def mask_absent(network: ESR, counts: NDArray[np.int64]) -> None:
    """Bar the emotions without training pictures, in place: their probability and gradients become 0.

    Emotions with pictures that the network's own training had barred can be learnt again.
    """
    absent = torch.from_numpy(counts == 0)
    with torch.no_grad():
        for branch in network.branches:
            assert isinstance(branch, Branch)
            bias = branch.classifier.bias
            assert bias is not None
            bias[bias < ABSENT_LOGIT / 2] = UNLIKELY_LOGIT
            bias[absent] = ABSENT_LOGIT


def build_network(start: Start, config: TrainConfig, faces: FolderData) -> ESR:
    """The network at its start; the seed decides what is random."""
    torch.manual_seed(config.seed)
    if start.file is None:
        network = ESR(replace(start.config, emotions=len(faces.emotions)))
        mask_absent(network, faces.counts)
        return network
    network = from_onnx(start.file.read(), start.config)
    training = faces.training
    sample = torch.from_numpy(training.pixels)[torch.randperm(len(training))[:256]]
    views = plain_view(sample, start.config.input_size, config.input_mean, config.input_std)
    inputs = views.expand(-1, start.config.input_channels, -1, -1)
    renew_batch_norms(network, inputs)
    return with_classes(network, start.file.card.emotions, faces, inputs)


@torch.no_grad()
def with_classes(network: ESR, known: Sequence[str], faces: FolderData, inputs: Tensor) -> ESR:
    """A network for the classes of the pictures that knows what another one does.

    New classes begin as likely as their share of the training pictures, whatever the face: weights of 0, and
    a bias that holds its own against what the branch gives the classes that it knows.

    Args:
        network: In evaluation mode.
        known: Its classes, in the order of its logits; those that the pictures do not have go.
        faces: With the classes wanted.
        inputs: (N, C, S, S) normalised training faces.
    """
    if tuple(known) == faces.emotions:
        mask_absent(network, faces.counts)
        return network
    places = {class_key(name): place for place, name in enumerate(known)}
    # A row of zeros behind the network's own stands for all new classes.
    rows = torch.tensor([places.get(class_key(name), len(known)) for name in faces.emotions])

    def placed(values: Tensor, axis: int) -> Tensor:
        blank = torch.zeros_like(values.narrow(axis, 0, 1))
        return torch.cat([values, blank], axis).index_select(axis, rows)

    state = network.state_dict()
    for name, values in state.items():
        if ".classifier." in name:
            state[name] = placed(values, 0)
        elif name.endswith(".affect.weight"):
            state[name] = placed(values, 1)
    wider = ESR(replace(network.config, emotions=len(faces.emotions))).eval()
    wider.load_state_dict(state)
    mask_absent(wider, faces.counts)
    _begin_at_prior(wider, rows == len(known), torch.from_numpy(faces.counts), inputs)
    return wider


def _begin_at_prior(network: ESR, new: Tensor, counts: Tensor, inputs: Tensor) -> None:
    """Biases of the ``new`` (C,) classes, whose logits are 0 so far, from the ``counts`` (C,) of pictures."""
    old = ~new & (counts > 0)
    weight, others = torch.zeros(network.config.branches), counts.sum()
    if old.any():
        weight, others = network(inputs).logits[..., old].logsumexp(-1).mean(0), counts[old].sum()
    for branch, level in zip(network.branches, weight, strict=True):
        assert isinstance(branch, Branch)
        assert branch.classifier.bias is not None
        branch.classifier.bias[new] = level + (counts[new] / others).log()
