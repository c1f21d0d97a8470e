"""The run behind ``esrface video`` and ``webcam``: its settings, its outputs, and the last lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import click
from rich.console import Console

from esrface._names import printable
from esrface._numbers import counted, percent
from esrface.cli.app import DEBUG
from esrface.cli.clip_run import ClipRun, ClipTally, View
from esrface.cli.clips import GivenClip
from esrface.cli.console import make_console, people
from esrface.cli.guard import ROW_SINKS, OutputGuard
from esrface.cli.options import resolve_detector, resolve_device
from esrface.cli.running import (
    Options,
    logging_to,
    output_mode,
    print_failures,
    print_line,
    settings_of,
)
from esrface.cli.streams import ReaderGone
from esrface.cli.video_options import ORIGINAL_FRAMES
from esrface.cli.video_progress import VideoProgress
from esrface.cli.video_views import FrameJson, FrameTable
from esrface.cli.windowed import make_screen, open_window, run_beside
from esrface.detection import create_detector
from esrface.errors import OutputError
from esrface.recognizer import Recognizer
from esrface.report.facts import RunFacts
from esrface.screen.feed import ClipFeed
from esrface.screen.stage import Stage
from esrface.sinks import AnnotatedVideo, FrameSink, OriginalVideoCsv, RunSettings, VideoReport
from esrface.sinks.original_csv import clip_outputs
from esrface.threads import resolve_threads
from esrface.video import DETECTION_SIZE, Frame, Video, open_video
from esrface.video.pipeline import WORKERS
from esrface.video.sources import PICTURE_RATE, STALL_S

_log = logging.getLogger("esrface")

RESULTS = ("csv", "jsonl", "parquet", "save_video", "report", "output")
"""Options that name outputs."""

INSTEAD = "--save-video FILE.mp4 and --report FILE.html"
"""What shows faces without a window."""


def recognise_clips(
    ctx: click.Context, clips: Sequence[GivenClip], options: Options, *, live: bool | None = None
) -> int:
    """Do what ``esrface video`` or ``webcam`` was asked to do; returns the exit code.

    Args:
        ctx: The command's.
        clips: What to look at.
        options: The command's.
        live: As for ``esrface.open_video``.
    """
    _check(clips, options)
    console = make_console()
    with ExitStack() as stack:
        stack.enter_context(logging_to(console, quiet=options["quiet"], debug=ctx.meta[DEBUG]))
        _check_outputs(clips, options)
        window = stack.enter_context(open_window(options, instead=INSTEAD)) if options["display"] else None
        stage = Stage()
        recognizer = stack.enter_context(_recognizer(options))
        progress = VideoProgress(console, wanted=_wants_progress(options))
        stack.callback(progress.close)

        def after_each(video: Video, frame: Frame, tally: ClipTally) -> None:
            ctx.obj.check()
            progress.update(video, frame, tally)

        run = ClipRun(
            partial(_open, recognizer, options, live, progress.wanted),
            _sinks(options, recognizer, clips=len(clips)),
            _views(options, console, recognizer, stage, named=len(clips) > 1),
            resume=options["resume"],
            after_each=after_each,
            abstain_below=options["abstain_below"],
        )

        def work() -> None:
            with run:
                run.go(clips)

        started, kept = time.monotonic(), True
        try:
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


def _check(clips: Sequence[GivenClip], options: Options) -> None:
    """Refuse what cannot be meant, before anything is loaded."""
    if options.get("webcam") is not None:
        raise click.UsageError("-w names a camera: use esrface webcam -w N")
    if options["fps"] is not None and options["every"] is not None:
        raise click.UsageError("--fps and --every both say which frames to take: give one of them")
    if options["overwrite"] and options["resume"]:
        raise click.UsageError("--overwrite starts anew and --resume continues: give one of them")
    if options["resume"] and not any(options[name] for name in RESULTS if name != "report"):
        raise click.UsageError("--resume continues files: name them with --csv, --jsonl, --parquet or -o")
    if options["save_video"] and len(clips) > 1:
        raise click.UsageError("--save-video writes one video: give one source")
    if sum(clip.source == "-" for clip in clips) > 1:
        raise click.UsageError("- can be given once only: standard input holds one video")


def _check_outputs(clips: Sequence[GivenClip], options: Options) -> None:
    """Refuse what exists, inputs as outputs, and one file for two outputs, before anything is written."""
    folder = options["output"]
    each = clip_outputs(folder, [clip.place for clip in clips]) if folder else []
    OutputGuard(options, lambda: (path for clip in clips for path in clip.inputs)).check(each)


def _recognizer(options: Options) -> Recognizer:
    # Decoding, detection and recognition run side by side, and recognition of many faces twice.
    threads = max(1, resolve_threads(options["threads"]) // 2)
    detector = create_detector(
        resolve_detector(options["detector"], options["face_detection"]),
        min_face=options["min_face"],
        min_score=options["min_score"],
        max_faces=options["max_faces"],
        threads=threads,
        detection_size=_detection_size(options),
    )
    return Recognizer(
        options["model"],
        detector,
        resolve_device(options["device"], options["cuda"]),
        options["batch_norm"],
        options["mirror"],
        options["vote"],
        threads,
        prior=options["prior"],
    )


def _detection_size(options: Options) -> int:
    return options["detection_size"] or DETECTION_SIZE


def _sampling(options: Options) -> dict[str, Any]:
    """Which frames are taken, as ``esrface.open_video`` understands it."""
    if options["fps"] is not None:
        return {"fps": options["fps"]}
    if options["every"] is not None:
        return {"every": options["every"]}
    return {"frames": options["frames"] or ORIGINAL_FRAMES}


def _open(
    recognizer: Recognizer,
    options: Options,
    live: bool | None,
    shown: bool,
    source: str | int,
    checkpoint: dict[str, Any] | None,
) -> Video:
    """Open a clip; ``shown``: whether a display wants smoothed answers."""
    return open_video(
        source,
        recognizer,
        **_sampling(options),
        detect_every=options["detect_every"],
        smooth_s=options["smooth"] if shown or options["save_video"] or options["display"] else 0.0,
        saliency=options["display"] and options["gradcam"],
        skipped=options["save_video"] is not None,
        live=live,
        stall_s=options["stall"] or STALL_S,
        reconnect=options["reconnect"],
        picture_rate=options["picture_rate"] or PICTURE_RATE,
        resume_after=checkpoint,
        workers=min(WORKERS, resolve_threads(options["threads"])),
    )


def _sinks(options: Options, recognizer: Recognizer, *, clips: int) -> list[FrameSink]:
    """The outputs in files, in the order in which each frame goes through them; ``clips``: how many come."""
    settings = RunSettings(
        {
            **settings_of(options, recognizer),
            "detection_size": _detection_size(options),
            "detect_every": options["detect_every"],
            **dict.fromkeys(("frames", "fps", "every")),
            **_sampling(options),
            "picture_rate": options["picture_rate"] or PICTURE_RATE,
        }
    )
    mode, branches = output_mode(options), recognizer.card.branches
    sinks: list[FrameSink] = []
    if options["report"]:
        # First in, last out: the others are closed before the page is made.
        facts = RunFacts.of(recognizer, settings.values)
        sinks.append(VideoReport(options["report"], facts, recognizer, mode=mode, clips=clips))
    if options["output"]:
        sinks.append(OriginalVideoCsv(options["output"], settings, mode=mode, branches=branches))
    for name, kind in ROW_SINKS.items():
        if options[name]:
            sinks.append(
                kind(
                    options[name],
                    settings,
                    mode=mode,
                    branches=branches if options["branches"] else 0,
                    abstain_below=options["abstain_below"],
                    emotions=recognizer.card.emotions,
                )
            )
    if options["save_video"]:
        limit = options["abstain_below"]
        drawn = RunSettings({**settings.values, "smooth": options["smooth"]})
        sinks.append(AnnotatedVideo(options["save_video"], drawn, mode=mode, abstain_below=limit))
    return sinks


def _views(
    options: Options, console: Console, recognizer: Recognizer, stage: Stage, *, named: bool
) -> list[View]:
    """Standard output for programs, and the window, or else the table for people where nothing is written."""
    abstain_below = options["abstain_below"]
    written = options["as_json"] or any(options[name] for name in RESULTS)
    views: list[View] = []
    if options["as_json"]:
        views.append(FrameJson(recognizer.card.name, abstain_below=abstain_below))
    if options["display"]:
        views.append(ClipFeed(stage, real_time=not written))
    if views or written or options["quiet"]:
        return views
    table = FrameTable(console, branches=options["branches"], abstain_below=abstain_below, named=named)
    return [table]


def _wants_progress(options: Options) -> bool:
    # Text on the same terminal would run through the line.
    return not options["quiet"] and not options["as_json"]


def _report(
    console: Console,
    tally: ClipTally,
    options: Options,
    recognizer: Recognizer,
    seconds: float,
    *,
    written: bool,
) -> None:
    """What failed, one line each, and a summary; ``written``: whether all outputs are there."""
    print_failures(console, tally.failures, alone=not tally.frames + tally.kept)
    if options["quiet"] or options["as_json"] or not tally.frames + tally.kept:
        return
    print_line(console, ", ".join(_summary(tally, options)), style="dim")
    shares = [(count / tally.faces, name) for name, count in tally.emotions.most_common()]
    if shares:
        words = ", ".join(f"{name} {percent(share)}" for share, name in shares)
        print_line(console, f"faces show {words}", style="dim")
    if tally.frames:
        rate = tally.frames / max(seconds, 1e-3)
        done = (
            f"{seconds:.2f} s ({rate:.1f} frames/s), {recognizer.card.name} with {recognizer.detector.name}"
        )
        print_line(console, done, style="dim")
    if "circumplex" in tally.affect_sources:
        print_line(console, "valence and arousal are read out of the emotions (circumplex)", style="dim")
    names = [printable(options[name]) for name in RESULTS if options[name]]
    if names and written:
        print_line(console, f"written: {', '.join(names)}", style="dim")


def _summary(tally: ClipTally, options: Options) -> list[str]:
    parts = []
    if tally.frames:
        parts.append(
            f"{counted(tally.frames, 'frame')}, {percent(tally.with_face / tally.frames)} with a face"
        )
        parts += [counted(tally.faces, "face"), counted(tally.tracks, "track")]
    if tally.dropped:
        parts.append(f"{tally.dropped:,} dropped")
    if tally.abstained:
        parts.append(f"{tally.abstained} below {options['abstain_below']:g}")
    if tally.resumed:
        parts.append(f"{counted(tally.resumed, 'frame')} done before")
    if tally.kept:
        parts.append(f"{counted(tally.kept, 'video')} done before")
    if tally.failures:
        parts.append(f"{len(tally.failures)} failed")
    return parts
