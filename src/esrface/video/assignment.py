"""Who is who: the pairs of rows and columns whose costs sum up to the least."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column) of the cheapest assignment, sorted by row.

    As many pairs as can be made without an infinite cost, and of those the cheapest; each row and column is
    in one pair at most. Shortest augmenting paths (Jonker and Volgenant): O(n^3), for some dozens.

    Args:
        cost: (R, C); infinity forbids a pair.
    """
    rows, columns = cost.shape
    if not rows or not columns:
        return []
    if rows > columns:
        return sorted((row, column) for column, row in assign(cost.T))
    finite = np.isfinite(cost)
    # Dearer than any assignment of allowed pairs, so that a forbidden one is the last resort.
    forbidden = (np.abs(cost[finite]).max(initial=0.0) + 1.0) * 2 * (rows + 1)
    solved = _solve(np.where(finite, cost, forbidden))
    return [(row, column) for row, column in enumerate(solved) if finite[row, column]]


def _solve(cost: NDArray[np.float64]) -> list[int]:
    """Column of each row; (R, C) finite with R <= C."""
    rows, columns = cost.shape
    row_price = np.zeros(rows + 1)
    column_price = np.zeros(columns + 1)
    # Row 0 and column 0 are the path's start; the rest counts from 1.
    owner = np.zeros(columns + 1, dtype=np.int64)
    for row in range(1, rows + 1):
        owner[0] = row
        column = 0
        shortest = np.full(columns + 1, np.inf)
        before = np.zeros(columns + 1, dtype=np.int64)
        done = np.zeros(columns + 1, dtype=bool)
        while owner[column]:
            done[column] = True
            current = owner[column]
            reduced = cost[current - 1] - row_price[current] - column_price[1:]
            better = ~done[1:] & (reduced < shortest[1:])
            shortest[1:][better] = reduced[better]
            before[1:][better] = column
            column = int(np.argmin(np.where(done, np.inf, shortest)))
            step = shortest[column]
            row_price[owner[done]] += step
            column_price[done] -= step
            shortest[~done] -= step
        while column:
            previous = int(before[column])
            owner[column] = owner[previous]
            column = previous
    result = [0] * rows
    for column in range(1, columns + 1):
        if owner[column]:
            result[owner[column] - 1] = column - 1
    return result
