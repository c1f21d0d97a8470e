"""The video itself with what was recognised drawn into it, sound and timing kept."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING

from esrface._names import printable
from esrface.annotate_tracks import TrackPainter
from esrface.errors import InputError, OutputError
from esrface.outputs import make_folder, output_errors, refuse_existing
from esrface.results import Box
from esrface.sinks.base import RunSettings, check_resumable, read_record, write_record
from esrface.sinks.mp4 import Mp4Writer
from esrface.sinks.resuming import ResumeFile
from esrface.video.container import Container
from esrface.video.files import file_container
from esrface.video.sources import SourceOptions

if TYPE_CHECKING:
    from esrface.sinks.frames import Clip
    from esrface.video import Frame, TrackedFace

_log = logging.getLogger("esrface")

SUFFIXES = (".mp4", ".m4v")

HELD_FRAMES = 30
"""So many skipped frames wait, at most, for the processed one after them ..."""

HELD_BYTES = 100_000_000
"""... and no more than this as pixels."""


class AnnotatedVideo:
    """``--save-video FILE``: an MP4 file with faces framed and labelled; a ``FrameSink``.

    Give it every frame (``open_video(..., skipped=True)``). In one that sampling left out, a face is drawn if
    it was found in the processed frames before and after, placed by the time; where the next processed frame
    is too far away for that, as it was last. Live sources give what was processed, without sound.

    A run that stops leaves a whole video of what came, a crash one up to the last second or two. To resume
    is to write it anew unless it is finished: what belongs into its last frames is not known any more.

    Args:
        path: Its name ends in ``.mp4``; or a device or pipe.
        settings: The run's settings, for resuming.
        mode: One of ``esrface.sinks.MODES``.
        abstain_below: Faces whose confidence is below this are marked as unsure.

    Raises (when entered, or for ``begin``):
        OutputError: It may not be written, or cannot be.
    """

    needs_skipped = True
    resumable = True

    def __init__(
        self,
        path: Path,
        settings: RunSettings,
        *,
        mode: str = "refuse",
        abstain_below: float | None = None,
    ) -> None:
        self.path = path
        self._mode = mode
        self._record = settings.record()
        self._finished = False
        self._clip: Clip | None = None
        self._writer: Mp4Writer | None = None
        self._created = False
        self._last: Frame | None = None
        self._waiting: deque[Frame] = deque()
        self._painter = TrackPainter(abstain_below=abstain_below)

    def __enter__(self) -> AnnotatedVideo:
        name = printable(self.path)
        refuse_existing(self.path, overwrite=self._mode != "refuse", resumable=True)
        device = self.path.exists() and not self.path.is_file()
        if self.path.suffix.lower() not in SUFFIXES and not device:
            raise OutputError(f"cannot write {name}: an annotated video's name ends in .mp4")
        make_folder(self.path.parent)
        if not device:
            self._created = not self.path.exists()
            if self._mode == "resume" and not self._created:
                check_resumable(self.path, read_record(self._meta), self._record)
            # Now rather than after the first hour.
            with output_errors(self.path), self.path.open("xb" if self._created else "r+b"):
                pass
            write_record(self._meta, self._record)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close(whole=False)
        except OutputError:
            # What ended the run is the cause, and has been said.
            if error is None:
                raise
        finally:
            if self._created and self.path.is_file() and not self.path.stat().st_size:
                self.path.unlink()
                self._meta.unlink(missing_ok=True)

    def output(self, place: PurePath) -> Path:
        """The one file."""
        del place
        return self.path

    def done(self, source: str, place: PurePath, whole: int) -> int:
        """How many processed frames a finished video has; 0 for one that must be written anew."""
        del place, whole
        kept = ResumeFile(self.path)
        kept.load()
        position = kept.position(source)
        # A file that has grown since is drawn anew: what was drawn of it lacks the rest.
        self._finished = position is not None and position.finished and not self._created
        if position is not None and position.size is not None:
            with suppress(OSError):
                self._finished &= Path(source).stat().st_size == position.size
        if self._finished and position is not None:
            return position.frames
        if not self._created:
            told = "%s is written anew: a video cannot be continued, and what was in it goes"
            _log.warning(told, printable(self.path))
        return 0

    def begin(self, clip: Clip) -> None:
        """The video to be copied; there can be one only."""
        name = printable(self.path)
        if self._clip is not None:
            raise OutputError(f"cannot write {name}: it holds one video; give one source with --save-video")
        if clip.path is not None and self.path.is_file() and clip.path.is_file():
            with output_errors(self.path):
                same = self.path.samefile(clip.path)
            if same:
                raise OutputError(f"cannot write {name}: it is the video itself; choose another name")
        self._clip = clip

    def add(self, frame: Frame) -> None:
        """The next frame, processed or not."""
        if self._finished:
            return
        if not frame.processed:
            self._waiting.append(frame)
            if len(self._waiting) > min(HELD_FRAMES, HELD_BYTES // max(1, frame.image.nbytes)):
                self._draw_waiting(1, None)
            return
        self._draw_waiting(len(self._waiting), frame)
        self._draw(frame, frame.faces)
        self._last = frame

    def end(self) -> None:
        """All frames came: the sound after the last one belongs to it, too."""
        self._close(whole=True)

    @property
    def _meta(self) -> Path:
        return self.path.with_name(f".{self.path.name}.meta.json")

    def _draw_waiting(self, count: int, following: Frame | None) -> None:
        last = self._last
        for _ in range(count):
            frame = self._waiting.popleft()
            faces: Sequence[TrackedFace] = ()
            if last is not None:
                faces = last.faces if following is None else faces_between(last, following, frame.time_s)
            self._draw(frame, faces)

    def _draw(self, frame: Frame, faces: Sequence[TrackedFace]) -> None:
        if self._writer is None:
            assert self._clip is not None, "begin comes before the first frame"
            sound = None if self._clip.live else _sound(self._clip)
            rate = self._clip.info.frame_rate
            self._writer = Mp4Writer(self.path, frame.size_wh, rate=rate, sound=sound)
        self._writer.write(self._painter.paint(frame.image, faces), frame.time_s)

    def _close(self, *, whole: bool) -> None:
        if self._writer is None or self._writer.open:
            self._draw_waiting(len(self._waiting), None)
        if self._writer is not None:
            self._writer.close(whole=whole)


def faces_between(before: Frame, after: Frame, time_s: float) -> list[TrackedFace]:
    """The faces at a time between two processed frames: those that are in both, on their way, largest first.

    They look as in the frame before. Faces without a track stay where they were.
    """
    share = 1.0
    if after.time_s > before.time_s:
        share = min(1.0, (time_s - before.time_s) / (after.time_s - before.time_s))
    then = {face.track_id: face.box for face in after.faces if face.track_id is not None}
    faces = []
    for face in before.faces:
        if face.track_id is None:
            faces.append(face)
        elif face.track_id in then:
            pairs = zip(face.box, then[face.track_id], strict=True)
            box = Box(*(round(a + share * (b - a)) for a, b in pairs))
            faces.append(replace(face, box=box, detected=False))
    return sorted(faces, key=lambda face: -face.box.area)


def _sound(clip: Clip) -> Container | None:
    """The clip's file once more, for its sound; None where it has none or cannot be read twice."""
    if not clip.info.has_audio or clip.path is None or not clip.path.is_file():
        return None
    try:
        return file_container(str(clip.path), SourceOptions(threads=1))
    except InputError:
        return None
