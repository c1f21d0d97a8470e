"""Which pictures a command line means: files, folders, patterns and standard input, one after the other.

Folders are walked lazily: one folder's names are held and sorted at a time, never those of the whole tree.
"""

# Paths stay text here: a Path would turn the "./a.jpg" that was given into "a.jpg".
# ruff: noqa: PTH100, PTH112, PTH116, PTH118, PTH122, PTH206, PTH208

from __future__ import annotations

import fnmatch
import glob
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from esrface._bounded import read_bounded
from esrface._drawn import RECORD, holds_drawn_pictures
from esrface._names import printable, reason_of, same_file_key
from esrface.errors import InputError

STDIN = "-"
"""The argument that stands for one picture on standard input."""

PICTURE_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".avif", ".gif", ".tif", ".tiff"),
        *(".bmp", ".dib", ".jp2", ".j2k", ".jpx", ".pbm", ".pgm", ".ppm", ".pnm", ".heic", ".heif"),
    }
)
"""Suffixes, in lower case, of the files that are tried in folders. HEIC is among them although a plugin is
needed to read it: such a picture is better named as a failure than passed over in silence."""


@dataclass(frozen=True)
class PictureSource:
    """One picture that was asked for, not opened yet."""

    name: str
    """The path as given, or the folder as given and the path below it; ``"-"`` for standard input. Bytes
    of a file name that are no UTF-8 are surrogates (``os.fsencode`` gives the bytes back)."""
    relative: PurePath
    """Where the picture's outputs belong below an output folder. Never absolute, never with ``..``, and no
    two sources of one ``find_images`` share it."""
    problem: str | None = None
    """One line on why nothing can be read here; None when it is worth trying."""

    def read(self) -> str | bytes:
        """What ``esrface.images.load_image`` takes: the path, or the bytes of standard input.

        Raises:
            InputError: Nothing can be read: no such path, a folder without pictures, an unreadable folder.
        """
        if self.problem is not None:
            raise InputError(self.problem)
        return _read_stdin() if self.name == STDIN else self.name


@dataclass(frozen=True)
class _Excluded:
    """Folders below those given that are not looked into."""

    real: frozenset[str]
    """By their real paths."""
    left_out: Callable[[str], None]

    def holds(self, folder: str, *, marked: bool = True) -> bool:
        """Whether this is one; ``marked``: whether it may hold the record of a run."""
        if self.real and os.path.realpath(folder) in self.real:
            return True
        if not marked or not holds_drawn_pictures(folder):
            return False
        self.left_out(folder)
        return True


def find_images(
    paths: Iterable[str | os.PathLike[str]],
    *,
    exclude: Iterable[str | os.PathLike[str]] = (),
    left_out: Callable[[str], None] | None = None,
) -> Iterator[PictureSource]:
    """All pictures that the arguments stand for, in their order.

    - A file is tried whatever its suffix; ``-`` is one picture on standard input.
    - A folder stands for all files below it that have a picture's suffix: names sorted, a folder's files
      before its subfolders. Links to folders are followed, each folder is read once (so loops end), and
      names that begin with ``._`` are passed over.
    - A pattern (``*``, ``?``, ``[...]``, ``**``) that the shell did not expand stands for what it matches,
      sorted; a file that really has such a name comes first.
    - Folders into which an earlier run has drawn pictures (``--save``) are left out below a folder and
      where a pattern stands for them. One that is itself an argument is walked.

    Nothing raises here: what cannot be read (a path that does not exist, a folder without pictures, a folder
    without permission) is a source whose ``read`` raises, so that the other pictures are still done.

    Args:
        paths: The arguments.
        exclude: Folders that are not walked into, such as an output folder inside the input, and that
            patterns do not stand for. They need not exist yet. An excluded folder that is itself an argument
            is walked.
        left_out: Called with each folder that is left out for what an earlier run has drawn into it.
    """
    told: set[str] = set()

    def tell_once(folder: str) -> None:
        if left_out is not None and folder not in told:
            told.add(folder)
            left_out(folder)

    excluded = _Excluded(frozenset(os.path.realpath(folder) for folder in exclude), tell_once)
    arguments = [match for path in paths for match in _expand(os.fsdecode(path), excluded)]
    for argument, place in zip(arguments, unique_names(arguments), strict=True):
        if argument == STDIN or not os.path.isdir(argument):
            yield PictureSource(argument, place, _missing_line(argument))
        else:
            yield from _folder_sources(argument, place if len(arguments) > 1 else PurePath(), excluded)


def unique_names(paths: Sequence[str]) -> list[PurePath]:
    """A relative path for each argument, in order: its last component if that is enough to tell them apart.

    Arguments whose names are equal keep as many of their folders as make them differ; the same argument
    given twice is numbered. No result equals another or lies below another, also where upper and lower case
    are the same, and none is absolute or holds ``..``: they can stand side by side in one output folder.
    """
    originals = [_components(path) for path in paths]
    places = [tuple(map(same_file_key, original)) for original in originals]
    lengths = dict.fromkeys(places, 1)
    while True:
        tails = {place: place[-length:] for place, length in lengths.items()}
        growing = [place for place in _clashing(tails) if lengths[place] < len(place)]
        if not growing:
            break
        for place in growing:
            lengths[place] += 1
    keys = set(tails.values())
    taken = {key[0] for key in keys}
    given: set[tuple[str, ...]] = set()
    names: list[PurePath] = []
    for original, place in zip(originals, places, strict=True):
        name = PurePath(*original[-lengths[place] :])
        tail = tails[place]
        if place in given or any(tail[:length] in keys for length in range(1, len(tail))):
            name = _numbered(name, taken)
        given.add(place)
        names.append(name)
    return names


def _read_stdin() -> bytes:
    stream = sys.stdin
    if stream is None or stream.closed:
        raise InputError("cannot read -: standard input is closed")
    if stream.isatty():
        raise InputError(
            "cannot read -: standard input is a terminal; give it a picture: esrface image - < photo.jpg"
        )
    try:
        return read_bounded(stream.buffer, STDIN)
    except OSError as error:
        raise InputError(f"cannot read -: {reason_of(error)}") from error


def _missing_line(path: str) -> str | None:
    """Why there is nothing to read at a path that is no folder, or None."""
    if path == STDIN or os.path.lexists(path):
        return None
    line = f"cannot read {printable(path)}: no such file or folder"
    if glob.has_magic(path):
        return f"{line}, and nothing matches it as a pattern"
    if "://" in path:
        return f"{line}; only local files are read, so download it first"
    return line


def _folder_sources(folder: str, place: PurePath, excluded: _Excluded) -> Iterator[PictureSource]:
    empty = True
    for below, problem in _walk(folder, excluded):
        empty = False
        yield PictureSource(os.path.join(folder, below) if below else folder, place / below, problem)
    if empty:
        problem = f"cannot read {printable(folder)}: the folder holds no pictures (.jpg, .png, .webp, …)"
        yield PictureSource(folder, place, problem)


def _walk(top: str, excluded: _Excluded) -> Iterator[tuple[str, str | None]]:
    """(path below ``top``, problem or None) of each picture, and of each folder that cannot be read."""
    seen: set[tuple[int, int]] = set()
    pending = [""]
    while pending:
        below = pending.pop()
        folder = os.path.join(top, below) if below else top
        if below and excluded.holds(folder, marked=False):
            continue
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            files, folders, marked = _scan(folder)
        except OSError as error:
            yield below, f"cannot read {printable(folder)}: {reason_of(error)}"
            continue
        if below and marked and excluded.holds(folder):
            continue
        for name in files:
            yield os.path.join(below, name), None
        # A stack instead of recursion, so that no depth of folders is too deep.
        pending.extend(os.path.join(below, name) for name in reversed(folders))


def _scan(folder: str) -> tuple[list[str], list[str], bool]:
    """Sorted names of a folder's pictures and of its subfolders, and whether it has the record of a run."""
    files: list[str] = []
    folders: list[str] = []
    marked = False
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("._"):
                continue
            marked = marked or entry.name == RECORD
            try:
                is_folder, is_file = entry.is_dir(), entry.is_file()
            except OSError:
                # A link that leads in a circle.
                is_folder, is_file = False, False
            if is_folder:
                folders.append(entry.name)
            # A link that leads nowhere is kept: reading it says so. Devices and pipes are no pictures.
            elif has_picture_suffix(entry.name) and (is_file or entry.is_symlink()):
                files.append(entry.name)
    return sorted(files), sorted(folders), marked


def has_picture_suffix(name: str) -> bool:
    """Whether a file's name or path ends like that of a picture."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES


def _expand(path: str, excluded: _Excluded) -> Iterator[str]:
    """What a pattern matches; the path itself if it is none, exists as it stands, or matches nothing."""
    if not glob.has_magic(path) or os.path.lexists(path):
        yield path
        return
    parts = PurePath(path).parts
    anchor = PurePath(path).anchor
    found = dict.fromkeys(_matches(anchor, parts[1:] if anchor else parts, excluded))
    yield from found or [path]


def _matches(folder: str, parts: tuple[str, ...], excluded: _Excluded) -> Iterator[str]:
    if not parts:
        yield folder
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        # At the end it stands for the folder itself, which is walked anyway.
        for inner in _folders(folder, excluded) if rest else [folder or os.curdir]:
            yield from _matches(inner, rest, excluded)
    elif os.path.lexists(os.path.join(folder, part)):
        yield from _matches(os.path.join(folder, part), rest, excluded)
    elif glob.has_magic(part):
        for name in _names(folder):
            path = os.path.join(folder, name)
            if not fnmatch.fnmatch(name, part) or (name.startswith(".") and not part.startswith(".")):
                continue
            # A picture is no folder: that spares looking into it.
            if not excluded.holds(path, marked=not has_picture_suffix(name)):
                yield from _matches(path, rest, excluded)


def _folders(top: str, excluded: _Excluded) -> Iterator[str]:
    """A folder and all below it that are not hidden, each once, sorted."""
    seen: set[str] = set()
    pending = [top]
    while pending:
        folder = pending.pop()
        real = os.path.realpath(folder)
        if real in seen:
            continue
        seen.add(real)
        if folder != top and excluded.holds(folder):
            continue
        yield folder
        inner = [os.path.join(folder, name) for name in _names(folder) if not name.startswith(".")]
        pending.extend(path for path in reversed(inner) if os.path.isdir(path))


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder or os.curdir))
    except OSError:
        return []


def _components(path: str) -> tuple[str, ...]:
    """Components of the absolute path without its root; never empty."""
    if path == STDIN:
        return ("stdin",)
    _, absolute = os.path.splitdrive(os.path.abspath(path))
    return tuple(filter(None, absolute.split(os.sep))) or ("root",)


def _clashing(tails: Mapping[tuple[str, ...], tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Places whose tail equals another one, lies below another one, or has another one below it."""
    holders: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for place, tail in tails.items():
        holders[tail].append(place)
    clashing: set[tuple[str, ...]] = set()
    for place, tail in tails.items():
        if len(holders[tail]) > 1:
            clashing.add(place)
        for length in range(1, len(tail)):
            if tail[:length] in holders:
                clashing.add(place)
                clashing.update(holders[tail[:length]])
    return clashing


def _numbered(name: PurePath, taken: set[str]) -> PurePath:
    """The name with a number in its first component that no other name has; adds it to ``taken``."""
    first = PurePath(name.parts[0])
    number = 2
    while same_file_key(f"{first.stem}-{number}{first.suffix}") in taken:
        number += 1
    renamed = f"{first.stem}-{number}{first.suffix}"
    taken.add(same_file_key(renamed))
    return PurePath(renamed, *name.parts[1:])
