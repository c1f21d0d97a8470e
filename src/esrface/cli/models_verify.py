"""``esrface models verify``: are the weights still what they were?"""

from __future__ import annotations

import click

from esrface.cli.command import Command
from esrface.cli.streams import print_text, printable, say


@click.command(
    "verify",
    cls=Command,
    examples=[
        ("esrface models verify", "Every model that is here."),
        ("esrface models verify esr9-affectnet", "One; a damaged file is named."),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME|PATH]...")
def command(names: tuple[str, ...]) -> int:
    """Read every byte of models and compare it with their cards. Exit code 2 if one does not fit."""
    from esrface.errors import ModelError
    from esrface.models.installed import installed_names
    from esrface.models.registry import resolve_model, shipped_names
    from esrface.models.verification import verify_model

    failed = False
    for name in names or dict.fromkeys((*shipped_names(), *installed_names())):
        try:
            file = resolve_model(name)
            verify_model(file)
        except ModelError as error:
            failed = True
            say(f"esrface: {error}")
        else:
            print_text(printable(f"{name}: intact, sha256 {file.card.sha256}"))
    return 2 if failed else 0
