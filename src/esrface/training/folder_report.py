"""The page of a run on one's own pictures: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from esrface import __version__
from esrface.evaluation.details import details, percent
from esrface.evaluation.folder import FolderEvaluation
from esrface.evaluation.report import confusion_png

if TYPE_CHECKING:
    from esrface.training.folder import FolderRun

REPORT = "report.html"

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1c2026; background: #fff; max-width: 58rem;
       margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
p.note { color: #68707a; font-size: .9rem; }
table { border-collapse: collapse; } td, th { padding: .25rem .9rem .25rem 0; text-align: left;
       border-bottom: 1px solid #e3e6e9; vertical-align: top; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.warning { background: #fff4d6; border-left: 4px solid #e0a100; padding: .5rem .8rem; margin: .5rem 0; }
img, svg { max-width: 100%; height: auto; }
pre { background: #f4f5f7; padding: .8rem; overflow-x: auto; }
"""

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 220, 46, 26
"""Of the curve, and of the margins that its scales stand in, in pixels."""


def report_html(run: FolderRun, evaluation: FolderEvaluation, epochs: Sequence[Mapping[str, str]]) -> str:
    """The page as text: figures, recalls, confusions, the curve over the epochs, and all settings."""
    measured = details(evaluation)
    picture = base64.b64encode(confusion_png(evaluation)).decode("ascii")
    name = escape(measured["model"])
    warnings = [
        *run.faces.warnings,
        *(line for line in evaluation.warnings if line not in run.faces.warnings),
    ]
    parts = [
        f"<h1>{name}</h1>",
        f'<p class="note">{escape(evaluation.card.description)}</p>',
        *(f'<p class="warning">{escape(line)}</p>' for line in warnings),
        "<h2>Figures on validation</h2>",
        _table(("", "validation"), _headline(run, measured)),
        f'<p class="note">{escape(measured["protocol"])}. The epoch was chosen on these pictures, so the '
        "figures are a little hopeful; pictures that had no part in it tell more.</p>",
        "<h2>Emotions</h2>",
        _table(
            ("emotion", "training", "validation", "recall", "taken most often for"), _recalls(run, measured)
        ),
        _absent(run),
        f'<p><img alt="Confusion matrix: labels in rows, answers in columns" '
        f'src="data:image/png;base64,{picture}"></p>',
        "<h2>Epochs</h2>",
        _curve(epochs, run.best),
        f'<p class="note">{len(epochs)} epochs; the model is that of epoch {run.best}, which has the lowest '
        "validation loss.</p>",
        "<h2>Use it</h2>",
        f"<pre>esrface image photo.jpg --model {escape(str(run.folder))}</pre>",
        "<h2>Settings</h2>",
        _table(("setting", "value"), _settings(run)),
        f'<p class="note">esrface {escape(__version__)}; weights sha256 {escape(evaluation.card.sha256)}</p>',
    ]
    body = "\n".join(part for part in parts if part)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _headline(run: FolderRun, measured: dict[str, Any]) -> list[tuple[str, str]]:
    low, high = measured["accuracy_interval"]
    rows = [
        ("accuracy", f"{percent(measured['accuracy'])} (95 % interval {percent(low)} to {percent(high)})"),
        ("mean recall", percent(measured["mean_recall"])),
        ("calibration error (ECE)", percent(measured["ece"])),
        ("pictures", f"{measured['images']:,}"),
    ]
    if run.before is not None:
        before = f"{percent(run.before.accuracy)}, mean recall {percent(run.before.mean_recall)}"
        rows.insert(2, ("accuracy before training", before))
    return rows


def _recalls(run: FolderRun, measured: dict[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, count in zip(run.emotions, run.faces.counts, strict=True):
        counts = measured["confusion"][name]
        others = [(times, other) for other, times in counts.items() if other != name and times]
        taken_for = ", ".join(f"{other} ({times})" for times, other in sorted(others, reverse=True)[:2])
        judged = sum(counts.values())
        yield name, f"{count:,}", f"{judged:,}", percent(measured["recall"][name]), taken_for or "-"


def _absent(run: FolderRun) -> str:
    if not run.absent:
        return ""
    return (
        f'<p class="note">Never answered, since there were no training pictures: '
        f"{escape(', '.join(run.absent))}.</p>"
    )


def _settings(run: FolderRun) -> Iterable[tuple[str, str]]:
    for key, value in run.config.to_dict().items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        yield key, "none" if value is None else str(value)


def _curve(epochs: Sequence[Mapping[str, str]], best: int) -> str:
    """Validation accuracy and mean recall over the epochs, as a drawing."""
    if not epochs:
        return ""
    last = max(int(epochs[-1]["epoch"]), 2)
    lines = []
    free = 0.0
    curves = (("accuracy", "accuracy", "#2161a8"), ("mean_recall", "mean recall", "#d97706"))
    # From the top: labels of curves that end together stand below one another.
    for key, label, colour in sorted(curves, key=lambda curve: -float(epochs[-1][curve[0]])):
        points = " ".join(f"{_x(int(row['epoch']), last):.1f},{_y(float(row[key])):.1f}" for row in epochs)
        lines.append(f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{points}"/>')
        place = max(_y(float(epochs[-1][key])) + 4, free)
        free = place + 14
        lines.append(f'<text x="{WIDTH + 6}" y="{place:.1f}" fill="{colour}">{label}</text>')
    scale = [
        f'<line x1="{LEFT}" x2="{WIDTH}" y1="{_y(share)}" y2="{_y(share)}" stroke="#e3e6e9"/>'
        f'<text x="{LEFT - 6}" y="{_y(share) + 4}" text-anchor="end">{share:.0%}</text>'
        for share in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    marks = [f'<text x="{_x(n, last)}" y="{HEIGHT - 6}" text-anchor="middle">{n}</text>' for n in {1, last}]
    if best:
        marks.append(
            f'<line x1="{_x(best, last)}" x2="{_x(best, last)}" y1="{_y(1)}" y2="{_y(0)}" stroke="#68707a" '
            f'stroke-dasharray="3 4"/>'
        )
    drawing = "".join([*scale, *marks, *lines])
    return (
        f'<svg viewBox="0 0 {WIDTH + 100} {HEIGHT}" width="{WIDTH + 100}" role="img" font-size="12" '
        f'aria-label="Validation accuracy and mean recall over the epochs">{drawing}</svg>'
    )


def _x(epoch: int, last: int) -> float:
    return LEFT + (WIDTH - LEFT) * (epoch - 1) / (last - 1)


def _y(share: float) -> float:
    return 10 + (HEIGHT - BOTTOM - 10) * (1 - share)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table whose middle columns are figures."""

    def line(cells: Sequence[str], tag: str) -> str:
        numbers = range(1, len(cells) - 1) if len(cells) > 2 else ()
        return "".join(
            f"<{tag}{' class=number' if at in numbers else ''}>{escape(cell)}</{tag}>"
            for at, cell in enumerate(cells)
        )

    body = "\n".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
    return f"<table>\n<tr>{line(head, 'th')}</tr>\n{body}\n</table>"
