"""Ctrl-C and its kin: the first signal unwinds the program, a second one ends it at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Stopped(BaseException):
    """A signal asked this process to end. Like KeyboardInterrupt, it is no Exception."""

    def __init__(self, signum: int) -> None:
        self.name = signal.Signals(signum).name
        self.exit_code = 128 + signum
        super().__init__(self.name)


class Interrupts:
    """Turns SIGINT, SIGTERM and SIGHUP into ``Stopped`` in the main thread while it is entered.

    A signal that was ignored from the start (``nohup``, background jobs) stays ignored. Commands find this
    object as ``ctx.obj``.
    """

    def __init__(self) -> None:
        self._signum: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for signum in SIGNALS:
                if signal.getsignal(signum) is not signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, _: FrameType | None) -> None:
        if self._signum is not None:
            outputs = sys.modules.get("esrface.outputs")
            if outputs is not None:
                outputs.discard_unfinished()
            os._exit(128 + signum)
        self._signum = signum
        raise Stopped(signum)

    def check(self) -> None:
        """Raise ``Stopped`` if a signal has come, even where its exception was lost on the way.

        (Python drops exceptions that are raised inside callbacks and destructors.)
        """
        if self._signum is not None:
            raise Stopped(self._signum)
