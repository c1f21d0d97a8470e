"""The original's weights as they are published: a folder with one file for the base and one for each branch.

What is known of them without torch: which files belong together, their hash, and how they want to be used.
`esrface.networks.original` reads what is inside.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from esrface._names import printable, reason_of
from esrface.emotions import EMOTIONS
from esrface.errors import ModelError
from esrface.models.card import CropRule, InputSpec, ModelCard, TrainingData, UncertaintySpec

BASE_FILE = "Net-Base-Shared_Representations.pt"
BRANCH_FILE = "Net-Branch_{}.pt"

BATCH_NORMS = ("instance", "running")
"""How the branches normalise. ``"instance"``: by the statistics of the single face at hand, as the original
program answers; ``"running"``: by those gathered in training."""

MAX_FILE_BYTES = 100_000_000
"""The published files have 1.5 to 9 MB; larger ones are not read."""

AFFECT_LAYER = b"fc_dimensional"
"""Name of the layer for valence and arousal; it stands in the file as it is."""

INPUT = InputSpec(
    size=96, channels=3, color="bgr", mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0), resize="linear"
)
CROP = CropRule(margin=0.0, square=False, align=False)


@dataclass(frozen=True, eq=False)
class StateFile:
    """One of the files, read."""

    path: Path
    content: bytes


def is_original(folder: Path) -> bool:
    """Whether a folder holds anything that is named as the original's weights are."""
    return any(True for _ in folder.glob("Net-*.pt"))


def read_state_files(folder: Path) -> list[StateFile]:
    """The base's file, then the branches' from 1 on: as many as there are.

    Raises:
        ModelError: A file is missing, of another name, too large or cannot be read.
    """
    return [StateFile(path, _read(path)) for path in _find(folder)]


def digest(files: Iterable[StateFile]) -> str:
    """SHA-256 of the files' contents one after another, as ``cat`` would give them."""
    sha256 = hashlib.sha256()
    for file in files:
        sha256.update(file.content)
    return sha256.hexdigest()


def original_card(files: Sequence[StateFile]) -> ModelCard:
    """The card of these weights: what the original program does, as far as a card can say it."""
    branches = len(files) - 1
    has_affect = any(AFFECT_LAYER in file.content for file in files)
    return ModelCard(
        name=f"esr{branches}-original",
        version="1",
        description=f"Weights of the original, {branches} branches, from {printable(files[0].path.parent)}",
        network={"name": "esr9-published", "branches": branches},
        input=INPUT,
        crop=CROP,
        emotions=EMOTIONS,
        branches=branches,
        temperature=1.0,
        mirror=False,
        uncertainty=UncertaintySpec("one_minus_confidence"),
        affect_source="network" if has_affect else "circumplex",
        logit_adjustment=None,
        training_data=(
            TrainingData(
                name="not said in the files (the published ones: AffectNet)",
                use="training",
                terms="AffectNet is for non-commercial research",
            ),
        ),
        protocol={},
        seeds=(),
        scores=(),
        licence="as their authors state; the published ones are for non-commercial use",
        sha256=digest(files),
    )


def _find(folder: Path) -> list[Path]:
    try:
        there = {path.name for path in folder.glob("Net-*.pt")}
    except OSError as error:
        raise ModelError(f"the folder {printable(folder)} cannot be read: {reason_of(error)}") from None
    numbers = [int(match[1]) for name in there if (match := re.fullmatch(r"Net-Branch_(\d{1,4})\.pt", name))]
    wanted = [BASE_FILE, *(BRANCH_FILE.format(number) for number in range(1, max([1, *numbers]) + 1))]
    missing = [name for name in wanted if name not in there]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ModelError(
            f"the folder {printable(folder)} lacks {missing[0]}{more}: an ensemble is {BASE_FILE} with "
            f"{BRANCH_FILE.format(1)}, {BRANCH_FILE.format(2)}, … beside it"
        )
    extra = sorted(there - set(wanted))
    if extra:
        raise ModelError(
            f"the folder {printable(folder)} holds {printable(extra[0])}, which is no part of an ensemble of "
            f"{len(wanted) - 1} branches: remove or rename it"
        )
    return [folder / name for name in wanted]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{printable(path)} cannot be read: {reason_of(error)}") from None
    if len(content) > MAX_FILE_BYTES:
        raise ModelError(
            f"{printable(path)} is none of the original's weights: it has more than "
            f"{MAX_FILE_BYTES // 1_000_000} MB"
        )
    return content
