"""What a report says about the run that it is of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from esrface import __version__

if TYPE_CHECKING:
    from esrface.recognizer import Recognizer

RESPONSIBLE_USE = (
    "An expression is not a feeling. These figures say which of a few categories people would most likely "
    "name for a picture of a face; they cannot say what a person feels, intends or is like, and some of them "
    "are wrong. Do not decide anything about a person from them alone."
)
"""Stands at the head of every report."""

LAW = (
    "In the European Union, inferring emotions of people at work and in education is forbidden but for "
    "medical or safety reasons (AI Act, Article 5(1)(f)), and elsewhere the people exposed to it must be "
    "told (Article 50). This page holds pictures of people: personal data, to be kept and sent with care."
)
"""Stands at the foot of every report."""


@dataclass(frozen=True)
class RunFacts:
    """Model, options and time of a run."""

    model: str
    """Name and version."""
    description: str
    """The model's, in a line."""
    sha256: str
    """Of the weights."""
    branches: int
    emotions: tuple[str, ...]
    """The model's classes."""
    affect_source: str
    uncertainty: str
    """The measure behind ``Expression.uncertainty``."""
    options: Mapping[str, Any]
    """What decided about the results, by name; None: not set."""
    version: str = __version__
    """Of this program."""
    started: datetime = field(default_factory=lambda: datetime.now().astimezone())

    @classmethod
    def of(cls, recognizer: Recognizer, options: Mapping[str, Any]) -> RunFacts:
        """The facts of a run that begins now.

        Args:
            recognizer: What it recognises with.
            options: As ``esrface.sinks.RunSettings.values``.
        """
        card = recognizer.card
        return cls(
            model=f"{card.name} {card.version}",
            description=card.description,
            sha256=card.sha256,
            branches=card.branches,
            emotions=card.emotions,
            affect_source=card.affect_source,
            uncertainty=card.uncertainty.measure,
            options={name: value for name, value in options.items() if name not in ("model", "sha256")},
        )

    def rows(self) -> list[tuple[str, str]]:
        """(name, value) for a table."""
        affect = {"network": "a trained layer", "circumplex": "read out of the emotions (circumplex)"}
        return [
            ("Model", self.model),
            ("Description", self.description),
            ("Weights, SHA-256", self.sha256),
            ("Branches", str(self.branches)),
            ("Classes", ", ".join(self.emotions)),
            ("Valence and arousal", affect[self.affect_source]),
            ("Measure of uncertainty", self.uncertainty.replace("_", " ")),
            ("esrface", self.version),
            ("Started", self.started.strftime("%Y-%m-%d %H:%M:%S %z").strip()),
            *(
                (name.replace("_", " "), _word(value))
                for name, value in self.options.items()
                if value is not None
            ),
        ]


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
