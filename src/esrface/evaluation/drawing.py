"""A little SVG: shapes and words on a sheet whose text stays readable at 0.8 to 1.3 times its size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

INK, FAINT, RULE, PAPER = "#1c2026", "#68707a", "#e3e6e9", "#ffffff"

COLOURS = ("#2161a8", "#d97706", "#2f855a", "#9b2c7d", "#52606d", "#b91c1c")
"""Of the models that stand side by side, in their order."""

RAMP = ((255, 255, 255), (198, 219, 239), (107, 160, 208), (33, 97, 168), (8, 48, 107))
"""Lightness falls evenly from white to dark blue, so pictures also read in grey and for colour-blind eyes."""


class Drawing:
    """Shapes one over another; coordinates in pixels, y downwards."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._parts: list[str] = []

    def text(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        colour: str = INK,
        size: int = 12,
        bold: bool = False,
        turned: bool = False,
    ) -> None:
        """Words on a baseline at y, ``turned`` to be read from below."""
        weight = ' font-weight="600"' if bold else ""
        turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{weight}'
            f"{turn}>{escape(words)}</text>"
        )

    def rectangle(self, x: float, y: float, width: float, height: float, fill: str, title: str = "") -> None:
        """A filled rectangle; ``title`` shows where the pointer rests on it."""
        inside = f"<title>{escape(title)}</title>" if title else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
            f'fill="{fill}">{inside}</rect>'
        )

    def line(
        self, x0: float, y0: float, x1: float, y1: float, colour: str = RULE, *, dashed: bool = False
    ) -> None:
        """A thin straight line."""
        dashes = ' stroke-dasharray="4 4"' if dashed else ""
        self._parts.append(
            f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{colour}"{dashes}/>'
        )

    def curve(self, points: Iterable[tuple[float, float]], colour: str, *, width: float = 2) -> None:
        """A line through points."""
        places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(
            f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" stroke-linejoin="round" '
            f'points="{places}"/>'
        )

    def dot(self, x: float, y: float, colour: str, *, radius: float = 3.5) -> None:
        """A filled circle."""
        self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def legend(self, x: float, y: float, names: Sequence[str]) -> None:
        """A line for each model, in its colour; nothing where there is one model only."""
        if len(names) < 2:
            return
        for index, name in enumerate(names):
            self.rectangle(x, y + 16 * index - 9, 10, 10, colour_of(index))
            self.text(x + 16, y + 16 * index, name)

    def svg(self, label: str) -> str:
        """The whole as a file's content that may stand in a page as well."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" role="img" aria-label="{escape(label)}" '
            f'font-family="system-ui, sans-serif">{"".join(self._parts)}</svg>'
        )


def legend_height(names: Sequence[str]) -> int:
    """Pixels that ``Drawing.legend`` takes."""
    return 16 * len(names) + 6 if len(names) > 1 else 0


def colour_of(index: int) -> str:
    """Of a model."""
    return COLOURS[index % len(COLOURS)]


def shorter(name: str, letters: int = 12) -> str:
    """A class's name of at most so many letters, its middle left out where it is longer."""
    if len(name) <= letters:
        return name
    return f"{name[: letters // 2].rstrip()}…{name[1 + letters // 2 - letters :].lstrip()}"


def rgb_of(share: float) -> tuple[int, int, int]:
    """Colour on the ramp for 0-1."""
    place = min(max(share, 0.0), 1.0) * (len(RAMP) - 1)
    low = min(int(place), len(RAMP) - 2)
    part = place - low
    red, green, blue = (
        round(one + part * (other - one)) for one, other in zip(RAMP[low], RAMP[low + 1], strict=True)
    )
    return red, green, blue


def shade_of(share: float) -> str:
    """The same as SVG and HTML want it."""
    return "#" + "".join(f"{value:02x}" for value in rgb_of(share))


def ink_on(share: float) -> str:
    """Colour of words on the ramp's shade for 0-1."""
    # Where both have the same contrast.
    return PAPER if share > 0.62 else INK
