"""The run behind ``esrface image``: its settings, its outputs, and the last lines that people read."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import chain, islice
from pathlib import Path

import click
from rich.console import Console

from esrface._drawn import RECORD
from esrface._names import printable
from esrface._numbers import counted
from esrface.cli.app import DEBUG
from esrface.cli.console import make_console, people
from esrface.cli.guard import OutputGuard
from esrface.cli.image_outputs import enter_sinks, picture_sinks
from esrface.cli.options import resolve_detector, resolve_device
from esrface.cli.picture_run import PictureRun, Tally, View
from esrface.cli.progress import ProgressBar
from esrface.cli.running import Options, logging_to, print_failures, print_line
from esrface.cli.streams import ReaderGone, print_json
from esrface.cli.table import FaceTable
from esrface.cli.windowed import make_screen, open_window, run_beside
from esrface.errors import OutputError
from esrface.images import DEFAULT_MAX_PIXELS
from esrface.recognizer import Recognizer
from esrface.rows import picture_record
from esrface.screen.feed import PictureFeed
from esrface.screen.stage import Stage
from esrface.sinks import Picture
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
    given = [*options["inputs"], *options["sources"]]
    _check(given, options)
    paths = _without_outputs(given, options["save"])
    console = make_console()
    with ExitStack() as stack:
        stack.enter_context(logging_to(console, quiet=options["quiet"], debug=ctx.meta[DEBUG]))
        _mention_what_draws_nothing(options)
        guard = OutputGuard(options, lambda: (source.name for source in _find(paths, options)))
        guard.check()
        every_source = _find(paths, options, left_out=_mention_left_out)
        first = list(islice(every_source, 2))
        window = stack.enter_context(open_window(options, instead=INSTEAD)) if options["display"] else None
        stage = Stage(by_hand=True)
        threads = resolve_threads(options["threads"])
        # Several pictures keep the threads busy with one each, which is faster than sharing one.
        workers = threads if len(first) > 1 else 1
        recognizer = stack.enter_context(_recognizer(options, threads=1 if workers > 1 else threads))
        # By themselves: they are closed before the last lines say what was written.
        outputs = stack.enter_context(ExitStack())
        run = PictureRun(
            recognizer,
            enter_sinks(picture_sinks(options, recognizer, guard), outputs),
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
        started, kept = time.monotonic(), True
        try:
            with outputs:
                if window is None:
                    work()
                else:
                    run_beside(window, make_screen(options, recognizer), stage, work, run.halt)
        except ReaderGone:
            pass
        except OutputError:
            kept = False
            raise
        finally:
            progress.close()
            _report(console, run.tally, options, recognizer, time.monotonic() - started, written=kept)
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
    if paths.count(STDIN) > 1:
        raise click.UsageError("- can be given once only: standard input holds one picture")


def _mention_what_draws_nothing(options: Options) -> None:
    given = [letter for letter, name in (("-g", "gradcam"), ("-b", "branch")) if options[name]]
    if given and not options["save"] and not options["display"]:
        _log.warning("%s: pictures are drawn with --save DIR or -d only", " and ".join(given))


def _without_outputs(paths: Sequence[str], save: Path | None) -> Sequence[str]:
    """The arguments without the folder of an earlier ``--save``, which the shell lists for ``folder/*``."""
    if save is None or len(paths) < 2 or not (save / RECORD).is_file():
        return paths
    folder = os.path.realpath(save)
    return [path for path in paths if os.path.realpath(path) != folder] or paths


def _find(
    paths: Sequence[str], options: Options, left_out: Callable[[str], None] | None = None
) -> Iterator[PictureSource]:
    outputs = [folder for folder in (options["save"], options["output"]) if folder]
    return find_images(paths, exclude=outputs, left_out=left_out)


def _mention_left_out(folder: str) -> None:
    told = "%s is left out: an earlier run drew its pictures; to read them, name the folder"
    _log.warning(told, printable(folder))


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


def _report(
    console: Console,
    tally: Tally,
    options: Options,
    recognizer: Recognizer,
    seconds: float,
    *,
    written: bool,
) -> None:
    """What failed, one line each, and a summary; ``written``: whether all outputs are there."""
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
    names = [printable(options[name]) for name in RESULTS if options[name]]
    if names and written:
        print_line(console, f"written: {', '.join(names)}", style="dim")
