"""Where everything on a screen lies: geometry only, in units of which a screen is at least 1024 x 768."""

from __future__ import annotations

from dataclasses import dataclass

from esrface.canvas import Area

SMALLEST_WH = (1024.0, 768.0)
"""A screen in units: one that is wider or higher than 4:3 has more, so that letters keep their size."""

MARGIN = 20.0
GAP = 12.0
STATUS_HEIGHT = 38.0
PLOT_HEIGHT = 196.0
ANSWER_WIDTHS = (420.0, 560.0)
TABLE_WIDTHS = (540.0, 760.0)
CARD_HEIGHT = 124.0
HEADER_HEIGHT = 26.0
ROW_HEIGHTS = (27.0, 78.0)
"""Smallest and largest row of a branch."""


@dataclass(frozen=True)
class Layout:
    """The parts of a screen; none overlaps with another."""

    width: float
    height: float
    scale: float
    """Pixels per unit."""
    picture: Area
    """Where the input may lie; it keeps its shape inside."""
    output: Area
    """Where the answer lies, without the graph."""
    plot: Area | None
    status: Area


def lay_out(size_wh: tuple[int, int], *, branches: bool, plot: bool) -> Layout:
    """Divide a screen.

    Args:
        size_wh: Width and height in pixels.
        branches: Whether there is a table of branches, which takes more room across and all of it down; the
            graph then lies below the picture, not below the answer.
        plot: Whether there is a graph.
    """
    scale = min(size_wh[0] / SMALLEST_WH[0], size_wh[1] / SMALLEST_WH[1])
    width, height = size_wh[0] / scale, size_wh[1] / scale
    narrowest, widest = TABLE_WIDTHS if branches else ANSWER_WIDTHS
    right = min(max(width * (0.5 if branches else 0.4), narrowest), widest)
    status = Area(0, height - STATUS_HEIGHT, width, STATUS_HEIGHT)
    down = status.y - MARGIN - GAP
    picture = Area(MARGIN, MARGIN, width - right - 3 * MARGIN, down)
    output = Area(width - right - MARGIN, MARGIN, right, down)
    graph = None
    if plot:
        above = picture if branches else output
        graph = above._replace(y=above.bottom - PLOT_HEIGHT, height=PLOT_HEIGHT)
        above = above._replace(height=above.height - PLOT_HEIGHT - GAP)
        picture, output = (above, output) if branches else (picture, above)
    return Layout(width, height, scale, picture, output, graph, status)


def rows_of(table: Area, branches: int) -> tuple[list[Area], int]:
    """A row for each branch below one another, and how many branches had no room (the last row says so)."""
    smallest, largest = ROW_HEIGHTS
    room = int(table.height // smallest)
    count = min(branches, max(room, 1))
    height = min(table.height / max(count, 1), largest)
    rows = [table._replace(y=table.y + number * height, height=height) for number in range(count)]
    return rows, branches - count
