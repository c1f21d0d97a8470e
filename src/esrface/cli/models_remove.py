"""``esrface models remove``: delete a downloaded or imported model."""

from __future__ import annotations

import click

from esrface.cli.command import Command
from esrface.cli.streams import say
from esrface.errors import ModelError


@click.command(
    "remove",
    cls=Command,
    examples=[("esrface models remove esr9-affectnet", "Also what an unfinished download left.")],
)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def command(names: tuple[str, ...]) -> int:
    """Delete downloaded or imported models from the models folder."""
    from esrface._suggest import unknown_name
    from esrface.models.installed import installed_names, remove
    from esrface.models.registry import shipped_names

    for name in names:
        if not remove(name):
            if name in shipped_names():
                raise ModelError(f"{name} came with esrface and cannot be removed")
            raise ModelError(unknown_name("model in the models folder", name, installed_names()))
        say(f"esrface: {name} was removed")
    return 0
