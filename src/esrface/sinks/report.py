"""``--report FILE.html``: the page of a run, written whole when the run ends, for whatever reason."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING, Any

from esrface._names import printable
from esrface.errors import OutputError
from esrface.outputs import make_folder, refuse_existing, whole_file
from esrface.report.collect import MAX_CLIPS, ClipCollector, Limits
from esrface.report.facts import RunFacts
from esrface.report.gallery import Gallery
from esrface.report.log import FrameLog
from esrface.report.page import pictures_page, video_page
from esrface.sinks.base import Picture
from esrface.sinks.frames import Clip

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer
    from esrface.video import Frame

_log = logging.getLogger("esrface")

SUFFIXES = (".html", ".htm")


class ReportSink(ABC):
    """What reports of videos and of pictures have in common.

    A report holds pictures of what was seen, so it cannot be continued from rows: to resume is to look at
    everything again and write it anew.

    Args:
        path: Its name ends in ``.html``; or a device or pipe.
        facts: Of the run.
        recognizer: Cuts faces out and says where the network looked.
        mode: One of ``esrface.sinks.MODES``.

    Raises (when entered):
        OutputError: It may not be written, or cannot be.
    """

    shared = True

    def __init__(self, path: Path, facts: RunFacts, recognizer: Recognizer, *, mode: str = "refuse") -> None:
        self.path = path
        self._facts = facts
        self._recognizer = recognizer
        self._mode = mode
        self._folder: Path | None = None

    def open(self) -> None:
        """Find out now, not after hours, whether the page can be written."""
        refuse_existing(self.path, overwrite=self._mode != "refuse")
        device = self.path.exists() and not self.path.is_file()
        if self.path.suffix.lower() not in SUFFIXES and not device:
            raise OutputError(f"cannot write {printable(self.path)}: a report's name ends in .html")
        if not device:
            self._folder = make_folder(self.path.parent)
        FrameLog(self._folder).close()
        if self._mode == "resume" and self.path.is_file():
            _log.info("%s is written anew: a report cannot be continued", printable(self.path))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            page = self.page()
            if page is not None:
                with whole_file(self.path, overwrite=self._mode != "refuse") as file:
                    file.write(page.encode("utf-8", "backslashreplace"))
        except OutputError:
            # What ended the run is the cause, and has been said.
            if error is None:
                raise
        finally:
            self.close()

    @abstractmethod
    def page(self) -> str | None:
        """The page; None if nothing came."""

    @abstractmethod
    def close(self) -> None:
        """Give back what was held."""


class VideoReport(ReportSink):
    """The report of videos, streams or a camera; a ``FrameSink``.

    Args:
        clips: How many are to come: they share the room in the page.
    """

    needs_skipped = False
    resumable = False

    def __init__(
        self,
        path: Path,
        facts: RunFacts,
        recognizer: Recognizer,
        *,
        mode: str = "refuse",
        clips: int = 1,
    ) -> None:
        super().__init__(path, facts, recognizer, mode=mode)
        self._limits = Limits().shared(clips)
        self._clips: list[dict[str, Any]] = []
        self._left_out = 0
        self._going: ClipCollector | None = None

    def __enter__(self) -> VideoReport:
        self.open()
        return self

    def output(self, place: PurePath) -> Path:
        """The one file."""
        del place
        return self.path

    def done(self, source: str, place: PurePath, whole: int) -> int:
        """None: every frame is needed again."""
        del source, place, whole
        return 0

    def begin(self, clip: Clip) -> None:
        """The frames that follow are this clip's."""
        self._finish(whole=False)
        if len(self._clips) >= MAX_CLIPS:
            self._left_out += 1
            return
        self._going = ClipCollector(
            clip.source,
            self._recognizer,
            self._folder,
            limits=self._limits,
            abstain_below=self._facts.options.get("abstain_below"),
            live=clip.live,
        )

    def add(self, frame: Frame) -> None:
        """The next processed frame."""
        if self._going is not None:
            self._going.add(frame)

    def end(self) -> None:
        """All frames of the clip came."""
        self._finish(whole=True)

    def page(self) -> str | None:
        """The page of all clips that began."""
        self._finish(whole=False)
        return video_page(self._clips, self._left_out, self._facts) if self._clips else None

    def close(self) -> None:
        """Give back the temporary files."""
        if self._going is not None:
            self._going.close()

    def _finish(self, *, whole: bool) -> None:
        clip, self._going = self._going, None
        if clip is None:
            return
        try:
            if clip.frames:
                self._clips.append(clip.to_dict(whole=whole))
        finally:
            clip.close()


class PictureReport(ReportSink):
    """The report of pictures; a ``Sink``."""

    needs_image = True

    def __enter__(self) -> PictureReport:
        self.open()
        self._gallery = Gallery(self._recognizer, abstain_below=self._facts.options.get("abstain_below"))
        return self

    def wants(self, source: str, place: PurePath) -> bool:
        """Every picture."""
        del source, place
        return True

    def write(self, picture: Picture) -> None:
        """The next picture."""
        if picture.image is None:
            raise ValueError("a report needs the picture's pixels")
        self._gallery.add(picture.source, picture.image, list(picture.faces))

    def page(self) -> str | None:
        """The page of all pictures."""
        return pictures_page(self._gallery.to_dict(), self._facts) if self._gallery.pictures else None

    def close(self) -> None:
        """Nothing is held."""
