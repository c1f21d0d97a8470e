"""What comes out of a pipe or device, which tells no length and may have no end."""

from __future__ import annotations

import io
from typing import BinaryIO

from esrface.errors import InputError

MOST_BYTES = 1 << 30
"""More than pictures within ``--max-pixels`` have, even with four channels and nothing compressed."""

_STEP_BYTES = 1 << 20


def read_bounded(stream: BinaryIO, name: str, most: int | None = None) -> bytes:
    """All that a stream gives.

    Args:
        stream: A pipe, a device, standard input.
        name: What the error line calls it; printable.
        most: How many bytes it may give; None: ``MOST_BYTES``.

    Raises:
        InputError: It gives more.
    """
    most = MOST_BYTES if most is None else most
    # Piece by piece: asking for all at once would set the memory aside before a byte has come.
    gathered = io.BytesIO()
    while piece := stream.read(_STEP_BYTES):
        if gathered.tell() + len(piece) > most:
            raise InputError(f"cannot read {name}: it gives more than {_size(most)}, which no picture has")
        gathered.write(piece)
    return gathered.getvalue()


def _size(count: int) -> str:
    return f"{count >> 30} GiB" if count >= 1 << 30 else f"{count:,} bytes"
