"""Presentation times out of timestamps that may be missing or go back."""

from __future__ import annotations

from fractions import Fraction

DEFAULT_STEP = Fraction(1, 25)


class Clock:
    """Gives each frame of a stream, in turn, its time: exact where the timestamps are in order.

    A missing timestamp is one frame's duration after the one before. Where timestamps go back for good (as
    in recordings joined together), time goes on from there; a single one that lies back is moved on alone.

    Args:
        rate: Frames per second on average; None or absurd: 25, for frames without timestamps.
    """

    def __init__(self, rate: Fraction | float | None = None) -> None:
        usable = rate is not None and 0 < rate <= 1000
        self._step = Fraction(1) / Fraction(rate) if usable and rate is not None else DEFAULT_STEP
        self._last: Fraction | None = None
        self._offset = Fraction(0)
        self._candidate: Fraction | None = None
        self.irregular = 0
        """How many timestamps were missing or went back so far."""

    def tell(self, stamp: Fraction | None) -> Fraction:
        """Time in seconds of the next frame, not before that of the frame before it."""
        if self._last is None:
            self.irregular += stamp is None
            self._last = Fraction(0) if stamp is None else stamp
            return self._last
        if stamp is None:
            self.irregular += 1
            self._last += self._step
            return self._last
        self._last = self._in_order(stamp, self._last)
        return self._last

    def _in_order(self, stamp: Fraction, last: Fraction) -> Fraction:
        if stamp + self._offset >= last:
            self._candidate = None
            return stamp + self._offset
        self.irregular += 1
        if self._candidate is None or stamp + self._candidate < last:
            self._candidate = last + self._step - stamp
        else:
            # The second one in a row that fits the moved clock and not the old one: that one is over.
            self._offset, self._candidate = self._candidate, None
            return stamp + self._offset
        return last + self._step
