"""One wording for a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def unknown_name(what: str, given: object, options: Iterable[str]) -> str:
    """Line for an unknown ``what``: the nearest of ``options`` if one is near, then all of them."""
    known = tuple(options)
    by_lower = {option.lower(): option for option in known}
    near = get_close_matches(str(given).lower(), by_lower, n=1, cutoff=0.5)
    hint = f"did you mean '{by_lower[near[0]]}'? " if near else ""
    return f"unknown {what} '{given}': {hint}choose from {', '.join(known) or 'none'}"
