"""The run behind ``esrface image``: its settings, its outputs, and the last lines that people read."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice

import click
from rich.console import Console

from esrface._names import printable
from esrface.cli.app import DEBUG
from esrface.cli.console import make_console, people
from esrface.cli.options import resolve_detector, resolve_device
from esrface.cli.picture_run import PictureRun, Tally, View
from esrface.cli.progress import ProgressBar
from esrface.cli.running import (
    Options,
    counted,
    logging_to,
    output_mode,
    print_failures,
    print_line,
    settings_of,
)
from esrface.cli.streams import ReaderGone, print_json
from esrface.cli.table import FaceTable
from esrface.cli.windowed import make_screen, open_window, run_beside
from esrface.images import DEFAULT_MAX_PIXELS
from esrface.recognizer import Recognizer
from esrface.report.facts import RunFacts
from esrface.rows import picture_record
from esrface.screen.feed import PictureFeed
from esrface.screen.stage import Stage
from esrface.sinks import (
    AnnotatedPictures,
    BranchSheets,
    CsvRows,
    EmotionSheets,
    JsonlRows,
    OriginalCsv,
    ParquetRows,
    Picture,
    PictureReport,
    RunSettings,
    Sink,
)
from esrface.sources import STDIN, PictureSource, find_images
from esrface.threads import resolve_threads

_log = logging.getLogger("esrface")

SHOWN_BESIDE_FILES = 20
"""Pictures in the table where the results go into files as well."""

RESULTS = ("csv", "jsonl", "parquet", "save", "output", "report")
"""Options that name outputs in files."""

INSTEAD = "--save DIR and --report FILE.html"
"""What shows faces without a window."""


def recognise_pictures(ctx: click.Context, options: Options) -> int:
    """Do what ``esrface image`` was asked to do; returns the exit code."""
    paths = [*options["inputs"], *options["sources"]]
    _check(paths, options)
    console = make_console()
    with ExitStack() as stack:
        stack.enter_context(logging_to(console, quiet=options["quiet"], debug=ctx.meta[DEBUG]))
        _mention_what_draws_nothing(options)
        every_source = _find(paths, options)
        first = list(islice(every_source, 2))
        window = stack.enter_context(open_window(options, instead=INSTEAD)) if options["display"] else None
        stage = Stage(by_hand=True)
        threads = resolve_threads(options["threads"])
        # Several pictures keep the threads busy with one each, which is faster than sharing one.
        workers = threads if len(first) > 1 else 1
        recognizer = stack.enter_context(_recognizer(options, threads=1 if workers > 1 else threads))
        run = PictureRun(
            recognizer,
            _enter(_sinks(options, recognizer), stack),
            [*_views(options, console, recognizer), *([PictureFeed(stage)] if window else [])],
            max_pixels=options["max_pixels"] or DEFAULT_MAX_PIXELS,
            abstain_below=options["abstain_below"],
            saliency=options["gradcam"],
            shown=window is not None,
        )
        progress = ProgressBar(
            console, lambda: sum(1 for _ in _find(paths, options)), wanted=_wants_progress(options)
        )
        stack.callback(progress.close)

        def after_each(tally: Tally) -> None:
            ctx.obj.check()
            progress.update(tally.pictures + tally.kept + len(tally.failures))

        work = partial(run.go, chain(first, every_source), workers=workers, after_each=after_each)
        started = time.monotonic()
        try:
            if window is None:
                work()
            else:
                run_beside(window, make_screen(options, recognizer), stage, work, run.halt)
        except ReaderGone:
            pass
        finally:
            progress.close()
            _report(console, run.tally, options, recognizer, time.monotonic() - started)
    return run.tally.exit_code or (2 if people(console).failed else 0)


def _check(paths: Sequence[str], options: Options) -> None:
    """Refuse what cannot be meant, before anything is loaded."""
    if not paths:
        raise click.UsageError("give a picture, a folder, a pattern, or - for standard input")
    if options["overwrite"] and options["resume"]:
        raise click.UsageError("--overwrite starts anew and --resume continues: give one of them")
    if options["resume"] and not any(options[name] for name in RESULTS if name != "report"):
        raise click.UsageError(
            "--resume continues files: name them with --csv, --jsonl, --parquet, --save or -o"
        )
    files = [options[name] for name in ("csv", "jsonl", "parquet", "report") if options[name]]
    if len(set(files)) < len(files):
        raise click.UsageError("two outputs name the same file: give each its own")
    if paths.count(STDIN) > 1:
        raise click.UsageError("- can be given once only: standard input holds one picture")


def _mention_what_draws_nothing(options: Options) -> None:
    given = [letter for letter, name in (("-g", "gradcam"), ("-b", "branch")) if options[name]]
    if given and not options["save"] and not options["display"]:
        _log.warning("%s: pictures are drawn with --save DIR or -d only", " and ".join(given))


def _find(paths: Sequence[str], options: Options) -> Iterator[PictureSource]:
    return find_images(paths, exclude=[folder for folder in (options["save"], options["output"]) if folder])


def _recognizer(options: Options, *, threads: int) -> Recognizer:
    return Recognizer(
        options["model"],
        resolve_detector(options["detector"], options["face_detection"]),
        resolve_device(options["device"], options["cuda"]),
        options["batch_norm"],
        options["mirror"],
        options["vote"],
        threads,
        min_face=options["min_face"],
        min_score=options["min_score"],
        max_faces=options["max_faces"],
        prior=options["prior"],
    )


def _sinks(options: Options, recognizer: Recognizer) -> list[Sink]:
    """The outputs in files; a picture's own files before its rows, which therefore say that it is done."""
    settings, mode = RunSettings(settings_of(options, recognizer)), output_mode(options)
    branches, abstain_below = recognizer.card.branches, options["abstain_below"]
    sinks: list[Sink] = []
    if options["report"]:
        # First in, last out: the others are closed before the page is made.
        facts = RunFacts.of(recognizer, settings.values)
        sinks.append(PictureReport(options["report"], facts, recognizer, mode=mode))
    if options["output"]:
        sinks.append(OriginalCsv(options["output"], settings, mode=mode, branches=branches))
    if options["save"]:
        sinks.append(AnnotatedPictures(options["save"], settings, mode=mode, abstain_below=abstain_below))
        if options["branch"] or options["gradcam"]:
            sinks.append(BranchSheets(options["save"], settings, recognizer, mode=mode))
        if options["gradcam"]:
            sinks.append(EmotionSheets(options["save"], settings, recognizer, mode=mode))
    for name, kind in (("csv", CsvRows), ("jsonl", JsonlRows), ("parquet", ParquetRows)):
        if options[name]:
            columns = branches if options["branches"] else 0
            sinks.append(
                kind(
                    options[name],
                    settings,
                    mode=mode,
                    branches=columns,
                    abstain_below=abstain_below,
                    emotions=recognizer.card.emotions,
                )
            )
    return sinks


def _enter(sinks: Sequence[Sink], stack: ExitStack) -> Sequence[Sink]:
    """Open the outputs; those that refuse what exists come first, before a folder is made for nothing."""
    for sink in sorted(sinks, key=lambda sink: not sink.shared):
        stack.enter_context(sink)
    return sinks


def _views(options: Options, console: Console, recognizer: Recognizer) -> list[View]:
    """Standard output for programs, or else the table for people."""
    abstain_below = options["abstain_below"]
    if options["as_json"]:
        model = recognizer.card.name
        return [
            lambda one: print_json(
                picture_record(one.source, one.size_wh, model, one.faces, abstain_below=abstain_below)
            )
        ]
    if options["quiet"]:
        return []
    table = FaceTable(
        console,
        branches=options["branches"],
        abstain_below=abstain_below,
        at_most=SHOWN_BESIDE_FILES if any(options[name] for name in RESULTS) else None,
    )

    def show(picture: Picture) -> None:
        table.add(picture.source, picture.faces)
        if people(console).gone and not people(console).failed:
            raise ReaderGone

    return [show]


def _wants_progress(options: Options) -> bool:
    # JSON lines on the same terminal would run through the bar.
    mixed = options["as_json"] and sys.stdout is not None and sys.stdout.isatty()
    return not options["quiet"] and not mixed


def _report(console: Console, tally: Tally, options: Options, recognizer: Recognizer, seconds: float) -> None:
    """What failed, one line each, and a summary."""
    failures = tally.failures
    print_failures(console, failures, alone=not tally.pictures + tally.kept)
    if options["quiet"] or options["as_json"] or not tally.pictures + tally.kept:
        return
    parts = [f"{counted(tally.pictures, 'picture')}, {counted(tally.faces, 'face')}"]
    if tally.abstained:
        parts.append(f"{tally.abstained} below {options['abstain_below']:g}")
    if tally.kept:
        parts.append(f"{counted(tally.kept, 'picture')} done before")
    if failures:
        parts.append(f"{len(failures)} failed")
    parts.append(f"{seconds:.2f} s")
    parts.append(f"{recognizer.card.name} with {recognizer.detector.name}")
    print_line(console, ", ".join(parts), style="dim")
    if "circumplex" in tally.affect_sources:
        print_line(console, "valence and arousal are read out of the emotions (circumplex)", style="dim")
    written = [printable(options[name]) for name in RESULTS if options[name]]
    if written:
        print_line(console, f"written: {', '.join(written)}", style="dim")
