"""Published weights that can be downloaded: where they are, what they must be, and under which terms.

Each is described by a manifest, a JSON file in ``published/`` beside this module. Its addresses point to one
commit for good, and every file is known by its git blob id (the SHA-1 of ``blob <size>\\0`` and the content,
so that the id pins the size too, where that is not stated).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from esrface._suggest import unknown_name
from esrface.errors import ModelError
from esrface.models.card import ModelCard, TrainingData
from esrface.models.original import StateFile, original_card

MANIFESTS = Path(__file__).parent / "published"
"""Folder of the manifests, ``<name>.json``."""


@dataclass(frozen=True)
class PublishedFile:
    """One file of published weights."""

    name: str
    git_blob: str
    """Git's id of the content, 40 hexadecimal digits."""
    bytes: int | None
    """Its size, where known beforehand."""

    def is_content_of(self, path: Path) -> bool:
        """Whether a file holds exactly this; False where it is missing or cannot be read."""
        try:
            return git_blob_id(path) == self.git_blob
        except OSError:
            return False


@dataclass(frozen=True)
class Manifest:
    """Published weights in the layout of `esrface.models.original`."""

    name: str
    description: str
    """One line for lists."""
    homepage: str
    url: str
    """Address of the folder with the files, with a slash at its end."""
    commit: str
    licence: str
    """One line."""
    terms: tuple[str, ...]
    """What who downloads them has to accept, a sentence each."""
    training_data: tuple[TrainingData, ...]
    about_bytes: int
    """Of all files together, roughly."""
    files: tuple[PublishedFile, ...]

    def card(self, files: Sequence[StateFile]) -> ModelCard:
        """The card of these weights once they have been read."""
        return replace(
            original_card(files),
            name=self.name,
            description=self.description,
            training_data=self.training_data,
            protocol={"source": self.homepage, "commit": self.commit},
            licence=self.licence,
        )


def published_names() -> tuple[str, ...]:
    """Names of the weights that can be downloaded."""
    return tuple(sorted(path.stem for path in MANIFESTS.glob("*.json")))


def load_manifest(name: str) -> Manifest:
    """The manifest of that name.

    Raises:
        ModelError: There is none; the nearest is suggested.
    """
    if name not in published_names():
        raise ModelError(unknown_name("model to download", name, published_names()))
    data = json.loads((MANIFESTS / f"{name}.json").read_text("utf-8"))
    data["terms"] = tuple(data["terms"])
    data["training_data"] = tuple(TrainingData(**item) for item in data["training_data"])
    data["files"] = tuple(PublishedFile(**item) for item in data["files"])
    return Manifest(**data)


def git_blob_id(path: Path) -> str:
    """What git calls a file of this content; OSError where it cannot be read."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(0)
        # Git's choice, not ours; the card made afterwards holds a SHA-256.
        sha1 = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        # Not until its end: a device has none.
        while size > 0 and (block := file.read(min(size, 1 << 20))):
            sha1.update(block)
            size -= len(block)
    return sha1.hexdigest()
