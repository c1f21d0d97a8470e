"""What a report is made of, apart from its form; here as Markdown, in `esrface.evaluation.page` as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from esrface._names import printable

CHARTS = "charts"
"""Folder beside ``report.md`` that holds its pictures."""


@dataclass(frozen=True)
class Heading:
    """Of a section; the first of a report is its title."""

    text: str


@dataclass(frozen=True)
class Words:
    """A paragraph; ``note`` is set smaller."""

    text: str
    note: bool = False


@dataclass(frozen=True)
class Warn:
    """What a reader has to know before the figures."""

    text: str


@dataclass(frozen=True)
class Tile:
    """One of the figures to see first."""

    label: str
    figure: str
    note: str = ""


@dataclass(frozen=True)
class Tiles:
    """The figures to see first, side by side; in Markdown they stand in the tables only."""

    tiles: Sequence[Tile]


@dataclass(frozen=True)
class Table:
    """Text in the first column, figures in the others."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    shades: Sequence[Sequence[float | None]] = field(default_factory=list)
    """0-1 for cells from the second column on, which a page shades by them; none: nothing is shaded."""
    text_columns: Sequence[int] = ()
    """Further columns of text."""


@dataclass(frozen=True)
class Chart:
    """A drawing."""

    name: str
    """Of its file, without ending."""
    svg: str
    caption: str


@dataclass(frozen=True)
class Photo:
    """A picture of the data, as a JPEG's content; pages only."""

    content: bytes
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Gallery:
    """Small pictures of the data side by side; pages only."""

    photos: Sequence[Photo]


@dataclass(frozen=True)
class Pair:
    """Two columns where there is room, otherwise one after the other."""

    left: Sequence[Words | Table | Chart | Photo]
    right: Sequence[Words | Table | Chart | Photo]


Block = Heading | Words | Warn | Tiles | Table | Chart | Photo | Gallery | Pair


def to_markdown(blocks: Sequence[Block]) -> str:
    """A report as Markdown; charts are shown from the folder `CHARTS`, photos are left out."""
    parts = []
    for number, block in enumerate(_flat(blocks)):
        if isinstance(block, Heading):
            parts.append(f"{'##' if number else '#'} {block.text}")
        elif isinstance(block, Words):
            parts.append(block.text)
        elif isinstance(block, Warn):
            parts.append(f"> **Warning:** {block.text}")
        elif isinstance(block, Table):
            parts.append(_table(block))
        elif isinstance(block, Chart):
            parts.append(f"![{block.caption}]({CHARTS}/{block.name}.svg)")
    return "\n\n".join(parts) + "\n"


def charts_of(blocks: Sequence[Block]) -> list[Chart]:
    """The charts of a report."""
    return [block for block in _flat(blocks) if isinstance(block, Chart)]


def _flat(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if isinstance(block, Pair):
            yield from (*block.left, *block.right)
        else:
            yield block


def _table(table: Table) -> str:
    rule = ["---"] + ["---" if at in table.text_columns else "---:" for at in range(1, len(table.head))]
    lines = [table.head, rule, *table.rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(words: str) -> str:
    return printable(words).replace("|", "\\|") if words else " "
