"""The prior that a model's answers assume: how often each emotion is expected before the face is seen.

Branches that were trained with logit adjustment (Menon et al., "Long-tail learning via logit adjustment",
ICLR 2021) would answer for emotions that are all about as likely. Their files give the adjustment back, so
that answers assume the emotions to be as common as in the training data; taking it out again makes them speak
up for rare ones, without another training.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.errors import InputError, ModelError
from esrface.models.card import ModelCard

PRIORS = ("natural", "balanced")


def prior_shift(card: ModelCard, prior: str) -> NDArray[np.float32] | None:
    """What to add to the logits (N, K, C) of a model for answers that assume this prior.

    Args:
        card: The model's; its ``logit_adjustment`` says what was given back.
        prior: One of `PRIORS`.

    Returns:
        (K, C) float32, or None where nothing is to be added.

    Raises:
        InputError: There is no such prior.
        ModelError: The model was trained without logit adjustment.
    """
    if prior not in PRIORS:
        raise InputError(unknown_name("prior", prior, PRIORS))
    if prior == "natural":
        return None
    adjustment = card.logit_adjustment
    if adjustment is None:
        raise ModelError(
            f"prior 'balanced' is for models trained with logit adjustment, and '{card.name}' was not: "
            "leave prior out"
        )
    try:
        strengths = np.array([float(strength) for strength in adjustment["strengths"]], dtype=np.float32)
        log_prior = np.array([float(adjustment["log_prior"][e]) for e in card.emotions], dtype=np.float32)
        shift = -float(adjustment["share"]) * strengths[:, None] * log_prior
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"the card of '{card.name}' has no usable logit_adjustment ({error!r})") from None
    if len(strengths) != card.branches or not np.isfinite(shift).all():
        raise ModelError(f"the card of '{card.name}' has no usable logit_adjustment: {strengths.tolist()}")
    return shift.astype(np.float32)
