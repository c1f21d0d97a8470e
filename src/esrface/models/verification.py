"""Whether a model's files are still what its card, and where known its publisher, say."""

from __future__ import annotations

from pathlib import Path

from esrface._names import printable
from esrface.errors import ModelError
from esrface.models.manifest import load_manifest, published_names
from esrface.models.original import digest, read_state_files
from esrface.models.registry import ModelFile


def verify_model(file: ModelFile) -> None:
    """Read every byte of a model and compare it with its card.

    Raises:
        ModelError: A file is missing, damaged or exchanged; where that can be known, the line names it.
    """
    if not file.is_original:
        file.read()
        return
    if digest(read_state_files(file.path)) != file.card.sha256:
        wrong = _culprits(file.path, file.card.name)
        raise ModelError(
            f"{printable(file.path)} does not match its card{wrong}: damaged or exchanged; remove it and get "
            "it again"
        )


def _culprits(folder: Path, name: str) -> str:
    """The files that are not as published, for weights that were."""
    if name not in published_names():
        return ""
    wrong = [file.name for file in load_manifest(name).files if not file.is_content_of(folder / file.name)]
    return f" ({', '.join(wrong)})" if wrong else ""
