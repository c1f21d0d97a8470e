"""The options that every command recognising faces has, with the original program's letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from esrface.cli.command import Name, Share, Whole, option

F = TypeVar("F", bound=Callable[..., Any])

RECOGNITION, DETECTION, ORIGINAL = "Recognition", "Faces", "From the original program"
DATA = "Data"

DETECTORS = ("auto", "yunet", "libfacedetection", "haar", "dlib-optimized", "dlib-cnn", "none")
"""As in ``esrface.detection.DETECTOR_NAMES``, which help pages must not load."""

ORIGINAL_DETECTORS = {"1": "dlib-optimized", "2": "dlib-cnn", "3": "haar"}
"""What the original's ``-fd`` numbers mean."""


def all_of(*decorators: Callable[[Any], Any]) -> Callable[[F], F]:
    """One decorator that adds all these options, which stay in this order on the help page."""

    def decorate(command: F) -> F:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def data_option(text: str) -> Callable[[Any], Any]:
    """``--data`` of what is trained and judged on, with what it stands for."""
    return option(DATA, "--data", required=True, type=click.Path(path_type=Path), metavar="DIR", help=text)


recognition_options = all_of(
    option(
        RECOGNITION,
        "--model",
        metavar="NAME|PATH",
        help="A model of 'esrface models', an .onnx file with its card beside it, or a run's folder.",
    ),
    option(RECOGNITION, "--device", metavar="cpu|cuda", help="Where the network runs.  [default: cpu]"),
    option(RECOGNITION, "-c", "--cuda", is_flag=True, help="Short for --device cuda."),
    option(
        RECOGNITION,
        "--mirror/--no-mirror",
        default=None,
        help="Look at the mirror image too, for up to twice the work.  [default: as the model's card says]",
    ),
    option(
        RECOGNITION,
        "--vote",
        type=Name(["mean", "plurality"]),
        default="mean",
        metavar="mean|plurality",
        help="The mean of the branches' probabilities, or most votes as in the original.  [default: mean]",
    ),
    option(
        RECOGNITION,
        "--prior",
        type=Name(["natural", "balanced"]),
        default="natural",
        metavar="natural|balanced",
        help="Take emotions to be as common as in the training data, or find more of the rare ones at the "
        "cost of the common ones.  [default: natural]",
    ),
    option(
        RECOGNITION,
        "--batch-norm",
        type=Name(["running", "instance"]),
        metavar="running|instance",
        help="Only for the original's weights.",
    ),
    option(
        RECOGNITION,
        "--abstain-below",
        type=Share(),
        metavar="X",
        help="Mark answers with a confidence below X (0-1) as 'abstained'.",
    ),
    option(
        RECOGNITION,
        "--threads",
        type=Whole(1),
        metavar="N",
        help="Threads to use.  [default: what this process may use]",
    ),
)
"""The options about model, device and answer."""


detection_options = all_of(
    option(
        DETECTION,
        "--detector",
        type=Name(list(DETECTORS)),
        metavar="NAME",
        help=f"One of {', '.join(DETECTORS)}; none takes the whole picture for a face, dlib's need the extra "
        "'dlib'.  [default: auto]",
    ),
    option(
        DETECTION,
        "-fd",
        "--face_detection",
        type=Name(list(ORIGINAL_DETECTORS)),
        metavar="1|2|3",
        help="The original's numbers: 1 is dlib-optimized, 2 dlib-cnn, 3 haar.",
    ),
    option(
        DETECTION,
        "--max-faces",
        type=Whole(1),
        metavar="N",
        help="Only the N largest faces of a picture.",
    ),
    option(
        DETECTION,
        "--min-face",
        type=Whole(0),
        default=0,
        metavar="PIXELS",
        help="Leave out smaller faces.",
    ),
    option(
        DETECTION,
        "--min-score",
        type=Share(),
        metavar="X",
        help="Leave out faces that the detector is less sure of (0-1).  [default: its own limit]",
    ),
)
"""The options about finding faces."""


original_options = all_of(
    option(
        ORIGINAL,
        "-d",
        "--display",
        is_flag=True,
        help="Show each picture in a window until a key is pressed.",
    ),
    option(
        ORIGINAL,
        "-g",
        "--gradcam",
        is_flag=True,
        help="With -d or --save: saliency maps; in the window with -b those of every branch.",
    ),
    option(
        ORIGINAL,
        "-b",
        "--branch",
        is_flag=True,
        help="With -d or --save: what every branch says.",
    ),
    option(
        ORIGINAL,
        "-s",
        "--size",
        type=Name(["1", "2", "3"]),
        metavar="1|2|3",
        help="Window of 1920x1080, 1440x900 or 1024x768.  [default: 1]",
    ),
    option(ORIGINAL, "-np", "--no_plot", is_flag=True, help="No graph in the window; it is for videos."),
    option(ORIGINAL, "-f", "--frames", type=int, metavar="N", help="For videos; it does nothing here."),
    option(
        ORIGINAL,
        "-w",
        "--webcam",
        "--webcam_id",
        type=int,
        metavar="N",
        help="For cameras; it does nothing here.",
    ),
)
"""The original's options for its window and camera."""


def resolve_detector(detector: str | None, face_detection: str | None) -> str:
    """Name of the detector asked for by ``--detector`` or ``-fd``.

    Raises:
        click.UsageError: Both were given and differ.
    """
    meant = ORIGINAL_DETECTORS[face_detection] if face_detection else None
    if detector and meant and detector != meant:
        raise click.UsageError(
            f"-fd {face_detection} means {meant}, but --detector says {detector}: give one"
        )
    return detector or meant or "auto"


def resolve_device(device: str | None, cuda: bool) -> str:
    """``--device``, or ``-c``; click.UsageError if they contradict one another."""
    if cuda and device not in (None, "cuda"):
        raise click.UsageError(f"-c means --device cuda, but --device says {device}: give one")
    return "cuda" if cuda else device or "cpu"
