"""``esrface image``: recognise the faces in pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from esrface.cli.command import OUTPUT, Command, Whole, option
from esrface.cli.options import detection_options, original_options, recognition_options

INPUT = "Pictures"


@click.command(
    "image",
    cls=Command,
    examples=[
        ("esrface image photo.jpg", "A table of the faces."),
        ("esrface image holiday/ 'scans/*.png' --csv faces.csv", "Folders and patterns, a row a face."),
        ("esrface image holiday/ --csv faces.csv --resume", "Go on where a run was stopped."),
        ("esrface image photo.jpg --save marked/", "A copy with the faces framed and labelled."),
        ("esrface image - --json < photo.jpg", "One JSON object a picture, for another program."),
    ],
)
@click.argument("sources", nargs=-1, metavar="PICTURE|FOLDER|PATTERN|- ...")
@option(
    INPUT, "-i", "--input", "inputs", multiple=True, metavar="PATH", help="A picture or folder, as above."
)
@option(
    INPUT,
    "--max-pixels",
    type=Whole(1),
    metavar="N",
    help="Refuse pictures of more pixels.  [default: 178000000]",
)
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print JSON Lines, one object a picture.")
@option(OUTPUT, "--csv", type=click.Path(path_type=Path), metavar="FILE", help="Write a row a face as CSV.")
@option(
    OUTPUT,
    "--jsonl",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a row a face as JSON Lines.",
)
@option(
    OUTPUT,
    "--parquet",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a row a face as Parquet (needs the extra 'parquet').",
)
@option(
    OUTPUT,
    "--save",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write annotated pictures, each under its own name.",
)
@option(
    OUTPUT,
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the original program's CSV, a file a picture.",
)
@option(
    OUTPUT,
    "--report",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="Write a page to look at and to send: faces, shares, key moments; opens offline.",
)
@option(OUTPUT, "--branches", is_flag=True, help="Show every branch in the table and in the rows.")
@option(OUTPUT, "--overwrite", is_flag=True, help="Replace outputs that exist.")
@option(OUTPUT, "--resume", is_flag=True, help="Keep outputs that exist and add what is missing.")
@option(OUTPUT, "--quiet", is_flag=True, help="Say nothing but what failed.")
@recognition_options
@detection_options
@original_options
@click.pass_context
def command(ctx: click.Context, /, **options: Any) -> int:
    """Recognise the expressions of the faces in pictures.

    Give pictures, folders, patterns, or - for standard input. What people read goes to standard error;
    standard output stays empty unless --json is given.
    """
    from esrface.cli.image_run import recognise_pictures

    return recognise_pictures(ctx, options)
