"""Names of files: how they are shown on one line, and when two are the same."""

from __future__ import annotations

import os
import unicodedata

_INVISIBLE = {"Cc", "Cs", "Zl", "Zp"}
_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def printable(name: str | os.PathLike[str], encoding: str | None = None) -> str:
    """A file name as it can be shown on one line of any terminal.

    Control characters, line breaks, marks that turn the direction of writing, and bytes that are no UTF-8
    become escapes (``\\n``, ``\\x1b``, ``\\xe9``); so does what ``encoding`` cannot express. An empty name
    becomes ``''``.
    """
    text = os.fsdecode(name) or "''"
    if not (text.isascii() and text.isprintable()):
        text = "".join(_escape(character) for character in text)
    if encoding is not None:
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    return text


def reason_of(error: OSError) -> str:
    """What the system says of an error, without number and path: ``"Permission denied"``."""
    return printable(error.strerror or str(error) or type(error).__name__)


def same_file_key(name: str) -> str:
    """Equal for names that some file system takes for the same one (case, composed letters)."""
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _INVISIBLE and character not in _BIDI:
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
