"""Keeps the outputs of a run off its inputs and off each other, before anything is written."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import click

from esrface._names import printable, same_file_key
from esrface.cli.running import Options, output_mode
from esrface.errors import OutputError
from esrface.outputs import refuse_existing
from esrface.sinks import CsvRows, JsonlRows, ParquetRows
from esrface.sinks.row_sink import RowSink
from esrface.sources import STDIN

ROW_SINKS: Mapping[str, type[RowSink]] = {"csv": CsvRows, "jsonl": JsonlRows, "parquet": ParquetRows}
"""What writes rows, by the option that names its file."""

_STANDARD_INPUT = 0
"""Its descriptor: it may be a file, which is an input too."""

_WHOLE_FILES = ("save_video", "report")
"""Other options that name one output for the whole run."""


class OutputGuard:
    """Refuses outputs that would destroy an input or another output of the run.

    Args:
        options: The command's.
        inputs: Paths of everything that the run may read, ``-`` for standard input; called once, and only if
            an output exists already.
    """

    def __init__(self, options: Options, inputs: Callable[[], Iterable[str]]) -> None:
        self._mode = output_mode(options)
        self._list_inputs = inputs
        self._files: list[Path] = []
        records: list[Path] = []
        for name, kind in ROW_SINKS.items():
            if path := options[name]:
                self._files += kind.files(path)
                records.append(kind.record(path))
        self._files += [options[name] for name in _WHOLE_FILES if options.get(name)]
        self._taken = [_real(path) for path in (*self._files, *records)]
        self._names = {same_file_key(Path(path).name) for path in self._taken}

    def check(self, more: Sequence[Path] = ()) -> None:
        """Look at the outputs of the whole run, and at ``more`` files that are known beforehand.

        Raises:
            OutputError: One of them exists and may not be replaced, or is an input.
            click.UsageError: Two of them are the same file.
        """
        taken = [*self._taken, *map(_real, more)]
        if len(set(taken)) < len(taken):
            raise click.UsageError("two outputs name the same file: give each its own")
        for path in (*self._files, *more):
            self._keep_inputs(path)
            refuse_existing(path, overwrite=self._mode != "refuse", resumable=True)

    def __call__(self, output: Path) -> None:
        """Look at a file of one picture; OutputError if it is an input, or an output of the whole run."""
        if same_file_key(output.name) in self._names and _real(output) in self._taken:
            raise OutputError(f"cannot write {printable(output)}: it is another output of this run")
        # What is there already stays when a run is resumed.
        if self._mode != "resume":
            self._keep_inputs(output)

    def _keep_inputs(self, output: Path) -> None:
        with suppress(OSError):
            status = output.stat()
            if output.is_file() and (status.st_dev, status.st_ino) in self._inputs:
                raise OutputError(f"cannot write {printable(output)}: it is an input of this run")

    @cached_property
    def _inputs(self) -> set[tuple[int, int]]:
        """Device and number of each input."""
        found = set()
        for path in self._list_inputs():
            with suppress(OSError):
                # A Path for each of many takes longer than the question.
                status = os.stat(_STANDARD_INPUT if path == STDIN else path)  # noqa: PTH116
                found.add((status.st_dev, status.st_ino))
        return found


def _real(path: Path) -> str:
    return same_file_key(os.path.realpath(path))
