"""Memory that training frees and takes again with every step stays with the process."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Of ``mallopt(3)`` in glibc."""

_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let the whole process reuse large blocks of freed memory; returns whether the C library can.

    glibc maps each block of more than 32 MiB anew and gives it back when it is freed. The maps of a batch can
    be such blocks, and the kernel would zero hundreds of MiB in every step of training on a CPU.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, _LARGEST))
