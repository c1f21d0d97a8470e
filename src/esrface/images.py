"""Any picture in, one kind of array out: upright RGB uint8 (H, W, 3)."""

from __future__ import annotations

import importlib
import io
import logging
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from esrface._bounded import read_bounded
from esrface._names import printable, reason_of
from esrface.errors import InputError

DEFAULT_MAX_PIXELS = 178_000_000
"""Pictures of more pixels than this (534 MB as RGB) are refused before they are decoded."""

Color = Literal["rgb", "bgr"]

_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF")
"""Pillow's formats that are read, the usual ones first. EPS, which Pillow hands to another program, and those
that it knows by little more than their suffix are not among them. HEIF is there if a plugin registered it."""

_LATER_PLUGINS = ("WebPImagePlugin", "TiffImagePlugin", "AvifImagePlugin", "Jpeg2KImagePlugin")
"""Modules of PIL that are imported only when a picture is none of JPEG, PNG, GIF, BMP and PPM."""

_HEIF_BRANDS = (b"ftypheic", b"ftypheix", b"ftypmif1", b"ftypmsf1")

_STRIP_PIXELS = 1 << 14
"""Pixels that are copied out of Pillow at a time: few enough that the copies stay in the processor's cache.
Twice as fast as one call for the whole picture."""

_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: lambda pixels: cv2.transpose(pixels),
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.rotate(cv2.transpose(pixels), cv2.ROTATE_180),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""What makes a picture upright, by its EXIF orientation."""

_EXIF_ORIENTATION = 0x0112

_TIFF_DATA = ((273, 279), (324, 325))
"""TIFF's tags for (offsets, numbers of bytes), of strips and of tiles."""

_ROUNDING = 1e-3
"""How far floats may leave 0-1, as those of 16 bits do after arithmetic; they are clipped."""

_log = logging.getLogger("esrface")


def load_image(
    source: str | os.PathLike[str] | bytes | PIL.Image.Image | NDArray[Any],
    *,
    color: Color = "rgb",
    max_pixels: int = DEFAULT_MAX_PIXELS,
    name: str | None = None,
) -> NDArray[np.uint8]:
    """The pixels of a picture, whatever it comes as.

    Files are turned upright by their EXIF orientation; what is transparent lies over white; 16 bits per
    channel are scaled to 8; of an animation or of several pages the first is taken, and a line is logged.

    Args:
        source: A path; the bytes of an image file; a PIL image (of which the current frame is taken); or an
            array (H, W, 3), (H, W, 4) with alpha, (H, W) or (H, W, 1) grey, of uint8 (0-255), uint16
            (0-65535), bool, or float (0-1), in any memory layout.
        color: Order of the channels where ``source`` is an array; files and PIL images know their own.
        max_pixels: Width times height above which a picture is refused; files are not decoded for it.
        name: What error lines call the picture; by default its path.

    Returns:
        RGB (H, W, 3) uint8, C-contiguous and writable. It never shares memory with ``source``, which stays as
        it is.

    Raises:
        InputError: One line that names the picture: there is no such file, it may not be read, it is empty,
            cut off, damaged, too large, or no picture; or what was expected of an array, and what came.
    """
    if color not in ("rgb", "bgr"):
        raise InputError(f"expected color 'rgb' or 'bgr', got {color!r}")
    if isinstance(source, np.ndarray):
        return _from_array(source, color, max_pixels, name or "the array")
    if isinstance(source, PIL.Image.Image):
        return _pixels(source, max_pixels, printable(name or "the PIL image"))
    if isinstance(source, bytes | bytearray | memoryview):
        return _decode(io.BytesIO(source), max_pixels, printable(name or "the picture's bytes"))
    if isinstance(source, str | os.PathLike):
        return _from_path(source, max_pixels, printable(name if name is not None else source))
    raise InputError(f"expected a path, bytes, a PIL image or a NumPy array, got {type(source).__name__}")


def _from_path(path: str | os.PathLike[str], max_pixels: int, name: str) -> NDArray[np.uint8]:
    try:
        # Not Path(path).open(), which would take the empty path for the current folder.
        with open(path, "rb") as file:  # noqa: PTH123
            # A pipe has no length and cannot be read twice.
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            return _decode(file if is_file else io.BytesIO(read_bounded(file, name)), max_pixels, name)
    except FileNotFoundError as error:
        raise InputError(f"cannot read {name}: no such file") from error
    except OSError as error:
        # Asked for, since Windows calls opening a folder a matter of permission.
        reason = "it is a folder, not a picture" if os.path.isdir(path) else reason_of(error)  # noqa: PTH112
        raise InputError(f"cannot read {name}: {reason}") from error
    except ValueError as error:
        raise InputError(f"cannot read {name}: a path cannot hold a null byte") from error


def _decode(stream: BinaryIO, max_pixels: int, name: str) -> NDArray[np.uint8]:
    """Pixels of an image file; ``stream`` can seek."""
    image = _identify(stream, name)
    _check_size(image.size, max_pixels, name)
    try:
        if image.format == "PNG":
            # Pillow itself shows black where a file was cut off and padded with zeros.
            image.verify()
            image = _identify(stream, name)
        elif image.format == "TIFF":
            _check_strips(image, stream)
    except Exception as error:
        raise InputError(_damaged(name)) from error
    pixels = _pixels(image, max_pixels, name)
    _mention_other_frames(image, name)
    return pixels


def _check_strips(image: Any, stream: BinaryIO) -> None:
    """Raise if a compressed TIFF ends before its data do: libtiff would speak of it on standard error."""
    if image.info.get("compression") == "raw":
        return
    length = stream.seek(0, io.SEEK_END)
    for offsets, counts in _TIFF_DATA:
        for offset, count in zip(image.tag_v2.get(offsets, ()), image.tag_v2.get(counts, ()), strict=False):
            if offset + count > length:
                raise EOFError(f"data of {count} bytes at {offset} in a file of {length} bytes")


def _identify(stream: BinaryIO, name: str) -> PIL.Image.Image:
    """The picture with its header read, nothing decoded.

    This is what ``PIL.Image.open`` does without its limit on the size, which is a global setting and warns on
    standard error. (A few plugins look at that limit themselves: their line is passed on.)
    """
    stream.seek(0)
    start = stream.read(16)
    if not start:
        raise InputError(f"cannot read {name}: it is empty")
    known = False
    for load_plugins in (PIL.Image.preinit, _load_later_plugins):
        load_plugins()
        for form in _FORMATS:
            factory, accept = PIL.Image.OPEN.get(form, (None, None))
            if factory is None or accept is None or not _accepts(accept, start):
                continue
            known = True
            stream.seek(0)
            try:
                return factory(stream, "")
            except PIL.Image.DecompressionBombError as error:
                raise InputError(f"cannot read {name}: {error}") from error
            except Exception:
                # Another plugin may know better (a JPEG 2000 file is no AVIF); if none does, it is damaged.
                _log.debug("not read as %s", form, exc_info=True)
    if known:
        raise InputError(_damaged(name))
    if start[4:12] in _HEIF_BRANDS:
        raise InputError(f"cannot read {name}: HEIC pictures are not read, convert it to JPEG")
    raise InputError(f"cannot read {name}: not a picture of a known format (JPEG, PNG, WebP, TIFF, BMP, …)")


def _accepts(accept: Callable[[bytes], bool | str], start: bytes) -> bool:
    """Whether a file that begins so is of a format, and can be read: the answer is text where it cannot."""
    try:
        return accept(start) is True
    except (IndexError, struct.error):
        # Fewer bytes than any picture has.
        return False


def _load_later_plugins() -> None:
    for plugin in _LATER_PLUGINS:
        # Not every version of Pillow has all of them.
        with suppress(ImportError):
            importlib.import_module(f"PIL.{plugin}")


def _check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    width, height = size
    if width * height > max_pixels:
        raise InputError(
            f"cannot read {name}: {width} x {height} pixels ({width * height / 1e6:.4g} megapixels) are over"
            f" the limit of {max_pixels / 1e6:.4g} megapixels (--max-pixels)"
        )


def _damaged(name: str) -> str:
    return f"cannot read {name}: it is cut off or damaged"


def _pixels(image: PIL.Image.Image, max_pixels: int, name: str) -> NDArray[np.uint8]:
    """Upright RGB of a PIL image, decoding it if that was not done yet."""
    _check_size(image.size, max_pixels, name)
    if 0 in image.size:
        raise InputError(f"cannot read {name}: it has no pixels ({image.width} x {image.height})")
    try:
        image.load()
        if image.mode.startswith(("I", "F")):
            pixels = _deep_pixels(image, max_pixels, name)
        else:
            pixels = _copy_out(image)
    except (InputError, MemoryError):
        raise
    except PIL.Image.DecompressionBombError as error:
        raise InputError(f"cannot read {name}: {error}") from error
    except Exception as error:
        # Decoders raise about anything on bytes that they did not expect.
        raise InputError(_damaged(name)) from error
    return _upright(image, pixels)


def _copy_out(image: PIL.Image.Image) -> NDArray[np.uint8]:
    """RGB of a decoded image with 8 bits per channel or a palette, strip by strip."""
    width, height = image.size
    pixels = np.empty((height, width, 3), np.uint8)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = image.crop((0, top, width, bottom))
        if strip.has_transparency_data:
            strip = _over_white(strip)
        if strip.mode not in ("RGB", "L"):
            strip = strip.convert("RGB")
        values = np.asarray(strip)
        pixels[top:bottom] = values if values.ndim == 3 else values[:, :, np.newaxis]
    return pixels


def _over_white(image: PIL.Image.Image) -> PIL.Image.Image:
    image = image.convert("RGBA")
    opaque = PIL.Image.new("RGB", image.size, "white")
    opaque.paste(image, mask=image.getchannel("A"))
    return opaque


def _deep_pixels(image: PIL.Image.Image, max_pixels: int, name: str) -> NDArray[np.uint8]:
    """RGB of a decoded grey image with 16 or 32 bits, which Pillow itself would clip at 255."""
    values = np.asarray(image)
    if image.mode == "I" and values.min() >= 0 and values.max() <= 65535:
        values = values.astype(np.uint16)
    try:
        return _from_array(values, "rgb", max_pixels, name)
    except InputError as error:
        raise InputError(f"cannot read {name}: {error}") from error


def _upright(image: PIL.Image.Image, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:
        # Damaged metadata do not keep the picture from being read.
        _log.debug("unreadable EXIF data", exc_info=True)
        return pixels
    turn = _UPRIGHT.get(orientation)
    return pixels if turn is None else turn(pixels)


def _mention_other_frames(image: PIL.Image.Image, name: str) -> None:
    # What else a JPEG holds (MPO) are previews and depth maps of the same picture.
    if image.format in ("JPEG", "MPO"):
        return
    with suppress(Exception):
        if getattr(image, "is_animated", False):
            what = "page" if image.format == "TIFF" else "frame"
            _log.warning("%s: more than one %s, the first is used", name, what)


def _from_array(array: NDArray[Any], color: Color, max_pixels: int, name: str) -> NDArray[np.uint8]:
    channels = _channels(array)
    height, width = array.shape[:2]
    _check_size((width, height), max_pixels, name)
    values = _to_uint8(array)
    if channels == 4:
        order = "RGBA" if color == "rgb" else "BGRA"
        return _copy_out(PIL.Image.frombuffer("RGBA", (width, height), values.tobytes(), "raw", order, 0, 1))
    pixels = np.empty((height, width, 3), np.uint8)
    if channels == 3 and color == "bgr":
        # Eight times as fast as a view with its channels reversed.
        cv2.cvtColor(np.ascontiguousarray(values), cv2.COLOR_BGR2RGB, dst=pixels)
    else:
        pixels[:] = values.reshape(height, width, channels)
    return pixels


def _channels(array: NDArray[Any]) -> int:
    shape = array.shape
    channels = 1 if array.ndim == 2 else shape[2] if array.ndim == 3 else 0
    if channels in (1, 3, 4) and 0 not in shape:
        return int(channels)
    if 0 in shape:
        hint = "; it has no pixels"
    elif array.ndim == 3 and shape[0] in (1, 3, 4):
        hint = "; its channels come first: use array.transpose(1, 2, 0)"
    elif array.ndim == 4:
        hint = "; give several pictures one by one"
    else:
        hint = ""
    raise InputError(f"expected an array (H, W, 3), (H, W, 4), (H, W, 1) or (H, W), got {shape}{hint}")


def _to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Values scaled to 0-255, in the array's own shape; ``array`` itself where it is uint8."""
    if array.dtype == np.uint8:
        return array.view(np.uint8)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        # 65535 = 257 x 255, rounded to the nearest.
        rounded: NDArray[np.uint32] = (array.astype(np.uint32) + 128) // 257
        return rounded.astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(
            "expected values of uint8 (0-255), uint16 (0-65535), bool or float (0-1),"
            f" got {array.dtype}: for 0-255 use array.astype(np.uint8)"
        )
    if not np.isfinite(array).all():
        raise InputError(f"expected finite values of 0-1 in {array.dtype}, got NaN or infinity")
    low, high = float(array.min()), float(array.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        hint = ": for 0-255 use array.astype(np.uint8)" if low >= 0 and high <= 255 else ""
        raise InputError(f"expected values of 0-1 in {array.dtype}, got {low:.4g} to {high:.4g}{hint}")
    scaled: NDArray[np.float32] = np.rint(array.astype(np.float32).clip(0, 1) * 255)
    return scaled.astype(np.uint8)
