"""Augmentation of a whole batch at once, as tensor operations on whatever device the batch is on.

Enlarging, rotating, scaling, shifting, shearing and mirroring are one resampling (affine grid and bilinear
sampling), so that nothing is interpolated twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """How strongly training faces are changed; ranges are symmetric around no change."""

    rotation_deg: float = 20.0
    scale_log: float = 0.2
    """Scale is exp(u), u uniform in +- this."""
    shift: float = 0.08
    """Share of the side."""
    shear: float = 0.1
    contrast: tuple[float, float] = (0.6, 1.5)
    brightness: float = 0.16
    """Share of the full range of 255."""
    erase_probability: float = 0.4
    erase_side: tuple[float, float] = (0.17, 0.44)
    """Side of the erased rectangle as a share of the face's."""


def augment(
    pixels: Tensor, size: int, settings: Augmentation, mean: float, std: float, generator: torch.Generator
) -> Tensor:
    """Random views (N, 1, size, size), normalised, of grey uint8 faces (N, 48, 48).

    Args:
        pixels: (N, H, W) uint8, on the device to work on.
        size: side of the network's input.
        settings: strengths.
        mean: subtracted from pixels (0-255).
        std: divided by.
        generator: of that device; the views depend on nothing else.
    """
    count = len(pixels)
    draw = _Draw(count, pixels.device, generator)
    angle = draw.symmetric(settings.rotation_deg) * (torch.pi / 180)
    zoom = torch.exp(-draw.symmetric(settings.scale_log))
    mirror = torch.where(draw.unit() < 0.5, -1.0, 1.0)
    cos, sin, shear = torch.cos(angle) * zoom, torch.sin(angle) * zoom, draw.symmetric(settings.shear)
    shift_x, shift_y = draw.symmetric(2 * settings.shift), draw.symmetric(2 * settings.shift)
    rows = torch.stack(
        [mirror * cos, mirror * (shear * cos - sin), shift_x, sin, cos + shear * sin, shift_y], dim=1
    ).view(count, 2, 3)
    grid = F.affine_grid(rows, [count, 1, size, size], align_corners=False)
    x = F.grid_sample(pixels[:, None].float(), grid, padding_mode="border", align_corners=False)

    low, high = settings.contrast
    contrast = (low + (high - low) * draw.unit()).view(-1, 1, 1, 1)
    average = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - average) * contrast + average + draw.symmetric(255 * settings.brightness).view(-1, 1, 1, 1)
    x = x.clamp(0, 255)
    x = _erase(x, settings, draw)
    return (x - mean) / std


def plain_view(pixels: Tensor, size: int, mean: float, std: float) -> Tensor:
    """The faces as they are (N, 1, size, size), resized bilinearly and normalised: what evaluation sees."""
    x = F.interpolate(pixels[:, None].float(), size=(size, size), mode="bilinear", align_corners=False)
    return (x - mean) / std


def _erase(x: Tensor, settings: Augmentation, draw: _Draw) -> Tensor:
    """Replace a random rectangle of some faces by their mean grey."""
    size = x.shape[-1]
    low, high = settings.erase_side
    width, height = (low + (high - low) * draw.unit() for _ in range(2))
    left, top = draw.unit() * (1 - width), draw.unit() * (1 - height)
    place = (torch.arange(size, device=x.device) + 0.5) / size
    across = (place >= left[:, None]) & (place < (left + width)[:, None])
    down = (place >= top[:, None]) & (place < (top + height)[:, None])
    chosen = draw.unit() < settings.erase_probability
    hidden = chosen[:, None, None] & down[:, :, None] & across[:, None, :]
    return torch.where(hidden[:, None], x.mean(dim=(1, 2, 3), keepdim=True), x)


class _Draw:
    """Uniform random numbers, one for each face."""

    def __init__(self, count: int, device: torch.device, generator: torch.Generator) -> None:
        self._count, self._device, self._generator = count, device, generator

    def unit(self) -> Tensor:
        return torch.rand(self._count, device=self._device, generator=self._generator)

    def symmetric(self, limit: float) -> Tensor:
        return (2 * self.unit() - 1) * limit
