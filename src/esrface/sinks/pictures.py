"""Annotated copies of the pictures."""

from __future__ import annotations

import io
from pathlib import Path, PurePath
from typing import Any

import PIL.Image

from esrface._names import printable
from esrface.annotate import annotate
from esrface.errors import OutputError
from esrface.sinks.base import Picture, RunSettings
from esrface.sinks.folder import FolderSink

# Colours are not subsampled, which would blur the coloured lines.
_JPEG: tuple[str, dict[str, Any]] = ("JPEG", {"quality": 95, "subsampling": 0})

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".jpe": _JPEG,
    ".jfif": _JPEG,
    ".webp": ("WEBP", {"quality": 95}),
    ".png": ("PNG", {"compress_level": 3}),
}
"""Lower-case suffix -> Pillow's format, and how it is saved."""


class AnnotatedPictures(FolderSink):
    """``--save DIR``: upright copies with faces framed and labelled.

    JPEG, PNG and WebP pictures keep name and format; any other gets ``.png`` after its name.
    """

    needs_image = True
    draws = True

    def __init__(
        self, folder: Path, settings: RunSettings, *, abstain_below: float | None = None, **options: Any
    ) -> None:
        super().__init__(folder, settings, **options)
        self._abstain_below = abstain_below

    def name(self, place: PurePath) -> PurePath:
        """``a.jpg`` -> ``a.jpg``; ``a.gif`` -> ``a.gif.png``."""
        if place.suffix.lower() not in FORMATS:
            place = place.with_name(f"{place.name}.png")
        return self.taken.name(place, place.suffix)

    def render(self, picture: Picture, suffix: str) -> bytes:
        """The annotated picture as a file's content."""
        if picture.image is None:
            raise ValueError("an annotated picture needs the picture's pixels")
        drawn = PIL.Image.fromarray(annotate(picture.image, picture.faces, abstain_below=self._abstain_below))
        form, options = FORMATS[suffix]
        content = io.BytesIO()
        try:
            drawn.save(content, form, **options)
        except (OSError, ValueError) as error:
            raise OutputError(f"cannot save {printable(picture.source)} as {form}: {error}") from error
        return content.getvalue()
