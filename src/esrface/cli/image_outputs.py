"""The outputs in files of ``esrface image``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from esrface.cli.guard import ROW_SINKS, OutputGuard
from esrface.cli.running import Options, output_mode, settings_of
from esrface.outputs import OutputNames
from esrface.recognizer import Recognizer
from esrface.report.facts import RunFacts
from esrface.sinks import (
    AnnotatedPictures,
    BranchSheets,
    EmotionSheets,
    OriginalCsv,
    PictureReport,
    RunSettings,
    Sink,
)


def picture_sinks(options: Options, recognizer: Recognizer, guard: OutputGuard) -> list[Sink]:
    """The outputs in files; a picture's own files before its rows, which therefore say that it is done."""
    settings, mode = RunSettings(settings_of(options, recognizer)), output_mode(options)
    branches, abstain_below = recognizer.card.branches, options["abstain_below"]
    sinks: list[Sink] = []
    if options["report"]:
        # First in, last out: the others are closed before the page is made.
        facts = RunFacts.of(recognizer, settings.values)
        sinks.append(PictureReport(options["report"], facts, recognizer, mode=mode))
    sinks += _folder_sinks(options, settings, recognizer, guard)
    for name, kind in ROW_SINKS.items():
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


def _folder_sinks(
    options: Options, settings: RunSettings, recognizer: Recognizer, guard: OutputGuard
) -> list[Sink]:
    """The outputs with a file a picture; those in one folder share its names and its record."""
    save, output = options["save"], options["output"]
    common: dict[str, Any] = {"mode": output_mode(options), "guard": guard}
    # Sheets are no part of other outputs, which can be gone on with whether there are any or not.
    sheets = {name: True for name in ("branch", "gradcam") if options[name]}
    drawn = RunSettings({**settings.values, **sheets})
    names = OutputNames()
    sinks: list[Sink] = []
    if output:
        together = save is not None and os.path.realpath(save) == os.path.realpath(output)
        kept, taken = (drawn, names) if together else (settings, OutputNames())
        sinks.append(OriginalCsv(output, kept, branches=recognizer.card.branches, taken=taken, **common))
    if save:
        limit = options["abstain_below"]
        sinks.append(AnnotatedPictures(save, drawn, abstain_below=limit, taken=names, **common))
        if sheets:
            sinks.append(BranchSheets(save, drawn, recognizer, taken=names, **common))
        if options["gradcam"]:
            sinks.append(EmotionSheets(save, drawn, recognizer, taken=names, **common))
    return sinks


def enter_sinks(sinks: Sequence[Sink], stack: ExitStack) -> Sequence[Sink]:
    """Open the outputs; those that refuse what exists come first, before a folder is made for nothing."""
    for sink in sorted(sinks, key=lambda sink: not sink.shared):
        stack.enter_context(sink)
    return sinks
