"""``esrface models path``: where a model is, for scripts."""

from __future__ import annotations

import click

from esrface.cli.command import Command
from esrface.cli.streams import print_text


@click.command(
    "path",
    cls=Command,
    examples=[
        ("esrface models path", "The models folder; ESRFACE_MODELS names another one."),
        ("esrface models path esr9-fer", "The file, or the folder, of a model."),
    ],
)
@click.argument("name", required=False, metavar="[NAME]")
def command(name: str | None) -> int:
    """Print where a model is, or where downloaded and imported ones are kept."""
    from esrface.models.installed import models_folder
    from esrface.models.registry import resolve_model

    print_text(str(resolve_model(name).path if name else models_folder()))
    return 0
