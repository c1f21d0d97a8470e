"""Records whose arrays are read-only, in their copies and pickles too."""

from __future__ import annotations

from typing import Any

import numpy as np


class ReadOnlyArrays:
    """For frozen dataclasses: NumPy's pickles forget that an array was read-only."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        for value in state.values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
        self.__dict__.update(state)
