"""The original's weights as one ONNX file with its card: faster, and usable without torch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from esrface._suggest import unknown_name
from esrface.errors import InputError
from esrface.models.original import BATCH_NORMS, original_card, read_state_files
from esrface.models.registry import ModelFile
from esrface.networks.esr import use_face_statistics
from esrface.networks.onnx_export import to_onnx
from esrface.networks.original import network_of
from esrface.outputs import refuse_existing, write_whole


def export_original(
    folder: Path, path: Path, *, batch_norm: str = "instance", half: bool = False, overwrite: bool = False
) -> ModelFile:
    """Write the original's weights as ``path`` (``.onnx``) with their card (``.json``) beside it.

    Args:
        folder: As `esrface.networks.original.read_original` takes it.
        path: Of the ONNX file.
        batch_norm: What the file does for good: ``"instance"`` (the branches normalise by the statistics of
            each face by itself, as the original program answers) or ``"running"``.
        half: Store the weights as float16: half the size; logits change in the third digit.
        overwrite: Replace files that exist.

    Raises:
        InputError: An unknown ``batch_norm``, or ``path`` does not end in ``.onnx``.
        ModelError: The folder is not of that layout.
        OutputError: A file exists or cannot be written.
    """
    if batch_norm not in BATCH_NORMS:
        raise InputError(unknown_name("batch_norm", batch_norm, BATCH_NORMS))
    if path.suffix.lower() != ".onnx":
        raise InputError(f"an exported model is a file that ends in .onnx, got {path}")
    card_path = path.with_suffix(".json")
    for output in (path, card_path):
        refuse_existing(output, overwrite=overwrite)
    files = read_state_files(folder)
    network = network_of(files)
    if batch_norm == "instance":
        use_face_statistics(network)
    content = to_onnx(network, half=half).SerializeToString()
    card = original_card(files)
    card = replace(
        card,
        name=path.stem,
        network=network.config.to_dict(),
        protocol={"batch_norm": batch_norm, "sha256_of_state_files": card.sha256},
        sha256=hashlib.sha256(content).hexdigest(),
    )
    write_whole(path, content, overwrite=overwrite)
    write_whole(card_path, card.to_json(), overwrite=overwrite)
    return ModelFile(path, card)
