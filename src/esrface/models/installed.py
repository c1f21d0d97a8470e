"""The models folder: where downloaded and imported models are kept, a folder each, found by their names.

It is ``ESRFACE_MODELS`` where that is set; else ``esrface/models`` in the user's cache: ``XDG_CACHE_HOME`` or
``~/.cache`` on Linux, ``~/Library/Caches`` on macOS, ``%LOCALAPPDATA%`` on Windows. Nothing is written there
unless a download or an import is asked for. A model's folder holds ``card.json`` with ``model.onnx`` or the
original's ``.pt`` files; a folder whose name begins with a dot is being written.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from esrface.errors import ModelError
from esrface.outputs import output_errors

VARIABLE = "ESRFACE_MODELS"
"""Environment variable that names another models folder."""

CARD = "card.json"


def models_folder() -> Path:
    """The models folder; it need not exist.

    Raises:
        ModelError: This user has no home, and nothing says where else.
    """
    place = os.environ.get(VARIABLE)
    if place:
        return Path(place).absolute()
    return _cache() / "esrface" / "models"


def is_name(name: str) -> bool:
    """Whether a model can be called so: letters, digits, ``.``, ``_`` and ``-``, at most 64, none first."""
    return re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name) is not None


def installed_folder(name: str) -> Path | None:
    """Folder of the model of that name; None where there is none."""
    if not is_name(name):
        return None
    with suppress(ModelError, OSError):
        folder = models_folder() / name
        if folder.is_dir():
            return folder
    return None


def installed_names() -> tuple[str, ...]:
    """Names of the models in the models folder, sorted; none where it cannot be read."""
    with suppress(ModelError, OSError):
        return tuple(sorted(path.name for path in models_folder().iterdir() if installed_folder(path.name)))
    return ()


def unfinished_folder(name: str) -> Path:
    """Where the model of that name grows until it is whole."""
    return models_folder() / f".{name}.part"


def install(work: Path, name: str, *, overwrite: bool = False) -> Path:
    """Give a whole model's folder, which lies in the models folder, its name; returns its new place.

    Raises:
        ModelError: There is a model of that name, and ``overwrite`` is not given.
        OutputError: It cannot be renamed.
    """
    target = models_folder() / name
    with output_errors(target):
        if os.path.lexists(target):
            if not overwrite:
                raise ModelError(f"there is a model '{name}' already (--overwrite replaces it)")
            _delete(target)
        work.replace(target)
    return target


def remove(name: str) -> bool:
    """Delete the model of that name and what an unfinished download left; False if there was neither.

    Raises:
        OutputError: It cannot be deleted.
    """
    if not is_name(name):
        return False
    found = False
    for place in (models_folder() / name, unfinished_folder(name)):
        if os.path.lexists(place):
            with output_errors(place):
                _delete(place)
            found = True
    return found


def _delete(place: Path) -> None:
    """Take a model away: out of sight first, so that no half of it is ever found by its name."""
    if place.is_symlink() or not place.is_dir():
        place.unlink()
        return
    doomed = place.with_name(f".{place.name}.removed")
    if doomed.exists():
        shutil.rmtree(doomed)
    place.replace(doomed)
    shutil.rmtree(doomed)


def _cache() -> Path:
    if sys.platform == "win32":
        place = os.environ.get("LOCALAPPDATA", "")
    else:
        # The rule for XDG_CACHE_HOME: what is not absolute is to be ignored.
        place = "" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME", "")
    if Path(place).is_absolute():
        return Path(place)
    try:
        home = Path.home()
    except RuntimeError:
        raise ModelError(f"no home folder to keep models in: set {VARIABLE} to a folder") from None
    if not home.is_absolute():
        raise ModelError(f"no home folder to keep models in: set {VARIABLE} to a folder")
    inside = {"darwin": "Library/Caches", "win32": "AppData/Local"}.get(sys.platform, ".cache")
    return home / inside
