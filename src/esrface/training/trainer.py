"""The training loop: epochs over a set of faces, with everything needed to stop and go on.

All randomness of an epoch (order, views, dropout) derives from the seed and the epoch's number, so a run that
was killed and resumed from its last checkpoint walks the same way as one that was not.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from esrface._numbers import counted
from esrface.datasets.augment import augment, plain_view
from esrface.datasets.degrade import Degradation, degrade
from esrface.errors import DataError
from esrface.networks.esr import ESR
from esrface.training.config import TrainConfig
from esrface.training.distributed import ALONE, Ranks
from esrface.training.loss import ensemble_loss, log_prior, map_similarity, rare_weights
from esrface.training.losses import StepLosses


@dataclass(frozen=True)
class FaceSet:
    """Faces and their target distributions, in memory."""

    pixels: Tensor
    """(N, H, W) uint8 grey; 48x48 in FER+."""
    targets: Tensor
    """(N, 8) float32."""

    def __len__(self) -> int:
        return len(self.pixels)

    def to(self, device: torch.device) -> FaceSet:
        """The same on a device."""
        return FaceSet(self.pixels.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Epoch:
    """What one epoch came to."""

    number: int
    """From 1."""
    loss: float
    seconds: float
    images_per_s: float


Progress = Callable[[int, int], None]
"""Called after every step with images done and images in all."""


class Trainer:
    """Trains one network on one set of faces; iterate over `epochs` and look at `averaged` in between."""

    def __init__(
        self,
        network: ESR,
        faces: FaceSet,
        config: TrainConfig,
        device: torch.device,
        teachers: Sequence[Callable[[Tensor], Tensor] | None] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        if len(config.advocates) != network.config.branches:
            given, needed = len(config.advocates), network.config.branches
            raise DataError(f"{given} advocate strengths for {needed} branches; give one each")
        if config.epochs and len(faces) < config.batch:
            few = counted(len(faces), "training image does", "training images do")
            raise DataError(f"{few} not fill a batch of {config.batch}: lower --batch")
        if config.batch % ranks.size:
            raise DataError(f"a batch of {config.batch} cannot be dealt evenly to {ranks.size} processes")
        self.config = config
        self.device = device
        torch.backends.cudnn.benchmark = device.type == "cuda"
        self._ranks = ranks
        self.network = network.to(device, memory_format=ESR.layout)  # type: ignore[call-overload]
        ranks.agree(self.network)
        self.averaged: ESR = copy.deepcopy(self.network).eval()
        """Running average of the weights."""
        self._check_sizes()
        self.faces = faces.to(device)
        self._teachers = teachers
        self.log_prior = log_prior(self.faces.targets)
        self.adjustment = torch.tensor(config.advocates, device=device)[:, None] * self.log_prior
        bags = torch.Generator().manual_seed(config.seed)
        self._kept = (torch.rand(len(faces), network.config.branches, generator=bags) < config.keep).to(
            device
        )
        self._optimizer = _optimizer(self.network, config)
        self._pairs = _floating(self.averaged), _floating(self.network)
        self._callable = ranks.wrap(self.network)
        self._steps_per_epoch = len(faces) // config.batch
        self._autocast = use_bf16(config.precision, device)
        self.done = 0
        """Epochs finished."""

    def epochs(self, progress: Progress | None = None) -> Iterator[Epoch]:
        """Train to the end of the schedule, yielding after every epoch."""
        while self.done < self.config.epochs:
            yield self._train_epoch(progress)

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs to go on."""
        return {
            "epoch": self.done,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = state["epoch"]

    @torch.no_grad()
    def predict(self, pixels: Tensor, batch: int = 128) -> tuple[Tensor, Tensor]:
        """Logits (N, K, 8) of the averaged weights on faces (N, 48, 48) as they are, and on their mirror
        images; each branch's logit adjustment is given back in full."""
        views: tuple[list[Tensor], list[Tensor]] = ([], [])
        for chunk in torch.split(pixels, batch):
            x = self._input(plain_view(chunk.to(self.device), self._size, *self._scale))
            for view, logits in zip((x, x.flip(-1)), views, strict=True):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
                    answer = self.averaged(view).logits
                logits.append((answer.float() + self.adjustment).cpu())
        return torch.cat(views[0]), torch.cat(views[1])

    @property
    def _size(self) -> int:
        return int(self.network.config.input_size)

    @property
    def _scale(self) -> tuple[float, float]:
        return self.config.input_mean, self.config.input_std

    def _input(self, x: Tensor) -> Tensor:
        channels = self.network.config.input_channels
        return x.expand(-1, channels, -1, -1).contiguous(memory_format=ESR.layout)

    @torch.no_grad()
    def _check_sizes(self) -> None:
        """Refuse sides of early pictures that the network cannot take."""
        for side in self.config.early_sizes:
            try:
                self.averaged(self._input(torch.zeros(1, 1, side, side, device=self.device)))
            except RuntimeError:
                own = f"its own side is {self._size}"
                raise DataError(f"early_sizes: the network takes no pictures of side {side}; {own}") from None

    def _pictures(self) -> tuple[int, Degradation]:
        """Side of the coming epoch's pictures, and how they are made worse."""
        config = self.config
        sizes = (*config.early_sizes, self._size)
        worse = self._is_past(config.degrade_from)
        return sizes[self.done * len(sizes) // config.epochs], config.degradation if worse else Degradation()

    def _is_past(self, share: float) -> bool:
        """Whether the coming epoch lies behind a share of the schedule."""
        return self.done >= share * self.config.epochs

    def _train_epoch(self, progress: Progress | None) -> Epoch:
        config = self.config
        seed = config.seed * 100_003 + self.done
        own = seed + 1_000_000_007 * self._ranks.rank
        torch.manual_seed(own)
        order = self._order(seed).to(self.device)
        views = torch.Generator(device=self.device).manual_seed(own)
        size, degradation = self._pictures()
        self.network.train()
        started = time.monotonic()
        losses = StepLosses(f"epoch {self.done + 1}", begun=self.done > 0)
        for step in range(self._steps_per_epoch):
            chosen = self._ranks.share(order[step * config.batch : (step + 1) * config.batch])
            x = augment(self.faces.pixels[chosen], size, config.augmentation, *self._scale, views)
            x, votes = self._mixed(x, self.faces.targets[chosen], views)
            targets = self._targets(x, votes)
            x = degrade(x, degradation, *self._scale, views)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
                output = self._callable(self._input(x))
            loss = ensemble_loss(
                *(output.logits.float(), targets, self._kept[chosen], self.adjustment, self._ranks),
                joint=config.joint,
            )
            if config.apart:
                loss = loss + config.apart * map_similarity(output.class_maps.float())
            losses.add(self._ranks.mean(loss.detach()))
            self._step(loss, self.done * self._steps_per_epoch + step)
            if progress is not None:
                progress((step + 1) * config.batch, self._steps_per_epoch * config.batch)
        mean = losses.mean()
        self.done += 1
        self._ranks.agree_on_statistics(self.network)
        self._ranks.agree_on_statistics(self.averaged)
        seconds = time.monotonic() - started
        images = self._steps_per_epoch * config.batch
        return Epoch(self.done, mean, seconds, images / seconds)

    def _order(self, seed: int) -> Tensor:
        """Numbers of the images of an epoch, in the order in which they are seen."""
        generator = torch.Generator().manual_seed(seed)
        if not (self.config.rare and self._is_past(self.config.rare_from)):
            return torch.randperm(len(self.faces), generator=generator)
        weights = rare_weights(self.faces.targets.cpu())
        return torch.multinomial(weights, len(self.faces), replacement=True, generator=generator)

    def _mixed(self, x: Tensor, votes: Tensor, views: torch.Generator) -> tuple[Tensor, Tensor]:
        """Views and votes, some with another one's mixed in; the larger part stays the image's own."""
        if not self.config.mixup:
            return x, votes
        coins, parts = torch.rand(2, len(x), device=x.device, generator=views)
        other = torch.where(coins < self.config.mixup, parts / 2, torch.zeros_like(parts))
        faces, labels = other.view(-1, 1, 1, 1), other[:, None]
        return x.lerp(x.roll(1, 0), faces), votes.lerp(votes.roll(1, 0), labels)

    def _targets(self, x: Tensor, votes: Tensor) -> Tensor:
        """(N, K, 8), or (N, 1, 8) where all branches learn the same: votes (N, 8), and what teachers say."""
        votes = votes[:, None]
        if not self._teachers:
            return votes
        share = self.config.teacher_share
        pixels = x * self.config.input_std + self.config.input_mean
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            taught = [votes[:, 0] if teacher is None else teacher(pixels) for teacher in self._teachers]
        shape = self.network.config
        of_branch = [taught[shape.school_of(k) % len(taught)] for k in range(shape.branches)]
        return (1 - share) * votes + share * torch.stack(of_branch, dim=1)

    def _step(self, loss: Tensor, number: int) -> None:
        config = self.config
        share = learning_rate_share(number, config.warmup_steps, config.epochs * self._steps_per_epoch)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak_lr"] * share
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), config.clip_norm)
        self._optimizer.step()
        # A young average follows quickly, or it would remember its random start for epochs.
        ours, theirs = self._pairs
        with torch.no_grad():
            torch._foreach_lerp_(ours, theirs, 1 - min(config.ema, (1 + number) / (10 + number)))


def learning_rate_share(step: int, warmup: int, steps: int) -> float:
    """Share of the peak rate at a step: a linear rise, then half a cosine down to 0."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _optimizer(network: ESR, config: TrainConfig) -> torch.optim.Optimizer:
    groups = []
    trunk, branches = [network.base, network.limbs], [network.branches]
    for parts, lr in ((trunk, config.lr), (branches, config.lr * config.branch_lr_factor)):
        parameters = [p for part in parts for p in part.parameters()]
        weights = [p for p in parameters if p.ndim > 1]
        others = [p for p in parameters if p.ndim <= 1]
        groups.append({"params": weights, "lr": lr, "peak_lr": lr, "weight_decay": config.weight_decay})
        groups.append({"params": others, "lr": lr, "peak_lr": lr, "weight_decay": 0.0})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=0.9, nesterov=True)
    return torch.optim.AdamW(groups, lr=config.lr, fused=next(network.parameters()).is_cuda or None)


def _floating(network: nn.Module) -> list[Tensor]:
    """Weights and batch-norm statistics alike: what an average follows."""
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]


def use_bf16(precision: str, device: torch.device) -> bool:
    """Whether to compute in bfloat16; ``auto`` asks the hardware, since emulated bf16 is slower than fp32."""
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    # Torch 2.4 cannot tell.
    return bool(getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)())
