"""What branches learn: emotions, or valence and arousal. Their losses, and how validation judges them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from esrface.ensemble import combine_arrays, softmax
from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.networks.esr import ESROutput
from esrface.training.distributed import Ranks

Figures = dict[str, float]


@dataclass(frozen=True)
class Judgement:
    """How an ensemble does on validation."""

    score: float
    """What decides on the best epoch; more is better."""
    ensemble: Figures
    branches: tuple[Figures, ...]
    """Of each branch alone, with the same names."""


class Task(Protocol):
    """What is learnt."""

    @property
    def figures(self) -> tuple[str, ...]:
        """Names of what `judge` measures; the first one is what people look at."""

    def loss(self, output: ESROutput, targets: Tensor, ranks: Ranks) -> Tensor:
        """(K,) loss of each branch over the batch, with the gradient that one process would have."""

    def answers(self, output: ESROutput) -> Tensor:
        """What `judge` wants of a batch, (n, K, …)."""

    def judge(self, answers: NDArray[np.float32], targets: NDArray[Any]) -> Judgement:
        """Judge the answers to all of validation."""


class Emotions:
    """Cross-entropy with one right emotion each; the ensemble votes, ties go to the lowest index."""

    figures = ("accuracy", "loss")

    def loss(self, output: ESROutput, targets: Tensor, ranks: Ranks) -> Tensor:
        """As `Task.loss`; targets (n,) int64."""
        losses = [F.cross_entropy(logits, targets) for logits in output.logits.unbind(dim=1)]
        return torch.stack(losses)

    def answers(self, output: ESROutput) -> Tensor:
        """Logits (n, K, 8)."""
        return output.logits

    def judge(self, answers: NDArray[np.float32], targets: NDArray[Any]) -> Judgement:
        """Accuracy and cross-entropy; the best ensemble is the one that votes right most often."""
        combined = combine_arrays(answers, None, vote="plurality")
        alone = metrics.branch_accuracies(combined.branch_emotion, targets)
        own = softmax(answers)
        branches = tuple(
            {
                "accuracy": float(alone[k]),
                "loss": metrics.negative_log_likelihood(own[:, k], targets),
            }
            for k in range(answers.shape[1])
        )
        accuracy = metrics.accuracy(combined.emotion, targets)
        loss = metrics.negative_log_likelihood(combined.probabilities, targets)
        return Judgement(accuracy, {"accuracy": accuracy, "loss": loss}, branches)


class Affect:
    """Root mean squared error of valence plus that of arousal; the ensemble is the mean of the branches."""

    figures = ("rmse_valence", "rmse_arousal")

    def loss(self, output: ESROutput, targets: Tensor, ranks: Ranks) -> Tensor:
        """As `Task.loss`; targets (n, 2) float."""
        squares = (self.answers(output) - targets[:, None]).square().mean(dim=0)
        whole = ranks.mean(squares.detach())
        # The root is of the whole batch, so ranks cannot take it of their own shares: this has the value of
        # the root, and the gradient that adds up to the root's.
        root = whole.clamp_min(1e-12).sqrt()
        share = squares / (2 * root)
        return (share + (root - share).detach()).sum(dim=1)

    def answers(self, output: ESROutput) -> Tensor:
        """Valence and arousal (n, K, 2)."""
        if output.affect is None:
            raise DataError("this network has no layer for valence and arousal")
        return output.affect

    def judge(self, answers: NDArray[np.float32], targets: NDArray[Any]) -> Judgement:
        """RMSE of both; the best ensemble is the one with the smallest sum."""
        ensemble = _rmse(answers.mean(axis=1), targets)
        branches = tuple(_rmse(answers[:, k], targets) for k in range(answers.shape[1]))
        return Judgement(-sum(ensemble.values()), ensemble, branches)


def _rmse(predicted: NDArray[np.float32], targets: NDArray[Any]) -> Figures:
    errors = np.sqrt(np.square(predicted.astype(np.float64) - targets).mean(axis=0))
    return dict(zip(Affect.figures, errors.tolist(), strict=True))
