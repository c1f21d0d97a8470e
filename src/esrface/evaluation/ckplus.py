"""The protocol of ``esrface evaluate ckplus``: labelled frames, all of them or those of a trial's fold.

Faces are the prepared 96x96 crops (see `esrface.datasets.ckplus`), shown to the network as they are. Frames
of one person are alike, so intervals come from resampling persons.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.datasets.ckplus import CkPlus, ckplus_trial, load_ckplus
from esrface.emotions import EMOTIONS
from esrface.errors import InputError
from esrface.evaluation.copies import fresh_images
from esrface.evaluation.framing import View, whole_view
from esrface.evaluation.judged import Evaluation, Progress, answers_of, recognize_faces
from esrface.recognizer import Recognizer

SPLITS: Final = ("all", "valid", "test")
"""All frames, or those of a trial's validation or test fold."""


@dataclass(frozen=True, eq=False)
class CkPlusEvaluation(Evaluation):
    """A model's answers on labelled frames (M of those listed)."""

    faces: CkPlus
    """The M frames."""
    trial: int | None
    neutral: str

    def views(self, indices: Sequence[int] | None = None) -> Iterator[View]:
        """See ``Evaluation.views``."""
        pixels = self.faces.pixels
        return map(whole_view, pixels if indices is None else pixels[list(indices)])

    @property
    def groups(self) -> NDArray[Any]:
        """(M,) who is seen."""
        return self.faces.subjects

    @property
    def title(self) -> str:
        """Data set and split, as a heading names them."""
        return "CK+" if self.trial is None else f"CK+ trial {self.trial}, {self.split}"

    @property
    def labelling(self) -> str:
        """Where the labels come from, in a few words."""
        return "the last three frames of a session its label"

    @property
    def copies(self) -> str:
        """See ``Evaluation.copies``."""
        learnt = "" if self.trial is None else "among the trial's training frames or "
        return f"whose pixels are {learnt}repeated within these"

    @property
    def protocol(self) -> str:
        """One line with all that a CK+ figure has to state to be comparable."""
        part = "all subjects" if self.trial is None else f"{self.split} fold of trial {self.trial}"
        subjects = len(np.unique(self.groups))
        neutral = self.neutral.replace("_", "-")
        return (
            f"CK+, {len(EMOTIONS)} classes, last three frames of each labelled session and its {neutral} as "
            f"neutral, {part}: {len(self.labels)} of {self.listed} frames, {subjects} "
            f"subject{'' if subjects == 1 else 's'}; prepared crops, no detection; {self.inference}"
        )


def evaluate_ckplus(
    data: Path,
    recognizer: Recognizer,
    *,
    split: str = "all",
    trial: int | None = None,
    neutral: str = "first",
    vote: str = "mean",
    progress: Progress | None = None,
) -> CkPlusEvaluation:
    """Judge a model on the prepared CK+.

    Args:
        data: Folder that `esrface.datasets.ckplus.prepare_ckplus` wrote.
        recognizer: The model, with its mirror pass as wanted; its detector is not used.
        split: One of `SPLITS`; ``"valid"`` and ``"test"`` are folds of a trial.
        trial: 0-9, for a model that was trained in it; its subjects are none of those of the folds.
        neutral: ``"first"`` or ``"fourth_last"`` frame of a session.
        vote: ``"mean"`` or ``"plurality"``, whatever the recogniser's own.
        progress: Called now and then.

    Raises:
        DataError: The data is not there, malformed or not prepared, or has too few subjects for folds.
        InputError: An unknown split, trial or neutral frame, or a fold without its trial.
    """
    report = progress or (lambda what, done, total: None)
    if split not in SPLITS:
        raise InputError(unknown_name("split", split, SPLITS))
    if (split == "all") != (trial is None):
        raise InputError("the folds valid and test are those of a trial: give both, or neither")
    report("reading frames", 0, 0)
    listed = load_ckplus(data, neutral=neutral)
    faces, learnt = listed, listed.pixels[:0]
    if trial is not None:
        chosen = ckplus_trial(listed.subjects.tolist(), trial)
        faces = listed.select(np.isin(listed.subjects, chosen.valid if split == "valid" else chosen.test))
        learnt = listed.pixels[np.isin(listed.subjects, [name for fold in chosen.training for name in fold])]
    output = recognize_faces(recognizer, faces.pixels, partial(report, "recognising"))
    return CkPlusEvaluation(
        split=split,
        vote=vote,
        mirror=recognizer.mirror,
        prior=recognizer.prior,
        card=recognizer.card,
        listed=len(listed),
        names=faces.names,
        labels=faces.labels,
        logits=output.logits,
        answers=answers_of(recognizer.card, output, vote),
        fresh=fresh_images(faces.pixels, learnt),
        warnings=(),
        faces=faces,
        trial=trial,
        neutral=neutral,
    )
