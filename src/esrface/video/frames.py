"""What a video answers, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Box and Saliency: for who resolves the annotations of the fields that TrackedFace inherits.
from esrface._frozen import ReadOnlyArrays
from esrface.results import Box, Expression, Face  # noqa: F401
from esrface.saliency import Saliency  # noqa: F401


@dataclass(frozen=True, eq=False, repr=False)
class TrackedFace(Face):
    """A face in a frame of a video: a ``Face`` that knows whose it is.

    ``expression`` is what the network says of this frame alone.
    """

    track_id: int | None = None
    """The same number for the same person from its first frame to its last, from 1 on; after a cut everybody
    is new. None where tracking is off."""
    smoothed: Expression | None = None
    """``expression`` averaged over the track's last moments, for displays; None where smoothing is off.
    Its ``uncertainty`` is averaged, too; all the rest follows from the averaged probabilities."""
    detected: bool = True
    """False: the box was placed between those of two detections (``detect_every``)."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data: a face's, ``track_id``, and ``smoothed`` where there is such."""
        plain = {**super().to_dict(), "track_id": self.track_id}
        if self.smoothed is not None:
            plain["smoothed"] = self.smoothed.to_dict()
        return plain

    def __repr__(self) -> str:
        return f"Tracked{super().__repr__()[:-1]}, track_id {self.track_id})"


@dataclass(frozen=True, eq=False)
class Frame(ReadOnlyArrays):
    """One processed frame of a video and the faces in it."""

    number: int
    """Ordinal among all decoded frames of the source, in presentation order from 0; frames that were not
    processed count."""
    time_s: float
    """Presentation time in seconds from the start; of a live source, since its first frame."""
    image: NDArray[np.uint8] = field(repr=False)
    """(H, W, 3) uint8 RGB, upright, square pixels; read-only."""
    faces: tuple[TrackedFace, ...]
    """Largest first; () is a normal answer."""
    state: Any = field(default=None, repr=False)
    """What ``Video.checkpoint`` is made of."""
    processed: bool = True
    """False: sampling left this frame out; nobody looked for faces (``open_video(..., skipped=True)``)."""

    def __post_init__(self) -> None:
        self.image.setflags(write=False)

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of ``image`` in pixels."""
        return self.image.shape[1], self.image.shape[0]

    @property
    def track_ids(self) -> tuple[int | None, ...]:
        """``track_id`` of each face, in their order."""
        return tuple(face.track_id for face in self.faces)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready data: ``frame``, ``time_s``, ``width``, ``height`` and ``faces``."""
        width, height = self.size_wh
        return {
            "frame": self.number,
            "time_s": self.time_s,
            "width": width,
            "height": height,
            "faces": [face.to_dict() for face in self.faces],
        }

    def _repr_html_(self) -> str:
        faces = "".join(face._repr_html_() for face in self.faces) or "<p>no face</p>"
        return f"<p><b>Frame {self.number}</b> at {self.time_s:.2f} s</p>{faces}"
