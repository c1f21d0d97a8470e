"""Where a face will be: a constant-velocity Kalman filter in pixels and seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

ACCELERATION = 4.0
"""Standard deviation of a head's acceleration, in face sides per second squared."""

UNKNOWN_SPEED = 1.5
"""Of a face just found, in face sides per second."""

JITTER = 0.06
"""Standard deviation of a detector's box, in face sides."""

COAST_S = 1.0
"""A face out of sight is not supposed to go on for longer than this."""

MAX_SPREAD = 2.5
"""Largest standard deviation of a prediction, in face sides: nobody is looked for farther away."""


@dataclass(frozen=True)
class Motion:
    """Centre and velocity of a face, and how sure they are; both axes have the same covariance."""

    x: float
    y: float
    """Centre in pixels."""
    vx: float
    vy: float
    """Pixels per second."""
    side: float
    """Square root of the box's area in pixels."""
    pp: float
    pv: float
    vv: float
    """Covariance of place and velocity, in units of ``side`` and seconds."""

    @property
    def spread(self) -> float:
        """Standard deviation of where a detection will be, in face sides."""
        return min(math.sqrt(self.pp + JITTER**2), MAX_SPREAD)

    def after(self, seconds: float) -> Motion:
        """The prediction for some time later."""
        coast = min(seconds, COAST_S)
        noise = ACCELERATION**2
        return replace(
            self,
            x=self.x + self.vx * coast,
            y=self.y + self.vy * coast,
            pp=self.pp + 2 * seconds * self.pv + seconds**2 * self.vv + noise * seconds**4 / 4,
            pv=self.pv + seconds * self.vv + noise * seconds**3 / 2,
            vv=self.vv + noise * seconds**2,
        )

    def seen(self, x: float, y: float, side: float) -> Motion:
        """This prediction put right by a detection."""
        total = self.pp + JITTER**2
        place, velocity = self.pp / total, self.pv / total
        dx, dy = x - self.x, y - self.y
        return Motion(
            x=self.x + place * dx,
            y=self.y + place * dy,
            vx=self.vx + velocity * dx,
            vy=self.vy + velocity * dy,
            side=0.6 * self.side + 0.4 * side,
            pp=(1 - place) * self.pp,
            pv=(1 - place) * self.pv,
            vv=self.vv - velocity * self.pv,
        )


def start(x: float, y: float, side: float) -> Motion:
    """A face seen for the first time."""
    return Motion(x, y, 0.0, 0.0, side, JITTER**2, 0.0, UNKNOWN_SPEED**2)
