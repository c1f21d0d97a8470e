"""The options that ``esrface video`` and ``esrface webcam`` have beside those of ``esrface image``."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import OUTPUT, Amount, Name, Whole, option
from esrface.cli.options import DETECTION, all_of

SAMPLING, SOURCE, WINDOW = "Which frames", "Source", "From the original program"

ORIGINAL_FRAMES = 5
"""``-f`` where nothing is said, as in the original."""

SMOOTH_S = 0.5
"""``--smooth`` where nothing is said: halves the flicker and is too short to be noticed as lag."""

_FILE = click.Path(path_type=Path)


sampling_options = all_of(
    option(
        SAMPLING,
        "-f",
        "--frames",
        type=Whole(1),
        metavar="N",
        help="N of every 30 frames, counted as the original does: 5 takes frames 5, 11, 17, ...  "
        "[default: 5]",
    ),
    option(
        SAMPLING,
        "--fps",
        type=Amount(),
        metavar="X",
        help="X frames per second of the video's own time, whatever its frame rate. Overrides -f.",
    ),
    option(
        SAMPLING,
        "--every",
        type=Whole(1),
        metavar="K",
        help="One frame in K; 1 takes all. Overrides -f.",
    ),
    option(
        SAMPLING,
        "--detect-every",
        type=Whole(1),
        default=1,
        metavar="K",
        help="Look for faces in one of K taken frames only, and place them in those between.",
    ),
    option(
        DETECTION,
        "--detection-size",
        type=Whole(64),
        metavar="PIXELS",
        help="Look for faces in a copy of this width (of as many pixels, if not 4:3): more finds "
        "smaller faces and takes longer.  [default: 320]",
    ),
)
"""Which frames are looked at, and how closely."""


row_options = all_of(
    option(
        OUTPUT,
        "-o",
        "--output",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Write the original program's CSV, a file a video and a row a frame.",
    ),
    option(OUTPUT, "--csv", type=_FILE, metavar="FILE", help="Write a row a face and frame as CSV."),
    option(OUTPUT, "--jsonl", type=_FILE, metavar="FILE", help="Write a row a face and frame as JSON Lines."),
    option(
        OUTPUT,
        "--parquet",
        type=_FILE,
        metavar="FILE",
        help="Write a row a face and frame as Parquet (needs the extra 'parquet').",
    ),
    option(
        OUTPUT,
        "--save-video",
        type=_FILE,
        metavar="FILE.mp4",
        help="Write the video with the faces drawn into it, as long as the source, with its sound.",
    ),
    option(
        OUTPUT,
        "--report",
        type=_FILE,
        metavar="FILE.html",
        help="Write a page to look at and to send: timeline, shares, key moments; opens offline.",
    ),
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print JSON Lines, one object a frame."),
    option(OUTPUT, "--branches", is_flag=True, help="Show every branch in the table and in the rows."),
    option(
        OUTPUT,
        "--smooth",
        type=Amount(zero=True),
        default=SMOOTH_S,
        metavar="SECONDS",
        help="Average what is shown or drawn over so long (0: off), never rows.  [default: 0.5]",
    ),
    option(OUTPUT, "--quiet", is_flag=True, help="Say nothing but what failed."),
    option(OUTPUT, "--overwrite", is_flag=True, help="Replace outputs that exist."),
)
"""Where results go."""


source_options = all_of(
    option(
        SOURCE,
        "--reconnect",
        type=Whole(0),
        default=0,
        metavar="N",
        help="Connect up to N times in a row to a stream or camera that breaks off or stalls.",
    ),
    option(
        SOURCE,
        "--stall",
        type=Amount(),
        metavar="SECONDS",
        help="Without a frame for so long, a stream or pipe has stalled.  [default: 10]",
    ),
)
"""How streams are read."""


window_options = all_of(
    option(WINDOW, "-d", "--display", is_flag=True, help="Show frames and answers in a window."),
    option(
        WINDOW,
        "-s",
        "--size",
        type=Name(["1", "2", "3"]),
        metavar="1|2|3",
        help="Window of 1920x1080, 1440x900 or 1024x768.  [default: 1]",
    ),
    option(WINDOW, "-b", "--branch", is_flag=True, help="Every branch in the window."),
    option(WINDOW, "-g", "--gradcam", is_flag=True, help="Saliency maps in the window."),
    option(WINDOW, "-np", "--no_plot", is_flag=True, help="No graph of the last frames in the window."),
)
"""The original's options for its window."""
