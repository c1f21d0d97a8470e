"""The original's library call: ``from esrface.compat import cvision`` instead of ``from controller``."""

from esrface.compat import cvision

__all__ = ["cvision"]
