"""What a report shows of a clip, gathered frame by frame in bounded memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from esrface._names import printable
from esrface.report.key_moments import KeyMoments
from esrface.report.log import FrameLog
from esrface.report.small_pictures import Filmstrip, data_url
from esrface.report.steps import Steps

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer
    from esrface.video import Frame

MAX_CLIPS = 24
"""Clips that are shown one by one; of further ones only the figures are told."""


@dataclass(frozen=True)
class Limits:
    """What a clip may take up in the page."""

    steps: int = 8_000
    """Of the timeline."""
    cells: int = 48_000
    """Steps of all the tracks that get lines of their own, together."""
    tracks: int = 40
    """That get lines of their own."""
    pictures: int = 360
    """Frames to show where the pointer is."""
    moments: int = 4
    """Of each kind."""

    def shared(self, clips: int) -> Limits:
        """The same for each of so many clips in one page."""
        parts = max(1, min(clips, MAX_CLIPS))
        return Limits(
            steps=max(400, self.steps // parts),
            cells=max(800, self.cells // parts),
            tracks=self.tracks if parts == 1 else 16,
            pictures=max(12, self.pictures // parts),
            moments=self.moments if parts <= 4 else 2,
        )


@dataclass
class _Track:
    """Where a person was."""

    frames: int
    first: int
    """Ordinal of the first processed frame."""
    last: int


class ClipCollector:
    """Gathers a clip. ``close`` it.

    Args:
        source: Its name.
        recognizer: For the key moments.
        folder: Where temporary files go; see ``report.log``.
        limits: What it may take up.
        abstain_below: Confidence below which answers are counted as unsure; None: they are not counted.
        live: Whether frames may have been left out.
    """

    def __init__(
        self,
        source: str,
        recognizer: Recognizer,
        folder: Path | None,
        *,
        limits: Limits,
        abstain_below: float | None = None,
        live: bool = False,
    ) -> None:
        self._source = source
        self._limits = limits
        self._abstain_below = abstain_below
        self._live = live
        self._log = FrameLog(folder, recognizer.card.emotions)
        self._strip = Filmstrip(limits.pictures)
        self._moments = KeyMoments(recognizer, limits.moments)
        self._tracks: dict[int, _Track] = {}
        self._with_face = self._faces = self._unsure = 0
        self._uncertainty = self._agreement = 0.0
        self._last_s = 0.0
        self._size_wh = (0, 0)

    def add(self, frame: Frame) -> None:
        """The next processed frame; OutputError where there is no room for what must be remembered."""
        ordinal = self.frames
        self._log.add(frame.number, frame.time_s, [(face, face.track_id or 0) for face in frame.faces])
        self._strip.add(ordinal, frame.image, frame.faces)
        self._last_s, self._size_wh = frame.time_s, frame.size_wh
        self._with_face += bool(frame.faces)
        for face in frame.faces:
            track, answer = face.track_id or 0, face.expression
            self._moments.add(frame.image, face, time_s=frame.time_s, frame=frame.number, track=track)
            self._faces += 1
            self._uncertainty += answer.uncertainty
            self._agreement += answer.agreement
            self._unsure += self._abstain_below is not None and answer.confidence < self._abstain_below
            if track:
                seen = self._tracks.setdefault(track, _Track(0, ordinal, ordinal))
                seen.frames, seen.last = seen.frames + 1, ordinal

    @property
    def frames(self) -> int:
        """Processed frames so far."""
        return self._log.frames.count

    def to_dict(self, *, whole: bool) -> dict[str, Any]:
        """JSON-ready, everything that the page shows of the clip.

        Args:
            whole: Whether it came to its end.
        """
        steps = Steps(self._log, self._shown(), at_most=self._limits.steps, last_s=self._last_s)
        faces = max(1, self._faces)
        return {
            "source": printable(self._source),
            "whole": whole,
            "live": self._live,
            "size_wh": self._size_wh,
            "frames": self.frames,
            "with_face": self._with_face,
            "faces": self._faces,
            "tracks": len(self._tracks),
            "unsure": None if self._abstain_below is None else self._unsure,
            "uncertainty": round(self._uncertainty / faces, 3),
            "agreement": round(self._agreement / faces, 3),
            "last_s": round(self._last_s, 3),
            **steps.to_dict(),
            "pictures": [
                {"step": ordinal // steps.frames_per_step, "url": data_url(content)}
                for ordinal, content in self._strip.pictures.items()
            ],
            "moments": self._moments.to_dict(),
        }

    def close(self) -> None:
        """Give back the temporary files. Safe to repeat."""
        self._log.close()

    def _shown(self) -> list[int]:
        """The tracks with lines of their own, by number: the longest ones, as many as there is room for."""
        per_step = max(1, -(-self.frames // self._limits.steps))
        room = self._limits.cells
        chosen: list[int] = []
        for name, track in sorted(self._tracks.items(), key=lambda item: (-item[1].frames, item[0])):
            steps = track.last // per_step - track.first // per_step + 1
            if len(chosen) < self._limits.tracks and steps <= room:
                chosen.append(name)
                room -= steps
        return sorted(chosen)
