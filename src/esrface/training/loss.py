"""The loss of an ensemble: every branch by itself, on its own bag, with its own view of the prior."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from esrface.training.distributed import ALONE, Ranks


def log_prior(targets: Tensor) -> Tensor:
    """(8,) log of the mean target distribution; emotions that never occur count as one image in a million."""
    return targets.mean(dim=0).clamp_min(1e-6).log()


def ensemble_loss(
    logits: Tensor,
    targets: Tensor,
    kept: Tensor,
    adjustment: Tensor,
    ranks: Ranks = ALONE,
    *,
    joint: float = 0.0,
) -> Tensor:
    """Mean over branches of the cross-entropy with soft targets, and a share of the ensemble's own.

    Args:
        logits: (N, K, 8).
        targets: (N, K, 8) distributions, or (N, 1, 8) where all branches learn the same.
        kept: (N, K) bool, whether the image is in the branch's bag.
        adjustment: (K, 8), added to the logits: strength x log prior of each branch.
        ranks: that share the batch; the mean of their gradients is that of the whole batch.
        joint: share of the ensemble's own loss: the cross-entropy of the mean of the branches' probabilities,
            on all images, with the mean of their targets (Webb et al., 2020).
    """
    log_p = torch.log_softmax(logits + adjustment, dim=-1)
    losses = -(targets * log_p).sum(dim=-1)
    weights = kept.to(losses.dtype)
    # Bags divide unevenly among the ranks, so each divides by the count of the whole batch.
    counts = ranks.total(weights.sum(dim=0)).clamp_min(1)
    alone = ((losses * weights).sum(dim=0) / counts).mean() * ranks.size
    if not joint:
        return alone
    together = torch.logsumexp(log_p, dim=1) - math.log(log_p.shape[1])
    return (1 - joint) * alone - joint * (targets.mean(dim=1) * together).sum(dim=-1).mean()


def map_similarity(class_maps: Tensor) -> Tensor:
    """How much branches look at the same places: the mean cosine between the class maps of two branches.

    From -1 to 1, over all pairs and images. Each map counts less its mean over space, which is what it adds
    to the logits: branches may agree on what they see, not on where. After the penalties on the similarity
    of branches' features (Heidari & Iosifidis, 2022).

    Args:
        class_maps: (N, K, E, h, w), K at least 2.
    """
    where = class_maps - class_maps.mean(dim=(-2, -1), keepdim=True)
    directions = F.normalize(where.flatten(2), dim=-1)
    branches = directions.shape[1]
    # The square of a sum holds every pair twice, and each direction with itself once.
    pairs = directions.sum(dim=1).square().sum(dim=-1) - branches
    return pairs.mean() / (branches * (branches - 1))


def rare_weights(targets: Tensor, most: float = 4.0) -> Tensor:
    """How often each image is to be drawn, (N,) of at least 1, for rare emotions to be seen more.

    The inverse root of its emotions' frequency against the commonest one's, at most ``most``, averaged over
    its distribution (N, 8). Meant for the end of a schedule (deferred re-weighting, Cao et al., 2019).
    """
    share = targets.mean(dim=0).clamp_min(1e-6)
    return targets @ (share.max() / share).sqrt().clamp_max(most)
