"""The command line: ``esrface COMMAND``.

To add a command, write a module here that holds a ``click`` command called ``command`` (made with
``esrface.cli.command.Command``, which brings examples, grouped options and ``--debug``; it returns the exit
code) and add a line to ``COMMANDS``. The module is imported only when its command is used, so it may import
what it likes inside the command's function; at module level only ``click`` and this package's help, since the
help page loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from esrface.cli.app import leave, run, threads_hang


class Entry(NamedTuple):
    """A command's module and its line in the list of commands."""

    module: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "image": Entry("esrface.cli.image", "Recognise the expressions of the faces in pictures."),
    "video": Entry("esrface.cli.video", "Recognise the faces in videos, frame by frame, and who is who."),
    "webcam": Entry("esrface.cli.webcam", "Recognise the faces before a camera."),
    "evaluate": Entry("esrface.cli.evaluate", "Judge models: FER+, AffectNet, CK+, your own pictures."),
    "train": Entry("esrface.cli.train", "Train an ensemble (FER+, your own pictures)."),
    "data": Entry("esrface.cli.data", "Prepare data sets for training, and look over what is there."),
    "models": Entry("esrface.cli.models", "List, explain, download, import and check models."),
    "export": Entry("esrface.cli.export", "Write a model as ONNX, safetensors or the original's files."),
    "doctor": Entry("esrface.cli.doctor", "Say what this installation can do, and what is wrong with it."),
}
"""Commands in the order of the help page."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0: done; 1: a fault of this program; 2: bad usage, bad input or a result that could not be written;
    130, 143, 129: ended by SIGINT, SIGTERM, SIGHUP.

    Args:
        argv: The arguments without the program's name; None: those of this process.
    """
    code = run(COMMANDS, argv)
    if argv is None and (code > 128 or threads_hang()):
        # Threads may be deep in native code, say reading a camera that does not answer; everything is closed,
        # so nobody has to wait for them, and an interpreter that ends beneath them may crash.
        leave(code)
    return code
