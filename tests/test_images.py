"""Every kind of picture comes out as upright RGB uint8, and what is no picture as one clear line."""

from __future__ import annotations

import io
import logging
import os
import struct
import sys
import threading
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from PIL import features

from esrface.errors import InputError
from esrface.images import load_image
from unprivileged import reachable_folder, unprivileged

# A warning of Pillow's would be a second line on somebody's terminal.
pytestmark = pytest.mark.filterwarnings("error")

HAS_AVIF = "avif" in features.modules and bool(features.check("avif"))
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def scene(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """RGB gradients without any symmetry."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 5, columns * 4, (rows * 3 + columns) % 256], axis=-1).astype(np.uint8)


def encode(image: PIL.Image.Image | NDArray[np.generic], form: str, **options: object) -> bytes:
    if isinstance(image, np.ndarray):
        image = PIL.Image.fromarray(image)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


LOSSLESS = {
    "png": ("PNG", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "tif": ("TIFF", {}),
    "tiff": ("TIFF", {"compression": "tiff_lzw"}),
    "jp2": ("JPEG2000", {"irreversible": False}),
    "webp": ("WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_lossless_files_come_out_as_they_went_in(suffix: str, tmp_path: Path) -> None:
    form, options = LOSSLESS[suffix]
    path = tmp_path / f"picture.{suffix}"
    path.write_bytes(encode(scene(), form, **options))
    np.testing.assert_array_equal(load_image(path), scene())


@pytest.mark.skipif(not HAS_AVIF, reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "picture.avif"
    path.write_bytes(encode(scene(), "AVIF", quality=95))
    difference = np.abs(load_image(path).astype(int) - scene())
    assert difference.mean() < 3


def test_path_bytes_pil_image_and_array_agree(tmp_path: Path, face_picture: NDArray[np.uint8]) -> None:
    # Wider than it is high and larger than one strip of the copy.
    data = encode(face_picture[:300], "JPEG", quality=90)
    path = tmp_path / "picture.jpg"
    path.write_bytes(data)
    expected = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    with PIL.Image.open(path) as opened:
        forms = [path, str(path), data, bytearray(data), opened, expected]
        loaded = [load_image(form) for form in forms]
    # Another build of libjpeg may round otherwise.
    assert np.abs(loaded[0].astype(int) - expected).max() <= 2
    for other in loaded[1:-1]:
        np.testing.assert_array_equal(other, loaded[0])
    np.testing.assert_array_equal(loaded[-1], expected)
    assert all(array.shape == (300, 512, 3) and array.dtype == np.uint8 for array in loaded)
    assert all(array.flags.c_contiguous and array.flags.writeable for array in loaded)


def stored(upright: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """The pixels in the order of the file: EXIF says which side its first row and first column are."""
    height, width = upright.shape[:2]
    place = {
        1: lambda row, column: (row, column),
        2: lambda row, column: (row, width - 1 - column),
        3: lambda row, column: (height - 1 - row, width - 1 - column),
        4: lambda row, column: (height - 1 - row, column),
        5: lambda row, column: (column, row),
        6: lambda row, column: (column, width - 1 - row),
        7: lambda row, column: (height - 1 - column, width - 1 - row),
        8: lambda row, column: (height - 1 - column, row),
    }[orientation]
    rows, columns = (height, width) if orientation < 5 else (width, height)
    return upright[place(*np.mgrid[0:rows, 0:columns])]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_makes_pictures_upright(orientation: int, form: str) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if form == "WEBP" else {}
    data = encode(stored(scene(), orientation), form, exif=exif, **options)
    np.testing.assert_array_equal(load_image(data), scene())
    with PIL.Image.open(io.BytesIO(data)) as opened:
        np.testing.assert_array_equal(load_image(opened), scene())


def test_exif_orientation_of_a_jpeg(face_picture: NDArray[np.uint8]) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    data = encode(stored(face_picture[:304], 6), "JPEG", exif=exif, quality=95)
    loaded = load_image(data)
    assert loaded.shape == (304, 512, 3)
    assert np.abs(loaded.astype(int) - face_picture[:304]).mean() < 3


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_impossible_orientations_are_passed_over(orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    np.testing.assert_array_equal(load_image(encode(scene(), "PNG", exif=exif)), scene())


@pytest.mark.parametrize(
    "tail",
    [
        b"MM\0*\xff\xff\xff\xff",
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0",
        # An orientation that is text.
        b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x02\xff\xff\xff\xff",
        b"garbage",
    ],
)
def test_damaged_exif_does_not_keep_a_picture_from_being_read(tail: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert load_image(encode(scene(), "JPEG", exif=b"Exif\0\0" + tail)).shape == scene().shape


DEEP = np.array([[0, 127, 129, 300], [25700, 32768, 65406, 65535]], np.uint16)
DEEP_AS_8_BITS = np.array([[0, 0, 1, 1], [100, 128, 254, 255]], np.uint8)


DEEP_FILES = {
    "png": lambda: encode(DEEP, "PNG"),
    "tif": lambda: encode(DEEP, "TIFF"),
    "big-endian tif": lambda: encode(
        PIL.Image.frombytes("I;16B", (4, 2), DEEP.astype(">u2").tobytes()), "TIFF"
    ),
    "pgm": lambda: b"P5 4 2 65535\n" + DEEP.astype(">u2").tobytes(),
}


@pytest.mark.parametrize("kind", DEEP_FILES)
def test_sixteen_bit_grey_is_scaled_not_clipped(kind: str) -> None:
    expected = np.repeat(DEEP_AS_8_BITS[:, :, np.newaxis], 3, axis=2)
    np.testing.assert_array_equal(load_image(DEEP_FILES[kind]()), expected)


def test_sixteen_bit_colour_is_scaled() -> None:
    deep = scene().astype(np.uint16) * 257
    done, data = cv2.imencode(".png", deep[:, :, ::-1])
    assert done
    np.testing.assert_array_equal(load_image(data.tobytes()), scene())


def test_float_tiff_of_0_to_1_is_scaled_and_others_are_refused() -> None:
    levels = np.array([[0.0, 0.5, 1.0]], np.float32)
    assert load_image(encode(levels, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    line = "cannot read x.tif: expected values of 0-1 in float32, got -2 to -1"
    assert refusal(encode(levels - 2, "TIFF"), name="x.tif") == line


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
)
def test_cmyk_jpeg_and_tiff(cmyk: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    image = PIL.Image.new("CMYK", (16, 16), cmyk)
    for form in ("JPEG", "TIFF"):
        loaded = load_image(encode(image, form))
        assert np.abs(loaded.astype(int) - rgb).max() <= 3


def test_alpha_lies_over_white() -> None:
    image = PIL.Image.new("RGBA", (3, 1))
    for column, pixel in enumerate([(200, 0, 0, 255), (200, 0, 0, 128), (200, 0, 0, 0)]):
        image.putpixel((column, 0), pixel)
    # 200 * 128/255 + 255 * 127/255 = 227.4, 0 + 127 = 127
    expected = [[200, 0, 0], [227, 127, 127], [255, 255, 255]]
    for form, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})):
        assert load_image(encode(image, form, **options))[0].tolist() == expected
    assert load_image(image)[0].tolist() == expected
    assert load_image(np.asarray(image))[0].tolist() == expected
    assert load_image(np.asarray(image)[:, :, [2, 1, 0, 3]], color="bgr")[0].tolist() == expected


def test_grey_with_alpha_lies_over_white() -> None:
    image = PIL.Image.new("LA", (2, 1), (40, 255))
    image.putpixel((1, 0), (40, 0))
    assert load_image(encode(image, "PNG"))[0].tolist() == [[40] * 3, [255] * 3]


def test_transparent_palette_entries_are_white() -> None:
    image = PIL.Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 90, 0, 0])
    image.putpixel((1, 0), 1)
    for form in ("GIF", "PNG"):
        assert load_image(encode(image, form, transparency=1))[0].tolist() == [[10, 20, 30], [255] * 3]
    # Half transparent entries, which only PNG has.
    half = load_image(encode(image, "PNG", transparency=bytes([255, 128])))[0]
    assert half.tolist() == [[10, 20, 30], [172, 127, 127]]


def test_a_transparent_colour_of_an_rgb_png_is_white() -> None:
    image = PIL.Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8))
    assert load_image(encode(image, "PNG", transparency=(4, 5, 6)))[0].tolist() == [[1, 2, 3], [255] * 3]


def test_grey_one_bit_and_palette() -> None:
    grey = scene()[:, :, 1]
    np.testing.assert_array_equal(load_image(encode(grey, "PNG")), np.stack([grey] * 3, axis=-1))
    bits = PIL.Image.new("1", (2, 1))
    bits.putpixel((1, 0), 1)
    assert load_image(encode(bits, "PNG"))[0].tolist() == [[0] * 3, [255] * 3]
    colours = np.array([[[10, 20, 30], [90, 0, 0]]], np.uint8)
    palette = PIL.Image.fromarray(colours).convert("P", palette=PIL.Image.Palette.ADAPTIVE)
    for form in ("GIF", "PNG", "BMP"):
        np.testing.assert_array_equal(load_image(encode(palette, form)), colours)


def test_one_pixel() -> None:
    pixel = np.array([[[1, 2, 3]]], np.uint8)
    np.testing.assert_array_equal(load_image(encode(pixel, "PNG")), pixel)


@pytest.mark.parametrize(
    ("form", "options", "word"),
    [("GIF", {}, "frame"), ("PNG", {}, "frame"), ("WEBP", {"lossless": True}, "frame"), ("TIFF", {}, "page")],
)
def test_of_several_frames_the_first_is_used_and_one_line_says_so(
    form: str, options: dict[str, object], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [PIL.Image.new("RGB", (8, 6), colour) for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255))]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
    loaded = load_image(data, name="a.gif")
    assert loaded.shape == (6, 8, 3)
    assert (loaded == (255, 0, 0)).all()
    assert caplog.messages == [f"a.gif: more than one {word}, the first is used"]
    assert {(record.name, record.levelno) for record in caplog.records} == {("esrface", logging.WARNING)}


def test_still_pictures_and_previews_in_a_jpeg_are_no_animation(caplog: pytest.LogCaptureFixture) -> None:
    red, green = (PIL.Image.new("RGB", (8, 6), colour) for colour in ("red", "green"))
    several = encode(red, "MPO", save_all=True, append_images=[green])
    for data in (encode(red, "GIF"), encode(red, "PNG"), encode(red, "TIFF"), encode(red, "WEBP"), several):
        assert load_image(data)[0, 0, 0] > 240
    assert caplog.messages == []


def test_the_current_frame_of_a_pil_image_is_taken() -> None:
    frames = [PIL.Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    with PIL.Image.open(io.BytesIO(data)) as image:
        image.seek(1)
        assert load_image(image)[0, 0].tolist() == [0, 0, 255]


def test_a_pil_image_stays_as_it_is() -> None:
    image = PIL.Image.fromarray(scene()).convert("RGBA")
    before = image.tobytes()
    load_image(image)[:] = 0
    assert (image.mode, image.tobytes()) == ("RGBA", before)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "megapixels"), [(13_400, "179.6"), (20_000, "400"), (2_000_000_000, "4e+12")]
)
def test_too_many_pixels_are_refused_before_decoding(width: int, megapixels: str) -> None:
    # Decoding would fail on the missing data: the line shows that it was not tried.
    height = 13_400 if width == 13_400 else width
    with pytest.raises(InputError) as caught:
        load_image(png_header(width, height), name="bomb.png")
    assert str(caught.value) == (
        f"cannot read bomb.png: {width} x {height} pixels ({megapixels} megapixels) are over"
        " the limit of 178 megapixels (--max-pixels)"
    )


def test_the_limit_is_the_largest_number_that_is_read() -> None:
    for source in (encode(scene(), "PNG"), scene(), PIL.Image.fromarray(scene())):
        assert load_image(source, max_pixels=2400).shape == (40, 60, 3)
        with pytest.raises(InputError, match=r"limit of 0\.002399 megapixels"):
            load_image(source, max_pixels=2399)


def test_pillows_own_limit_neither_applies_nor_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 20_000)
    picture = scene(250, 300)
    for form in ("PNG", "JPEG", "BMP", "GIF"):
        assert load_image(encode(picture, form)).shape == (250, 300, 3)
    assert PIL.Image.MAX_IMAGE_PIXELS == 20_000
    # For these, newer versions of Pillow insist.
    lines = []
    for form in ("TIFF", "WEBP"):
        try:
            load_image(encode(picture, form), name="a")
        except InputError as error:
            lines.append(str(error))
    assert all(line.startswith("cannot read a: Image size (75000 pixels) exceeds limit") for line in lines)


WHOLE = {
    "jpg": ("JPEG", {}),
    "progressive.jpg": ("JPEG", {"progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "ppm": ("PPM", {}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "jp2": ("JPEG2000", {}),
    "webp": ("WEBP", {}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    **({"avif": ("AVIF", {})} if HAS_AVIF else {}),
}


@pytest.mark.parametrize("kind", WHOLE)
@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.8, 0.98])
def test_no_half_picture_of_a_truncated_file(
    kind: str, share: float, tmp_path: Path, face_picture: NDArray[np.uint8]
) -> None:
    form, options = WHOLE[kind]
    data = encode(face_picture[:200, 100:350], form, **options)
    assert load_image(data).shape == (200, 250, 3)
    path = tmp_path / f"cut.{kind}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(InputError) as caught:
        load_image(path)
    assert str(caught.value) == f"cannot read {path}: it is cut off or damaged"


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_tiff_is_one_line_and_libtiff_keeps_silent(
    share: float, face_picture: NDArray[np.uint8], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Directory first, data last, unlike Pillow's own files: so the header is whole and the data are not.
    rows = zlib.compress(face_picture[:200].tobytes())
    tags = [
        *((256, 512), (257, 200), (258, 8), (259, 8), (262, 2), (273, 8 + 2 + 10 * 12 + 4)),
        *((277, 3), (278, 200), (279, len(rows)), (284, 1)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + rows
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    np.testing.assert_array_equal(load_image(path), face_picture[:200])
    path.write_bytes(data[: int(len(data) * share)])
    assert refusal(path) == f"cannot read {path}: it is cut off or damaged"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["jpg", "progressive.jpg", "png", "gif", "lzw.tif", "jp2"])
def test_no_half_picture_of_a_file_filled_up_with_zeros(kind: str, face_picture: NDArray[np.uint8]) -> None:
    # What a download leaves that reserved its space and broke off.
    form, options = WHOLE[kind]
    data = encode(face_picture[:200, 100:350], form, **options)
    half = len(data) // 2
    with pytest.raises(InputError, match=r"^cannot read x: it is cut off or damaged$"):
        load_image(data[:half] + bytes(len(data) - half), name="x")


def refusal(source: object, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        load_image(source, **options)
    return str(caught.value)


def test_each_unreadable_thing_has_a_line_of_its_own(tmp_path: Path) -> None:
    def write(name: str, content: bytes) -> Path:
        (tmp_path / name).write_bytes(content)
        return tmp_path / name

    unknown = "not a picture of a known format (JPEG, PNG, WebP, TIFF, BMP, …)"
    heic = "HEIC pictures are not read, convert it to JPEG"
    reasons = {
        tmp_path / "missing.jpg": "no such file",
        tmp_path / "missing" / "a.jpg": "no such file",
        write("empty.jpg", b""): "it is empty",
        write("text.jpg", b"hello, this is a text\n"): unknown,
        write("one.jpg", b"\xff"): unknown,
        write("two.png", b"BM"): "it is cut off or damaged",
        write("zeros.jpg", bytes(5000)): unknown,
        write("drawing.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"): unknown,
        write("phone.heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1"): heic,
        tmp_path: "it is a folder, not a picture",
    }
    for path, reason in reasons.items():
        assert refusal(path) == f"cannot read {path}: {reason}"
    assert refusal("") == "cannot read '': no such file"
    assert refusal("a\0.jpg") == "cannot read a\\x00.jpg: a path cannot hold a null byte"
    assert refusal(b"") == "cannot read the picture's bytes: it is empty"


def test_a_file_without_permission() -> None:
    with reachable_folder() as folder:
        path = folder / "secret.jpg"
        path.write_bytes(encode(scene(), "JPEG"))
        path.chmod(0)
        with unprivileged():
            line = refusal(path)
        assert line == f"cannot read {path}: Permission denied"


@linux
def test_links_in_a_circle_and_reading_errors(tmp_path: Path) -> None:
    circle = tmp_path / "circle.jpg"
    circle.symlink_to(circle)
    assert refusal(circle) == f"cannot read {circle}: Too many levels of symbolic links"
    assert refusal("/proc/self/mem") == "cannot read /proc/self/mem: Input/output error"


@linux
def test_names_that_are_no_utf8_or_span_lines(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9 -50%\n.JPG")
    Path(odd).write_bytes(encode(scene(), "PNG"))
    np.testing.assert_array_equal(load_image(odd), scene())
    Path(odd).write_bytes(b"")
    assert refusal(odd) == f"cannot read {tmp_path}/caf\\xe9 -50%\\n.JPG: it is empty"


@linux
def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = encode(scene(300, 400), "PNG")
    writer = threading.Thread(target=pipe.write_bytes, args=[data])
    writer.start()
    np.testing.assert_array_equal(load_image(pipe), scene(300, 400))
    writer.join()


@linux
def test_a_device_without_an_end_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("esrface._bounded.MOST_BYTES", 1 << 20)
    line = "cannot read /dev/zero: it gives more than 1,048,576 bytes, which no picture has"
    assert refusal("/dev/zero") == line


ARRAYS = {
    "uint8": scene(),
    "uint16": scene().astype(np.uint16) * 257,
    "uint16 big-endian": (scene().astype(np.uint16) * 257).astype(">u2"),
    "float64": scene() / 255,
    "float32": (scene() / 255).astype(np.float32),
    "column-major": np.asfortranarray(scene()),
    "reversed view": scene()[::-1, ::-1].copy()[::-1, ::-1],
    "part of a larger one": np.pad(scene(), ((3, 3), (5, 5), (0, 0)))[3:-3, 5:-5],
    "transposed": scene().transpose(2, 0, 1).copy().transpose(1, 2, 0),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_of_any_kind_and_layout(kind: str) -> None:
    array = ARRAYS[kind].view()
    array.setflags(write=False)
    before = array.copy()
    loaded = load_image(array)
    np.testing.assert_array_equal(loaded, scene())
    np.testing.assert_array_equal(load_image(array, color="bgr"), scene()[:, :, ::-1])
    assert loaded.flags.c_contiguous
    assert not np.shares_memory(loaded, array)
    loaded[:] = 7
    np.testing.assert_array_equal(array, before)


def test_half_floats_and_masks() -> None:
    halves = np.linspace(0, 1, 256).astype(np.float16).reshape(16, 16)
    assert np.abs(load_image(halves)[:, :, 0].ravel().astype(int) - np.arange(256)).max() <= 1
    mask = np.eye(4, dtype=bool)
    np.testing.assert_array_equal(load_image(mask)[:, :, 2], np.eye(4, dtype=np.uint8) * 255)


def test_grey_arrays_with_and_without_a_third_axis() -> None:
    grey = scene()[:, :, 0]
    expected = np.stack([grey] * 3, axis=-1)
    np.testing.assert_array_equal(load_image(grey), expected)
    np.testing.assert_array_equal(load_image(grey[:, :, np.newaxis], color="bgr"), expected)


def test_rounding_of_floats_may_leave_0_to_1_a_little() -> None:
    assert load_image(np.array([[-1e-7, 1 + 1e-7]]))[0, :, 0].tolist() == [0, 255]


EXPECTED_SHAPE = "expected an array (H, W, 3), (H, W, 4), (H, W, 1) or (H, W), got "
EXPECTED_TYPE = "expected values of uint8 (0-255), uint16 (0-65535), bool or float (0-1), got "
TO_UINT8 = ": for 0-255 use array.astype(np.uint8)"
TRANSPOSE = "; its channels come first: use array.transpose(1, 2, 0)"
BAD_ARRAYS = {
    "CHW": (np.zeros((3, 20, 30)), f"{EXPECTED_SHAPE}(3, 20, 30){TRANSPOSE}"),
    "1HW": (np.zeros((1, 20, 30)), f"{EXPECTED_SHAPE}(1, 20, 30){TRANSPOSE}"),
    "no rows": (np.zeros((0, 30, 3), np.uint8), f"{EXPECTED_SHAPE}(0, 30, 3); it has no pixels"),
    "no columns": (np.zeros((30, 0)), f"{EXPECTED_SHAPE}(30, 0); it has no pixels"),
    "batch": (np.zeros((2, 20, 30, 3)), f"{EXPECTED_SHAPE}(2, 20, 30, 3); give several pictures one by one"),
    "two channels": (np.zeros((20, 30, 2)), f"{EXPECTED_SHAPE}(20, 30, 2)"),
    "line": (np.zeros(20), f"{EXPECTED_SHAPE}(20,)"),
    "number": (np.array(3.0), f"{EXPECTED_SHAPE}()"),
    "int64": (np.zeros((4, 4, 3), np.int64), f"{EXPECTED_TYPE}int64{TO_UINT8}"),
    "int8": (np.zeros((4, 4, 3), np.int8), f"{EXPECTED_TYPE}int8{TO_UINT8}"),
    "complex": (np.zeros((4, 4, 3), complex), f"{EXPECTED_TYPE}complex128{TO_UINT8}"),
    "object": (np.full((4, 4), None), f"{EXPECTED_TYPE}object{TO_UINT8}"),
    "text": (np.full((4, 4), "a"), f"{EXPECTED_TYPE}<U1{TO_UINT8}"),
    "NaN": (np.full((4, 4), np.nan), "expected finite values of 0-1 in float64, got NaN or infinity"),
    "infinity": (np.full((4, 4), np.inf), "expected finite values of 0-1 in float64, got NaN or infinity"),
    "0-255": (np.full((4, 4), 200.0), f"expected values of 0-1 in float64, got 200 to 200{TO_UINT8}"),
    "negative": (np.array([[-0.5, 1]]), "expected values of 0-1 in float64, got -0.5 to 1"),
    "a list": ([[1, 2], [3, 4]], "expected a path, bytes, a PIL image or a NumPy array, got list"),
    "None": (None, "expected a path, bytes, a PIL image or a NumPy array, got NoneType"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_other_arrays_raise_one_line_with_what_was_expected_and_what_came(kind: str) -> None:
    source, line = BAD_ARRAYS[kind]
    assert refusal(source) == line


def test_another_colour_order_is_refused() -> None:
    assert refusal(scene(), color="BGR") == "expected color 'rgb' or 'bgr', got 'BGR'"
