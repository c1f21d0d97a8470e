"""The loss of an ensemble: every branch by itself, on its own bag, with its own view of the prior."""

from __future__ import annotations

import torch
from torch import Tensor

from esrface.training.distributed import ALONE, Ranks


def log_prior(targets: Tensor) -> Tensor:
    """(8,) log of the mean target distribution; emotions that never occur count as one image in a million."""
    return targets.mean(dim=0).clamp_min(1e-6).log()


def ensemble_loss(
    logits: Tensor, targets: Tensor, kept: Tensor, adjustment: Tensor, ranks: Ranks = ALONE
) -> Tensor:
    """Mean over branches of the cross-entropy with soft targets.

    Args:
        logits: (N, K, 8).
        targets: (N, K, 8) distributions, or (N, 1, 8) where all branches learn the same.
        kept: (N, K) bool, whether the image is in the branch's bag.
        adjustment: (K, 8), added to the logits: strength x log prior of each branch.
        ranks: that share the batch; the mean of their gradients is that of the whole batch.
    """
    log_p = torch.log_softmax(logits + adjustment, dim=-1)
    losses = -(targets * log_p).sum(dim=-1)
    weights = kept.to(losses.dtype)
    # Bags divide unevenly among the ranks, so each divides by the count of the whole batch.
    counts = ranks.total(weights.sum(dim=0)).clamp_min(1)
    return ((losses * weights).sum(dim=0) / counts).mean() * ranks.size
