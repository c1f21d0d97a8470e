"""The table of faces that people read: one line a face, as soon as it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.style import Style
from rich.text import Text

from esrface._names import printable
from esrface._numbers import percent, signed
from esrface.emotions import color_of
from esrface.results import Face

BAR_CELLS = 10
GAP = "  "
SHORTEST_NAME = 12
LONGEST_NAME = 48


@dataclass(frozen=True)
class Column:
    """A column after the name."""

    title: str
    cells: int
    from_width: int
    """It is left out on narrower terminals."""


COLUMNS = (
    Column("Emotion", 10, 0),
    Column("Confidence", BAR_CELLS + 5, 60),
    Column("Conf.", 5, 0),
    Column("Agree", 5, 50),
    Column("Valence", 7, 76),
    Column("Arousal", 7, 76),
    Column("Box", 19, 112),
)


class FaceTable:
    """Prints faces to a console, with a header before the first.

    Args:
        console: Where to; its width decides which columns there are.
        title: Of the first column, which says where faces are: the picture's name, or the frame's time.
        branches: Whether a line says how the branches voted.
        abstain_below: Confidence below which an emotion is shown with a question mark.
        at_most: Pictures to show before a last line says that there are more; None: all.
    """

    def __init__(
        self,
        console: Console,
        *,
        title: str = "Picture",
        branches: bool = False,
        abstain_below: float | None = None,
        at_most: int | None = None,
    ) -> None:
        self._console = console
        self._title = title
        self._branches = branches
        self._abstain_below = abstain_below
        self._left = at_most
        self._shown = 0
        ascii_only = not console.encoding.lower().startswith("utf")
        self._full, self._empty, self._dots = ("#", ".", "...") if ascii_only else ("━", "━", "…")
        width = console.width
        with_bar = width >= COLUMNS[1].from_width
        self._columns = [
            column
            for column in COLUMNS
            if width >= column.from_width and not (column.title == "Conf." and with_bar)
        ]
        rest = width - sum(column.cells + len(GAP) for column in self._columns)
        self._name_cells = max(SHORTEST_NAME, min(rest, LONGEST_NAME))

    def add(self, name: str, faces: Sequence[Face], marks: Sequence[str] = ()) -> None:
        """Print the lines of a picture or frame.

        Args:
            name: Its name (shortened at its beginning where it is too long).
            faces: One line each.
            marks: What stands after the name in each face's line; the name itself is in the first one only.
        """
        if self._left is not None:
            if self._left == 0:
                self._print(Text(f"{self._dots} further pictures are not shown, only written", style="dim"))
            self._left -= 1
            if self._left < 0:
                return
        if not self._shown:
            titles = [_fit(column.title, column.cells) for column in self._columns]
            self._print(Text(GAP.join([_fit(self._title, self._name_cells), *titles]), style="bold"))
        self._shown += 1
        name = self._shorten(printable(name))
        if not faces:
            self._print(Text(_fit(name, self._name_cells) + GAP).append("no face", style="dim"))
        for index, face in enumerate(faces):
            self._print(self._line(name + (marks[index] if marks else ""), face))
            name = " " * cell_len(name)
            if self._branches:
                self._print(Text(GAP + self._votes(face), style="dim"))

    def _print(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, no_wrap=True, overflow="ignore", crop=self._console.is_terminal)

    def _shorten(self, name: str) -> str:
        """The end of a path says more than its beginning."""
        if cell_len(name) <= self._name_cells:
            return name
        while name and cell_len(name) + len(self._dots) > self._name_cells:
            name = name[1:]
        return self._dots + name

    def _line(self, name: str, face: Face) -> Text:
        line = Text(_fit(name, self._name_cells))
        for column in self._columns:
            cell = self._cell(column, face)
            cell.truncate(column.cells, pad=True)
            line.append(GAP).append_text(cell)
        return line

    def _cell(self, column: Column, face: Face) -> Text:
        expression, box = face.expression, face.box
        branches = len(expression.branch_emotions)
        color = Style(color="rgb({},{},{})".format(*color_of(expression.emotion, expression.emotions)))
        confidence = f"{percent(expression.confidence):>5}"
        if column.title == "Emotion":
            if self._abstain_below is not None and expression.confidence < self._abstain_below:
                return Text(f"{expression.emotion}?", style="dim")
            return Text(expression.emotion, style=color)
        if column.title == "Confidence":
            filled = round(expression.confidence * BAR_CELLS)
            bar = Text(self._full * filled, style=color)
            empty = Style(color="grey35") if self._console.color_system else None
            # Without colours the two parts of the bar would look the same.
            bar.append((self._empty if empty else " ") * (BAR_CELLS - filled), style=empty)
            return bar.append(confidence)
        texts = {
            "Conf.": confidence,
            "Agree": f"{round(expression.agreement * branches)}/{branches}",
            "Valence": signed(expression.valence),
            "Arousal": signed(expression.arousal),
            "Box": f"{box.width}x{box.height} at {box.x0},{box.y0}",
        }
        return Text(texts[column.title])

    def _votes(self, face: Face) -> str:
        votes = Counter(face.expression.branch_emotions).most_common()
        return "branches: " + ", ".join(f"{number} {emotion}" for emotion, number in votes)


def _fit(text: str, cells: int) -> str:
    return set_cell_size(text, cells)
