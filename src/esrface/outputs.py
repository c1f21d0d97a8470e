"""Writing results so that nothing half done is left behind and a full disk is one clear line.

Whole files (pictures, reports, weights) are written beside their place and renamed into it. Row files grow by
whole rows and can be gone on with after the process was killed.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePath
from types import TracebackType
from typing import BinaryIO

from esrface._locks import hold
from esrface._names import printable, reason_of, same_file_key
from esrface.errors import OutputError

PathLike = str | os.PathLike[str]

_REASONS = {
    errno.ENOSPC: "no space left on the device; free some, or write to another place",
    errno.EDQUOT: "the disk quota is used up; free some, or write to another place",
    errno.EROFS: "the file system is read-only; write to another place",
    errno.EACCES: "permission denied; write to another place",
    errno.EPERM: "permission denied; write to another place",
    errno.EISDIR: "it is a folder; give the name of a file",
    errno.ENOTDIR: "a part of its path is a file, not a folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EFBIG: "the file would be larger than allowed here",
}

_unfinished: set[Path] = set()
"""Files that are being written beside their place, for ``discard_unfinished``."""


@contextmanager
def output_errors(name: PathLike) -> Iterator[None]:
    """Turn what the system says against writing in the block into one line that names the output.

    A reader that closed its end of a pipe is no failure of ours: ``BrokenPipeError`` passes through.

    Raises:
        OutputError: For any other ``OSError`` in the block.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or reason_of(error)
        raise OutputError(f"cannot write {printable(name)}: {reason}") from error


def refuse_existing(path: PathLike, *, overwrite: bool = False, resumable: bool = False) -> None:
    """Make sure that writing to ``path`` destroys nothing.

    Args:
        path: A file that may or may not exist. Devices and pipes hold nothing that could be lost.
        overwrite: Whether a file may be replaced. A folder never is.
        resumable: Whether the line should name ``--resume`` as well.

    Raises:
        OutputError: It exists and ``overwrite`` is False, or it is a folder.
    """
    place = _place(path)
    with output_errors(path):
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        if overwrite or not os.path.lexists(place) or _is_stream(place):
            return
    ways = "--overwrite replaces it, --resume goes on with it" if resumable else "--overwrite replaces it"
    raise OutputError(f"cannot write {printable(path)}: it exists already ({ways})")


def make_folder(path: PathLike) -> Path:
    """Create an output folder, with those above it, unless it exists.

    Raises:
        OutputError: It cannot be created.
    """
    folder = _place(path)
    with output_errors(path):
        _mkdir(folder)
    return folder


@contextmanager
def whole_file(path: PathLike, *, overwrite: bool = False) -> Iterator[BinaryIO]:
    """A file to write to that appears under its name only when the block ends well.

    Until then it grows in the same folder (created if missing) under a name that ends in ``.part``; if the
    block raises, a signal's exception included, that is removed, and a file that was there before stays as
    it was. A link is followed. Devices and pipes are written to directly.

    Raises:
        OutputError: It exists (without ``overwrite``) or cannot be written.
    """
    refuse_existing(path, overwrite=overwrite)
    place = _place(path)
    with output_errors(path):
        if _is_stream(place):
            with place.open("wb") as file:
                yield file
            return
        place = Path(os.path.realpath(place))
        _mkdir(place.parent)
        part = place.with_name(f".{secrets.token_hex(8)}.part")
        _unfinished.add(part)
        try:
            with part.open("xb") as file:
                yield file
            refuse_existing(path, overwrite=overwrite)
            part.replace(place)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            _unfinished.discard(part)


def write_whole(path: PathLike, data: bytes | str, *, overwrite: bool = False) -> None:
    """Write a whole file at once, text as UTF-8; see ``whole_file``."""
    with whole_file(path, overwrite=overwrite) as file:
        file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def write_together(contents: Mapping[Path, bytes | str], *, overwrite: bool = False) -> None:
    """Write files that belong together: none appears before there was room for all of them.

    Args:
        contents: Of each file; text as UTF-8.
        overwrite: As for ``whole_file``.

    Raises:
        OutputError: As for ``whole_file``; then none of them is there, or all are as they were before.
    """
    with ExitStack() as stack:
        for path, data in contents.items():
            file = stack.enter_context(whole_file(path, overwrite=overwrite))
            with output_errors(path):
                file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)
                # Now, not when the others have their names already.
                file.flush()


def discard_unfinished() -> None:
    """Remove the ``.part`` files of this process, for a program that must end this instant (``os._exit``)."""
    for part in list(_unfinished):
        with suppress(OSError):
            part.unlink(missing_ok=True)


def clear_left_over(folder: PathLike) -> None:
    """Remove the ``.part`` files that a killed process left in a folder and below it.

    Only for a run that goes on where that one stopped: what another process is writing there now would be
    removed as well.
    """
    for part in Path(folder).rglob(".*.part"):
        if re.fullmatch(r"\.[0-9a-f]{16}\.part", part.name):
            with suppress(OSError):
                part.unlink(missing_ok=True)


class RowFile:
    """A text file (UTF-8) that grows by whole rows, each handed to the system when it is written.

    So what was written is there after ``kill -9``; a row that the disk has no room for is taken back. Its
    ``write`` is all that ``csv.writer`` asks of a file. While it is open no other run can open it. A context
    manager; not for several threads at once.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        overwrite: bool = False,
        resume: bool = False,
        quoted: bool = False,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Open the file, creating its folder if that is missing.

        Args:
            path: Where the rows go; a device or pipe (``/dev/stdout``) is written to as it is.
            overwrite: Empty a file that exists.
            resume: Go on with a file that exists, after dropping a torn last line. Ends up like a new file
                where there is none.
            quoted: For ``resume``: the rows are CSV, where a line feed between quotes ends no row.
            check: Called before anything in the file is changed; may raise.

        Raises:
            OutputError: It exists (with neither ``overwrite`` nor ``resume``), cannot be opened, or another
                run is writing it.
        """
        refuse_existing(path, overwrite=overwrite or resume, resumable=True)
        self.name = os.fsdecode(path)
        place = _place(path)
        with output_errors(self.name):
            self._is_stream = _is_stream(place)
            _mkdir(place.parent)
            # Emptied only once it is ours alone.
            mode = "wb" if self._is_stream else "ab" if resume or overwrite else "xb"
            self._file = place.open(mode, buffering=0)
            try:
                self._size = 0 if self._is_stream else self._begin(place, resume, quoted, check)
            except BaseException:
                self._file.close()
                raise

    def _begin(self, place: Path, resume: bool, quoted: bool, check: Callable[[], None] | None) -> int:
        """Hold the file and make it ready for the first row; returns its size."""
        if not hold(self._file.fileno()):
            raise OutputError(f"cannot write {printable(self.name)}: another run is writing it just now")
        if check is not None:
            check()
        if resume:
            drop_torn_row(place, quoted=quoted)
        else:
            self._file.truncate(0)
        return os.fstat(self._file.fileno()).st_size

    @property
    def is_empty(self) -> bool:
        """Whether no row stands in the file yet (a header is due)."""
        return self._size == 0

    def write(self, row: str) -> int:
        """Write one row or several, each with its line end; returns the number of characters.

        Characters that UTF-8 does not have (from file names that are no UTF-8) become ``\\udcxx``, which is
        also how JSON writes them.

        Raises:
            OutputError: It cannot be written; the rows before it stay, of this one nothing does.
        """
        data = memoryview(row.encode("utf-8", "backslashreplace"))
        total = len(data)
        with output_errors(self.name):
            try:
                while data:
                    data = data[self._file.write(data) :]
            except BaseException:
                self._take_back()
                raise
        self._size += total
        return len(row)

    def close(self) -> None:
        """Close the file.

        Raises:
            OutputError: The system reports only now that it could not keep what was written.
        """
        with output_errors(self.name):
            self._file.close()

    def __enter__(self) -> RowFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with suppress(OutputError):
            self.close()

    def _take_back(self) -> None:
        if not self._is_stream:
            with suppress(OSError):
                self._file.truncate(self._size)


def drop_torn_row(path: PathLike, *, quoted: bool = False) -> int:
    """Cut a row file after its last whole row; returns the number of bytes dropped.

    Args:
        path: An existing file of rows that end in a line feed.
        quoted: Whether the rows are CSV, where a line feed between double quotes ends no row.

    Raises:
        OutputError: It cannot be read or written.
    """
    with output_errors(path), _place(path).open("r+b") as file:
        end = whole = 0
        inside = False
        for line in file:
            end += len(line)
            if quoted:
                inside ^= line.count(b'"') % 2 == 1
            if line.endswith(b"\n") and not inside:
                whole = end
        if whole < end:
            file.truncate(whole)
        return end - whole


class OutputNames:
    """Gives every source of a run an output name of its own, equal in every run over the same sources."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, relative: PurePath, suffix: str, *, first_dot: bool = False) -> PurePath:
        """Path of an output below the output folder.

        Args:
            relative: ``PictureSource.relative``; its folders are kept.
            suffix: Of the output, with its dot; it takes the place of the source's own. Where that name is
                taken already (``a.jpg`` and ``a.png``), it is added to the whole name (``a.png.csv``), and
                numbered if need be.
            first_dot: Cut the source's name at its first dot instead of its last one.
        """
        whole = relative.name
        stem = (whole.split(".")[0] if first_dot else relative.stem) or whole
        chosen = f"{stem}{suffix}"
        number = 1
        while (key := same_file_key(str(relative.parent / chosen))) in self._taken:
            chosen = f"{whole}{suffix}" if number == 1 else f"{whole}-{number}{suffix}"
            number += 1
        self._taken.add(key)
        return relative.parent / chosen


def _place(path: PathLike) -> Path:
    text = os.fsdecode(path)
    if not text or "\0" in text:
        raise OutputError(f"cannot write {printable(text)}: this is no name of a file")
    return Path(text)


def _mkdir(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        # mkdir's word for a file where the folder should be.
        raise NotADirectoryError(errno.ENOTDIR, "") from None


def _is_stream(place: Path) -> bool:
    """Whether it is there and neither a file nor a folder: a device, a pipe, a socket."""
    return place.exists() and not place.is_file() and not place.is_dir()
