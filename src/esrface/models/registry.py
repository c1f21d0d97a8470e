"""Which model is meant: a name, an ``.onnx`` file, a folder of a training run or of the original's weights.

Names are those of the shipped models, then those of the models folder (`esrface.models.installed`).
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from esrface._suggest import unknown_name
from esrface.errors import ModelError
from esrface.models.card import ModelCard
from esrface.models.installed import installed_folder, installed_names
from esrface.models.manifest import published_names
from esrface.models.original import is_original, original_card, read_state_files

DEFAULT_MODEL = "esr9-fer"

WEIGHTS = Path(__file__).parent / "weights"
"""Folder of the shipped models, ``<name>.onnx`` with ``<name>.json`` beside it."""

RUN_MODEL = "model.onnx"
RUN_CARD = "card.json"
"""Names of model and card inside a training run's folder."""


@dataclass(frozen=True)
class ModelFile:
    """A model found: its ONNX file and its card, which has been read and checked.

    The original's weights come without a card: where none was put beside them by a download or an import,
    it is made from the files.
    """

    path: Path
    """The ONNX file, or the folder of the original's ``.pt`` files."""
    card: ModelCard

    @property
    def is_original(self) -> bool:
        """Whether these are weights of the original in ``.pt`` files, for the torch engine."""
        return self.path.is_dir()

    @property
    def size_bytes(self) -> int:
        """Of the file, or of the original's files together; 0 where they are gone."""
        files = self.path.glob("Net-*.pt") if self.is_original else (self.path,)
        return sum(file.stat().st_size for file in files if file.is_file())

    def read(self) -> bytes:
        """An ONNX file's content, its SHA-256 verified against the card; ModelError where they differ.

        What was verified is what is returned, so nothing can be exchanged between the check and the use.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            raise ModelError(f"the model {self.path} does not exist") from None
        except OSError as error:
            raise ModelError(f"the model {self.path} cannot be read: {error.strerror or error}") from None
        if hashlib.sha256(content).hexdigest() != self.card.sha256:
            shipped = self.path.parent == WEIGHTS
            remedy = "reinstall esrface" if shipped else "copy or export model and card again, both together"
            raise ModelError(
                f"{self.path} does not match its card; the file is damaged or was exchanged: {remedy}"
            )
        return content


def resolve_model(model: str | Path | None = None) -> ModelFile:
    """Find a model.

    Args:
        model: None (the default model), a name of a shipped, downloaded or imported model, a path of
            an ``.onnx`` file with its card (same name, ``.json``) beside it, a folder with ``model.onnx`` and
            ``card.json``, or a folder of the original's ``.pt`` files. A string is a name first; a ``Path``
            is never one.

    Raises:
        ModelError: Nothing of the kind is there (the nearest name is suggested), or the card is unusable.
    """
    if model is None:
        model = DEFAULT_MODEL
        if model not in shipped_names():
            raise ModelError(
                f"the default model '{model}' is missing from this installation: reinstall esrface"
            )
    if not isinstance(model, (str, os.PathLike)) or not str(model):
        raise ModelError(f"expected the name of a model, a file or a folder, got {model!r}")
    if isinstance(model, str) and model in shipped_names():
        return _with_card(WEIGHTS / f"{model}.onnx", WEIGHTS / f"{model}.json")
    installed = installed_folder(model) if isinstance(model, str) else None
    path = installed or Path(model)
    try:
        return _from_path(path, str(model))
    except OSError as error:
        raise ModelError(f"the model {path} cannot be read: {error.strerror or error}") from None


def list_models() -> list[ModelFile]:
    """The shipped models, the default one first, then those of the models folder, by name.

    A model of the models folder that cannot be used is left out, with a warning in the log.
    """
    files = [resolve_model(name) for name in shipped_names()]
    for name in installed_names():
        if name in shipped_names():
            continue
        try:
            files.append(resolve_model(name))
        except ModelError as error:
            logging.getLogger(__name__).warning("%s (a model in the models folder)", error)
    return files


def shipped_names() -> tuple[str, ...]:
    """Names of the shipped models, the default one first."""
    names = (path.stem for path in WEIGHTS.glob("*.onnx"))
    return tuple(sorted(names, key=lambda name: (name != DEFAULT_MODEL, name)))


def _from_path(path: Path, given: str) -> ModelFile:
    if path.is_dir():
        return _from_folder(path)
    if path.suffix.lower() == ".onnx":
        if not path.is_file():
            raise ModelError(f"the model {path} does not exist")
        return _with_card(path, _card_of(path))
    if path.exists():
        raise ModelError(f"{path} is no model: give a shipped name, an .onnx file or a training run's folder")
    if given in published_names():
        raise ModelError(f"the model '{given}' is not on this machine yet: esrface models download {given}")
    known = dict.fromkeys((*shipped_names(), *installed_names(), *published_names()))
    raise ModelError(f"{unknown_name('model', given, known)}, or give an .onnx file or a run's folder")


def _from_folder(folder: Path) -> ModelFile:
    if (folder / RUN_MODEL).is_file():
        return _with_card(folder / RUN_MODEL, _card_of(folder / RUN_MODEL))
    if is_original(folder):
        if (folder / RUN_CARD).is_file():
            return _with_card(folder, folder / RUN_CARD)
        return ModelFile(folder, original_card(read_state_files(folder)))
    raise ModelError(
        f"the folder {folder} holds no {RUN_MODEL}: give the folder of a finished training run or of the "
        "original's .pt files"
    )


def _card_of(path: Path) -> Path:
    """Where a file's card is: beside it under its name, as exports have it, or as runs have it."""
    beside = path.with_suffix(".json")
    in_run = path.name == RUN_MODEL and not beside.exists()
    return path.with_name(RUN_CARD) if in_run else beside


def _with_card(path: Path, card: Path) -> ModelFile:
    return ModelFile(path, ModelCard.load(card))
