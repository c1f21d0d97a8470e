"""How branches do on the images that they learn from, gathered while they learn: no extra pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from esrface.training.distributed import Ranks
from esrface.training.protocols.tasks import Figures, Task


@dataclass(frozen=True)
class LearningFigures:
    """Figures over the augmented images of an epoch, each taken before the step that learnt from it."""

    ensemble: Figures
    """Empty where branches learn in turn: no image is seen by all of them."""
    branches: tuple[Figures, ...]
    """Of each branch alone, with the same names."""


class Tally:
    """Gathers answers step by step.

    Args:
        task: What is learnt.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._seen: dict[int | None, list[tuple[Tensor, Tensor]]] = {}

    def add(self, owner: int | None, answers: Tensor, targets: Tensor) -> None:
        """One step's answers (n, K, …), without gradient, and targets (n, …).

        Args:
            owner: The branch that learns from them, from 0, with K = 1; None: all do.
            answers: As `Task.answers` gives them.
            targets: As given to `Task.loss`.
        """
        self._seen.setdefault(owner, []).append((answers, targets))

    def figures(self, ranks: Ranks) -> LearningFigures:
        """The figures so far, over the images of all ranks, which have to call this together."""
        judged = {}
        for owner, steps in sorted(self._seen.items(), key=lambda item: item[0] or 0):
            answers, targets = (
                ranks.gather(torch.cat(parts)).cpu().numpy() for parts in zip(*steps, strict=True)
            )
            judged[owner] = self._task.judge(answers, targets)
        together = judged.get(None)
        if together is not None:
            return LearningFigures(together.ensemble, together.branches)
        return LearningFigures({}, tuple(judgement.branches[0] for judgement in judged.values()))
