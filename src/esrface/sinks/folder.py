"""One file a picture in an output folder: what the original's CSV and annotated pictures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

from esrface._drawn import DRAWN, RECORD
from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import (
    OutputNames,
    clear_left_over,
    make_folder,
    output_errors,
    refuse_existing,
    write_whole,
)
from esrface.sinks.base import Picture, RunSettings, check_resumable, read_record, write_record

BEGUN = "begun"
"""Key of the record: when the first run with its settings began."""


def prepare_folder(folder: Path, settings: RunSettings, mode: str, *, drawn: bool = False) -> int:
    """Make an output folder and keep the settings of the run in it.

    Args:
        folder: Made, with its parents.
        settings: The run's.
        mode: One of ``esrface.sinks.MODES``.
        drawn: Whether pictures are drawn into it, which later runs are not to take for input.

    Returns:
        When the first run with these settings began here, in nanoseconds by the clock that stamps files: what
        is older was made by somebody else, or with other settings.

    Raises:
        OutputError: It cannot be made, or holds results of other settings and is to be resumed.
    """
    make_folder(folder)
    kept, record = folder / RECORD, settings.record()
    before = read_record(kept)
    if mode == "resume" and (before is not None or any(folder.iterdir())):
        check_resumable(folder, before, record)
        clear_left_over(folder)
    same = before is not None and before["settings"] == record["settings"]
    # One folder may be for rows and pictures; and it stays one with pictures in it, whatever comes later.
    more = {DRAWN: True} if drawn or (before is not None and before.get(DRAWN) is True) else {}
    if before is not None and same:
        if not more.items() <= before.items():
            write_record(kept, {**before, **more})
        return _begun(before)
    write_record(kept, record)
    with output_errors(kept):
        begun = kept.stat().st_mtime_ns
    write_record(kept, {**record, BEGUN: begun, **more})
    return begun


def is_older(path: Path, begun: int) -> bool:
    """Whether a file was there already when a run began."""
    with output_errors(path):
        return path.stat().st_mtime_ns < begun


def refuse_older(path: Path, begun: int) -> None:
    """OutputError if the file cannot be a result of the run that is resumed."""
    if is_older(path, begun):
        raise OutputError(
            f"cannot resume {printable(path)}: it was there before the run began (--overwrite replaces it)"
        )


def _begun(record: Mapping[str, Any]) -> int:
    # Records of earlier versions do not tell.
    begun = record.get(BEGUN)
    return begun if isinstance(begun, int) else 0


class FolderSink(ABC):
    """A file for each source, below ``folder``, in the subfolders of its place; whole or not there at all.

    Args:
        folder: Made, with its parents, when the sink is entered.
        settings: The run's settings, for resuming.
        mode: One of ``esrface.sinks.MODES``.
        taken: Names that are taken in the folder, where several sinks share it.
        guard: Raises OutputError for a path that must not be written to.

    Raises (when entered):
        OutputError: The folder cannot be made, or holds results of other settings and is to be resumed.
    """

    needs_image = False
    shared = False
    draws = False
    """Whether the files are pictures, which later runs are not to take for input."""

    def __init__(
        self,
        folder: Path,
        settings: RunSettings,
        *,
        mode: str = "refuse",
        taken: OutputNames | None = None,
        guard: Callable[[Path], None] | None = None,
    ) -> None:
        self.folder = folder
        self.taken = OutputNames() if taken is None else taken
        self._settings = settings
        self._mode = mode
        self._guard = guard
        self._begun = 0
        self._targets: dict[PurePath, Path] = {}

    @abstractmethod
    def name(self, place: PurePath) -> PurePath:
        """Path below ``folder`` for a source's file; to be taken from ``taken``."""

    @abstractmethod
    def render(self, picture: Picture, suffix: str) -> bytes:
        """Content of the picture's file, whose name ends in ``suffix`` (lower case, with its dot)."""

    def __enter__(self) -> FolderSink:
        self._begun = prepare_folder(self.folder, self._settings, self._mode, drawn=self.draws)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._targets.clear()

    def wants(self, source: str, place: PurePath) -> bool:
        """Whether there is no file of this source yet."""
        target = self.folder / self.name(place)
        if target.is_file() and Path(source).exists() and target.samefile(source):
            raise OutputError(
                f"cannot write {printable(target)}: it is the picture itself; choose another folder"
            )
        if self._guard is not None:
            self._guard(target)
        if self._mode == "resume" and target.is_file():
            refuse_older(target, self._begun)
            return False
        resumable = target.is_file() and not is_older(target, self._begun)
        refuse_existing(target, overwrite=self._mode == "overwrite", resumable=resumable)
        self._targets[place] = target
        return True

    def write(self, picture: Picture) -> None:
        """Write the picture's file."""
        target = self._targets.pop(picture.place)
        write_whole(target, self.render(picture, target.suffix.lower()), overwrite=self._mode == "overwrite")
