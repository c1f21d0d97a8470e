"""The loss of an ensemble: every branch by itself, on its own bag, with its own view of the prior."""

from __future__ import annotations

import torch
from torch import Tensor


def log_prior(targets: Tensor) -> Tensor:
    """(8,) log of the mean target distribution; emotions that never occur count as one image in a million."""
    return targets.mean(dim=0).clamp_min(1e-6).log()


def ensemble_loss(logits: Tensor, targets: Tensor, kept: Tensor, adjustment: Tensor) -> Tensor:
    """Mean over branches of the cross-entropy with soft targets.

    Args:
        logits: (N, K, 8).
        targets: (N, K, 8) distributions, or (N, 1, 8) where all branches learn the same.
        kept: (N, K) bool, whether the image is in the branch's bag.
        adjustment: (K, 8), added to the logits: strength x log prior of each branch.
    """
    log_p = torch.log_softmax(logits + adjustment, dim=-1)
    losses = -(targets * log_p).sum(dim=-1)
    weights = kept.to(losses.dtype)
    return ((losses * weights).sum(dim=0) / weights.sum(dim=0).clamp_min(1)).mean()
