"""What a folder of pictures needs to be learnt from: asked before training, and by ``esrface data check``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface._numbers import counted
from esrface.datasets.folder import FolderSplit
from esrface.errors import DataError


def check_learnable(
    listed: FolderSplit, learnt: NDArray[np.int64], judged: int, lost: Sequence[str] = ()
) -> None:
    """Refuse what cannot be learnt from or judged on.

    Args:
        listed: The split train.
        learnt: (C,) training pictures of each class that can be used and are not in valid too.
        judged: How many pictures of valid can be used.
        lost: Lines on pictures that are not used, for the error.

    Raises:
        DataError: A class has no picture left, there are fewer than two, or less than two pictures in valid.
    """
    where, why = printable(listed.data), f" ({'; '.join(lost)})" if lost else ""
    for name, had, have in zip(listed.emotions, listed.counts, learnt, strict=True):
        if had and not have:
            shown = printable(name)
            none = f"none of the {had} training pictures of {shown} can be used"
            only = f"the only training picture of {shown} cannot be used"
            raise DataError(f"{where}: {only if had == 1 else none}{why}")
    if np.count_nonzero(learnt) < 2:
        raise DataError(f"{where}: training needs pictures of at least two classes{why}")
    if judged < 2:
        raise DataError(f"{where}: training needs at least two usable pictures in valid{why}")


def unlike(classes: Sequence[str], learnt: NDArray[np.int64], judged: NDArray[np.int64]) -> list[str]:
    """Lines on classes that only one of the splits shows; (C,) pictures of each in train and in valid."""
    lines = []
    for name, here, there in zip(map(printable, classes), learnt, judged, strict=True):
        if there and not here:
            pictures, they = counted(there, "picture"), "it" if there == 1 else "they"
            lines.append(f"valid has {pictures} of {name}, train none: {they} can only be got wrong")
        if here and not there:
            lines.append(f"valid has no picture of {name}: how well it is recognised stays unknown")
    return lines
