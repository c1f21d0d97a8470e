"""Which part of a screen is seen: zoom at a place, and pan. All measures are shares of the whole, 0-1."""

from __future__ import annotations

from dataclasses import dataclass

from esrface.canvas import Area

LARGEST = 12.0
STEP = 1.25
"""By one notch of a mouse wheel."""


@dataclass(frozen=True)
class Viewport:
    """A part of the whole that has its shape."""

    zoom: float = 1.0
    """How many times larger everything is; from 1 on."""
    left: float = 0.0
    top: float = 0.0

    def seen(self, width: float, height: float) -> Area:
        """The part, of a whole of this size."""
        return Area(self.left * width, self.top * height, width / self.zoom, height / self.zoom)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """What of the whole is seen at (x, y) of the window, both 0-1."""
        return self.left + x / self.zoom, self.top + y / self.zoom

    def zoomed(self, steps: float, x: float, y: float) -> Viewport:
        """Larger by so many notches, smaller by negative ones; what is at (x, y) of the window stays."""
        at_x, at_y = self.place(x, y)
        zoom = min(max(self.zoom * STEP**steps, 1.0), LARGEST)
        return _inside(zoom, at_x - x / zoom, at_y - y / zoom)

    def moved(self, dx: float, dy: float) -> Viewport:
        """With everything moved by a share of the window."""
        return _inside(self.zoom, self.left - dx / self.zoom, self.top - dy / self.zoom)


WHOLE = Viewport()


def _inside(zoom: float, left: float, top: float) -> Viewport:
    most = 1 - 1 / zoom
    return Viewport(zoom, min(max(left, 0.0), most), min(max(top, 0.0), most))
