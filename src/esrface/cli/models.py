"""``esrface models``: which models there are, what is known about one, and how to get more."""

from __future__ import annotations

import click

from esrface.cli import Entry
from esrface.cli.group import CommandGroup

TASKS = {
    "list": Entry("esrface.cli.models_list", "All models: shipped, downloaded, imported, to be had."),
    "info": Entry("esrface.cli.models_info", "Explain one: input, data, scores, licence."),
    "download": Entry("esrface.cli.models_download", "Get published weights; goes on after a stop."),
    "import": Entry("esrface.cli.models_import", "Copy a model of yours in, to be found by its name."),
    "verify": Entry("esrface.cli.models_verify", "Compare every byte with what the cards say."),
    "path": Entry("esrface.cli.models_path", "Print where a model, or the models folder, is."),
    "remove": Entry("esrface.cli.models_remove", "Delete a downloaded or imported model."),
}


class Models(CommandGroup):
    """``esrface models`` alone means ``list``; with a model's name or path, ``info``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the task first: it may be left out, or stand after ``--json``."""
        words = [word for word in args if not word.startswith("-")]
        if not {"-h", "--help", "-help"}.intersection(args) or words:
            task = words[0] if words and words[0] in self.entries else None
            rest = list(args)
            if task:
                rest.remove(task)
            args = [task or ("info" if words else "list"), *rest]
        return super().parse_args(ctx, args)


@click.command(
    "models",
    cls=Models,
    entries=TASKS,
    what="task",
    examples=[
        ("esrface models", "All models; short for 'esrface models list'."),
        ("esrface models esr9-fer", "Explain one; short for 'esrface models info esr9-fer'."),
        ("esrface models runs/mine/model.onnx --json", "The card of any model file."),
        ("esrface models download esr9-affectnet", "The paper's own weights (82 MB, non-commercial use)."),
    ],
)
def command() -> None:
    """List the models, explain one, or get more.

    Downloaded and imported models are kept in the models folder: ESRFACE_MODELS where that is set, else
    'esrface/models' in the user's cache folder ('esrface models path' prints it).
    """
