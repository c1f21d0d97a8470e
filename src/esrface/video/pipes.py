"""Videos out of named pipes and standard input: read as they come, without hanging where nobody writes."""

from __future__ import annotations

import os
import select
import stat
import sys
import time
from typing import Any

from esrface._names import printable
from esrface.errors import InputError
from esrface.video.container import Container
from esrface.video.files import ContainerSource
from esrface.video.sources import STDIN, SourceOptions

_STEP_S = 0.2
"""How soon a wait notices that nobody wants to read on."""


class PipeReader:
    """The reading end of a pipe as a file that PyAV can read.

    Args:
        descriptor: Owned from here on.
        name: How messages call it.
        stall_s: Seconds without data after which ``read`` raises InputError.
    """

    def __init__(self, descriptor: int, name: str, stall_s: float) -> None:
        self.name = name
        self._descriptor = descriptor
        self._stall_s = stall_s
        self._closed = False
        self._stopped = False
        self._poll: Any = None
        if hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(descriptor, select.POLLIN)

    def read(self, size: int = -1) -> bytes:
        """What is there, waiting for it; ``b""`` once the writer has gone."""
        if not self._wait():
            return b""
        return os.read(self._descriptor, size if size > 0 else 1 << 16)

    def stop(self) -> None:
        """Let ``read``, which may be waiting in another thread, come to the end."""
        self._stopped = True

    def close(self) -> None:
        """Close our end. Safe to repeat."""
        if not self._closed:
            self._closed = True
            os.close(self._descriptor)

    def _wait(self) -> bool:
        """Whether something can be read; a pipe nobody has opened for writing yet is waited for."""
        if self._poll is None:
            return not self._stopped
        deadline = time.monotonic() + self._stall_s
        while not self._stopped:
            # A writer that has gone away is an event, one that has not come yet is none.
            if self._poll.poll(_STEP_S * 1000):
                return True
            if time.monotonic() >= deadline:
                raise InputError(f"{self.name}: nothing was written into it for {self._stall_s:g} s")
        return False


def open_pipe(path: str, options: SourceOptions) -> ContainerSource:
    """A named pipe; what is written into it must be a format made for streaming."""
    try:
        # Else opening would wait for a writer, without end.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise InputError(f"cannot read {printable(path)}: {error.strerror}") from None
    return _from_pipe(descriptor, printable(path), options)


def open_stdin(options: SourceOptions) -> ContainerSource:
    """Standard input: a pipe, or a file that was redirected into it."""
    stream = sys.stdin
    if stream is None or stream.closed:
        raise InputError("cannot read -: standard input is closed")
    if stream.isatty():
        raise InputError("cannot read -: standard input is a terminal; give it a video: ... < clip.mp4")
    try:
        descriptor = os.dup(stream.fileno())
        is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError as error:
        raise InputError(f"cannot read -: {error.strerror}") from None
    if is_file:
        return ContainerSource(Container(os.fdopen(descriptor, "rb"), STDIN, options))
    return _from_pipe(descriptor, STDIN, options)


def _from_pipe(descriptor: int, name: str, options: SourceOptions) -> ContainerSource:
    reader = PipeReader(descriptor, name, options.stall_s)
    try:
        return _PipeSource(Container(reader, name, options), reader)
    except InputError as error:
        reader.close()
        if "no video" in str(error):
            raise InputError(
                f"{error}; through a pipe only formats made for streaming can be read (.mkv, .ts, .mjpeg)"
            ) from None
        raise
    except BaseException:
        reader.close()
        raise


class _PipeSource(ContainerSource):
    def __init__(self, container: Container, reader: PipeReader) -> None:
        super().__init__(container)
        self._reader = reader

    def stop(self) -> None:
        super().stop()
        self._reader.stop()

    def close(self) -> None:
        super().close()
        self._reader.close()
