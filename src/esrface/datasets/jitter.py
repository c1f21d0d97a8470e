"""The paper's augmentation for a whole batch, grey or colour, on whatever device the batch is on.

Brightness and contrast change by factors, then mirroring, rotating, enlarging and shifting are one
resampling; what comes from outside the picture is black.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from esrface.errors import InputError


@dataclass(frozen=True)
class Jitter:
    """How strongly faces are changed; the defaults are the paper's."""

    brightness: float = 0.5
    """The factor lies within 1 +- this."""
    contrast: float = 0.5
    """As above, about the face's mean grey."""
    mirror: float = 0.5
    """Probability."""
    rotation_deg: float = 30.0
    shift: float = 0.1
    """Share of the side, either way."""
    scale: tuple[float, float] = (1.0, 1.25)

    def __post_init__(self) -> None:
        for name, most in (
            ("brightness", 1),
            ("contrast", 1),
            ("mirror", 1),
            ("rotation_deg", 180),
            ("shift", 1),
        ):
            value = getattr(self, name)
            if not 0 <= value <= most:  # Not a number is neither.
                raise InputError(f"augmentation.{name}: expected a number from 0 to {most}, got {value!r}")
        low, high = self.scale
        if not 0 < low <= high < math.inf:
            raise InputError(
                f"augmentation.scale: expected two numbers above 0 in order, got {list(self.scale)}"
            )


def jittered(pixels: Tensor, size: int, settings: Jitter, generator: torch.Generator) -> Tensor:
    """Random views (N, C, size, size), float 0-255, of uint8 faces.

    Args:
        pixels: (N, H, W) grey, or (N, H, W, 3), on the device to work on.
        size: Side of the network's input.
        settings: Strengths.
        generator: Of that device; the views depend on nothing else.
    """
    x = planes(pixels)
    count = len(x)

    def draw(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(count, device=x.device, generator=generator)

    brightness = draw(1 - settings.brightness, 1 + settings.brightness).view(-1, 1, 1, 1)
    contrast = draw(1 - settings.contrast, 1 + settings.contrast).view(-1, 1, 1, 1)
    brightened = (x * brightness).clamp(0, 255)
    x = (brightened + (contrast - 1) * (brightened - mean_grey(brightened))).clamp(0, 255)
    angle = draw(-settings.rotation_deg, settings.rotation_deg) * (torch.pi / 180)
    zoom = 1 / draw(*settings.scale)
    mirror = torch.where(draw(0, 1) < settings.mirror, -1.0, 1.0)
    # In the grid's units the side is 2. Rows say where in the picture a point of the view comes from.
    shift_x, shift_y = (draw(-2 * settings.shift, 2 * settings.shift) for _ in range(2))
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = torch.stack([mirror * cos, -mirror * sin, shift_x, sin, cos, shift_y], dim=1).view(count, 2, 3)
    grid = F.affine_grid(rows, [count, x.shape[1], size, size], align_corners=False)
    return F.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def unchanged(pixels: Tensor, size: int) -> Tensor:
    """The faces as they are (N, C, size, size), float 0-255, resized bilinearly: what evaluation sees."""
    return F.interpolate(planes(pixels), size=(size, size), mode="bilinear", align_corners=False)


def planes(pixels: Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, C) uint8 as (N, C, H, W) float."""
    return (pixels[:, None] if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)).float()


def mean_grey(x: Tensor) -> Tensor:
    """(N, 1, 1, 1) mean of each picture (N, C, H, W), colours weighted as the eye does."""
    if x.shape[1] == 3:
        weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
        x = (x * weights).sum(dim=1, keepdim=True)
    return x.mean(dim=(1, 2, 3), keepdim=True)
