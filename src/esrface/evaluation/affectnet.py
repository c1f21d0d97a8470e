"""The protocol of ``esrface evaluate affectnet``: eight and seven emotions, valence and arousal.

Faces are the prepared 96x96 crops (see `esrface.datasets.affectnet`), shown to the network as they are: no
detection and no margin, otherwise the inference that users get.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from esrface._names import printable, reason_of
from esrface.datasets.affectnet import SETS, AffectNetSet, list_affectnet
from esrface.datasets.folder_pictures import file_digest
from esrface.emotions import EMOTIONS
from esrface.ensemble import combine_arrays
from esrface.errors import DataError
from esrface.evaluation import metrics
from esrface.evaluation.copies import new_images
from esrface.evaluation.framing import View, whole_view
from esrface.evaluation.judged import Evaluation, Progress, answers_of
from esrface.recognizer import Recognizer

DIMENSIONS: Final = ("valence", "arousal")

PUBLISHED: Final = {"validation": 500}
"""Images of each emotion in a set, where all have as many."""

TRAINING: Final = "training"
"""The set that models are trained on: its own images are never new."""

STEP = 256
"""Faces between two reports of progress."""

_CONTEMPT: Final = EMOTIONS.index("Contempt")


@dataclass(frozen=True, eq=False)
class AffectNetEvaluation(Evaluation):
    """A model's answers on the images of a set that show one of the eight emotions (M of those listed)."""

    faces: AffectNetSet
    """The M images."""

    def views(self, indices: Sequence[int] | None = None) -> Iterator[View]:
        """See ``Evaluation.views``."""
        return map(whole_view, _read(self.faces, range(len(self.faces)) if indices is None else indices))

    @property
    def title(self) -> str:
        """Data set and set, as a heading names them."""
        return f"AffectNet {self.split}"

    @property
    def labelling(self) -> str:
        """Where the labels come from, in a few words."""
        return "labels of the data set"

    @property
    def copies(self) -> str:
        """See ``Evaluation.copies``."""
        return "whose files are in the training set or repeated within these"

    @property
    def protocol(self) -> str:
        """One line with all that an AffectNet figure has to state to be comparable."""
        return (
            f"AffectNet {self.split} set, {len(EMOTIONS)} classes: {len(self.labels)} of {self.listed} "
            f"images (without None, Uncertain and No-Face); prepared crops, no detection; {self.inference}"
        )

    def extra(self) -> dict[str, Any]:
        """Seven classes (no images of contempt, and it cannot be answered), valence and arousal.

        ``affect``: of each dimension RMSE and CCC (null where it does not exist) over the images that have
        values; null without such images.
        """
        kept = self.labels != _CONTEMPT
        seven: float | None = None
        if kept.any():
            logits = self.logits[kept].copy()
            logits[:, :, _CONTEMPT] = -np.inf
            answers = combine_arrays(logits, None, temperature=self.card.temperature, vote=self.vote)
            seven = metrics.accuracy(answers.emotion, self.labels[kept])
        return {"accuracy_7": seven, "images_7": int(kept.sum()), "affect": self._affect()}

    def columns(self) -> dict[str, Sequence[float | None]]:
        """Valence and arousal as labelled."""
        return {
            f"label_{name}": [None if np.isnan(value) else float(value) for value in self.faces.affect[:, at]]
            for at, name in enumerate(DIMENSIONS)
        }

    def _affect(self) -> dict[str, Any] | None:
        known = ~np.isnan(self.faces.affect).any(axis=1)
        if not known.any():
            return None
        told, labels = self.answers.affect[known], self.faces.affect[known]
        measured: dict[str, Any] = {"images": int(known.sum()), "source": self.answers.affect_source}
        for at, name in enumerate(DIMENSIONS):
            concordance = metrics.concordance(told[:, at], labels[:, at])
            measured[name] = {
                "rmse": metrics.root_mean_square_error(told[:, at], labels[:, at]),
                "ccc": None if np.isnan(concordance) else concordance,
            }
        return measured


def evaluate_affectnet(
    data: Path,
    which: str,
    recognizer: Recognizer,
    *,
    vote: str = "mean",
    progress: Progress | None = None,
) -> AffectNetEvaluation:
    """Judge a model on a prepared set of AffectNet.

    Args:
        data: Folder with ``Validation``, ``Training_Labeled`` or ``Training_Unlabeled``.
        which: ``"validation"``, ``"training"`` or ``"automatic"``.
        recognizer: The model, with its mirror pass as wanted; its detector is not used.
        vote: ``"mean"`` or ``"plurality"``, whatever the recogniser's own.
        progress: Called now and then.

    Raises:
        DataError: The set is not there or malformed, a face cannot be read, or none shows an emotion.
    """
    report = progress or (lambda what, done, total: None)
    report(f"listing the {which} set", 0, 0)
    listed = list_affectnet(data, which)
    faces = listed.select(listed.expressions < len(EMOTIONS))
    if not len(faces):
        raise DataError(
            f"{printable(data)}: none of the {len(listed)} images of the {which} set shows an emotion"
        )
    output = recognizer.forward(_counted(faces, partial(report, "recognising")))
    fresh, trouble = _find_fresh(
        data, which, faces, partial(report, "looking for copies in the training set")
    )
    folder = data / SETS[which].prepared
    return AffectNetEvaluation(
        split=which,
        vote=vote,
        mirror=recognizer.mirror,
        prior=recognizer.prior,
        card=recognizer.card,
        listed=len(listed),
        names=[path.relative_to(folder).as_posix() for path in faces.paths],
        labels=faces.expressions,
        logits=output.logits,
        answers=answers_of(recognizer.card, output, vote),
        fresh=fresh,
        warnings=(*_unlike_published(which, faces.expressions), *trouble),
        faces=faces,
    )


def _counted(faces: AffectNetSet, progress: Callable[[int, int], None]) -> Iterator[NDArray[np.uint8]]:
    for done, face in enumerate(_read(faces, range(len(faces))), start=1):
        yield face
        if done % STEP == 0 or done == len(faces):
            progress(done, len(faces))


def _read(faces: AffectNetSet, indices: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """Pixels (96, 96, 3) one after another: a set may be larger than the memory."""
    for index in indices:
        yield faces.read(np.array([index]))[0]


def _find_fresh(
    data: Path, which: str, faces: AffectNetSet, progress: Callable[[int, int], None]
) -> tuple[NDArray[np.bool_] | None, tuple[str, ...]]:
    """See ``Evaluation.fresh``; a training set that is there but unusable is a warning.

    Files are compared, not pixels: a face cut from the same picture by the same program is the same file, and
    decoding a training set takes minutes.
    """
    if which == TRAINING or not (data / SETS[TRAINING].prepared).is_dir():
        return None, ()
    try:
        training = list_affectnet(data, TRAINING)
        seen = set(_digests(training.paths, progress))
    except DataError as error:
        return None, (f"no figures without duplicates, the training set cannot be used: {error}",)
    return new_images(_digests(faces.paths, lambda done, total: None), seen), ()


def _digests(paths: Sequence[Path], progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """One of each file's content, equal for copies."""
    for done, path in enumerate(paths, start=1):
        try:
            yield file_digest(path.read_bytes())
        except OSError as error:
            raise DataError(f"{printable(path)}: {reason_of(error)}") from error
        if done % STEP == 0 or done == len(paths):
            progress(done, len(paths))


def _unlike_published(which: str, labels: NDArray[np.int64]) -> tuple[str, ...]:
    expected = PUBLISHED.get(which)
    found = np.bincount(labels, minlength=len(EMOTIONS)).tolist()
    unlike = [f"{name} {have}" for name, have in zip(EMOTIONS, found, strict=True) if have != expected]
    if expected is None or not unlike:
        return ()
    return (
        f"the {which} set has {expected} images of each emotion as published, here it has "
        f"{', '.join(unlike)}: the figures do not compare with published ones",
    )
