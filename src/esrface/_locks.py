"""One writer at a time, by a lock that the system drops when its holder ends, however it ends."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt

    _FAR = 2**31 - 2
    """Other programs may not read what is locked there, so a byte is that no table of ours has."""

    def hold(descriptor: int) -> bool:
        """Hold an open file until it is closed; False where somebody else does."""
        before = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            os.lseek(descriptor, _FAR, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        except OSError:
            return True
        finally:
            os.lseek(descriptor, before, os.SEEK_SET)
        return True

else:
    import fcntl

    def hold(descriptor: int) -> bool:
        """Hold an open file until it is closed; False where somebody else does.

        True as well where the file system knows no locks, as some that are mounted over a network.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True
        return True
