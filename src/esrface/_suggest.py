"""One wording for a name that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(given: str, options: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """The option that is most like ``given``, at least as much as ``cutoff`` (0-1) says; None without one."""
    near = get_close_matches(given, list(options), n=1, cutoff=cutoff)
    return near[0] if near else None


def unknown_name(what: str, given: object, options: Iterable[str], *, meant: str | None = None) -> str:
    """Line for an unknown ``what``: the nearest of ``options`` if one is near, then all of them.

    ``meant``: the option that is suggested whatever is near, where it is known.
    """
    known = tuple(options)
    by_lower = {option.lower(): option for option in known}
    near = nearest(str(given).lower(), by_lower)
    named = meant or (by_lower[near] if near else None)
    hint = f"did you mean '{named}'? " if named else ""
    return f"unknown {what} '{given}': {hint}choose from {', '.join(known) or 'none'}"
