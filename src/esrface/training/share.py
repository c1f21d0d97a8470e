"""How much of the log prior is given back to the branches: chosen on images that training never saw, by this
run or by another one of its kind."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.ensemble import combine_arrays
from esrface.errors import DataError, ModelError
from esrface.evaluation import metrics
from esrface.models.card import ModelCard
from esrface.models.registry import RUN_CARD

CANDIDATES = tuple(step / 8 for step in range(13))
"""From answers as if all emotions were equally common (0) to one and a half times the natural prior."""

TOLERANCE = 0.25
"""Of accuracy's standard error: less cannot be told from the best."""

HELD_OUT = "training images held out"
"""What a card says of a share that its own run chose."""


def choose_share(
    logits: NDArray[np.float32], strengths: NDArray[np.float32], labels: NDArray[np.int64]
) -> float:
    """The smallest share of the adjustment that costs no accuracy worth speaking of.

    Around its best, accuracy hardly changes with the share, while mean recall over the emotions rises as the
    share falls; so the least one whose accuracy is within a quarter of a standard error of the best is taken.

    Args:
        logits: (N, K, 8), each branch's adjustment given back in full.
        strengths: (K, 8), that adjustment: strength x log prior.
        labels: (N,) of images that training never saw.
    """
    accuracies = [
        metrics.accuracy(combine_arrays(logits + (share - 1) * strengths, None).emotion, labels)
        for share in CANDIDATES
    ]
    best = max(accuracies)
    enough = best - TOLERANCE * math.sqrt(best * (1 - best) / len(labels))
    return next(share for share, reached in zip(CANDIDATES, accuracies, strict=True) if reached >= enough)


def share_of_run(run: Path) -> tuple[float, str]:
    """The share that a run chose on images it held out, and what a card says of that.

    Raises:
        DataError: Its card is missing, or tells of no such choice.
    """
    card = run / RUN_CARD
    try:
        adjustment = ModelCard.load(card).logit_adjustment if card.is_file() else None
    except ModelError as error:
        raise DataError(f"cannot take the share of {printable(run)}: {error}") from error
    if adjustment is None or adjustment.get("share_chosen_on") != HELD_OUT:
        raise DataError(
            f"{printable(run)} chose no share: name a number, auto, or a run of --held-out 0.1 --share auto"
        )
    return float(adjustment["share"]), f"{HELD_OUT} by the run {run.resolve().name}"
