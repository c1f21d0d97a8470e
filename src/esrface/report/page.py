"""The page itself: data, style, script and the charting library in one HTML file.

Everything that comes from outside (names of files, of models, options) is escaped: as HTML where it stands in
the page, as JSON without any ``<`` where the script reads it, which writes it as text and never as HTML. The
page's policy lets nothing run but the script it was written with, and nothing be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from pathlib import Path, PurePath
from string import Template
from typing import Any

from esrface.annotate_tracks import track_color
from esrface.emotions import CIRCUMPLEX, colors_of
from esrface.report.facts import LAW, RESPONSIBLE_USE, RunFacts

ASSETS = Path(__file__).parent / "assets"

SCRIPTS = (
    "charts.min.js",
    "common.js",
    "timeline.js",
    "plots.js",
    "cards.js",
    "video.js",
    "pictures.js",
    "page.js",
)
"""In the order in which they build upon one another."""


def video_page(clips: list[dict[str, Any]], left_out: int, facts: RunFacts) -> str:
    """The page of a run over videos or cameras.

    Args:
        clips: As ``ClipCollector.to_dict`` gives them, at least one.
        left_out: How many more there were.
        facts: Of the run.
    """
    count, source = len(clips) + left_out, clips[0]["source"]
    title, place = f"{count} videos", ""
    if count == 1:
        title = PurePath(source).name or source
        place = source if source != title else ""
    tracks = {track for clip in clips for series in clip["series"] if (track := series["track"])}
    colors = {track: track_color(track) for track in tracks}
    shown = {"kind": "video", "clips": clips, "left_out": left_out, "track_colors": colors}
    return _page(title, place, facts, shown)


def pictures_page(gallery: dict[str, Any], facts: RunFacts) -> str:
    """The page of a run over pictures; ``gallery`` as ``Gallery.to_dict`` gives it."""
    count = gallery["pictures"]
    title = f"{count:,} picture" + ("" if count == 1 else "s")
    return _page(title, "", facts, {"kind": "pictures", **gallery})


def _page(title: str, place: str, facts: RunFacts, data: dict[str, Any]) -> str:
    script = "\n".join((ASSETS / name).read_text("utf-8") for name in SCRIPTS)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    known = {
        "emotions": facts.emotions,
        "colors": colors_of(facts.emotions),
        "circumplex": CIRCUMPLEX,
        "branches": facts.branches,
        "affect_source": facts.affect_source,
        "options": {"abstain_below": facts.options.get("abstain_below")},
    }
    rows = "\n".join(
        f"<tr><th scope=row>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.rows()
    )
    return Template((ASSETS / "page.html").read_text("utf-8")).substitute(
        policy=escape(policy),
        title=escape(title),
        place=f"<p class=place>{escape(place)}</p>" if place else "",
        style=(ASSETS / "page.css").read_text("utf-8"),
        use=escape(RESPONSIBLE_USE),
        law=escape(LAW),
        facts=rows,
        version=escape(facts.version),
        data=_json({**known, **data}),
        script=script,
    )


def _json(data: dict[str, Any]) -> str:
    """JSON that may stand in a page: nothing in it ends the element that it stands in."""
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
