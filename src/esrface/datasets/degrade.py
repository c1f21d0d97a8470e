"""Worse pictures of a whole batch at once: blur, faint contrast and noise, as dusk and cheap cameras do.

Apart from `esrface.datasets.augment`, since a teacher shall see the face as it is and its student the worse
picture of it: so the student learns what the teacher never could.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Degradation:
    """How often training faces become worse pictures, and by how much; at 0 they stay as they are."""

    blur_probability: float = 0.0
    blur_sigma: tuple[float, float] = (0.005, 0.06)
    """Of a Gaussian, share of the face's side."""
    contrast_probability: float = 0.0
    contrast_left: tuple[float, float] = (0.05, 0.6)
    """Share that is left of every value's distance from the mean; drawn evenly by its logarithm."""
    noise_probability: float = 0.0
    noise_deviation: tuple[float, float] = (0.01, 0.18)
    """Standard deviation as a share of the full range of 255."""


def degrade(x: Tensor, settings: Degradation, mean: float, std: float, generator: torch.Generator) -> Tensor:
    """The faces as worse pictures show them.

    Args:
        x: (N, 1, S, S) float, normalised grey faces.
        settings: probabilities and strengths; each face draws its own.
        mean: that was subtracted from pixels (0-255).
        std: that they were divided by.
        generator: of their device; the outcome depends on nothing else.

    Returns:
        (N, 1, S, S), normalised as before; what was within 0-255 still is.
    """
    if settings.blur_probability:
        x = _blur(x, settings, generator)
    if settings.contrast_probability:
        x = _faint(x, settings, generator)
    if settings.noise_probability:
        x = _noise(x, settings, 255 / std, generator)
        x = x.clamp(-mean / std, (255 - mean) / std)
    return x


def _blur(x: Tensor, settings: Degradation, generator: torch.Generator) -> Tensor:
    chosen, place = _chosen(x, settings.blur_probability, generator)
    low, high = settings.blur_sigma
    side = x.shape[-1]
    sigma = side * (low + (high - low) * place)
    reach = max(1, round(2.5 * side * high))
    offsets = torch.arange(-reach, reach + 1, device=x.device)
    kernel = torch.exp(-0.5 * (offsets / sigma[:, None]) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    # Faces as channels: each is blurred by its own kernel, along rows and then along columns.
    faces = x.transpose(0, 1)
    padded = F.pad(faces, (reach,) * 4, mode="replicate")
    rows = F.conv2d(padded, kernel[:, None, None, :], groups=len(x))
    both = F.conv2d(rows, kernel[:, None, :, None], groups=len(x))
    return torch.where(chosen, both.transpose(0, 1), x)


def _faint(x: Tensor, settings: Degradation, generator: torch.Generator) -> Tensor:
    chosen, place = _chosen(x, settings.contrast_probability, generator)
    low, high = settings.contrast_left
    left = (low * (high / low) ** place).view(-1, 1, 1, 1)
    average = x.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(chosen, (x - average) * left + average, x)


def _noise(x: Tensor, settings: Degradation, scale: float, generator: torch.Generator) -> Tensor:
    chosen, place = _chosen(x, settings.noise_probability, generator)
    low, high = settings.noise_deviation
    count, _, side, _ = x.shape
    shape = (count, 1, side, side)
    fine = torch.randn(shape, device=x.device, generator=generator)
    # A small face that was enlarged has grains of two pixels and more.
    coarse = F.interpolate(fine[..., : side // 2, : side // 2], (side, side), mode="bilinear")
    coin = torch.rand(shape[:1], device=x.device, generator=generator).view(-1, 1, 1, 1)
    deviation = scale * (low + (high - low) * place).view(-1, 1, 1, 1)
    return torch.where(chosen, x + deviation * torch.where(coin < 0.5, fine, coarse), x)


def _chosen(x: Tensor, probability: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Which faces (N, 1, 1, 1), and how strongly each (N,), even in 0-1."""
    coins, place = torch.rand(2, len(x), device=x.device, generator=generator)
    return (coins < probability).view(-1, 1, 1, 1), place
