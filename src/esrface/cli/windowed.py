"""``-d``: a run in a thread of its own, and its window in this one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from esrface.cli.running import Options
from esrface.errors import DependencyError, DeviceError

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer
    from esrface.screen.compose import Screen
    from esrface.screen.stage import Stage
    from esrface.screen.window import Window

DEFAULT_SIZE = "1"
"""``-s`` where nothing is said, as in the original."""


def open_window(options: Options, *, instead: str) -> Window:
    """The window that ``-d`` asks for, before anything is recognised.

    Args:
        options: The command's.
        instead: Options that show the same without a window, for who cannot have one.

    Raises:
        DependencyError: The extra ``window`` is missing.
        DeviceError: There is no display.
    """
    from esrface.screen.window import SIZES, Window

    try:
        return Window(SIZES[options["size"] or DEFAULT_SIZE])
    except (DependencyError, DeviceError) as error:
        raise type(error)(f"{error}; {instead} need no window") from None


def make_screen(options: Options, recognizer: Recognizer) -> Screen:
    """What the window shows."""
    from esrface.screen.compose import Screen
    from esrface.screen.scene import ScreenSettings

    settings = ScreenSettings(
        options["branch"], options["gradcam"], not options["no_plot"], options["abstain_below"]
    )
    return Screen(settings, recognizer.crop)


def run_beside(
    window: Window, screen: Screen, stage: Stage, work: Callable[[], None], halt: Callable[[], None]
) -> None:
    """Do the work in a thread and show it in this one, until it is done or the window is closed.

    Windows live in a process's first thread, where macOS insists on it, and where signals arrive. What the
    work raises is raised here.

    Args:
        window: To be shown; closed at the end.
        screen: What it shows.
        stage: What the work puts its scenes on.
        work: Everything that may take its time.
        halt: Asks the work to come to its end; called when the window is closed first.
    """
    problems: list[BaseException] = []

    def do() -> None:
        try:
            work()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=do, name="esrface-run", daemon=True)
    window.greet(screen)
    thread.start()
    try:
        window.run(screen, stage, thread.is_alive)
    finally:
        window.close()
        # Before whoever waits on the stage may go on.
        if thread.is_alive():
            halt()
        stage.close()
        while thread.is_alive():
            # In steps: on Windows a wait without an end cannot be interrupted by Ctrl-C.
            thread.join(0.2)
    if problems:
        raise problems[0]
