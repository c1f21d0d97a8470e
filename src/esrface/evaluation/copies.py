"""Which images are copies, of training images or of one another: figures without them are stricter."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from esrface.datasets.ferplus import pixel_hashes


def fresh_images(pixels: NDArray[np.uint8], training: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,) whether each of the images (N, H, W) is new: not in training (M, H, W), no copy of an earlier."""
    return new_images(pixel_hashes(pixels).tolist(), pixel_hashes(training).tolist())


def new_images(digests: Iterable[bytes], training: Iterable[bytes]) -> NDArray[np.bool_]:
    """(N,) whether each of the images is new: not in training, and no copy of an earlier one.

    Args:
        digests: N, equal for copies.
        training: The same of the training images.
    """
    seen = set(training)
    new = []
    for digest in digests:
        new.append(digest not in seen)
        seen.add(digest)
    return np.array(new, dtype=bool)
