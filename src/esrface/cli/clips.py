"""What the arguments of ``esrface video`` and ``webcam`` stand for, before anything is opened."""

from __future__ import annotations

import glob
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

import click

from esrface._names import printable
from esrface.errors import InputError
from esrface.sources import has_picture_suffix, unique_names
from esrface.video.addresses import address_parts, file_of, is_url, safe_name
from esrface.video.pictures import picture_paths
from esrface.video.sources import STDIN


@dataclass(frozen=True)
class GivenClip:
    """A source that was asked for."""

    source: str | int
    """As ``esrface.open_video`` takes it."""
    name: str
    """As rows call it, without credentials."""
    place: PurePath
    """Name for its outputs, unlike that of any other clip of the run."""

    @property
    def path(self) -> Path | None:
        """Where it is in the file system, if it is a file or folder."""
        if isinstance(self.source, int) or self.source == STDIN or is_url(self.source):
            return None
        path = Path(self.source)
        try:
            return path if path.is_file() or path.is_dir() else None
        except ValueError:
            return None

    @property
    def inputs(self) -> list[str]:
        """What is read: its file, the pictures of its folder or pattern, or what comes on standard input."""
        if isinstance(self.source, int) or is_url(self.source):
            return []
        path = self.path
        if self.source == STDIN or (path is not None and path.is_file()):
            return [self.source]
        # What cannot be read is said when it is opened.
        with suppress(InputError, OSError, ValueError):
            return picture_paths(self.source)
        return []

    @property
    def size(self) -> int | None:
        """Bytes, if it is a file."""
        path = self.path
        try:
            return path.stat().st_size if path is not None and path.is_file() else None
        except OSError:
            return None


def name_clips(sources: Sequence[str]) -> list[GivenClip]:
    """The clips that arguments stand for, in their order; one that is given twice comes once.

    Raises:
        click.UsageError: There is none.
    """
    if not sources:
        raise click.UsageError(
            "give a video, a folder or pattern of pictures, a URL, or - for standard input"
        )
    expanded = [path for source in sources for path in _expand(_path_of_url(source))]
    chosen = list(dict.fromkeys(expanded))
    names = [safe_name(source) for source in chosen]
    for name, count in Counter(names).items():
        if count > 1:
            raise click.UsageError(
                f"{count} addresses are {printable(name)} without what must not stand in rows: nothing "
                "would tell them apart, give each a run and outputs of its own"
            )
    places = unique_names([_file_name(source) for source in chosen])
    return [GivenClip(*clip) for clip in zip(chosen, names, places, strict=True)]


def name_camera(camera: str) -> GivenClip:
    """The camera that ``-w`` names; its outputs are named after the time, as the original's.

    Raises:
        click.UsageError: It is a file, which is no camera.
    """
    source: str | int = int(camera) if re.fullmatch(r"[0-9]{1,6}", camera) else camera
    clip = GivenClip(source, safe_name(source), PurePath(time.strftime("%Y-%m-%d_%H-%M-%S")))
    if clip.path is not None:
        name = printable(camera)
        raise click.UsageError(f"{name} is a {_kind(clip.path)} and no camera: use esrface video {name}")
    return clip


def _kind(path: Path) -> str:
    return "folder" if path.is_dir() else "file"


def _path_of_url(source: str) -> str:
    path = file_of(source) if is_url(source) else None
    return source if path is None else path


def _expand(source: str) -> list[str]:
    """The files that a pattern stands for, which the shell did not expand; pictures in a row are one clip."""
    if is_url(source) or os.path.lexists(source) or not glob.has_magic(source):
        return [source]
    matches = sorted(glob.glob(source, recursive=True))  # noqa: PTH207 - paths stay text
    pictures = [match for match in matches if has_picture_suffix(match)]
    others = [match for match in matches if not has_picture_suffix(match) and Path(match).is_file()]
    if pictures and others:
        raise click.UsageError(
            f"{printable(source)} matches pictures, which are one clip, and other files "
            f"({printable(pictures[0])}, {printable(others[0])}): give each kind its pattern, such as '*.png'"
        )
    return [source] if pictures else matches or [source]


def _file_name(source: str) -> str:
    """A path that says what a source is called on disk: its own, or made from what an address says."""
    if source == STDIN:
        return "stdin"
    if is_url(source):
        parts = address_parts(source)
        name = PurePath(parts.path).name or parts.hostname or "stream"
        return re.sub(r"[^\w.-]", "_", name)
    if os.path.lexists(source):
        return source
    # Perhaps a pattern: its characters are none that every file system has in names.
    path = PurePath(re.sub(r"[*?\[\]]", "_", source))
    return str(path if path.stem.strip("_") else path.parent)
