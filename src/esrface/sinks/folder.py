"""One file a picture in an output folder: what the original's CSV and annotated pictures have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path, PurePath
from types import TracebackType

from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import OutputNames, clear_left_over, make_folder, refuse_existing, write_whole
from esrface.sinks.base import Picture, RunSettings, check_resumable, read_record, write_record

RECORD = ".esrface.json"
"""Hidden file in an output folder that keeps the settings of the run, so that it can be resumed."""


def prepare_folder(folder: Path, settings: RunSettings, mode: str) -> None:
    """Make an output folder and keep the settings of the run in it.

    Raises:
        OutputError: It cannot be made, or holds results of other settings and is to be resumed.
    """
    make_folder(folder)
    kept, record = folder / RECORD, settings.record()
    before = read_record(kept)
    if mode == "resume" and (before is not None or any(folder.iterdir())):
        check_resumable(folder, before, record)
        clear_left_over(folder)
    elif mode == "refuse" and before is not None and before["settings"] != record["settings"]:
        # Results of other settings stay in the folder beside this run's: it cannot be resumed.
        write_record(kept, {**record, "settings": {"mixed": True}})
    else:
        write_record(kept, record)


class FolderSink(ABC):
    """A file for each source, below ``folder``, in the subfolders of its place; whole or not there at all.

    Args:
        folder: Made, with its parents, when the sink is entered.
        settings: The run's settings, for resuming.
        mode: One of ``esrface.sinks.MODES``.

    Raises (when entered):
        OutputError: The folder cannot be made, or holds results of other settings and is to be resumed.
    """

    needs_image = False
    shared = False

    def __init__(self, folder: Path, settings: RunSettings, *, mode: str = "refuse") -> None:
        self.folder = folder
        self.taken = OutputNames()
        self._settings = settings
        self._mode = mode
        self._targets: dict[PurePath, Path] = {}

    @abstractmethod
    def name(self, place: PurePath) -> PurePath:
        """Path below ``folder`` for a source's file; to be taken from ``taken``."""

    @abstractmethod
    def render(self, picture: Picture, suffix: str) -> bytes:
        """Content of the picture's file, whose name ends in ``suffix`` (lower case, with its dot)."""

    def __enter__(self) -> FolderSink:
        prepare_folder(self.folder, self._settings, self._mode)
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
        if self._mode == "resume" and target.is_file():
            return False
        refuse_existing(target, overwrite=self._mode == "overwrite", resumable=True)
        self._targets[place] = target
        return True

    def write(self, picture: Picture) -> None:
        """Write the picture's file."""
        target = self._targets.pop(picture.place)
        write_whole(target, self.render(picture, target.suffix.lower()), overwrite=self._mode == "overwrite")
