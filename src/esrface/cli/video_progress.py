"""How a run over a video or camera goes, on one line of a terminal that can move its cursor."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Console

from esrface._names import printable
from esrface._numbers import counted, percent
from esrface.cli.clip_run import ClipTally
from esrface.emotions import color_of
from esrface.video import Frame, Video

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.text import Text

PATIENCE_S = 1.0
"""Runs that end sooner get no line."""

STEP_S = 0.1
"""The line changes no more often."""

RATE_OVER_S = 5.0
"""The rate is that of so long."""

NAME_CELLS = 24


class VideoProgress:
    """A bar with the time left for files, and what the faces show for live sources.

    Args:
        console: Where to.
        wanted: False never shows anything.
    """

    def __init__(self, console: Console, *, wanted: bool = True) -> None:
        self._console = console
        self.wanted = wanted and console.is_terminal and not console.is_dumb_terminal
        self._started = time.monotonic()
        self._last = 0.0
        self._recent: deque[tuple[float, int]] = deque()
        self._video: Video | None = None
        self._bar: Progress | None = None

    def close(self) -> None:
        """Take the line away. Safe to repeat."""
        bar, self._bar = self._bar, None
        if bar is not None:
            bar.stop()
        self._video = None

    def update(self, video: Video, frame: Frame, tally: ClipTally) -> None:
        """Tell that a frame of this video is done."""
        now = time.monotonic()
        if not self.wanted or now - self._started < PATIENCE_S or now - self._last < STEP_S:
            return
        self._last = now
        self._recent.append((now, tally.frames))
        while now - self._recent[0][0] > RATE_OVER_S:
            self._recent.popleft()
        if video is not self._video:
            self.close()
            self._video, self._bar = video, self._start(video)
        assert self._bar is not None
        text = self._status(video, frame) if video.live else self._counts(tally)
        for task in self._bar.task_ids:
            self._bar.update(task, completed=frame.number + 1, total=_total(video, frame), text=text)

    def _start(self, video: Video) -> Progress:
        from rich.progress import BarColumn, Progress, ProgressColumn, TimeRemainingColumn
        from rich.text import Text

        class Words(ProgressColumn):
            """What is told, as it is."""

            def render(self, task: object) -> Text:
                text: Text = task.fields["text"]  # type: ignore[attr-defined]
                return text

        columns = [Words()] if video.live else [BarColumn(bar_width=16), Words(), TimeRemainingColumn()]
        bar = Progress(*columns, console=self._console, transient=True)
        bar.add_task("", total=None, text=Text(_short(video.name), no_wrap=True, overflow="ellipsis"))
        bar.start()
        return bar

    def _rate(self) -> str:
        (since, before), (now, frames) = self._recent[0], self._recent[-1]
        return f"{(frames - before) / (now - since):.1f} frames/s" if now > since else "-"

    def _counts(self, tally: ClipTally) -> Text:
        from rich.text import Text

        name = f"{_short(self._video.name)}  " if self._video is not None else ""
        parts = [counted(tally.frames, "frame"), counted(tally.faces, "face"), self._rate()]
        return Text(name + ", ".join(parts), no_wrap=True, overflow="ellipsis")

    def _status(self, video: Video, frame: Frame) -> Text:
        from rich.text import Text

        parts = [_clock(frame.time_s), self._rate()]
        if video.dropped:
            parts.append(f"{video.dropped:,} dropped")
        line = Text(", ".join(parts), no_wrap=True, overflow="ellipsis")
        if not frame.faces:
            line.append("  no face")
        for face in frame.faces:
            answer = face.smoothed or face.expression
            mark = "" if face.track_id is None else f"#{face.track_id} "
            color = "rgb({},{},{})".format(*color_of(answer.emotion, answer.emotions))
            line.append(f"  {mark}")
            line.append(f"{answer.emotion} {percent(answer.confidence)}", style=color)
        return line


def _total(video: Video, frame: Frame) -> int | None:
    """How many frames the file says it has, if that can be true."""
    total = video.info.frames
    return total if total is not None and total > frame.number else None


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= NAME_CELLS else f"...{name[3 - NAME_CELLS :]}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
