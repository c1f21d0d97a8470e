"""``esrface models import``: a model from elsewhere, found by its name from then on."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import Command
from esrface.cli.streams import printable, say


@click.command(
    "import",
    cls=Command,
    examples=[
        ("esrface models import esr_9/", "The original's .pt files; the published ones are recognised."),
        ("esrface models import runs/mine --name mine", "A training run; then: --model mine."),
    ],
)
@click.argument("source", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", help="What to call it.  [default: as its card says]")
@click.option("--overwrite", is_flag=True, help="Replace a model of that name.")
def command(source: Path, name: str | None, overwrite: bool) -> int:
    """Copy a model into the models folder.

    PATH is a folder with the original's .pt files, a training run's folder, or an .onnx file with its card
    beside it. The weights are loaded once before, to see that they can be used.
    """
    from esrface.engine import create_engine
    from esrface.errors import DependencyError
    from esrface.models.importing import import_model
    from esrface.models.registry import resolve_model

    if source.exists():
        try:
            create_engine(resolve_model(source), threads=1)
        except DependencyError as error:
            say(f"esrface: warning: not tried out: {error}")
    file = import_model(source, name=name, overwrite=overwrite)
    say(printable(f"esrface: {file.card.name} is in {file.path}; use it with --model {file.card.name}"))
    return 0
