"""Labelled faces to draw batches from, whatever data set they are of: in memory, or read batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from esrface._ordered import ordered_map
from esrface.errors import DataError

Fetch = Callable[[NDArray[np.int64]], NDArray[np.uint8]]
"""Pixels (M, H, W) grey or (M, H, W, 3) RGB of M indices."""

MEMORY_BYTES = 4_000_000_000
"""Decoded faces up to this size are held in memory, more are read anew in every epoch."""

CHUNK = 256
"""Faces read at a time when a pool is taken into memory."""


@dataclass(frozen=True, eq=False)
class FacePool:
    """Faces that batches are drawn from."""

    targets: NDArray[Any]
    """(N,) int64 emotions in network order, or (N, 2) float32 [valence, arousal]."""
    groups: NDArray[np.int64]
    """(N,) what samples are capped by: emotion or quadrant; -1 is never drawn."""
    fetch: Fetch
    in_memory: bool
    """Whether ``fetch`` is mere indexing."""

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of(
        cls, pixels: NDArray[np.uint8], targets: NDArray[Any], groups: NDArray[np.int64] | None = None
    ) -> FacePool:
        """Faces that are in memory; without ``groups`` the targets are them."""
        return cls(targets, targets if groups is None else groups, pixels.__getitem__, in_memory=True)

    def subset(self, indices: NDArray[np.int64], *, threads: int = 1, memory: int = MEMORY_BYTES) -> FacePool:
        """Some of the faces, taken into memory if they fit into ``memory`` bytes.

        Raises:
            DataError: There are none, or one cannot be read.
        """
        if not len(indices):
            raise DataError("no face is left to train on: every one lacks a usable label")
        targets, groups = self.targets[indices], self.groups[indices]
        first = self.fetch(indices[:1])
        if self.in_memory or first.nbytes * len(indices) > memory:
            return FacePool(targets, groups, lambda chosen: self.fetch(indices[chosen]), self.in_memory)
        pixels = np.empty((len(indices), *first.shape[1:]), np.uint8)
        chunks = [np.arange(at, min(at + CHUNK, len(indices))) for at in range(0, len(indices), CHUNK)]
        for chunk, read in zip(
            chunks, self._read([indices[chunk] for chunk in chunks], threads), strict=True
        ):
            pixels[chunk] = read
        return FacePool.of(pixels, targets, groups)

    def batches(
        self, chosen: Sequence[NDArray[np.int64]], *, threads: int = 1
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[Any]]]:
        """Pixels and targets of one batch of indices after another; reading from a disk runs ahead."""
        for indices, pixels in zip(chosen, self._read(chosen, threads), strict=True):
            yield pixels, self.targets[indices]

    def _read(self, chosen: Sequence[NDArray[np.int64]], threads: int) -> Iterator[NDArray[np.uint8]]:
        if self.in_memory:
            yield from map(self.fetch, chosen)
            return
        with closing(ordered_map(self.fetch, chosen, workers=threads, ahead=2 * threads)) as results:
            for _, future in results:
                yield future.result()
