"""What all ``esrface evaluate`` commands share: output options, the recogniser, and what people see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import option
from esrface.cli.options import recognition_options, resolve_device
from esrface.cli.streams import print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from esrface.evaluation.judged import Evaluation
    from esrface.recognizer import Recognizer

DATA, OUTPUT = "Data", "Output"

Progress = Callable[[str, int, int], None]

_output_options = (
    option(
        OUTPUT,
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write report.md, report.json, predictions.csv and confusion.png there.",
    ),
    option(OUTPUT, "--overwrite", is_flag=True, help="Replace files of an earlier report."),
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
)


def evaluation_options(command: Any) -> Any:
    """The options about model, device, answer and outputs."""
    for decorator in reversed(_output_options):
        command = decorator(command)
    command = recognition_options(command)
    # Nothing is abstained from here: the report shows the accuracy of the surest share for every share.
    command.__click_params__ = [
        parameter for parameter in command.__click_params__ if parameter.name != "abstain_below"
    ]
    return command


def make_recognizer(recognition: Mapping[str, Any], detector: str = "none") -> Recognizer:
    """The recogniser that the options ask for."""
    from esrface.recognizer import Recognizer

    return Recognizer(
        recognition["model"],
        detector=detector,
        device=resolve_device(recognition["device"], recognition["cuda"]),
        batch_norm=recognition["batch_norm"],
        mirror=recognition["mirror"],
        vote=recognition["vote"],
        threads=recognition["threads"],
    )


def check_place(out: Path | None, overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    from esrface.evaluation.report import REPORT_FILES
    from esrface.outputs import make_folder, refuse_existing

    if out is None:
        return
    if out.exists():
        make_folder(out)
    for name in REPORT_FILES:
        refuse_existing(out / name, overwrite=overwrite)


def judge(
    recognizer: Recognizer,
    evaluate: Callable[[Progress], Evaluation],
    *,
    out: Path | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Evaluate with a progress bar, write the report and show the figures; returns the exit code."""
    from esrface._names import printable
    from esrface.cli.console import make_console
    from esrface.evaluation.report import write_report

    console = make_console()
    with recognizer, _progress(console) as progress:
        evaluation = evaluate(progress)
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


def _show(console: Console, evaluation: Evaluation) -> None:
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
