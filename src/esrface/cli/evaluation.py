"""What all ``esrface evaluate`` commands share: models, options, and the way from faces to a report."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from esrface.cli.command import OUTPUT, option
from esrface.cli.options import RECOGNITION, all_of, recognition_options, resolve_device
from esrface.cli.streams import print_json, say

if TYPE_CHECKING:
    from rich.console import Console

    from esrface.evaluation.judged import Evaluation
    from esrface.recognizer import Recognizer


Progress = Callable[[str, int, int], None]


class Judge(Protocol):
    """Judges one model; all else is known already."""

    def __call__(self, recognizer: Recognizer, *, vote: str, progress: Progress) -> Evaluation:
        """The model's answers on the data."""


_model_option = option(
    RECOGNITION,
    "--model",
    multiple=True,
    metavar="NAME|PATH",
    help="A model of 'esrface models', an .onnx file with its card beside it, or a run's folder. Give it "
    "again to compare models.",
)

_output_options = all_of(
    option(
        OUTPUT,
        "--corruptions",
        is_flag=True,
        help="Accuracy on worse pictures too: noise, blur, JPEG, low contrast, occlusion, low resolution, "
        "rotation, colour casts, boxes of a wrong size; fifty times the work.",
    ),
    option(
        OUTPUT,
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Write report.html, report.md, report.json, predictions.csv and confusion.png there.",
    ),
    option(OUTPUT, "--overwrite", is_flag=True, help="Replace files of an earlier report."),
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object and nothing else."),
)


def evaluation_options(command: Any) -> Any:
    """The options about models, device, answer and outputs."""
    command = recognition_options(_output_options(command))
    # Nothing is abstained from here: the report shows the accuracy of the surest share for every share.
    kept = [
        parameter
        for parameter in command.__click_params__
        if parameter.name not in ("abstain_below", "model")
    ]
    command.__click_params__ = kept
    # Options are kept in reverse order: the last one added is the first on the page.
    return _before_recognition(_model_option(command))


def _before_recognition(command: Any) -> Any:
    """Put the option that was added last where the options about recognition begin on the page."""
    *others, added = command.__click_params__
    first = max(
        place for place, parameter in enumerate(others) if getattr(parameter, "heading", "") == RECOGNITION
    )
    command.__click_params__ = [*others[: first + 1], added, *others[first + 1 :]]
    return command


def judge(
    options: Mapping[str, Any],
    evaluate: Judge,
    *,
    detector: str = "none",
) -> int:
    """Evaluate every model with a progress bar, write the report and show the figures; returns the exit code.

    Args:
        options: Values of ``evaluation_options``.
        evaluate: Judges one model.
        detector: Of the recognisers.
    """
    from esrface.cli.console import make_console
    from esrface.evaluation.report import write_report

    console = make_console()
    with ExitStack() as stack:
        recognizers = [stack.enter_context(one) for one in _make_recognizers(options, detector)]
        names = _names(options["model"], [recognizer.card.name for recognizer in recognizers])
        out: Path | None = options["out"]
        check_place(out, names, overwrite=options["overwrite"])
        models = [
            (name, _judge_one(console, name if len(names) > 1 else "", recognizer, options, evaluate))
            for name, recognizer in zip(names, recognizers, strict=True)
        ]
        _warn(models)
        # What was computed is shown even where the report cannot be written.
        try:
            if out is not None:
                _announce(console, "writing the report")
                write_report(models, out, overwrite=options["overwrite"])
        finally:
            _show(console, models, as_json=options["as_json"])
        if out is not None and not options["as_json"]:
            say(f"esrface: the report is {out / 'report.html'}")
    return 0


def _make_recognizers(options: Mapping[str, Any], detector: str) -> Iterator[Recognizer]:
    from esrface.recognizer import Recognizer

    given = options["model"] or (None,)
    if len(set(given)) < len(given):
        raise click.UsageError("a model is given twice: give each --model once")
    for model in given:
        yield Recognizer(
            model,
            detector=detector,
            device=resolve_device(options["device"], options["cuda"]),
            batch_norm=options["batch_norm"],
            mirror=options["mirror"],
            vote=options["vote"],
            threads=options["threads"],
            prior=options["prior"],
        )


def _names(given: Sequence[str], cards: Sequence[str]) -> list[str]:
    """What the models are called: as their cards do or, where those are alike, by what was given."""
    # Runs of one recipe have the same name on their cards.
    ways = (cards, [Path(model).name for model in given], given)
    return list(next((names for names in ways if len(set(names)) == len(names)), given))


def _judge_one(
    console: Console,
    name: str,
    recognizer: Recognizer,
    options: Mapping[str, Any],
    evaluate: Judge,
) -> Evaluation:
    from esrface.evaluation.judged import with_robustness

    with _progress(console, name) as progress:
        evaluation = evaluate(recognizer, vote=options["vote"], progress=progress)
        return with_robustness(evaluation, recognizer, progress) if options["corruptions"] else evaluation


def check_place(out: Path | None, names: Sequence[str], *, overwrite: bool) -> None:
    """Refuse before the work what could not be written after it."""
    from esrface.evaluation.report import planned_files
    from esrface.outputs import output_errors, refuse_existing

    if out is None:
        return
    with output_errors(out):
        place = next((place for place in (out, *out.absolute().parents) if place.exists()), None)
        if place is None:  # Such as on a drive that is not there.
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        if not place.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "")
        as_is = os.access in os.supports_effective_ids
        if not os.access(place, os.W_OK | os.X_OK, effective_ids=as_is):
            raise PermissionError(errno.EACCES, "")
    for name in planned_files(names):
        refuse_existing(out / name, overwrite=overwrite)


def _warn(models: Sequence[tuple[str, Evaluation]]) -> None:
    """Say each warning once: most are about the data."""
    from esrface._names import printable

    for line in dict.fromkeys(line for _, evaluation in models for line in evaluation.warnings):
        say(printable(f"esrface: warning: {line}"))


def _show(console: Console, models: Sequence[tuple[str, Evaluation]], *, as_json: bool) -> None:
    from esrface.cli.evaluation_tables import show_comparison, show_corruptions, show_model
    from esrface.evaluation.comparison import comparison

    if as_json:
        print_json(models[0][1].to_dict() if len(models) == 1 else comparison(models))
        return
    if len(models) == 1:
        show_model(console, models[0][1])
    else:
        show_comparison(console, models)
    show_corruptions(console, models)
    for _, evaluation in models:
        console.print(evaluation.protocol, style="dim", soft_wrap=True)


def _announce(console: Console, what: str) -> None:
    if console.is_terminal:
        console.print(what, style="dim")


@contextmanager
def _progress(console: Console, name: str) -> Iterator[Progress]:
    """A bar on a terminal that disappears at the end, elsewhere nothing."""
    from esrface.cli.progress import share_bar

    before = f"{name}: " if name else ""
    with share_bar(console) as bar:
        task = bar.add_task(f"{before}starting", total=None)
        yield lambda what, done, total: bar.update(
            task, description=before + what, completed=done, total=total or None
        )
