"""Opens a source of frames: a file, an address, a folder, a pattern of pictures, a pipe or a camera."""

from __future__ import annotations

import glob
import os
import re
import stat
from pathlib import Path

from esrface._names import printable
from esrface.errors import InputError
from esrface.video.addresses import is_url
from esrface.video.files import open_file
from esrface.video.live import open_camera, open_stream
from esrface.video.pictures import PictureSequence
from esrface.video.pipes import open_pipe, open_stdin
from esrface.video.sources import STDIN, Source, SourceOptions


def open_source(source: str | os.PathLike[str] | int, options: SourceOptions | None = None) -> Source:
    """Open whatever a source is called by.

    Args:
        source: A video file; a folder of pictures or a pattern of them (``img_%03d.png``, ``frames/*.jpg``);
            an address (``http://``, ``https://``, ``rtsp://`` ...); a named pipe; ``"-"`` for standard input;
            a camera's number (0 is the first) or its device (``/dev/video0``).
        options: See there.

    Raises:
        InputError: Nothing there, or nothing that can be read as a video.
        DependencyError: It needs the extra ``video``.
    """
    options = options or SourceOptions()
    if isinstance(source, int):
        if isinstance(source, bool) or source < 0:
            raise InputError(f"cannot read camera {source!r}: cameras are numbered from 0 on")
        return open_camera(source, options)
    text = os.fsdecode(source)
    if text == STDIN:
        return open_stdin(options)
    if is_url(text):
        return open_stream(text, options)
    kind = _kind(text)
    if kind == "camera":
        return open_camera(text, options)
    if kind == "pictures":
        return PictureSequence(text, options.picture_rate, live=bool(options.live))
    if kind == "pipe":
        return open_pipe(text, options)
    if kind == "file":
        return open_file(text, options)
    raise InputError(f"cannot read {printable(text)}: {kind}")


def _kind(path: str) -> str:
    """``"camera"``, ``"pictures"``, ``"pipe"`` or ``"file"``; else why there is nothing to read."""
    if not path:
        return "no such file or folder"
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        if re.search(r"%0?\d*d", path) or glob.has_magic(path):
            return "pictures"
        return "no such file or folder"
    except OSError as error:
        return error.strerror or "it cannot be opened"
    except ValueError:
        return "no such file or folder"
    if stat.S_ISDIR(mode):
        return "pictures"
    if stat.S_ISCHR(mode):
        return "camera"
    if stat.S_ISFIFO(mode):
        return "pipe"
    return "file" if stat.S_ISREG(mode) else "it is neither a file nor a folder, pipe or camera"
