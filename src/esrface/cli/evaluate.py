"""``esrface evaluate``: judge a model on labelled faces, by the protocol of published figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command, Name, option
from esrface.cli.options import recognition_options, resolve_device
from esrface.cli.streams import print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from esrface.evaluation.ferplus import FerPlusEvaluation, Progress

DATA, OUTPUT = "Data", "Output"


@click.command(
    "evaluate",
    cls=Command,
    examples=[
        ("esrface evaluate ferplus --data ferplus --split valid", "The shipped model on FER+ validation."),
        (
            "esrface evaluate ferplus --data ferplus --split test --model runs/mine --out report",
            "A run of your own on the test split: a page, a row an image, the confusions as a picture.",
        ),
        ("esrface evaluate ferplus --data ferplus --split valid --json", "The figures for a program."),
    ],
)
@click.argument("dataset", type=Name(["ferplus"]), metavar="ferplus")
@option(
    DATA,
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder with FER2013Valid.zip, FER2013Valid/ or Images/ and Labels/. The asked split is enough; "
    "with the training split beside it there are figures without duplicates too.",
)
@option(
    DATA,
    "--split",
    type=Name(["valid", "test"]),
    default="valid",
    metavar="valid|test",
    help="Validation (PublicTest) or test (PrivateTest).  [default: valid]",
)
@option(
    DATA,
    "--label-rule",
    type=Name(["majority", "distribution"]),
    default="majority",
    metavar="majority|distribution",
    help="The published rule (images without a majority are left out), or the most voted emotion.  "
    "[default: majority]",
)
@recognition_options
@option(
    OUTPUT,
    "--out",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write report.md, report.json, predictions.csv and confusion.png there.",
)
@option(OUTPUT, "--overwrite", is_flag=True, help="Replace files of an earlier report.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    dataset: str,
    data: Path,
    split: str,
    label_rule: str,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
    **recognition: Any,
) -> int:
    """Judge a model on labelled faces: FER+, eight emotions.

    Accuracy, mean recall, calibration error and what else the report shows are those of the inference that
    users get: the model's own input, mirror pass, temperature and vote.
    """
    from esrface._names import printable
    from esrface.cli.console import make_console
    from esrface.evaluation.ferplus import evaluate_ferplus
    from esrface.evaluation.report import write_report
    from esrface.recognizer import Recognizer

    if out is not None:
        _check_place(out, overwrite)
    recognizer = Recognizer(
        recognition["model"],
        detector="none",
        device=resolve_device(recognition["device"], recognition["cuda"]),
        batch_norm=recognition["batch_norm"],
        mirror=recognition["mirror"],
        vote=recognition["vote"],
        threads=recognition["threads"],
    )
    console = make_console()
    with recognizer, _progress(console) as progress:
        evaluation = evaluate_ferplus(
            data, split, recognizer, vote=recognition["vote"], label_rule=label_rule, progress=progress
        )
    for line in evaluation.warnings:
        say(printable(f"esrface: warning: {line}"))
    # What was computed is shown even where the report cannot be written.
    try:
        if out is not None:
            write_report(evaluation, out, overwrite=overwrite)
    finally:
        if as_json:
            print_json(evaluation.to_dict())
        else:
            _show(console, evaluation)
    return 0


def _check_place(out: Path, overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    from esrface.evaluation.report import REPORT_FILES
    from esrface.outputs import make_folder, refuse_existing

    if out.exists():
        make_folder(out)
    for name in REPORT_FILES:
        refuse_existing(out / name, overwrite=overwrite)


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    """A bar on a terminal that disappears at the end, elsewhere nothing."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total or None
        )


def _show(console: Console, evaluation: FerPlusEvaluation) -> None:
    from rich.table import Table

    from esrface.emotions import EMOTIONS
    from esrface.evaluation.report import percent

    columns = {"all images": evaluation.figures(), "without duplicates": evaluation.fresh_figures()}
    shown = {heading: figures for heading, figures in columns.items() if figures is not None}
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for heading in shown:
        table.add_column(heading, justify="right")
    table.add_row("accuracy", *(percent(figures.accuracy) for figures in shown.values()))
    table.add_row("mean recall", *(percent(figures.mean_recall) for figures in shown.values()))
    table.add_row("ECE", *(percent(figures.ece) for figures in shown.values()))
    table.add_row("images", *(f"{figures.images:,}" for figures in shown.values()))
    for name in EMOTIONS:
        table.add_row(f"recall {name}", *(percent(figures.recall[name]) for figures in shown.values()))
    console.print(table)
    console.print(evaluation.protocol, style="dim", soft_wrap=True)


# Nothing is abstained from here: the report shows the accuracy of the surest share for every share.
command.params = [parameter for parameter in command.params if parameter.name != "abstain_below"]
