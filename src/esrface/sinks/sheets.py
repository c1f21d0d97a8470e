"""Sheets that explain the answers: a picture's faces one below the other, branch by branch."""

from __future__ import annotations

import io
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from esrface.recognizer import Recognizer
from esrface.results import Face
from esrface.sheet import branch_sheet, emotion_sheet, nothing_sheet
from esrface.sinks.base import Picture, RunSettings
from esrface.sinks.folder import FolderSink


class BranchSheets(FolderSink):
    """``--save DIR -b``: what every branch says about every face, with its saliency map if there is one."""

    needs_image = True
    draws = True
    suffix = ".branches.png"

    def __init__(self, folder: Path, settings: RunSettings, recognizer: Recognizer, **options: Any) -> None:
        super().__init__(folder, settings, **options)
        self._recognizer = recognizer

    def name(self, place: PurePath) -> PurePath:
        """``a.jpg`` -> ``a.branches.png``."""
        return self.taken.name(place, self.suffix)

    def render(self, picture: Picture, suffix: str) -> bytes:
        """The sheets of all faces, one below the other, as a PNG file's content."""
        if picture.image is None:
            raise ValueError("a sheet needs the picture's pixels")
        image = picture.image
        sheets = [self.sheet(self._recognizer.crop(image, face), face) for face in picture.faces]
        content = io.BytesIO()
        drawn = PIL.Image.fromarray(np.concatenate(sheets) if sheets else nothing_sheet())
        drawn.save(content, "PNG", compress_level=3)
        return content.getvalue()

    def sheet(self, crop: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """The sheet of one face."""
        return branch_sheet(crop, face, saliency=face.saliency is not None)


class EmotionSheets(BranchSheets):
    """``--save DIR -g``: where every branch sees evidence for every emotion."""

    suffix = ".emotions.png"

    def sheet(self, crop: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
        """The sheet of one face."""
        return emotion_sheet(crop, face)
