"""The trainer of growing ensembles: walks through stages, keeps the best of each, can be stopped anywhere.

All randomness derives from the seed and the numbers of stage and epoch, so a run that was killed and resumed
goes the same way as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from esrface._numbers import counted
from esrface.datasets.jitter import jittered, unchanged
from esrface.datasets.pools import FacePool
from esrface.errors import DataError, ModelError
from esrface.networks.config import NetworkConfig
from esrface.networks.esr import ESR, ESROutput
from esrface.training.distributed import ALONE, Ranks
from esrface.training.losses import StepLosses
from esrface.training.protocols.config import ProtocolConfig
from esrface.training.protocols.learning import LearningFigures, Tally
from esrface.training.protocols.stages import Stage, make_optimizer, set_modes, set_rates
from esrface.training.protocols.tasks import Judgement, Task
from esrface.training.trainer import use_bf16

Pools = Callable[[Stage], Sequence[FacePool]]
"""The images of a stage: one pool for all branches, or one for each where they learn in turn."""

Progress = Callable[[int, int], None]
"""Called after every step with images done and images in all."""

LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, as in `esrface.preprocess`."""

Batch = tuple[int | None, Tensor, Tensor]
"""The branch that learns (None: all), network input and targets."""


@dataclass(frozen=True)
class StageEpoch:
    """What one epoch of a stage came to."""

    stage: Stage
    stages: int
    """How many there are."""
    epoch: int
    """From 1, within the stage."""
    rates: dict[str, float]
    """Of each part."""
    loss: float
    """Mean over the steps of the sum over the branches that learnt in them."""
    training: LearningFigures
    """On the images as they were learnt."""
    seconds: float
    images_per_s: float
    validation: Judgement | None
    """None where this epoch was not validated."""
    is_best: bool


class OneBranch(nn.Module):
    """An ensemble of which one branch at a time answers; the others are left alone."""

    def __init__(self, network: ESR) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor, owner: int) -> ESROutput:
        """As the network's own, with K = 1."""
        network = self.network
        features = network.limbs[network.config.limb_of(owner)](network.base(x))
        logits, affect, class_maps = network.branches[owner](features)
        return ESROutput(logits[:, None], None if affect is None else affect[:, None], class_maps[:, None])


class StagedTrainer:
    """Trains an ensemble through its stages; iterate over `epochs`.

    Args:
        shape: The network at its full size.
        stages: What to do.
        task: What is learnt.
        pools: Images of each stage; called when the stage begins.
        valid: Images that choose each stage's best epoch.
        settings: Batch, momentum, augmentation and so on.
        start: A network whose weights new branches and the base begin with; None: random ones.
        device: To compute on.
        ranks: The processes that train together.
        threads: For reading images that are not in memory.
    """

    def __init__(
        self,
        shape: NetworkConfig,
        stages: Sequence[Stage],
        task: Task,
        pools: Pools,
        valid: FacePool,
        settings: ProtocolConfig,
        *,
        start: ESR | None = None,
        device: torch.device | None = None,
        ranks: Ranks = ALONE,
        threads: int = 1,
    ) -> None:
        if settings.batch % ranks.size:
            raise DataError(f"a batch of {settings.batch} cannot be dealt evenly to {ranks.size} processes")
        self.shape, self.stages, self.task, self.settings = shape, tuple(stages), task, settings
        self._pools_of, self._valid, self._start = pools, valid, start
        self._device, self._ranks, self._threads = device or torch.device("cpu"), ranks, threads
        self._autocast = use_bf16(settings.precision, self._device)
        torch.backends.cudnn.benchmark = self._device.type == "cuda"
        self.stage = self.stages[0]
        self.done = 0
        """Epochs of the running stage that are finished."""
        self._begin(self.stage, None)

    def epochs(self, progress: Progress | None = None) -> Iterator[StageEpoch]:
        """Train to the end of the last stage, yielding after every epoch."""
        while True:
            while self.done < self.stage.epochs:
                yield self._epoch(progress)
            best = self.best_network()
            if self.stage is self.stages[-1]:
                self.network = best
                return
            self._begin(self.stages[self.stage.number], best)

    def best_network(self) -> ESR:
        """The network of the running stage with the weights of its best epoch, in evaluation mode."""
        network = self._build(self.stage)
        network.load_state_dict(self._best)
        return network.eval()

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on."""
        return {
            "stage": self.stage.number,
            "epoch": self.done,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "best": self._best,
            "best_score": self._best_score,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        if state["stage"] != self.stage.number:
            self._begin(self.stages[state["stage"] - 1], None)
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.done, self._best, self._best_score = state["epoch"], state["best"], state["best_score"]

    def judge(self, network: ESR, pool: FacePool) -> Judgement:
        """How a network does on faces as they are."""
        return self.task.judge(self._answers(network, pool), pool.targets)

    def _begin(self, stage: Stage, earlier: ESR | None) -> None:
        """Set up a stage; what an earlier one has learnt comes along."""
        self.stage, self.done = stage, 0
        self.network = self._build(stage)
        for source in (self._start, earlier):
            if source is not None:
                take_weights(self.network, source)
        self._ranks.agree(self.network)
        self._optimizer: torch.optim.SGD = make_optimizer(self.network, stage, self.settings.momentum)
        whole = OneBranch(self.network) if stage.order == "in turn" else self.network
        self._callable = self._ranks.wrap(whole, partly=whole is not self.network)
        self._pools: Sequence[FacePool] | None = None
        self._best, self._best_score = copy_of(self.network), -float("inf")

    def _build(self, stage: Stage) -> ESR:
        """The network of a stage, in memory order that convolutions like; random by seed and stage."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed(stage.number))
            network = ESR(replace(self.shape, branches=stage.branches))
        return network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _seed(self, *numbers: int) -> int:
        seed = self.settings.seed
        for number in numbers:
            seed = seed * 100_003 + number
        return seed % 2**63

    def _epoch(self, progress: Progress | None) -> StageEpoch:
        stage = self.stage
        if self._pools is None:
            self._pools = self._pools_of(stage)
        rates = set_rates(self._optimizer, stage, self.done)
        set_modes(self.network, stage, batch_norm=not self.settings.freeze_batch_norm)
        torch.manual_seed(self._seed(stage.number, self.done, self._ranks.rank))
        started = time.monotonic()
        losses = StepLosses(
            f"stage {stage.number} (branch {stage.branches}), epoch {self.done + 1}",
            begun=bool(self.done or stage.number > 1),
        )
        tally = Tally(self.task)
        images = 0
        for owner, x, targets in self._batches(self._pools):
            loss, answers = self._step(owner, x, targets)
            losses.add(loss)
            tally.add(owner, answers, targets)
            images += len(x) * self._ranks.size
            if progress is not None:
                progress(images, sum(len(pool) for pool in self._pools))
        if not losses:
            raise DataError(
                f"stage {stage.number} has {counted(sum(map(len, self._pools)), 'image')}, too few for "
                f"{self._ranks.size} processes"
            )
        mean = losses.mean()
        training = tally.figures(self._ranks)
        seconds = time.monotonic() - started
        self.done += 1
        self._ranks.agree_on_statistics(self.network)
        validation = self._validate() if self._is_due() else None
        is_best = False
        # Of equals the later one, which has learnt longer.
        if validation is not None and validation.score >= self._best_score:
            is_best, self._best_score = True, validation.score
            self._best = copy_of(self.network)
        return StageEpoch(
            stage=stage,
            stages=len(self.stages),
            epoch=self.done,
            rates=rates,
            loss=mean,
            training=training,
            seconds=seconds,
            images_per_s=images / seconds,
            validation=validation,
            is_best=is_best,
        )

    def _is_due(self) -> bool:
        return not self.done % self.settings.validate_every or self.done >= self.stage.epochs

    def _validate(self) -> Judgement:
        return self.judge(self.network.eval(), self._valid)

    def _batches(self, pools: Sequence[FacePool]) -> Iterator[Batch]:
        """Views of this rank's share of every batch of an epoch."""
        streams = []
        for number, pool in enumerate(pools):
            seed = self._seed(self.stage.number, self.done, number)
            order = np.random.default_rng(seed).permutation(len(pool))
            chosen = [order[at : at + self.settings.batch] for at in range(0, len(pool), self.settings.batch)]
            shares = [share for share in map(self._ranks.share, chosen) if len(share)]
            streams.append(pool.batches(shares, threads=self._threads))
        generator = torch.Generator(device=self._device)
        generator.manual_seed(self._seed(self.stage.number, self.done, 1_000 + self._ranks.rank))
        for owner, (pixels, targets) in _in_turn(streams):
            faces = torch.from_numpy(pixels).to(self._device)
            views = jittered(faces, self.shape.input_size, self.settings.augmentation, generator)
            of = owner if self.stage.order == "in turn" else None
            yield of, self._input(views), torch.from_numpy(targets).to(self._device)

    def _step(self, owner: int | None, x: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """One step of the optimizer; returns the loss over all ranks and this rank's answers before it."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
            output = self._callable(x) if owner is None else self._callable(x, owner)
        output = output._replace(
            logits=output.logits.float(), affect=None if output.affect is None else output.affect.float()
        )
        loss = self.task.loss(output, targets, self._ranks).sum()
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return self._ranks.mean(loss.detach()), self.task.answers(output).detach()

    def _input(self, views: Tensor) -> Tensor:
        return as_input(views, self.shape.input_channels, self.settings)

    @torch.no_grad()
    def _answers(self, network: ESR, pool: FacePool, batch: int = 128) -> NDArray[np.float32]:
        """The task's answers (N, K, …) to faces as they are."""
        chosen = [np.arange(at, min(at + batch, len(pool))) for at in range(0, len(pool), batch)]
        answers = []
        for pixels, _ in pool.batches(chosen, threads=self._threads):
            faces = torch.from_numpy(pixels).to(self._device)
            x = self._input(unchanged(faces, self.shape.input_size))
            with torch.autocast(self._device.type, torch.bfloat16, enabled=self._autocast):
                output = network(x)
            answers.append(self.task.answers(output).float().cpu().numpy())
        return np.concatenate(answers)


def as_input(views: Tensor, channels: int, settings: ProtocolConfig) -> Tensor:
    """Network input (N, C, S, S) of views in 0-255: normalised, colours in the original's order (BGR), or
    grey where the network sees no colours."""
    if views.shape[1] == 3:
        grey = channels == 1
        views = (
            (views * views.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True) if grey else views.flip(1)
        )
    x = (views - settings.input_mean) / settings.input_std
    return x.expand(-1, channels, -1, -1).contiguous(memory_format=torch.channels_last)


def take_weights(network: ESR, source: ESR) -> None:
    """Copy what both have: the base, the branches, in each the layer for affect.

    Raises:
        ModelError: They are not of one kind.
    """
    ours, theirs = network.state_dict(), source.state_dict()
    for name, tensor in ours.items():
        if name in theirs and theirs[name].shape == tensor.shape:
            tensor.copy_(theirs[name])
            continue
        branch = int(name.split(".")[1]) if name.startswith("branches.") else -1
        is_new = branch >= source.config.branches or ".affect." in name
        if name in theirs or not is_new:
            raise ModelError(
                f"weights of {source.config.name} do not fit {network.config.name}: {name} is another one"
            )


def copy_of(network: ESR) -> dict[str, Tensor]:
    """The network's weights and statistics, on the CPU."""
    return {
        name: tensor.detach().to("cpu", copy=True).contiguous()
        for name, tensor in network.state_dict().items()
    }


def _in_turn(streams: Sequence[Iterator[Any]]) -> Iterator[tuple[int, Any]]:
    """One item of each stream after another, until all have ended."""
    running = list(enumerate(streams))
    while running:
        still = []
        for number, stream in running:
            for item in stream:
                yield number, item
                still.append((number, stream))
                break
        running = still
