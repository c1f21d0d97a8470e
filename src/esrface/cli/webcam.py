"""``esrface webcam``: recognise the faces before a camera."""

from __future__ import annotations

from typing import Any

import click

from esrface.cli.command import Command, option
from esrface.cli.options import detection_options, recognition_options
from esrface.cli.video_options import (
    SOURCE,
    row_options,
    sampling_options,
    source_options,
    window_options,
)


@click.command(
    "webcam",
    cls=Command,
    examples=[
        ("esrface webcam", "The default camera, until Ctrl-C."),
        (
            "esrface webcam -w 1 --every 1 --csv faces.csv",
            "Another camera, as many frames as there is time for.",
        ),
        ("esrface webcam -w http://camera.local/stream.mjpg -o results/", "A camera of the network."),
    ],
)
@option(
    SOURCE,
    "-w",
    "--webcam",
    "--webcam_id",
    "camera",
    default="0",
    metavar="N|DEVICE|URL",
    help="The camera's number, its device, or its address.  [default: 0]",
)
@source_options
@sampling_options
@row_options
@recognition_options
@detection_options
@window_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Recognise the expressions of the faces before a camera, until Ctrl-C.

    Frames that come while others are being worked on are left out, and counted. Times are those since the
    first frame.
    """
    from esrface.cli.clips import name_camera
    from esrface.cli.video_run import recognise_clips

    extra = {"resume": False, "picture_rate": None}
    return recognise_clips(ctx, [name_camera(options["camera"])], {**options, **extra}, live=True)
