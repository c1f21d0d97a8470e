"""The original's library call: ``from esrface.compat import cvision`` in place of ``from controller import cvision``."""

from esrface.compat import cvision

__all__ = ["cvision"]
