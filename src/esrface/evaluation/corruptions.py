"""Standard corruptions of a face's crop at five severities, the same on every machine and in every run.

After Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations"
(ICLR 2019), whose pictures are 224 pixels wide, adapted to faces of 48 to 96:

- What is a length there is a share of the face's larger side here (blur, occlusion), so that faces of all
  sizes suffer alike. Larger faces are first made 96 pixels wide, so that noise and JPEG's blocks are not
  averaged away when the network's input is made.
- Noise, contrast and JPEG take the strengths of their Tiny ImageNet-C (64 pixels) or lie between those and
  ImageNet-C's. Noise is the same in all channels, so grey pictures stay grey and suffer as coloured ones do.
- Occlusion, low resolution, rotation, colour casts and boxes of a wrong size are ours: what happens to faces.

What is random (noise, places, directions) follows from the name of the corruption and a seed; the severities
of one face share it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._suggest import unknown_name
from esrface.errors import InputError
from esrface.evaluation.framing import View, whole_view

SEVERITIES: Final = (1, 2, 3, 4, 5)

LARGEST_SIDE: Final = 96
"""Pixels; the larger side of larger crops is brought to it before they are corrupted."""

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Corruption:
    """What is done to a face, and how much of it at each severity."""

    title: str
    unit: str
    """What the strengths are."""
    strengths: tuple[float, float, float, float, float]
    """At severities 1-5."""
    apply: Callable[[Image, float, np.random.Generator], Image]


def corrupt(face: Image, name: str, severity: int, *, seed: int = 0) -> Image:
    """A face's crop as a worse picture would show it.

    Args:
        face: (h, w, 3) RGB or (h, w) grey.
        name: One of `CORRUPTIONS` or `FRAMINGS`.
        severity: 1 (mild) to 5 (strong).
        seed: Of what is random; give every face of a data set its own.

    Returns:
        (h', w', 3) RGB; at most 96 pixels on the larger side, except for a box of a wrong size, which changes
        nothing but the frame.

    Raises:
        InputError: An unknown name or severity.
    """
    return corrupt_view(whole_view(face), name, severity, seed=seed)


def corrupt_view(view: View, name: str, severity: int, *, seed: int = 0) -> Image:
    """Like ``corrupt``, for a face whose surroundings may be known."""
    if severity not in SEVERITIES:
        raise InputError(f"severity is a whole number from 1 to 5, got {severity!r}")
    if name in FRAMINGS:
        return view(FRAMINGS[name].scales[severity - 1])
    if name not in CORRUPTIONS:
        raise InputError(unknown_name("corruption", name, (*CORRUPTIONS, *FRAMINGS)))
    corruption = CORRUPTIONS[name]
    # crc32, since Python's hash of a text differs from run to run.
    random = np.random.default_rng([zlib.crc32(name.encode()), seed])
    return corruption.apply(_shrunk(view(1.0)), corruption.strengths[severity - 1], random)


@dataclass(frozen=True)
class Framing:
    """A face's box of a wrong size."""

    title: str
    scales: tuple[float, float, float, float, float]
    """Its sides as multiples of the right ones at severities 1-5."""


def _shrunk(face: Image) -> Image:
    height, width = face.shape[:2]
    share = LARGEST_SIDE / max(height, width)
    if share >= 1:
        return face
    size = (max(1, round(width * share)), max(1, round(height * share)))
    return np.asarray(cv2.resize(face, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _gaussian_noise(face: Image, deviation: float, random: np.random.Generator) -> Image:
    noise = random.standard_normal(face.shape[:2])
    return _to_bytes(face + 255 * deviation * noise[..., None])


def _gaussian_blur(face: Image, share: float, random: np.random.Generator) -> Image:
    sigma = share * max(face.shape[:2])
    return np.asarray(cv2.GaussianBlur(face, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), dtype=np.uint8)


def _jpeg(face: Image, quality: float, random: np.random.Generator) -> Image:
    _, encoded = cv2.imencode(".jpg", face[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])
    decoded = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])


def _contrast(face: Image, kept: float, random: np.random.Generator) -> Image:
    mean = face.mean(axis=(0, 1))
    return _to_bytes((face - mean) * kept + mean)


def _occlusion(face: Image, share: float, random: np.random.Generator) -> Image:
    height, width = face.shape[:2]
    side_y, side_x = round(share * height), round(share * width)
    # Drawn as shares of the free way, so that stronger severities grow about the same place.
    down, right = random.random(2)
    y, x = round(down * (height - side_y)), round(right * (width - side_x))
    covered: Image = face.copy()
    covered[y : y + side_y, x : x + side_x] = 128
    return covered


def _low_resolution(face: Image, side: float, random: np.random.Generator) -> Image:
    height, width = face.shape[:2]
    share = min(1.0, side / max(height, width))
    small = (max(1, round(width * share)), max(1, round(height * share)))
    seen = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(seen, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def _rotation(face: Image, degrees: float, random: np.random.Generator) -> Image:
    height, width = face.shape[:2]
    angle = degrees if random.random() < 0.5 else -degrees
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    turned = cv2.warpAffine(
        face, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(turned, dtype=np.uint8)


def _colour_cast(face: Image, strength: float, random: np.random.Generator) -> Image:
    warm = strength if random.random() < 0.5 else -strength
    return _to_bytes(face * np.array([1 + warm, 1.0, 1 - warm]))


def _to_bytes(values: NDArray[np.float64]) -> Image:
    return np.asarray(np.rint(np.clip(values, 0, 255)), dtype=np.uint8)


CORRUPTIONS: Final = MappingProxyType(
    {
        "gaussian_noise": Corruption(
            "Gaussian noise", "standard deviation, share of the range", (0.04, 0.08, 0.12, 0.15, 0.18),
            _gaussian_noise,
        ),
        "blur": Corruption(
            "Blur", "Gaussian's sigma, share of the face's side", (0.01, 0.02, 0.03, 0.04, 0.06),
            _gaussian_blur,
        ),
        "jpeg": Corruption("JPEG", "quality", (65, 50, 35, 20, 10), _jpeg),
        "contrast": Corruption("Low contrast", "share that is left", (0.4, 0.3, 0.2, 0.1, 0.05), _contrast),
        "occlusion": Corruption(
            "Occlusion", "side of a grey patch, share of the face's", (0.2, 0.3, 0.4, 0.5, 0.6), _occlusion
        ),
        "low_resolution": Corruption(
            "Low resolution", "pixels across the face", (32, 24, 20, 16, 12), _low_resolution
        ),
        "rotation": Corruption("Rotation", "degrees, to either side", (5, 10, 15, 20, 30), _rotation),
        "colour_cast": Corruption(
            "Colour cast", "red and blue, one up and one down, by this share", (0.1, 0.2, 0.3, 0.4, 0.5),
            _colour_cast,
        ),
    }
)  # fmt: skip
"""By name; a mean corruption accuracy is over all of these at all severities."""

FRAMINGS: Final = MappingProxyType(
    {
        "box_larger": Framing("Box too large", (1.04, 1.08, 1.12, 1.16, 1.2)),
        "box_smaller": Framing("Box too small", (0.96, 0.92, 0.88, 0.84, 0.8)),
    }
)
"""By name; not part of the mean. Where faces were found in pictures a larger box shows more of the picture;
where pictures are crops already their edges are repeated."""

TITLES: Final = MappingProxyType(
    {
        **{name: corruption.title for name, corruption in CORRUPTIONS.items()},
        **{name: framing.title for name, framing in FRAMINGS.items()},
    }
)
"""What people read, by name, corruptions first."""
