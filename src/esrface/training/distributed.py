"""Several processes that train one network, as ``torchrun`` starts them; one process is the simplest case."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from esrface.errors import DataError, DeviceError
from esrface.threads import resolve_threads


@dataclass(frozen=True)
class Ranks:
    """This process among all that train together."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files and talks to people."""
        return self.rank == 0

    def wrap(self, network: nn.Module, *, partly: bool = False) -> nn.Module:
        """The network as training calls it: gradients become the mean over the ranks.

        Args:
            network: With equal weights on all ranks.
            partly: Whether a step may leave out parameters that learn.
        """
        learns = any(parameter.requires_grad for parameter in network.parameters())
        if self.size == 1 or not learns:
            return network
        return nn.parallel.DistributedDataParallel(network, find_unused_parameters=partly)

    def share(self, indices: Any) -> Any:
        """This rank's part of a batch; all ranks get equally many, so up to ``size - 1`` are left out."""
        whole = len(indices) // self.size * self.size
        return indices[self.rank : whole : self.size]

    def mean(self, values: Tensor) -> Tensor:
        """The mean over the ranks, without gradient."""
        return self.total(values) / self.size

    def total(self, values: Tensor) -> Tensor:
        """The sum over the ranks, without gradient."""
        if self.size == 1:
            return values
        summed = values.detach().clone()
        dist.all_reduce(summed)
        return summed

    def gather(self, values: Tensor) -> Tensor:
        """The values (n, …) of all ranks one after another; all have equally many."""
        if self.size == 1:
            return values
        own = values.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own)
        return torch.cat(parts)

    def agree(self, network: nn.Module) -> None:
        """Take over the first rank's weights and batch-norm statistics."""
        self._take_over(network.state_dict().values())

    def agree_on_statistics(self, network: nn.Module) -> None:
        """Take over the first rank's batch-norm statistics: each rank gathers its own from its own images,
        while weights stay equal by themselves, since all take the same steps."""
        self._take_over(network.buffers())

    @torch.no_grad()
    def _take_over(self, tensors: Iterable[Tensor]) -> None:
        if self.size > 1:
            for tensor in tensors:
                _broadcast(tensor)

    def wait(self) -> None:
        """Until all ranks are here."""
        if self.size > 1:
            dist.barrier()


def threads_of_rank(threads: int | None) -> int:
    """How many this process may use: as asked for, or its part of those that the processes here share."""
    if threads is not None:
        return resolve_threads(threads)
    return max(1, resolve_threads(None) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


def device_of_rank(device: str) -> str:
    """The device by its number, where torchrun started several processes on this machine.

    Raises:
        DeviceError: There are more of them than GPUs.
    """
    own, count = os.environ.get("LOCAL_RANK"), torch.cuda.device_count()
    if device != "cuda" or own is None:
        return device
    # Without any GPU the reason is another one, which torch knows.
    if 0 < count <= int(own):
        raise DeviceError(
            f"torchrun started more processes than there are GPUs ({count}): lower --nproc-per-node"
        )
    return f"cuda:{own}"


def _broadcast(tensor: Tensor) -> None:
    # Collectives want dense tensors in one order; channels_last ones go through a copy.
    copy = tensor.contiguous()
    dist.broadcast(copy, src=0)
    tensor.copy_(copy)


ALONE = Ranks()


@contextmanager
def ranks_of_torchrun(device: str) -> Iterator[tuple[Ranks, str]]:
    """The ranks that ``torchrun`` started, and this rank's device; without it `ALONE` and the device.

    Raises:
        DeviceError: There are more processes on this machine than GPUs.
        DataError: Another process has ended while this one waited for it.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield ALONE, device
        return
    device = device_of_rank(device)
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Ranks(dist.get_rank(), size), device
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "gloo" in str(error):
            raise DataError(
                "another of the processes that train together has ended; start all of them with --resume"
            ) from error
        raise
    finally:
        dist.destroy_process_group()
