"""Image -> faces -> expressions: the only place where detection, engine and ensemble meet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.detection import Detection, Detector, create_detector
from esrface.detection.checked import find_faces
from esrface.engine import Engine, EngineOutput, create_engine, join, run_views
from esrface.ensemble import VOTES, Answers, build_expressions, combine_arrays
from esrface.errors import InputError
from esrface.images import DEFAULT_MAX_PIXELS, load_image
from esrface.models.card import ModelCard
from esrface.models.prior import prior_shift
from esrface.models.registry import ModelFile, resolve_model
from esrface.preprocess import crop_face, to_input
from esrface.results import Expression, Face
from esrface.saliency import Saliency
from esrface.threads import resolve_threads

if TYPE_CHECKING:
    import os

    import PIL.Image

    Image = str | os.PathLike[str] | bytes | PIL.Image.Image | NDArray[Any]
    Crops = Iterable[Image]
    Color = Literal["rgb", "bgr"]

BATCH = 32
"""Faces put through the network at once: enough to keep it busy, and a few megabytes of memory."""


class Recognizer:
    """Recognises the expressions of all faces in pictures.

    Thread-safe (one instance serves many threads), picklable (the copy loads the model anew) and a context
    manager. Nothing is written and no network is used.

    Args:
        model: A shipped model's name (None: the default model), an ``.onnx`` file with its card beside it, a
            training run's folder, or a folder of the original's ``.pt`` files (needs torch).
        detector: A name out of ``esrface.detection.DETECTOR_NAMES`` (``"none"`` takes the whole picture as
            the face), or an object of your own with a detector's ``name`` and ``detect``.
        device: ``"cpu"`` or ``"cuda"``.
        batch_norm: Only for the original's weights: ``"instance"`` (None) lets the branches normalise by the
            statistics of each face by itself, as the original program did; ``"running"`` by those gathered in
            training.
        mirror: Whether to average the logits of the picture and its mirror image (up to twice the work);
            None: as the card says.
        vote: ``"mean"`` (of the branches' probabilities) or ``"plurality"`` (of the branches' emotions).
        threads: How many the network and the detector may use each; None: as many as the process's CPU
            affinity and cgroup quota allow.
        min_face: Smallest face to report, in pixels of the box's larger side.
        min_score: Lowest detection score to report, 0-1; None: the detector's own default.
        max_faces: Report only this many of the largest faces; None: all.
        prior: ``"natural"``: emotions are taken to be about as common as in the training data, which makes
            the fewest errors there. ``"balanced"``: branches trained with logit adjustment answer as they
            learnt to, which finds more of the rare emotions at the cost of the common ones (the card has
            the figures).

    Raises:
        ModelError: The model is unknown, damaged, or does not fit its card.
        DeviceError: The device cannot be used here.
        DependencyError: The detector or the model needs a package that is not installed.
        InputError: Any other argument that cannot be used.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        detector: str | Detector = "auto",
        device: str = "cpu",
        batch_norm: str | None = None,
        mirror: bool | None = None,
        vote: str = "mean",
        threads: int | None = None,
        *,
        min_face: int = 0,
        min_score: float | None = None,
        max_faces: int | None = None,
        prior: str = "natural",
    ) -> None:
        self._settings: dict[str, Any] = {
            "model": model,
            "detector": detector,
            "device": device,
            "batch_norm": batch_norm,
            "mirror": mirror,
            "vote": vote,
            "threads": threads,
            "min_face": min_face,
            "min_score": min_score,
            "max_faces": max_faces,
            "prior": prior,
        }
        if vote not in VOTES:
            raise InputError(unknown_name("vote", vote, VOTES))
        self._vote = vote
        self._file: ModelFile = resolve_model(model)
        if mirror is not None and not isinstance(mirror, (bool, np.bool_)):
            raise InputError(f"mirror must be True, False or None (as the card says), got {mirror!r}")
        self._mirror = self.card.mirror if mirror is None else bool(mirror)
        self._shift = prior_shift(self.card, prior)
        count = resolve_threads(threads)
        limits = {"min_face": min_face, "min_score": min_score, "max_faces": max_faces}
        self._detector = _make_detector(detector, limits, count)
        self._engine: Engine | None = create_engine(
            self._file, device=device, threads=count, batch_norm=batch_norm
        )

    @property
    def card(self) -> ModelCard:
        """The model's card."""
        return self._file.card

    @property
    def detector(self) -> Detector:
        """The detector in use; its ``name`` says what ``"auto"`` chose."""
        return self._detector

    @property
    def vote(self) -> str:
        """How the branches' answers become one, out of ``esrface.ensemble.VOTES``."""
        return self._vote

    @property
    def mirror(self) -> bool:
        """Whether the mirror image is looked at too."""
        return self._mirror

    @property
    def prior(self) -> str:
        """How common emotions are taken to be, out of ``esrface.models.prior.PRIORS``."""
        return str(self._settings["prior"])

    def __call__(
        self, image: Image, *, color: Color = "rgb", saliency: bool = False, emotion: str | None = None
    ) -> list[Face]:
        """Find the faces in one image and read their expressions.

        Args:
            image: A path, the bytes of an image file, a PIL image or an array (H, W, 3), (H, W, 4), (H, W)
                of uint8 or of floats in 0-1 (see ``esrface.images.load_image``).
            color: Channel order where ``image`` is an array.
            saliency: Whether each face carries what the network looked at (``Face.saliency``), from the same
                pass of the network.
            emotion: What these maps explain; None: the ensemble's map its emotion, each branch's map that
                branch's own.

        Returns:
            The faces, largest first; ``[]`` where there is none.

        Raises:
            InputError: ``image`` is nothing that can be read as a picture, or there is no such ``emotion``.
            ModelError: ``saliency`` with a model that gives no class maps.
        """
        return self.recognize_many([image], color=color, saliency=saliency, emotion=emotion)[0]

    def recognize_many(
        self,
        images: Iterable[Image],
        *,
        color: Color = "rgb",
        saliency: bool = False,
        emotion: str | None = None,
    ) -> list[list[Face]]:
        """Like calling with each image in turn, while the faces of several images share calls of the network.

        ``images`` is read lazily and one image is held at a time, so memory stays flat.

        Raises:
            InputError: One image instead of several, or as for a call.
        """
        _refuse_one(images, "image")
        found: list[list[Detection]] = []

        def located() -> Iterator[tuple[NDArray[np.uint8], Detection]]:
            for image in images:
                pixels = _pixels(image, color)
                found.append(self._detect(pixels))
                for detection in found[-1]:
                    yield pixels, detection

        faces = iter(self.express(located(), saliency=saliency, emotion=emotion))
        return [[next(faces) for _ in detections] for detections in found]

    def express(
        self,
        located: Iterable[tuple[NDArray[np.uint8], Detection]],
        *,
        saliency: bool = False,
        emotion: str | None = None,
    ) -> list[Face]:
        """The faces of detections made already, in their order; many share a call of the network.

        Args:
            located: Each with the RGB image (H, W, 3) uint8 that it lies in; read lazily.
            saliency: As for a call.
            emotion: As for a call.
        """
        _check_explained(saliency, emotion, self.card.emotions)
        hits: list[Detection] = []

        def inputs() -> Iterator[NDArray[np.float32]]:
            for pixels, hit in located:
                hits.append(hit)
                yield to_input([self._crop(pixels, hit)], self.card.input)[0]

        read = self._express(inputs(), saliency=saliency, emotion=emotion)
        return [Face(hit.box, hit.score, hit.landmarks, *said) for hit, said in zip(hits, read, strict=True)]

    def crop(self, image: Image, face: Face, *, color: Color = "rgb") -> NDArray[np.uint8]:
        """What the network was shown of a face in ``image``, before it was made small: RGB (h, w, 3) uint8.

        The maps in ``face.saliency`` lie over it, edge to edge.
        """
        detection = Detection(face.box, face.detection_score, face.landmarks)
        return self._crop(_pixels(image, color), detection)

    def predict(self, crops: Crops, *, color: Color = "rgb") -> list[Expression]:
        """Expressions of faces that are cut out already: no detection, no margin.

        Args:
            crops: A list of arrays (H, W, 3) uint8, of any and also mixed sizes (whatever ``__call__`` takes
                as an image will do too), or one array (N, H, W, 3).
            color: Channel order of arrays.

        Returns:
            N expressions in the same order; ``[]`` for ``[]``.
        """
        return [expression for expression, _ in self._express(self._inputs(crops, color))]

    def forward(self, crops: Crops, *, color: Color = "rgb", class_maps: bool = False) -> EngineOutput:
        """The network's own output for crops (as ``predict`` takes them): logits before temperature.

        The mirror pass and the prior are included as this recogniser was asked for them. For evaluation and
        calibration over many crops, together with ``esrface.ensemble.combine_arrays``.
        """
        outputs = list(self._outputs(self._inputs(crops, color), class_maps))
        return join(outputs) if outputs else self._run([], class_maps)

    def answers(self, crops: Crops, *, color: Color = "rgb") -> Answers:
        """What ``predict`` says, as arrays over the N crops instead of N records."""
        return self._combine(self.forward(crops, color=color))

    def class_maps(self, crops: Crops, *, color: Color = "rgb") -> NDArray[np.float32]:
        """(N, K, C, h, w) class maps of crops (as ``predict`` takes them): logits by place, before the bias.

        Their mean over h, w plus a bias is the logits; ``esrface.saliency`` turns them into maps to look at.
        """
        maps = self.forward(crops, color=color, class_maps=True).class_maps
        assert maps is not None  # The engine refuses where the model has none.
        return maps

    def close(self) -> None:
        """Let go of the network; using the recogniser afterwards is an error. Safe to repeat."""
        self._engine = None

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return self._settings

    def __setstate__(self, settings: dict[str, Any]) -> None:
        self.__init__(**settings)  # type: ignore[misc]

    def __repr__(self) -> str:
        return (
            f"Recognizer(model={self.card.name!r}, detector={self._detector.name!r}, "
            f"device={self._settings['device']!r}, mirror={self._mirror}, vote={self._vote!r})"
        )

    def _detect(self, image: NDArray[np.uint8]) -> list[Detection]:
        return find_faces(self._detector, image)

    def _crop(self, image: NDArray[np.uint8], detection: Detection) -> NDArray[np.uint8]:
        # Without a detector the picture is taken to be a crop already: no margin, as in predict.
        if self._detector.name == "none":
            return image
        return crop_face(image, detection.box, detection.landmarks, self.card.crop)

    def _inputs(self, crops: Crops, color: Color) -> Iterator[NDArray[np.float32]]:
        """The network's input (C, S, S) for each crop, one at a time."""
        _refuse_one(crops, "crop")
        return (to_input([_pixels(crop, color)], self.card.input)[0] for crop in crops)

    def _express(
        self, inputs: Iterator[NDArray[np.float32]], *, saliency: bool = False, emotion: str | None = None
    ) -> list[tuple[Expression, Saliency | None]]:
        """The expression and, if asked for, the maps of each input (C, S, S)."""
        read: list[tuple[Expression, Saliency | None]] = []
        for output in self._outputs(inputs, class_maps=saliency):
            expressions = build_expressions(self._combine(output), self.card.emotions)
            if output.class_maps is None:
                read += [(expression, None) for expression in expressions]
                continue
            for expression, maps in zip(expressions, output.class_maps, strict=True):
                seen = Saliency(maps, expression.emotion, expression.branch_emotions, expression.emotions)
                read.append((expression, seen if emotion is None else seen.explain(emotion)))
        return read

    def _outputs(self, inputs: Iterator[NDArray[np.float32]], class_maps: bool) -> Iterator[EngineOutput]:
        """The network's output for every ``BATCH`` of the inputs (C, S, S)."""
        self._network()
        while batch := list(islice(inputs, BATCH)):
            yield self._run(batch, class_maps)

    def _run(self, inputs: list[NDArray[np.float32]], class_maps: bool) -> EngineOutput:
        spec = self.card.input
        stacked = np.empty((len(inputs), spec.channels, spec.size, spec.size), dtype=np.float32)
        for row, one in zip(stacked, inputs, strict=True):
            row[:] = one
        output = run_views(self._network(), stacked, mirror=self._mirror, class_maps=class_maps)
        return output if self._shift is None else replace(output, logits=output.logits + self._shift)

    def _network(self) -> Engine:
        if self._engine is None:
            raise InputError("this recognizer is closed: make a new one")
        return self._engine

    def _combine(self, output: EngineOutput) -> Answers:
        return combine_arrays(
            output.logits,
            output.affect,
            temperature=self.card.temperature,
            vote=self._vote,
            affect_source=self.card.affect_source,
            uncertainty=self.card.uncertainty,
        )


def _check_explained(saliency: bool, emotion: str | None, emotions: Sequence[str]) -> None:
    if emotion is None:
        return
    if emotion not in emotions:
        raise InputError(unknown_name("emotion", emotion, emotions))
    if not saliency:
        raise InputError(f"emotion={emotion!r} says what the maps explain: ask for them with saliency=True")


def _make_detector(detector: str | Detector, limits: dict[str, Any], threads: int) -> Detector:
    if isinstance(detector, str):
        return create_detector(detector, threads=threads, **limits)
    if not callable(getattr(detector, "detect", None)):
        raise InputError(f"expected a detector's name or an object with name and detect, got {detector!r}")
    if limits != {"min_face": 0, "min_score": None, "max_faces": None}:
        raise InputError(
            "min_face, min_score and max_faces are for detectors given by name: set them on yours"
        )
    return detector


def _refuse_one(images: object, what: str) -> None:
    """InputError in one line for anything but several images."""
    shape = images.shape if isinstance(images, np.ndarray) else None
    is_one = isinstance(images, (str, bytes)) or (shape is not None and len(shape) != 4)
    if is_one or not isinstance(images, Iterable):
        got = f"an array of shape {shape}" if shape is not None else repr(images)[:60]
        raise InputError(
            f"expected a list of {what}s or one array (N, H, W, 3), got {got}: put one {what} into a list"
        )


def _pixels(image: Any, color: Color) -> NDArray[np.uint8]:
    """As ``load_image``; an array, which has its memory already, may have any size."""
    limit = max(DEFAULT_MAX_PIXELS, image.size) if isinstance(image, np.ndarray) else DEFAULT_MAX_PIXELS
    return load_image(image, color=color, max_pixels=limit)
