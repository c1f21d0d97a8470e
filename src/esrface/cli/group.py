"""Commands with commands of their own, ``esrface train ferplus``, whose modules are imported when used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from esrface._suggest import unknown_name
from esrface.cli.command import Command

if TYPE_CHECKING:
    from esrface.cli import Entry


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is used.

    Args:
        entries: Modules by the commands' names; each holds its ``command``.
        what: What the names are, in a few words.
    """

    def __init__(self, *args: Any, entries: Mapping[str, Entry], what: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries
        self.what = what

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the help page."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name; None if there is none."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        command: click.Command = importlib.import_module(entry.module).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Like click's, with the nearest name in the error."""
        if args and args[0] not in self.entries and not args[0].startswith("-"):
            raise click.UsageError(unknown_name(self.what, args[0], self.entries), ctx)
        return super().resolve_command(ctx, args)


class CommandGroup(Command, LazyGroup):
    """A command whose first argument names what to do, with a help page for each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, no_args_is_help=False, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Like click's, with the choice in the error where nothing is named."""
        if not args and not ctx.resilient_parsing:
            raise click.UsageError(f"give a {self.what}: {', '.join(self.entries)}", ctx)
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the names, then examples and options."""
        with formatter.section(f"{self.what[0].upper()}{self.what[1:]}s"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing: they stand above, and listing them click's way would import all."""
