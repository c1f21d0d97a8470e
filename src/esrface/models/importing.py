"""Models from elsewhere on this machine, copied into the models folder and from then on found by a name."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from esrface._names import printable
from esrface.errors import InputError, ModelError
from esrface.models.installed import CARD, install, installed_folder, is_name, unfinished_folder
from esrface.models.manifest import Manifest, load_manifest, published_names
from esrface.models.original import StateFile, read_state_files
from esrface.models.registry import RUN_MODEL, ModelFile, resolve_model, shipped_names
from esrface.outputs import make_folder, output_errors, write_whole


def import_model(source: Path, *, name: str | None = None, overwrite: bool = False) -> ModelFile:
    """Copy a model into the models folder.

    Args:
        source: A folder of the original's ``.pt`` files, a training run's folder, or an ``.onnx`` file with
            its card beside it. Nothing in it is executed.
        name: How it is to be called; None: as its card says, or as it is published where these are the
            published files.
        overwrite: Replace a model of that name.

    Raises:
        InputError: The name cannot be one.
        ModelError: There is no model at ``source``, it does not fit its card, or the name is taken.
        OutputError: It cannot be written.
    """
    if not source.exists():
        raise ModelError(f"{printable(source)} does not exist: give a folder with a model, or an .onnx file")
    file = resolve_model(source)
    content: dict[str, bytes]
    manifest = None
    if file.is_original:
        files = read_state_files(file.path)
        manifest = _published_as(files)
        card = file.card if manifest is None else manifest.card(files)
        content = {state.path.name: state.content for state in files}
    else:
        card = file.card
        content = {RUN_MODEL: file.read()}
    name = _usable_name(card.name if name is None else name, given=name is not None)
    if name in published_names() and (manifest is None or manifest.name != name):
        raise ModelError(
            f"'{name}' is what other weights are published as (esrface models download): give another name "
            "with --name"
        )
    if installed_folder(name) is not None and not overwrite:
        raise ModelError(f"there is a model '{name}' already: give another --name, or --overwrite")
    work = make_folder(unfinished_folder(name))
    with output_errors(work):
        shutil.rmtree(work)  # What an unfinished download left there.
    try:
        for part, data in content.items():
            write_whole(work / part, data)
        write_whole(work / CARD, replace(card, name=name).to_json())
        return resolve_model(install(work, name, overwrite=overwrite))
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _published_as(files: list[StateFile]) -> Manifest | None:
    """What these files were published as, if they are among the known ones."""
    paths = {state.path.name: state.path for state in files}
    for name in published_names():
        manifest = load_manifest(name)
        if {file.name for file in manifest.files} == set(paths) and all(
            file.is_content_of(paths[file.name]) for file in manifest.files
        ):
            return manifest
    return None


def _usable_name(name: str, *, given: bool) -> str:
    if not is_name(name):
        remedy = "" if given else "; give one with --name"
        rule = "letters, digits, '.', '_', '-'; at most 64"
        raise InputError(f"'{printable(name)}' cannot be a model's name ({rule}){remedy}")
    if name in shipped_names():
        raise ModelError(f"'{name}' is a model that came with esrface: give another name with --name")
    return name
