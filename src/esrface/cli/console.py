"""The terminal as people see it: a rich console on standard error that survives whatever stands behind it."""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from esrface._names import printable
from esrface.cli.streams import refuse_stdout

WIDTH_WITHOUT_TERMINAL = 100


class People:
    """Standard error as a file that never raises: a closed pipe or a full disk is remembered instead."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding = getattr(stream, "encoding", None) or "utf-8"
        self.gone = stream is None
        """Nobody reads it any more."""
        self.failed: OSError | None = None
        """Why it cannot be written, where that is not because the reader has gone."""

    def write(self, text: str) -> int:
        """Write text; characters that the stream's encoding lacks become escapes."""
        if self._stream is not None and not self.gone:
            safe = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._try(self._stream.write, safe)
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        if self._stream is not None and not self.gone:
            self._try(self._stream.flush)

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return self._stream is not None and not self.gone and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor."""
        if self._stream is None:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        return self._stream.fileno()

    def _try(self, act: Any, *args: Any) -> None:
        try:
            act(*args)
        except OSError as error:
            self.gone = True
            self._fail(error)
        except ValueError:  # The stream has been closed.
            self.gone = True

    def _fail(self, error: OSError) -> None:
        if error.errno != errno.EPIPE:
            self.failed = error


class Answer(People):
    """Standard output as the place of a command's answer: without it nothing was done, so failing is told.

    ``write`` and ``flush`` raise ReaderGone or OutputError as ``esrface.cli.streams.print_text`` does.
    """

    def _fail(self, error: OSError) -> None:
        refuse_stdout(error)


def make_console(*, to_stdout: bool = False) -> Console:
    """A console for people: on standard error, or on standard output for commands whose answer is a text.

    Colours and cursor movements only on a terminal that has them; ``NO_COLOR``, ``TERM`` and ``COLUMNS`` are
    honoured.
    """
    file: Any = Answer(sys.stdout) if to_stdout else People(sys.stderr)
    is_terminal = file.isatty()
    width = None if is_terminal or os.environ.get("COLUMNS", "").isdigit() else WIDTH_WITHOUT_TERMINAL
    return Console(
        file=file, width=width, force_terminal=is_terminal, highlight=False, emoji=False, markup=False
    )


def people(console: Console) -> People:
    """The file behind a console of ``make_console``."""
    file = console.file
    assert isinstance(file, People)
    return file


class ConsoleHandler(logging.Handler):
    """Shows what the library logs, one line a message, without disturbing a progress bar."""

    def __init__(self, console: Console, level: int) -> None:
        super().__init__(level)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, and the traceback that belongs to it if there is one."""
        lines = [printable(f"esrface: {record.getMessage()}")]
        if record.exc_info:
            lines.append(logging.Formatter().formatException(record.exc_info))
        self._console.print(Text("\n".join(lines)), soft_wrap=True)
