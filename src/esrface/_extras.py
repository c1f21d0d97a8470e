"""One wording for what is missing because an extra of the package is not installed."""

from __future__ import annotations


def how_to_install(extra: str) -> str:
    """What to do to get an extra: the end of a line that has said what needs it."""
    # Not by the package's name: no registry has it yet.
    return f"in a clone of esrface, pip install -c constraints.txt '.[{extra}]'"
