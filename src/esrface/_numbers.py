"""How numbers are written for people."""

from __future__ import annotations

import math


def percent(share: float) -> str:
    """A probability without digits that nobody reads, and never more certain than it is: ``">99%"``.

    Halves go up, as on the pages of reports.
    """
    if 0.995 <= share < 1:
        return ">99%"
    return f"{math.floor(share * 100 + 0.5)}%"


def counted(number: int, thing: str, things: str | None = None) -> str:
    """``"1 picture"``, ``"1,234 pictures"``; ``things``: several, where it takes more than an s."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"


def signed(value: float) -> str:
    """Valence or arousal with its sign and two decimals; nothing is ``"-0.00"``."""
    text = f"{value:+.2f}"
    return "+0.00" if text == "-0.00" else text
