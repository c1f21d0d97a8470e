"""A window of the library SDL 2, as thin as can be: pixels go in, what people do comes out.

Everything here must happen in one thread, on macOS in the process's first.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from esrface._extras import how_to_install
from esrface.errors import DependencyError, DeviceError
from esrface.screen.layout import SMALLEST_WH

NEEDS = f"a window needs PySDL2: {how_to_install('window')}"
NO_DISPLAY = "a window needs a display, and there is none here"

SMALLEST_SHARE = 0.5
"""Of the smallest screen in units: letters are no longer read with ease below."""


class Event(NamedTuple):
    """Something that somebody did."""

    kind: str
    """``key``, ``wheel``, ``press``, ``release``, ``move``, ``paint`` or ``close``."""
    key: str = ""
    """SDL's name of a key, in lower case: ``"space"``, ``"n"``, ``"keypad +"``."""
    x: float = 0.0
    y: float = 0.0
    """Where the pointer is, as shares 0-1 of the window."""
    amount: float = 0.0
    """Notches of a wheel, away from the person; for keys 1 with shift, for ``press`` the number of clicks."""


class SdlWindow:
    """An open window.

    Args:
        title: Its title.
        size_wh: Width and height in points, of which dense displays have several pixels each; less where
            the display is smaller.

    Raises:
        DependencyError: The extra ``window`` is missing.
        DeviceError: There is no display.
    """

    def __init__(self, title: str, size_wh: tuple[int, int]) -> None:
        self._sdl: Any = _load()
        self._window: Any = None
        self._texture: Any = None
        self._texture_wh = (0, 0)
        try:
            self._open(title, size_wh)
        except BaseException:
            self.close()
            raise

    def _open(self, title: str, size_wh: tuple[int, int]) -> None:
        sdl = self._sdl
        if _has_no_display():
            raise DeviceError(NO_DISPLAY)
        for hint, value in (
            (b"SDL_NO_SIGNAL_HANDLERS", b"1"),
            (b"SDL_RENDER_SCALE_QUALITY", b"1"),
            (b"SDL_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR", b"0"),
            (b"SDL_WINDOWS_DPI_AWARENESS", b"permonitorv2"),
            (b"SDL_WINDOWS_DPI_SCALING", b"1"),
            (b"SDL_APP_NAME", b"esrface"),
        ):
            sdl.SDL_SetHint(hint, value)
        if sdl.SDL_Init(sdl.SDL_INIT_VIDEO) != 0:
            raise DeviceError(f"{NO_DISPLAY} ({self._error()})")
        sdl.SDL_EnableScreenSaver()
        usable = sdl.SDL_Rect()
        if sdl.SDL_GetDisplayUsableBounds(0, ctypes.byref(usable)) == 0 and usable.w and usable.h:
            size_wh = min(size_wh[0], usable.w), min(size_wh[1], usable.h)
        flags = sdl.SDL_WINDOW_RESIZABLE | sdl.SDL_WINDOW_ALLOW_HIGHDPI
        anywhere = sdl.SDL_WINDOWPOS_CENTERED
        self._window = sdl.SDL_CreateWindow(title.encode(), anywhere, anywhere, *size_wh, flags)
        if not self._window:
            raise DeviceError(f"a window cannot be opened: {self._error()}")
        smallest = [round(length * SMALLEST_SHARE) for length in SMALLEST_WH]
        sdl.SDL_SetWindowMinimumSize(self._window, *smallest)
        self._renderer = sdl.SDL_CreateRenderer(self._window, -1, 0)
        if not self._renderer:
            raise DeviceError(f"a window cannot be drawn in: {self._error()}")

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height in pixels."""
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetRendererOutputSize(self._renderer, ctypes.byref(width), ctypes.byref(height))
        return max(width.value, 1), max(height.value, 1)

    def set_title(self, title: str) -> None:
        """Change the title."""
        self._sdl.SDL_SetWindowTitle(self._window, title.encode("utf-8", "replace"))

    def show(self, pixels: NDArray[np.uint8]) -> None:
        """Show (H, W, 3) uint8 RGB, stretched over the window."""
        sdl = self._sdl
        height, width = pixels.shape[:2]
        if self._texture is None or self._texture_wh != (width, height):
            self._drop_texture()
            form, access = sdl.SDL_PIXELFORMAT_RGB24, sdl.SDL_TEXTUREACCESS_STREAMING
            self._texture = sdl.SDL_CreateTexture(self._renderer, form, access, width, height)
            self._texture_wh = (width, height)
        pixels = np.ascontiguousarray(pixels)
        sdl.SDL_UpdateTexture(self._texture, None, pixels.ctypes.data_as(ctypes.c_void_p), width * 3)
        sdl.SDL_RenderClear(self._renderer)
        sdl.SDL_RenderCopy(self._renderer, self._texture, None, None)
        sdl.SDL_RenderPresent(self._renderer)

    def wait(self, seconds: float) -> list[Event]:
        """What was done, waiting so long for something."""
        sdl = self._sdl
        event = sdl.SDL_Event()
        done: list[Event] = []
        if sdl.SDL_WaitEventTimeout(ctypes.byref(event), max(1, round(seconds * 1000))):
            done += self._understand(event)
            while sdl.SDL_PollEvent(ctypes.byref(event)):
                done += self._understand(event)
        return done

    def close(self) -> None:
        """Close the window. Safe to repeat."""
        self._drop_texture()
        if self._window is not None:
            if getattr(self, "_renderer", None):
                self._sdl.SDL_DestroyRenderer(self._renderer)
            if self._window:
                self._sdl.SDL_DestroyWindow(self._window)
                # The display learns of it before anything else takes its time.
                self._sdl.SDL_PumpEvents()
            self._window = None
        if self._sdl is not None:
            self._sdl.SDL_Quit()
            self._sdl = None

    def _understand(self, event: Any) -> list[Event]:
        sdl, kind = self._sdl, event.type
        if kind == sdl.SDL_QUIT:
            return [Event("close")]
        if kind == sdl.SDL_WINDOWEVENT:
            closing = event.window.event == sdl.SDL_WINDOWEVENT_CLOSE
            return [Event("close" if closing else "paint")]
        if kind in (sdl.SDL_RENDER_TARGETS_RESET, sdl.SDL_RENDER_DEVICE_RESET):
            self._drop_texture()
            return [Event("paint")]
        if kind == sdl.SDL_KEYDOWN:
            pressed = event.key.keysym
            if pressed.mod & (sdl.KMOD_CTRL | sdl.KMOD_ALT | sdl.KMOD_GUI):
                return []
            name = sdl.SDL_GetKeyName(pressed.sym).decode("utf-8", "replace").lower()
            return [Event("key", name, amount=float(bool(pressed.mod & sdl.KMOD_SHIFT)))]
        if kind == sdl.SDL_MOUSEWHEEL:
            notches = event.wheel.preciseY
            if event.wheel.direction == sdl.SDL_MOUSEWHEEL_FLIPPED:
                notches = -notches
            return [Event("wheel", "", *self._pointer(), float(notches))]
        if kind in (sdl.SDL_MOUSEBUTTONDOWN, sdl.SDL_MOUSEBUTTONUP):
            button = event.button
            if button.button != sdl.SDL_BUTTON_LEFT:
                return []
            word = "press" if kind == sdl.SDL_MOUSEBUTTONDOWN else "release"
            return [Event(word, "", *self._share(button.x, button.y), float(button.clicks))]
        if kind == sdl.SDL_MOUSEMOTION:
            return [Event("move", "", *self._share(event.motion.x, event.motion.y))]
        return []

    def _pointer(self) -> tuple[float, float]:
        x, y = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetMouseState(ctypes.byref(x), ctypes.byref(y))
        return self._share(x.value, y.value)

    def _share(self, x: int, y: int) -> tuple[float, float]:
        # The pointer is told in points, not in pixels.
        width, height = ctypes.c_int(), ctypes.c_int()
        self._sdl.SDL_GetWindowSize(self._window, ctypes.byref(width), ctypes.byref(height))
        return x / max(width.value, 1), y / max(height.value, 1)

    def _drop_texture(self) -> None:
        if self._texture is not None:
            self._sdl.SDL_DestroyTexture(self._texture)
            self._texture = None

    def _error(self) -> str:
        return str(self._sdl.SDL_GetError().decode("utf-8", "replace")) or "no reason given"


def _load() -> Any:
    """The module sdl2."""
    try:
        with warnings.catch_warnings():
            # It says which of the libraries it found.
            warnings.simplefilter("ignore")
            import sdl2
    except (ImportError, OSError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "sdl2":
            raise DependencyError(NEEDS) from None
        raise DependencyError(f"{NEEDS}; it is there but cannot be loaded") from None
    return sdl2


def _has_no_display() -> bool:
    """Where SDL would take over a machine's console, or draw for nobody, unless it is told to."""
    if sys.platform in ("win32", "darwin", "cygwin") or os.environ.get("SDL_VIDEODRIVER"):
        return False
    return not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
