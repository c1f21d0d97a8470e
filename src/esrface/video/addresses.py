"""Addresses of streams and files: where they lead, and how they may be shown, without passwords and keys."""

from __future__ import annotations

import os
import re
from urllib.parse import SplitResult, urlsplit

from esrface._names import printable
from esrface.errors import InputError

_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Everything up to the last "@" of the host's part: a password may hold an "@" of its own.
_USER = re.compile(r"(?<=://)[^/?#\s]*@")
_SECRET = re.compile(
    r"([\w.%-]*(?:pass|pwd|token|key|secret|auth|sig|user|usr|login|cred|session)[\w.%-]*)=[^&;/?#\s'\"]*",
    re.IGNORECASE,
)


def is_url(source: str) -> bool:
    """Whether a source is an address (``scheme://...``) and not a path."""
    return _SCHEME.match(source) is not None


def address_parts(address: str) -> SplitResult:
    """What an address is made of; InputError where it is malformed, such as ``http://[x/``."""
    try:
        return urlsplit(address)
    except ValueError:
        raise InputError(f"cannot read {printable(safe_name(address))}: it is no valid address") from None


def file_of(address: str) -> str | None:
    """The path that a ``file:`` address leads to, as this system writes paths; None for any other address."""
    # It takes longer to load than all the rest of this module, and few sources are addresses.
    from urllib.request import url2pathname

    parts = address_parts(address)
    if parts.scheme != "file":
        return None
    try:
        return url2pathname(parts.path)
    except OSError:
        raise InputError(f"cannot read {printable(address)}: it leads to no file of this machine") from None


def safe_name(source: str | os.PathLike[str] | int) -> str:
    """How a source is called in rows, logs and errors: as it was given, less what lets somebody in.

    Of an address, the user and password before the host go, and the values of what looks like a credential
    in the rest (``token=``, ``user=``, ``password=`` ...) become ``***``. A camera's number becomes
    ``"camera 0"``; a path stays as it is (see ``esrface.rows.source_text`` for its bytes).
    """
    if isinstance(source, int):
        return f"camera {source}"
    text = os.fsdecode(source)
    return _masked(text) if is_url(text) else text


def scrub(text: str, source: str) -> str:
    """A library's message about ``source`` on one line, without the credentials in it."""
    return printable(_masked(text.replace(source, safe_name(source))))


def _masked(text: str) -> str:
    return _SECRET.sub(r"\1=***", _USER.sub("", text))
