"""A report as one HTML file that needs nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from esrface.evaluation.blocks import Block, Chart, Gallery, Heading, Photo, Table, Tiles, Warn, Words
from esrface.evaluation.drawing import ink_on, shade_of

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2026; background: #f4f5f7; margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.5rem 4rem; background: #fff; min-height: 100vh; }
h1 { font-size: 1.65rem; line-height: 1.25; margin: 0 0 .5rem; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem; padding-top: 1.2rem; border-top: 1px solid #e3e6e9; }
p { max-width: 46rem; margin: .5rem 0; overflow-wrap: anywhere; }
p.note, figcaption { color: #68707a; font-size: .88rem; }
.warning { background: #fff4d6; border-left: 4px solid #e0a100; padding: .5rem .8rem; max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10.5rem, 1fr)); gap: .8rem;
         margin: 1.2rem 0; }
.tile { background: #f4f6f9; border-radius: .5rem; padding: .8rem 1rem; }
.tile b { display: block; font-size: 1.65rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span { display: block; color: #52606d; font-size: .88rem; }
.scroll { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-size: .93rem; }
td, th { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #e3e6e9; vertical-align: top; }
th { font-weight: 600; color: #52606d; vertical-align: bottom; }
td:first-child, th:first-child { padding-left: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.number { white-space: normal; }
td.shaded { border-color: #fff; }
td:first-child + td.shaded { border-left: 0; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 0 2rem;
        align-items: start; }
.pair > div { min-width: 0; }
figure { margin: 1rem 0; }
figure.chart { max-width: 32rem; }
figure svg { display: block; width: 100%; height: auto; }
figure.wide img { display: block; max-width: 100%; height: auto; }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(7rem, 1fr)); gap: 1rem .8rem;
           margin: 1rem 0; }
.gallery img { display: block; width: 7rem; height: 7rem; object-fit: contain; background: #f0f1f3; }
.gallery figure { margin: 0; }
.gallery figcaption { line-height: 1.3; margin-top: .3rem; white-space: pre-line; overflow-wrap: anywhere; }
@media (max-width: 40rem) { main { padding: 1.2rem 1rem 3rem; } .tile b { font-size: 1.4rem; }
  .tiles { grid-template-columns: 1fr 1fr; } .gallery { grid-template-columns: repeat(3, 1fr); }
  .gallery img { width: 100%; height: auto; aspect-ratio: 1; } table { font-size: .85rem; }
  td, th { padding: .3rem .4rem; } }
@media print { body { background: #fff; } h2, figure, .tile, tr { break-inside: avoid; } }
"""


def to_html(blocks: Sequence[Block]) -> str:
    """A report as a page; its first heading is the title."""
    title = next(block.text for block in blocks if isinstance(block, Heading))
    inside = "\n".join(_block(block, first=number == 0) for number, block in enumerate(blocks))
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{inside}\n</main>\n"
        f"</body>\n</html>\n"
    )


def _block(block: Block, *, first: bool) -> str:
    if isinstance(block, Heading):
        level = "h1" if first else "h2"
        return f"<{level}>{escape(block.text)}</{level}>"
    if isinstance(block, Words):
        return f"<p{' class=note' if block.note else ''}>{escape(block.text)}</p>"
    if isinstance(block, Warn):
        return f'<p class="warning">{escape(block.text)}</p>'
    if isinstance(block, Tiles):
        return _tiles(block)
    if isinstance(block, Table):
        return _table(block)
    if isinstance(block, Chart):
        caption = f"<figcaption>{escape(block.caption)}</figcaption>"
        return f'<figure class="chart">{block.svg}{caption}</figure>'
    if isinstance(block, Photo):
        return _photo(block)
    if isinstance(block, Gallery):
        photos = "\n".join(_photo(photo) for photo in block.photos)
        return f'<div class="gallery">\n{photos}\n</div>'
    columns = (
        "\n".join(_block(inner, first=False) for inner in column) for column in (block.left, block.right)
    )
    return '<div class="pair">\n' + "\n".join(f"<div>\n{column}\n</div>" for column in columns) + "\n</div>"


def _tiles(block: Tiles) -> str:
    tiles = "\n".join(
        f'<div class="tile"><span>{escape(tile.label)}</span><b>{escape(tile.figure)}</b>'
        f"<span>{escape(tile.note)}</span></div>"
        for tile in block.tiles
    )
    return f'<div class="tiles">\n{tiles}\n</div>'


def _photo(photo: Photo) -> str:
    content = base64.b64encode(photo.content).decode("ascii")
    kind = ' class="wide"' if photo.wide else ""
    return (
        f'<figure{kind}><img alt="{escape(photo.caption)}" src="data:image/jpeg;base64,{content}">'
        f"<figcaption>{escape(photo.caption)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    def cell(tag: str, words: str, column: int, shade: float | None) -> str:
        kinds = [] if column == 0 or column in table.text_columns else ["number"]
        style = ""
        if shade is not None:
            kinds.append("shaded")
            style = f' style="background:{shade_of(shade)};color:{ink_on(shade)}"'
        named = f' class="{" ".join(kinds)}"' if kinds else ""
        return f"<{tag}{named}{style}>{escape(words)}</{tag}>"

    lines = ["".join(cell("th", words, column, None) for column, words in enumerate(table.head))]
    for number, row in enumerate(table.rows):
        shades = [None, *table.shades[number]] if table.shades else [None] * len(row)
        lines.append(
            "".join(
                cell("td", words, at, shade)
                for at, (words, shade) in enumerate(zip(row, shades, strict=True))
            )
        )
    rows = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="scroll"><table>\n{rows}\n</table></div>'
