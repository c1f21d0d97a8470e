"""The model card: everything needed to use a network's weights rightly, as JSON beside the ONNX file.

A card is strict. Every key below is required but those that a mix had not from the start (``log_odds``,
``offsets``), unknown keys are refused, and the SHA-256 of the weights is
verified whenever they are loaded (``ModelFile.read`` in ``esrface.models.registry``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from esrface.emotions import classes_problem
from esrface.errors import ModelError
from esrface.models._fields import Fields

SCHEMA_VERSION = 1
"""Version of the card's layout; other versions are refused."""

COLORS = ("gray", "rgb", "bgr")
RESIZES = ("area_linear", "linear")
AFFECT_SOURCES = ("network", "circumplex")
"""As in ``esrface.results``, which is not imported so that cards can be read without numpy."""
MEASURES = ("one_minus_confidence", "entropy", "mutual_information")
"""The plain measures of uncertainty, each within 0-1 (see ``esrface.ensemble``); a ``mix`` combines them."""

LOG_ODDS = "log_odds"
"""What a ``mix`` weighs beside the plain measures: the log odds of an error, by the confidence."""

MAX_SIDE = 4096
"""Largest network input accepted, in pixels; a card that asks for more is a mistake or an attack."""

MAX_CARD_BYTES = 4_000_000
"""A card is a few kilobytes; anything larger than this is not one and is not read."""


@dataclass(frozen=True)
class InputSpec:
    """How a crop (RGB uint8 of any size) becomes the network's input (channels, size, size) float32."""

    size: int
    """Height and width of the input in pixels."""
    channels: int
    """1 or 3. Grey with 3 channels is the same picture three times."""
    color: str
    """``"gray"`` (ITU-R 601 weights 0.299 R + 0.587 G + 0.114 B), ``"rgb"`` or ``"bgr"``: channel order."""
    mean: tuple[float, ...]
    """Per channel, in units of 0-255: the input is (x - mean) / std."""
    std: tuple[float, ...]
    """Per channel, in units of 0-255, above 0."""
    resize: str = "area_linear"
    """``"area_linear"``: averaging over areas where the crop shrinks, bilinear where it grows. ``"linear"``:
    bilinear throughout, rounded to whole numbers, as OpenCV does with bytes and the original did."""


@dataclass(frozen=True)
class CropRule:
    """Which part of the picture around a face's box the network wants to see."""

    margin: float
    """Share of the crop's side added beyond every edge: 0 is the box itself, 0.1 makes it 1.2 times as wide;
    negative values (above -0.5) cut into the box."""
    square: bool
    """A square of the box's larger side on the box's centre; otherwise the box's own shape."""
    align: bool
    """Turned about the box's centre so that the eyes are level, where landmarks are known."""


@dataclass(frozen=True)
class UncertaintySpec:
    """Which measure of uncertainty ranks this model's errors best (chosen on validation)."""

    measure: str
    """One of ``MEASURES`` or ``"mix"``."""
    weights: Mapping[str, float] | None = None
    """Only for ``mix``: ``bias``, a weight for each of ``MEASURES`` and one for ``log_odds``, which is
    log((1 - confidence) / confidence); uncertainty is the logistic of bias + sum of weight x measure."""
    offsets: tuple[float, ...] | None = None
    """Only for ``mix``: (C,) added to that sum where the answer is this emotion; None: nothing."""


@dataclass(frozen=True)
class TrainingData:
    """One set of data that went into the weights."""

    name: str
    use: str
    """What it was used for, e.g. ``"training"`` or ``"initial features of the base"``."""
    terms: str
    """Licence or terms of the data, or that none are stated."""


def looks_at(network: Mapping[str, Any], mirror: bool) -> str:
    """In words, what a network looks at for an answer, with the mirror pass or without it.

    Args:
        network: Its configuration as plain data.
        mirror: Whether the mirror image passes through the whole network too.
    """
    # Some networks have limbs of their own for the mirror image (`esrface.networks.config`).
    if not network.get("mirrored"):
        return "image and mirror image" if mirror else "one view"
    return f"image and mirror image, each limb {'both' if mirror else 'one'} of them"


@dataclass(frozen=True)
class ModelCard:
    """A model's card; JSON keys are the field names (and ``schema_version``)."""

    name: str
    version: str
    description: str
    """One line for lists."""
    network: Mapping[str, Any]
    """The network's configuration as its trainer names it; free."""
    input: InputSpec
    crop: CropRule
    emotions: tuple[str, ...]
    """The C classes in the order of the logits: ``esrface.emotions.EMOTIONS``, then those of its own."""
    branches: int
    """K, the number of branches."""
    temperature: float
    """T: branch probabilities are softmax(logits / T)."""
    mirror: bool
    """Whether the image's and the mirrored image's logits are averaged by default."""
    uncertainty: UncertaintySpec
    affect_source: str
    """``"network"`` (an ``affect`` output of the network) or ``"circumplex"`` (read out of probabilities)."""
    logit_adjustment: Mapping[str, Any] | None
    """How the exported biases were moved by the class priors, or None; for reading only, since the shift is
    already inside the weights."""
    training_data: tuple[TrainingData, ...]
    protocol: Mapping[str, Any]
    """How the weights were trained and chosen; free."""
    seeds: tuple[int, ...]
    scores: tuple[Mapping[str, Any], ...]
    """Measured results; each has ``data``, ``split``, ``protocol`` (texts) and figures (fractions 0-1)."""
    licence: str
    """Licence of the weights."""
    sha256: str
    """Of the ONNX file (of the original's ``.pt`` files one after another), 64 hexadecimal digits."""

    @property
    def looks_at(self) -> str:
        """What the network looks at for an answer by default, in words."""
        return looks_at(self.network, self.mirror)

    @classmethod
    def load(cls, path: str | Path) -> ModelCard:
        """Read and check a card's JSON file; ModelError says in one line what does not fit."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                content = file.read(MAX_CARD_BYTES + 1)
        except FileNotFoundError:
            raise ModelError(
                f"the model card {path} does not exist; a model is an .onnx file with its card beside it"
            ) from None
        except OSError as error:
            raise ModelError(f"the model card {path} cannot be read: {error.strerror or error}") from None
        if len(content) > MAX_CARD_BYTES:
            raise ModelError(f"{path} is no model card: it has more than {MAX_CARD_BYTES // 1_000_000} MB")
        try:
            data = json.loads(content, parse_constant=_refuse_constant)
        # RecursionError: thousands of nested brackets.
        except (ValueError, RecursionError) as error:
            detail = str(error).splitlines()[0] if isinstance(error, ValueError) else "nested too deeply"
            raise ModelError(f"{path} is no usable model card: not valid JSON ({detail})") from None
        return cls.from_dict(data, where=str(path))

    @classmethod
    def from_dict(cls, data: object, *, where: str = "the model card") -> ModelCard:
        """Build a card from plain data as ``to_dict`` gives it; ``where`` names it in errors."""
        fields = Fields(data, where)
        version = fields.integer("schema_version", low=0, high=2**31)
        if version != SCHEMA_VERSION:
            raise ModelError(
                f"{where} has schema_version {version}, this esrface reads {SCHEMA_VERSION}: "
                f"{'update esrface' if version > SCHEMA_VERSION else 'export the model again'}"
            )
        card = cls(
            name=fields.text("name"),
            version=fields.text("version"),
            description=fields.text("description"),
            network=fields.mapping("network"),
            input=_read_input(fields.child("input")),
            crop=_read_crop(fields.child("crop")),
            emotions=_read_emotions(fields),
            branches=fields.integer("branches", low=1, high=1000),
            temperature=fields.number("temperature", above=0.0),
            mirror=fields.flag("mirror"),
            uncertainty=_read_uncertainty(fields.child("uncertainty"), len(fields.texts("emotions"))),
            affect_source=fields.choice("affect_source", AFFECT_SOURCES),
            logit_adjustment=fields.optional("logit_adjustment", fields.mapping),
            training_data=tuple(_read_training_data(item) for item in fields.children("training_data")),
            protocol=fields.mapping("protocol"),
            seeds=fields.integers("seeds", low=0, high=2**64),
            scores=tuple(_read_score(item) for item in fields.children("scores")),
            licence=fields.text("licence"),
            sha256=fields.text("sha256").lower(),
        )
        if not re.fullmatch("[0-9a-f]{64}", card.sha256):
            fields.fail("sha256", "must have 64 hexadecimal digits")
        fields.finish()
        return card

    def to_dict(self) -> dict[str, Any]:
        """Plain data in the order of the fields, ``schema_version`` first."""
        return {"schema_version": SCHEMA_VERSION, **asdict(self)}

    def to_json(self) -> str:
        """The card as its file holds it: indented UTF-8 text with a final newline."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _read_input(fields: Fields) -> InputSpec:
    channels = fields.integer("channels", low=1, high=3)
    if channels == 2:
        fields.fail("channels", "must be 1 or 3")
    color = fields.choice("color", COLORS)
    if channels == 1 and color != "gray":
        fields.fail("color", f"must be gray where channels is 1, got '{color}'")
    spec = InputSpec(
        size=fields.integer("size", low=1, high=MAX_SIDE),
        channels=channels,
        color=color,
        mean=fields.numbers("mean", count=channels),
        std=fields.numbers("std", count=channels, above=0.0),
        resize=fields.choice("resize", RESIZES),
    )
    fields.finish()
    return spec


def _read_crop(fields: Fields) -> CropRule:
    margin = fields.number("margin", above=-0.5)
    if margin > 10:
        fields.fail("margin", f"must be at most 10, got {margin:g}")
    rule = CropRule(margin=margin, square=fields.flag("square"), align=fields.flag("align"))
    fields.finish()
    return rule


def _read_emotions(fields: Fields) -> tuple[str, ...]:
    emotions = fields.texts("emotions")
    problem = classes_problem(emotions)
    if problem is not None:
        fields.fail("emotions", problem)
    return emotions


def _read_uncertainty(fields: Fields, classes: int) -> UncertaintySpec:
    measure = fields.choice("measure", (*MEASURES, "mix"))
    weights, offsets = None, None
    if measure == "mix":
        values = fields.child("weights")
        weights = {name: values.number(name) for name in ("bias", *MEASURES)}
        if values.has(LOG_ODDS):
            weights[LOG_ODDS] = values.number(LOG_ODDS)
        values.finish()
    elif fields.optional("weights", fields.mapping) is not None:
        fields.fail("weights", "must be null unless the measure is mix")
    if fields.has("offsets"):
        offsets = fields.optional("offsets", lambda key: fields.numbers(key, count=classes))
        if offsets is not None and measure != "mix":
            fields.fail("offsets", "must be null unless the measure is mix")
    fields.finish()
    return UncertaintySpec(measure, weights, offsets)


def _read_training_data(fields: Fields) -> TrainingData:
    data = TrainingData(name=fields.text("name"), use=fields.text("use"), terms=fields.text("terms"))
    fields.finish()
    return data


def _read_score(fields: Fields) -> dict[str, Any]:
    named = {key: fields.text(key) for key in ("data", "split", "protocol")}
    return {**named, **fields.remaining()}
