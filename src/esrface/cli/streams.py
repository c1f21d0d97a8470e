"""Standard streams that may be closed, full, ASCII-only or gone: none of that ends in a traceback."""

from __future__ import annotations

import errno
import json
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

from esrface._names import printable, reason_of
from esrface.errors import OutputError

__all__ = [
    "ReaderGone",
    "ensure_standard_streams",
    "flush_standard_streams",
    "print_json",
    "print_text",
    "printable",
    "refuse_stdout",
    "say",
]


class ReaderGone(Exception):  # noqa: N818 - like StopIteration it tells of an end, not of an error
    """Whoever read our standard output has closed it (``| head``): no reason to complain."""


def ensure_standard_streams() -> None:
    """Open the null device where a standard stream is closed, or files opened later would take its number."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def say(line: str) -> None:
    """Write a line for people to standard error, if anybody is there to read it."""
    if sys.stderr is not None:
        with suppress(OSError, ValueError):
            encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
            sys.stderr.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            sys.stderr.flush()


def print_json(data: Any, *, indent: int | None = None) -> None:
    """Write data to standard output as ASCII JSON, on one line unless ``indent`` is given.

    Raises:
        ReaderGone: The reader has closed the pipe.
        OutputError: It cannot be written (a full disk, a closed stream).
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, indent=indent, separators=separators)
    print_text(text)


def print_text(text: str) -> None:
    """Write text and a line feed to standard output; raises like ``print_json``."""
    if sys.stdout is None:
        raise OutputError("standard output is closed: nothing can be written to it")
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except OSError as error:
        refuse_stdout(error)


def refuse_stdout(error: OSError) -> NoReturn:
    """Say why standard output could not be written; raises like ``print_json``."""
    _drop_stdout()
    if error.errno == errno.EPIPE:
        raise ReaderGone from None
    raise OutputError(f"standard output cannot be written: {reason_of(error)}") from None


def flush_standard_streams() -> str | None:
    """Flush what is left on standard output; returns one line on why it cannot be written, or None."""
    if sys.stdout is None:
        return None
    try:
        sys.stdout.flush()
    except OSError as error:
        _drop_stdout()
        return (
            None if error.errno == errno.EPIPE else f"standard output cannot be written: {reason_of(error)}"
        )
    return None


def _drop_stdout() -> None:
    """Send the rest to the null device, or Python would complain about it once more at its end."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
