"""How numbers are written for people."""

from __future__ import annotations


def percent(share: float) -> str:
    """A probability without digits that nobody reads, and never more certain than it is: ``">99%"``."""
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share * 100:.0f}%"


def signed(value: float) -> str:
    """Valence or arousal with its sign and two decimals; nothing is ``"-0.00"``."""
    text = f"{value:+.2f}"
    return "+0.00" if text == "-0.00" else text
