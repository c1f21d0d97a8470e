"""The one family of errors that esrface raises on purpose.

Every message is a single line for a person: what is wrong and what to do about it. The command line prints
it as it stands and exits with ``exit_code``; anything outside this family is a bug of ours (exit code 1).
"""

from __future__ import annotations


class EsrfaceError(Exception):
    """Base of all errors raised on purpose; catch this one to catch them all."""

    exit_code = 2


class InputError(EsrfaceError):
    """A picture, array, path or option that cannot be used as given."""


class OutputError(EsrfaceError):
    """A result that cannot be written where it was asked for (exists, unwritable, disk full)."""


class ModelError(EsrfaceError):
    """A model, card or set of weights that is missing, corrupt or does not fit."""


class DependencyError(EsrfaceError):
    """An optional package that the request needs is not installed; the message names the extra."""


class DeviceError(EsrfaceError):
    """The device asked for cannot be used here."""


class DataError(EsrfaceError):
    """A data set that is missing, incomplete or malformed."""
