"""Starting other programs, and waiting for them, on a machine that may be busy with something else."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

PATIENCE_S = 300
"""After so long a program that should have ended hangs."""

_PAUSE_S = 0.02


def until(condition: Callable[[], object], seconds: float = 60) -> bool:
    """Wait for something to come true; whether it did.

    What is counted are pauses and not the clock: time in which this process was not let run does not count.
    """
    for _ in range(round(seconds / _PAUSE_S)):
        if condition():
            return True
        time.sleep(_PAUSE_S)
    return bool(condition())


def heed_signals() -> None:
    """Hear of all signals, for ``subprocess.Popen(preexec_fn=...)``: jobs in the background ignore Ctrl-C."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
