"""The losses of an epoch, step by step: kept where they are computed, and a stop where one is no number."""

from __future__ import annotations

import torch
from torch import Tensor

from esrface.errors import DataError

_LOOK_EVERY = 50
"""Steps between two looks on a GPU."""


class StepLosses:
    """The losses of an epoch's steps.

    A GPU works ahead of us: who asks it for a number waits until it has caught up. So it is asked now and
    then; the CPU, which computes while we wait anyway, after every step.

    Args:
        where: The epoch, for people.
        begun: Whether an epoch was finished before, so that another rate has to go elsewhere: what was learnt
            until now stays where it is and goes on with its own settings only.
    """

    def __init__(self, where: str, *, begun: bool) -> None:
        self._where, self._begun = where, begun
        self._losses: list[Tensor] = []
        self._seen = 0

    def __len__(self) -> int:
        return len(self._losses)

    def add(self, loss: Tensor) -> None:
        """One step's, a single number without gradient.

        Raises:
            DataError: It is not finite, or on a GPU one of the last was not.
        """
        self._losses.append(loss)
        if loss.device.type == "cpu" or len(self._losses) % _LOOK_EVERY == 1:
            self._look()

    def mean(self) -> float:
        """Over all steps; 0 where there were none.

        Raises:
            DataError: One is not finite.
        """
        self._look()
        return torch.stack(self._losses).mean().item() if self._losses else 0.0

    def _look(self) -> None:
        new = self._losses[self._seen :]
        if not new:
            return
        losses = torch.stack(new)
        finite = losses.isfinite()
        if not finite.all():
            first = int(finite.logical_not().nonzero()[0])
            elsewhere = " and choose another --out" if self._begun else ""
            raise DataError(
                f"the loss became {losses[first].item()} in {self._where}, step {self._seen + first + 1}: "
                f"lower --lr{elsewhere}"
            )
        self._seen = len(self._losses)
