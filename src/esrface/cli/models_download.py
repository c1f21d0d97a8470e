"""``esrface models download``: published weights, for those who accept their terms."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from esrface.cli.command import Command
from esrface.cli.interrupts import Stopped
from esrface.cli.streams import printable, say
from esrface.errors import InputError

if TYPE_CHECKING:
    from esrface.models.manifest import Manifest


@click.command(
    "download",
    cls=Command,
    examples=[
        ("esrface models download esr9-affectnet", "Show the terms, ask, and get the weights."),
        ("esrface models download esr9-affectnet --accept-licence", "The same in a script."),
        (
            "esrface models download esr9-affectnet --url https://mirror.example/esr_9/",
            "From another place; the content is verified alike.",
        ),
    ],
)
@click.argument("name", metavar="NAME")
@click.option(
    "--accept-licence", "--accept-license", "accepted", is_flag=True, help="You accept the weights' terms."
)
@click.option("--url", metavar="URL", help="Folder of a mirror with the same files (http or https).")
def command(name: str, accepted: bool, url: str | None) -> int:
    """Get published weights into the models folder, every file verified.

    A download that was stopped or broke off goes on where it ended when the command is given again. Proxies
    are taken from HTTPS_PROXY and NO_PROXY. Nothing else in esrface downloads anything.
    """
    from esrface.models.download import download
    from esrface.models.installed import installed_folder
    from esrface.models.manifest import load_manifest
    from esrface.models.registry import resolve_model, shipped_names
    from esrface.models.verification import verify_model

    if name in shipped_names():
        say(f"esrface: {name} came with esrface: there is nothing to download")
        return 0
    manifest = load_manifest(name)
    if installed_folder(name):
        file = resolve_model(name)
        verify_model(file)
        say(printable(f"esrface: {name} is here already, and intact: {file.path}"))
        return 0
    _accept(manifest, accepted)
    bar = _Bar(manifest)
    try:
        folder = download(manifest, url=url, progress=bar.update)
    except Stopped:
        bar.close()
        say("esrface: what came so far stays; the same command goes on with it")
        raise
    finally:
        bar.close()
    say(printable(f"esrface: {name} is in {folder}; use it with --model {name} (needs the extra 'torch')"))
    return 0


def _accept(manifest: Manifest, accepted: bool) -> None:
    """Show the terms, and ask unless they are accepted; InputError if nobody is there, or says no."""
    say(f"{manifest.name}: {manifest.description}")
    for sentence in manifest.terms:
        say(f"  {sentence}")
    say(f"  {manifest.homepage}")
    if accepted:
        return
    if not (sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty()):
        raise InputError(f"{manifest.name} comes under the terms above: add --accept-licence to accept them")
    size = f"{manifest.about_bytes / 1e6:.0f} MB"
    sys.stderr.write(f"Do you accept these terms, and download {size}? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError("not accepted: nothing was downloaded")


class _Bar:
    """A progress bar on a terminal that can move its cursor; nothing elsewhere."""

    def __init__(self, manifest: Manifest) -> None:
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        from esrface.cli.console import make_console

        console = make_console()
        self._bar = Progress(
            TextColumn(manifest.name),
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal or console.is_dumb_terminal,
        )
        self._task = self._bar.add_task(manifest.name, total=manifest.about_bytes)
        self._bar.start()

    def update(self, done: int) -> None:
        """Show how many bytes there are."""
        self._bar.update(self._task, completed=done)

    def close(self) -> None:
        """Take the bar away. Safe to repeat."""
        self._bar.stop()
