"""From arguments to an exit code: finds the command, runs it, and turns whatever happens into one line."""

from __future__ import annotations

import errno
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import click

from esrface._names import printable, reason_of
from esrface.cli.command import SETTINGS
from esrface.cli.group import LazyGroup
from esrface.cli.interrupts import Interrupts, Stopped
from esrface.cli.streams import ReaderGone, ensure_standard_streams, flush_standard_streams, say
from esrface.errors import EsrfaceError

if TYPE_CHECKING:
    from esrface.cli import Entry

NAME = "esrface"
OUR_FAULT, BAD_INPUT = 1, 2

DEBUG = "esrface.debug"
"""Key of ``ctx.meta``: whether ``--debug`` was given."""

EPILOG = """\b
Examples:
  esrface image photo.jpg                  what do the faces show?
  esrface image holiday/ --csv faces.csv   a table of all faces of a folder
  esrface image --help                     everything that a command can do"""


class Commands(LazyGroup):
    """The command ``esrface`` itself, with its list of commands."""

    def __init__(self, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(NAME, entries=entries, what="command", context_settings=SETTINGS, **kwargs)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])


def build_group(entries: Mapping[str, Entry]) -> Commands:
    """The command ``esrface`` itself."""
    return Commands(
        entries,
        invoke_without_command=True,
        callback=_print_help_if_bare,
        help="Recognise facial expressions: emotions, valence and arousal, and how sure the answer is.",
        epilog=EPILOG,
        params=[
            click.Option(
                ["--version"],
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_print_version,
                help="Name the version, the default model and its hash.",
            ),
            click.Option(["--debug"], is_flag=True, expose_value=False, help="Show tracebacks of errors."),
        ],
    )


@click.pass_context
def _print_help_if_bare(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _print_version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from esrface import __version__
    from esrface.models.registry import DEFAULT_MODEL, resolve_model

    try:
        card = resolve_model(DEFAULT_MODEL).card
        model = f"default model {card.name} {card.version}, sha256 {card.sha256}"
    except EsrfaceError as error:
        model = f"no default model: {error}"
    click.echo(f"{NAME} {__version__}, {model}")
    ctx.exit(0)


def run(entries: Mapping[str, Entry], argv: Sequence[str] | None) -> int:
    """Run a command line; see ``esrface.cli.main``."""
    if argv is None:
        ensure_standard_streams()
        argv = sys.argv[1:]
    arguments = list(argv)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options
    with Interrupts() as interrupts, warnings.catch_warnings():
        if not debug:
            # On damaged pictures, which get a line of ours.
            warnings.filterwarnings("ignore", module=r"PIL\.")
        code = _guard(build_group(entries), arguments, interrupts, debug)
        problem = flush_standard_streams()
        if problem is None or code:
            return code
        say(f"{NAME}: {problem}")
        return BAD_INPUT


def _guard(group: Commands, arguments: list[str], interrupts: Interrupts, debug: bool) -> int:
    """Exit code of a command; whatever it raises becomes one line, with a traceback only on request."""
    try:
        return _invoke(group, arguments, interrupts, debug)
    except Stopped as stop:
        say(f"{NAME}: stopped by {stop.name}")
        return stop.exit_code
    except ReaderGone:
        return 0
    except click.UsageError as error:
        _show_traceback(debug)
        say(_usage_line(error))
        return BAD_INPUT
    except click.ClickException as error:
        _show_traceback(debug)
        say(f"{NAME}: {error.format_message()}")
        return BAD_INPUT
    except EsrfaceError as error:
        _show_traceback(debug)
        say(f"{NAME}: {error}")
        return error.exit_code
    except MemoryError:
        _show_traceback(debug)
        say(f"{NAME}: not enough memory; give smaller pictures or lower --max-pixels")
        return BAD_INPUT
    except OSError as error:
        # Nearly always the surroundings and not this program: a full disk, a folder that went away.
        if error.errno == errno.EPIPE:
            return 0
        _show_traceback(debug)
        place = f": {printable(error.filename)}" if isinstance(error.filename, str) else ""
        say(f"{NAME}: {reason_of(error)}{place}")
        return BAD_INPUT
    except Exception as error:
        _show_traceback(debug)
        if _is_out_of_memory(error):
            say(f"{NAME}: not enough memory on the device; lower --batch, or choose another --device")
            return BAD_INPUT
        what = " ".join(f"{type(error).__name__}: {error}".split())
        say(f"{NAME}: internal error, please report it: {what}" + ("" if debug else " (--debug shows where)"))
        return OUR_FAULT


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is torch's, which is not loaded for this question; of a CPU it is a plain RuntimeError."""
    kind = type(error)
    on_gpu = kind.__name__ == "OutOfMemoryError" and kind.__module__.partition(".")[0] == "torch"
    return on_gpu or (kind is RuntimeError and "DefaultCPUAllocator: can't allocate memory" in str(error))


def _invoke(group: Commands, arguments: list[str], interrupts: Interrupts, debug: bool) -> int:
    # Not click's own main(): it would answer a closed pipe with exit code 1 and end the process itself.
    try:
        with group.make_context(NAME, arguments, obj=interrupts) as ctx:
            ctx.meta[DEBUG] = debug
            code = group.invoke(ctx)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    return code if isinstance(code, int) else 0


def _usage_line(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx else NAME
    if isinstance(error, click.NoSuchOption):
        message = f"unknown option '{error.option_name}'"
        if error.possibilities:
            message += f": did you mean '{error.possibilities[0]}'?"
    else:
        message = " ".join(error.format_message().split())
    return f"{path}: {message.rstrip('.')} (see '{path} --help')"


def _show_traceback(debug: bool) -> None:
    if debug:
        import traceback

        say(traceback.format_exc().rstrip())


def threads_hang() -> bool:
    """Whether a thread that a command has started, and no longer waits for, is still at work."""
    return any(thread.daemon and thread.name.startswith("esrface-") for thread in threading.enumerate())


def leave(code: int) -> NoReturn:
    """End the process at once, without waiting for threads."""
    os._exit(code)
