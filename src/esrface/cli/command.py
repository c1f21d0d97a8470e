"""What all commands share: a help page with groups of options and examples, ``--debug``, near names."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from esrface._suggest import unknown_name
from esrface.errors import InputError

SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help", "-help"], "max_content_width": 100}
OTHER = "Options"
OUTPUT = "Output"

F = TypeVar("F", bound=Callable[..., Any])

# These classes take a type parameter only since click 8.3.
if TYPE_CHECKING:
    _Choice = click.Choice[str]
    _Whole = click.ParamType[int]
    _Share = click.ParamType[float]
else:
    _Choice = click.Choice
    _Whole = _Share = click.ParamType


class GroupedOption(click.Option):
    """An option with a heading on the help page."""

    def __init__(self, *args: Any, heading: str = OTHER, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heading = heading

    def consume_value(self, ctx: click.Context, opts: Mapping[str, Any]) -> tuple[Any, Any]:
        """What the command line says, unless it names no file: ``--save --mirror`` lacks a folder, ``-`` is
        standard input or output to other programs, and ``""`` would be the folder one stands in."""
        value, source = super().consume_value(ctx, opts)
        options = {name for parameter in ctx.command.params for name in parameter.opts}
        for given in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(given, str) and given.startswith("--") and given in options:
                what = self.metavar or "a value"
                raise click.UsageError(f"{self.opts[-1]} needs {what}, and {given} is an option", ctx)
            if given in ("-", "") and isinstance(self.type, click.Path):
                writes = self.heading == OUTPUT and "--json" in options
                instead = "; --json writes to standard output" if writes and given else ""
                raise click.UsageError(f"{self.opts[-1]} needs the name of a file or folder{instead}", ctx)
        return value, source


def option(heading: str, *names: str, **kwargs: Any) -> Callable[[F], F]:
    """``click.option`` under a heading of the help page."""
    return click.option(*names, cls=GroupedOption, heading=heading, **kwargs)


class Command(click.Command):
    """A command whose help page groups its options and shows examples.

    Args:
        examples: (command line, what it does) in the order of the page.
    """

    def __init__(self, *args: Any, examples: Sequence[tuple[str, str]] = (), **kwargs: Any) -> None:
        kwargs["context_settings"] = {**SETTINGS, **kwargs.get("context_settings", {})}
        super().__init__(*args, **kwargs)
        self.examples = examples
        # Read from the raw arguments, since it must work even where parsing them fails.
        self.params.append(
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks of errors.")
        )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Like click's, which of an option without its value does not say whose it is."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Like click's, with a clear line where the folder one stands in is gone."""
        try:
            return super().invoke(ctx)
        except FileNotFoundError as error:
            # No file's name: it is the system's answer to the question where we are.
            if error.filename is None and _is_nowhere():
                raise InputError("the current folder does not exist any more: go to another one") from error
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples, then the options under their headings."""
        if self.examples:
            with formatter.section("Examples"):
                for line, explanation in self.examples:
                    formatter.write_text(line)
                    with formatter.indentation():
                        formatter.write_text(explanation)
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and not isinstance(parameter, click.Argument):
                groups.setdefault(getattr(parameter, "heading", OTHER), []).append(record)
        for heading in sorted(groups, key=lambda name: name == OTHER):
            with formatter.section(heading):
                formatter.write_dl(groups[heading])


class Name(_Choice):
    """A choice that suggests the nearest name."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The value itself if it is one of the choices."""
        if value in self.choices:
            return str(value)
        raise click.UsageError(unknown_name(_plain_name(param), value, self.choices), ctx)


def choice(heading: str, *names: str, values: Sequence[str], **kwargs: Any) -> Callable[[F], F]:
    """An option that is one of some names."""
    return option(heading, *names, type=Name(list(values)), metavar="|".join(values), **kwargs)


class Whole(_Whole):
    """A whole number of at least ``low``."""

    name = "whole number"

    def __init__(self, low: int) -> None:
        self.low = low

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        try:
            number = int(value)
        except ValueError:
            number = self.low - 1
        if number < self.low:
            self.fail(f"expected a whole number of at least {self.low}, got {value!r}", param, ctx)
        return number


class Share(_Share):
    """A number from 0 to 1."""

    name = "number from 0 to 1"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not 0 <= number <= 1:  # Not a number is neither.
            self.fail(f"expected a number from 0 to 1, got {value!r}", param, ctx)
        return number


class Amount(_Share):
    """A number above 0, or from 0 on."""

    name = "number"

    def __init__(self, *, zero: bool = False) -> None:
        self.zero = zero

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = -1.0
        if not (0 < number < math.inf or (self.zero and number == 0)):
            least = "of at least 0" if self.zero else "above 0"
            self.fail(f"expected a number {least}, got {value!r}", param, ctx)
        return number


def _is_nowhere() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 - the question itself is what counts
    except FileNotFoundError:
        return True
    return False


def _plain_name(param: click.Parameter | None) -> str:
    return (param.name or "value").replace("_", "-") if param else "value"
