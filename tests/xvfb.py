"""A display of its own for tests of windows: Xvfb, events by xdotool, and what is to be seen as pixels."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Image = NDArray[np.uint8]
PATIENCE_S = 30.0


@dataclass
class Display:
    """A running display without a window manager."""

    name: str
    buffer: Path

    def screenshot(self) -> Image:
        """(H, W, 3) uint8 RGB of the whole display, read from its memory in the form of xwd."""
        data = self.buffer.read_bytes()
        fields = struct.unpack(">25I", data[:100])
        header, width, height, row, colors = fields[0], fields[4], fields[5], fields[12], fields[19]
        pixels = np.frombuffer(data, np.uint8, row * height, header + 12 * colors).reshape(
            height, row // 4, 4
        )
        return np.ascontiguousarray(pixels[:, :width, 2::-1])

    def do(self, *words: str | int) -> None:
        """Send events: the words are xdotool's."""
        subprocess.run(["xdotool", *map(str, words)], env=self.environment, check=True, capture_output=True)

    @property
    def environment(self) -> dict[str, str]:
        """For processes that are to use it."""
        return {**os.environ, "DISPLAY": self.name, "SDL_VIDEODRIVER": "x11"}

    def title(self) -> str:
        """Of the one window, which gets the keys from now on; empty where there is none."""
        found = self._ask("search", "--onlyvisible", "--class", ".").split()
        return self._ask("windowfocus", found[-1], "getwindowname", found[-1]) if found else ""

    def _ask(self, *words: str) -> str:
        done = subprocess.run(
            ["xdotool", *words], env=self.environment, check=False, capture_output=True, text=True
        )
        return done.stdout.strip()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


@contextmanager
def display(folder: Path, size_wh: tuple[int, int] = (1280, 900)) -> Iterator[Display]:
    """Start a display; skips the test where that is not possible."""
    for program in ("Xvfb", "xdotool"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    pytest.importorskip("sdl2", reason="the extra 'window' is not installed")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size_wh[0]}x{size_wh[1]}x24"]
    server = subprocess.Popen(
        [*command, "-fbdir", str(folder), "-nolisten", "tcp", "-noreset"],
        pass_fds=[writer],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        with os.fdopen(reader) as told:
            number = told.readline().strip()
        if not number:
            pytest.skip("Xvfb does not start here")
        yield Display(f":{number}", folder / "Xvfb_screen0")
    finally:
        server.terminate()
        server.wait()
