"""The original's layout made by hand, and its arithmetic word for word: the yardstick for everything of ours.

Nothing here comes from ``esrface``: the networks are written out from the published description, branches
stand in a plain list that ``eval()`` does not reach, and each face goes through alone.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

Pixels = np.ndarray


class Base(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 5), nn.BatchNorm2d(64)
        self.conv2, self.bn2 = nn.Conv2d(64, 128, 3), nn.BatchNorm2d(128)
        self.conv3, self.bn3 = nn.Conv2d(128, 128, 3), nn.BatchNorm2d(128)
        self.conv4, self.bn4 = nn.Conv2d(128, 128, 3), nn.BatchNorm2d(128)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = torch.max_pool2d(x, 2)
        x = torch.relu(self.bn3(self.conv3(x)))
        x = torch.relu(self.bn4(self.conv4(x)))
        return torch.max_pool2d(x, 2)


class Branch(nn.Module):
    def __init__(self, affect: bool) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(128, 128, 3), nn.BatchNorm2d(128)
        self.conv2, self.bn2 = nn.Conv2d(128, 256, 3), nn.BatchNorm2d(256)
        self.conv3, self.bn3 = nn.Conv2d(256, 256, 3), nn.BatchNorm2d(256)
        self.conv4, self.bn4 = nn.Conv2d(256, 512, 3, padding=1), nn.BatchNorm2d(512)
        self.fc = nn.Linear(512, 8)
        if affect:
            self.fc_dimensional = nn.Linear(8, 2)

    def features(self, x: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = torch.max_pool2d(x, 2)
        x = torch.relu(self.bn3(self.conv3(x)))
        return torch.relu(self.bn4(self.conv4(x)))

    def logits(self, features: Tensor) -> Tensor:
        return self.fc(features.mean(dim=(2, 3)))


def lively(module: nn.Module, generator: torch.Generator) -> nn.Module:
    """Random weights under which every layer, statistic and bias matters."""

    def normal(tensor: Tensor, scale: float) -> None:
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * scale)

    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                normal(layer.weight, (2 / layer.weight[0].numel()) ** 0.5)
                if layer.bias is not None:
                    normal(layer.bias, 0.3)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(0.5 + torch.rand(layer.weight.shape, generator=generator))
                normal(layer.bias, 0.2)
                normal(layer.running_mean, 0.3)
                layer.running_var.copy_(0.5 + torch.rand(layer.running_var.shape, generator=generator))
        if isinstance(module, Branch):
            module.fc.weight.mul_(3)
    return module


def write_folder(folder: Path, *, branches: int = 9, affect: bool = True, seed: int = 1) -> Path:
    """An ensemble with fixed random weights in the original's files."""
    generator = torch.Generator().manual_seed(seed)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(lively(Base(), generator).state_dict(), folder / "Net-Base-Shared_Representations.pt")
    for number in range(1, branches + 1):
        torch.save(lively(Branch(affect), generator).state_dict(), folder / f"Net-Branch_{number}.pt")
    return folder


class Literal:
    """The original program's way from a face to its numbers.

    ``batch_norm="instance"`` is what it does: the base in evaluation mode, the branches (in a list) left in
    training mode, so that each face is normalised by itself.
    """

    def __init__(self, folder: Path, *, branches: int, affect: bool = True, batch_norm: str = "instance"):
        self.base = Base()
        self.base.load_state_dict(torch.load(folder / "Net-Base-Shared_Representations.pt"))
        self.base.eval()
        self.branches = [Branch(affect) for _ in range(branches)]
        for number, branch in enumerate(self.branches, start=1):
            branch.load_state_dict(torch.load(folder / f"Net-Branch_{number}.pt"))
            branch.train(batch_norm == "instance")
        self.affect = affect

    def input(self, face_bgr: Pixels) -> Tensor:
        small = cv2.resize(face_bgr, (96, 96), interpolation=cv2.INTER_LINEAR)
        return torch.from_numpy(small.transpose(2, 0, 1).copy()).float().div(255)[None]

    @torch.no_grad()
    def features(self, face: Tensor) -> list[Tensor]:
        """The last feature maps (1, 512, 6, 6) of each branch for one face (1, 3, 96, 96)."""
        shared = self.base(face)
        return [branch.features(shared) for branch in self.branches]

    @torch.no_grad()
    def answer(self, features: list[Tensor]) -> tuple[Pixels, Pixels | None]:
        """Logits (K, 8) and affect (K, 2)."""
        logits = [branch.logits(x) for branch, x in zip(self.branches, features, strict=True)]
        affect = None
        if self.affect:
            pairs = zip(self.branches, logits, strict=True)
            affect = torch.cat([branch.fc_dimensional(torch.relu(z)) for branch, z in pairs]).numpy()
        return torch.cat(logits).numpy(), affect

    def grad_cam(self, features: list[Tensor], branch: int, emotion: int) -> Pixels:
        """Grad-CAM by autograd (6, 6): gradients' means weigh the features; ReLU; divided by the maximum."""
        x = features[branch].clone().requires_grad_()
        self.branches[branch].logits(x)[0, emotion].backward()
        weights = x.grad.mean(dim=(2, 3), keepdim=True)
        heat = torch.relu((weights * x.detach()).sum(dim=1))[0]
        return (heat / heat.max().clamp_min(1e-12)).numpy()


def gap(ours: Pixels, expected: Pixels) -> float:
    """Largest difference; prints it and the mean one."""
    assert ours.shape == expected.shape
    apart = np.abs(np.asarray(ours, np.float64) - expected)
    print(f"largest difference {apart.max():.2e}, mean {apart.mean():.2e} over {apart.size} numbers")
    return float(apart.max())
