"""``esrface models``: which models there are, and what is known about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command
from esrface.cli.streams import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from esrface.models.card import ModelCard
    from esrface.models.registry import ModelFile

NARROW = 80
"""Columns below which the list shows no details."""


@click.command(
    "models",
    cls=Command,
    examples=[
        ("esrface models", "All models that came with esrface."),
        ("esrface models esr9-fer", "Explain one: input, branches, training data, scores, licence."),
        ("esrface models runs/mine/model.onnx --json", "The card of any model file."),
    ],
)
@click.argument("names", nargs=-1, metavar="[info] [NAME|PATH]")
@click.option("--json", "as_json", is_flag=True, help="Print the cards as one JSON value.")
def command(names: tuple[str, ...], as_json: bool) -> int:
    """List the models, or explain one."""
    from esrface.models.registry import list_models, resolve_model

    if names[:1] == ("info",):
        names = names[1:] or (_default_name(),)
    files = [resolve_model(name) for name in names] if names else list_models()
    if as_json:
        cards = [_summary(file) for file in files]
        print_json(cards[0] if len(names) == 1 else cards, indent=2)
    elif names:
        for file in files:
            _explain(file)
    else:
        _list(files)
    return 0


def _default_name() -> str:
    from esrface.models.registry import DEFAULT_MODEL

    return DEFAULT_MODEL


def _summary(file: ModelFile) -> dict[str, Any]:
    card = file.card
    return {**card.to_dict(), "default": _is_default(file), "path": str(file.path), "bytes": file.size_bytes}


def _is_default(file: ModelFile) -> bool:
    from esrface.models.registry import DEFAULT_MODEL, WEIGHTS

    return file.card.name == DEFAULT_MODEL and file.path.parent == WEIGHTS


def _list(files: list[ModelFile]) -> None:
    from rich.table import Table
    from rich.text import Text

    from esrface.cli.console import make_console

    console = make_console(to_stdout=True)
    if not files:
        console.print("no models came with this esrface: give --model an .onnx file or a run's folder")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    headings = ("Model", "Version", "Input", "Branches", "Size", "Score")
    narrow = console.width < NARROW
    for heading in headings:
        if not narrow or heading in ("Model", "Score"):
            table.add_column(heading, no_wrap=heading != "Score" and not narrow)
    for file in files:
        card = file.card
        details = [card.version, _input(card), str(card.branches), f"{file.size_bytes / 1e6:.1f} MB"]
        table.add_row(
            Text(card.name + (" (default)" if _is_default(file) else ""), style="bold"),
            *([] if narrow else details),
            _score(card.scores[0], with_protocol=False) if card.scores else "not measured",
        )
    console.print(table)
    console.print("'esrface models NAME' explains one.", style="dim")


def _explain(file: ModelFile) -> None:
    from rich.table import Table

    from esrface._names import printable
    from esrface.cli.console import make_console

    card = file.card
    console = make_console(to_stdout=True)
    console.print(f"{card.name} {card.version}" + (" (default)" if _is_default(file) else ""), style="bold")
    console.print(card.description)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _facts(file):
        table.add_row(name, printable(value))
    console.print(table)
    console.print("--json prints the whole card.", style="dim")


def _facts(file: ModelFile) -> list[tuple[str, str]]:
    card = file.card
    crop = card.crop
    sides = "a square around the face" if crop.square else "the face's box"
    facts = [
        ("file", f"{file.path} ({file.size_bytes / 1e6:.1f} MB)"),
        ("sha256", card.sha256),
        ("network", _flat(card.network)),
        ("branches", str(card.branches)),
        (
            "input",
            f"{_input(card)}, mean {_numbers(card.input.mean)}, std {_numbers(card.input.std)} (of 0-255)",
        ),
        ("crop", f"{sides}, margin {crop.margin:g}, eyes {'levelled' if crop.align else 'as they are'}"),
        ("emotions", ", ".join(card.emotions)),
        ("temperature", f"{card.temperature:g}"),
        ("mirror", "the mirror image is looked at too" if card.mirror else "one look by default"),
        ("uncertainty", card.uncertainty.measure.replace("_", " ")),
        ("affect", _AFFECT[card.affect_source]),
    ]
    if card.logit_adjustment:
        facts.append(("logit adjustment", _flat(card.logit_adjustment)))
    facts += [("data", f"{data.name}: {data.use}; {data.terms}") for data in card.training_data]
    for score in card.scores:
        facts.append(("score", _score(score)))
        if isinstance(score.get("recall"), dict):
            known = {emotion: recall for emotion, recall in score["recall"].items() if recall is not None}
            recalls = (f"{emotion} {recall * 100:.0f}%" for emotion, recall in known.items())
            facts.append(("", f"recall: {', '.join(recalls)}"))
    if card.protocol:
        facts.append(("protocol", _flat(card.protocol)))
    return [*facts, ("seeds", ", ".join(map(str, card.seeds)) or "none stated"), ("licence", card.licence)]


_AFFECT = {
    "network": "valence and arousal from a trained layer",
    "circumplex": "valence and arousal read out of the probabilities (Russell & Mehrabian 1977)",
}


def _input(card: ModelCard) -> str:
    spec = card.input
    return f"{spec.size} x {spec.size} {spec.color}"


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values)


def _score(score: Mapping[str, Any], *, with_protocol: bool = True) -> str:
    """The figures that everybody asks for, and what they were measured on."""
    parts = [
        f"{score[key] * 100:.2f}% {word}"
        for key, word in (("accuracy", "accuracy"), ("mean_recall", "mean recall"))
        if isinstance(score.get(key), float)
    ]
    named = f"{', '.join(parts) or 'not measured'} on {score['data']} {score['split']}"
    if isinstance(score.get("images"), int):
        named += f", {score['images']:,} images"
    return f"{named} ({score['protocol']})" if with_protocol else named


def _flat(value: Mapping[str, Any]) -> str:
    """The plain entries of a mapping on one line; what is nested deeper is left to ``--json``."""
    words = {key.replace("_", " "): _word(item) for key, item in value.items()}
    return ", ".join(f"{key} {word}" for key, word in words.items() if word)


def _word(value: Any) -> str:
    """A plain value, or a short list or mapping of such; else empty."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (str, int)):
        return str(value)
    items = list(value.items() if isinstance(value, dict) else ((None, item) for item in value))
    if any(isinstance(item, (list, tuple, dict)) for _, item in items):
        return ""
    return "[" + ", ".join(f"{key} {_word(item)}" if key else _word(item) for key, item in items) + "]"
