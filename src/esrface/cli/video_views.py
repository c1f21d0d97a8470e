"""Where the frames of ``esrface video`` and ``webcam`` are shown: a table for people, JSON for programs."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from esrface._names import printable
from esrface.cli.console import people
from esrface.cli.streams import ReaderGone, print_json
from esrface.cli.table import FaceTable
from esrface.rows import frame_record
from esrface.sinks import Clip
from esrface.video import Frame


class FrameTable:
    """A line for each face of each processed frame; see ``cli.clip_run.View``.

    Args:
        console: Where to.
        branches: Whether a line says how the branches voted.
        abstain_below: Confidence below which an emotion is shown with a question mark.
        named: Whether a line says where another clip begins.
    """

    def __init__(self, console: Console, *, branches: bool, abstain_below: float | None, named: bool) -> None:
        self._console = console
        self._named = named
        self._table = FaceTable(
            console, title="Time and track", branches=branches, abstain_below=abstain_below
        )

    def begin(self, clip: Clip) -> None:
        """Say whose frames follow."""
        if self._named:
            self._console.print(Text(f"{printable(clip.source)}:", style="bold"), soft_wrap=True)

    def show(self, frame: Frame) -> None:
        """Print a frame's lines."""
        marks = ["" if track is None else f"  #{track}" for track in frame.track_ids]
        self._table.add(f"{frame.time_s:8.2f} s", frame.faces, marks)
        if people(self._console).gone and not people(self._console).failed:
            raise ReaderGone


class FrameJson:
    """One JSON object a processed frame, on standard output; see ``cli.clip_run.View``."""

    def __init__(self, model: str, *, abstain_below: float | None) -> None:
        self._model = model
        self._abstain_below = abstain_below
        self._source = ""

    def begin(self, clip: Clip) -> None:
        """Remember whose frames follow."""
        self._source = clip.source

    def show(self, frame: Frame) -> None:
        """Print a frame's object."""
        print_json(
            frame_record(
                self._source,
                frame.size_wh,
                self._model,
                frame.faces,
                frame=frame.number,
                time_s=frame.time_s,
                abstain_below=self._abstain_below,
            )
        )
