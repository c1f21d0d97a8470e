"""``esrface models info``: what is known about a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command
from esrface.cli.streams import print_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from esrface.models.card import ModelCard
    from esrface.models.manifest import Manifest
    from esrface.models.registry import ModelFile


@click.command(
    "info",
    cls=Command,
    examples=[
        ("esrface models info", "Explain the default model."),
        ("esrface models info esr9-affectnet", "What would be downloaded, and under which terms."),
        ("esrface models info runs/mine --json", "The card of a model of yours."),
    ],
)
@click.argument("names", nargs=-1, metavar="[NAME|PATH]...")
@click.option("--json", "as_json", is_flag=True, help="Print the cards as one JSON value.")
def command(names: tuple[str, ...], as_json: bool) -> int:
    """Explain a model: input, branches, training data, scores, licence."""
    from esrface.models.registry import DEFAULT_MODEL

    found = [_find(name) for name in names or (DEFAULT_MODEL,)]
    if as_json:
        cards = [summary(file) for file in found]
        print_json(cards[0] if len(cards) == 1 else cards, indent=2)
    else:
        for file in found:
            _explain(file)
    return 0


def _find(name: str) -> ModelFile | Manifest:
    """The model, or how to get it."""
    from esrface.errors import ModelError
    from esrface.models.manifest import load_manifest, published_names
    from esrface.models.registry import resolve_model

    try:
        return resolve_model(name)
    except ModelError:
        from esrface.models.installed import installed_folder

        if name not in published_names() or installed_folder(name):
            raise
        return load_manifest(name)


def summary(file: ModelFile | Manifest) -> dict[str, Any]:
    """What ``--json`` prints: the card and where the model is, or the manifest of one to be had."""
    from dataclasses import asdict

    from esrface.models.manifest import Manifest

    if isinstance(file, Manifest):
        return {**asdict(file), "default": False, "path": None}
    card = file.card
    return {**card.to_dict(), "default": is_default(file), "path": str(file.path), "bytes": file.size_bytes}


def is_default(file: ModelFile) -> bool:
    """Whether it is the shipped default model."""
    from esrface.models.registry import DEFAULT_MODEL, WEIGHTS

    return file.card.name == DEFAULT_MODEL and file.path.parent == WEIGHTS


def _explain(file: ModelFile | Manifest) -> None:
    from rich.table import Table

    from esrface._names import printable
    from esrface.cli.console import make_console
    from esrface.models.manifest import Manifest

    if isinstance(file, Manifest):
        title, facts = f"{file.name} (not downloaded)", _facts_of_manifest(file)
        description, last = file.description, f"'esrface models download {file.name}' gets it."
    else:
        card = file.card
        title = f"{card.name} {card.version}" + (" (default)" if is_default(file) else "")
        facts, description, last = _facts(file), card.description, "--json prints the whole card."
    console = make_console(to_stdout=True)
    console.print(title, style="bold")
    console.print(printable(description))
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(name, printable(value))
    console.print(table)
    console.print(last, style="dim")


def _facts_of_manifest(manifest: Manifest) -> list[tuple[str, str]]:
    from esrface.models.installed import models_folder

    return [
        ("from", manifest.url),
        ("size", f"{manifest.about_bytes / 1e6:.0f} MB in {len(manifest.files)} files"),
        ("to", str(models_folder() / manifest.name)),
        ("needs", "the extra 'torch' to run"),
        *(("data", f"{data.name}: {data.use}; {data.terms}") for data in manifest.training_data),
        ("licence", manifest.licence),
        *(("", sentence) for sentence in manifest.terms),
        ("homepage", manifest.homepage),
    ]


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
            f"{input_of(card)}, mean {_numbers(card.input.mean)}, std {_numbers(card.input.std)} (of 0-255)",
        ),
        ("crop", f"{sides}, margin {crop.margin:g}, eyes {'levelled' if crop.align else 'as they are'}"),
        ("emotions", ", ".join(card.emotions)),
        ("temperature", f"{card.temperature:g}"),
        ("looks at", card.looks_at),
        ("uncertainty", card.uncertainty.measure.replace("_", " ")),
        ("affect", _AFFECT[card.affect_source]),
    ]
    if card.logit_adjustment:
        known = {name: value for name, value in card.logit_adjustment.items() if value is not None}
        facts.append(("logit adjustment", _flat(known)))
    facts += [("data", f"{data.name}: {data.use}; {data.terms}") for data in card.training_data]
    for score in card.scores:
        facts.append(("score", score_of(score)))
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


def input_of(card: ModelCard) -> str:
    """The network's input in a few words."""
    spec = card.input
    return f"{spec.size} x {spec.size} {spec.color}"


def _numbers(values: tuple[float, ...]) -> str:
    return "/".join(f"{value:g}" for value in values)


def score_of(score: Mapping[str, Any], *, with_protocol: bool = True) -> str:
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
