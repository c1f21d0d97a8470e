"""``esrface video``: recognise the faces in videos."""

from __future__ import annotations

from typing import Any

import click

from esrface.cli.command import OUTPUT, Amount, Command, option
from esrface.cli.options import detection_options, recognition_options
from esrface.cli.video_options import (
    SOURCE,
    WINDOW,
    row_options,
    sampling_options,
    source_options,
    window_options,
)


@click.command(
    "video",
    cls=Command,
    examples=[
        ("esrface video clip.mp4", "A table of the faces, five of every 30 frames."),
        ("esrface video clip.mp4 --every 1 --csv faces.csv", "Every frame, a row a face."),
        ("esrface video day1/*.mp4 --fps 2 --csv faces.csv --resume", "Go on where a run was stopped."),
        ("esrface video clip.mp4 --save-video marked.mp4", "A copy with the faces framed and labelled."),
        ("esrface video clip.mp4 -f 5 -o results/", "The original program's CSV."),
        ("esrface video http://camera.local/stream.mjpg --jsonl faces.jsonl --reconnect 10", "A stream."),
        ("esrface video 'frames/img_%04d.png' --picture-rate 30 --every 1", "Pictures in a row."),
        ("esrface video - --json < clip.mkv", "One JSON object a frame, for another program."),
    ],
)
@click.argument("sources", nargs=-1, metavar="VIDEO|FOLDER|PATTERN|URL|PIPE|- ...")
@option(SOURCE, "-i", "--input", "inputs", multiple=True, metavar="SOURCE", help="A source, as above.")
@option(
    SOURCE,
    "--picture-rate",
    type=Amount(),
    metavar="X",
    help="Frames per second that a folder or pattern of pictures counts as.  [default: 25]",
)
@source_options
@sampling_options
@row_options
@option(OUTPUT, "--resume", is_flag=True, help="Go on with outputs that exist, where they end.")
@recognition_options
@detection_options
@window_options
@option(WINDOW, "-w", "--webcam", "--webcam_id", type=int, metavar="N", help="For cameras: esrface webcam.")
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Recognise the expressions of the faces in videos, frame by frame, and who is who.

    Give video files, folders or patterns of pictures, addresses of streams, named pipes, or - for standard
    input. What people read goes to standard error; standard output stays empty unless --json is given.
    """
    from esrface.cli.clips import name_clips
    from esrface.cli.video_run import recognise_clips

    sources = [*options["inputs"], *options["sources"]]
    return recognise_clips(ctx, name_clips(sources), options)
