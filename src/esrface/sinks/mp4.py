"""An MP4 file that any browser plays, and that plays up to its last second however its writing ends.

While it grows it consists of fragments, each complete by itself; at the end an index makes an ordinary MP4
file of them (FFmpeg's "hybrid" form), in which players can jump at once. Video is H.264, 8 bit 4:2:0, BT.709.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from esrface._names import printable
from esrface.errors import DependencyError, OutputError
from esrface.outputs import output_errors
from esrface.sinks.sound import Sound
from esrface.threads import available_threads
from esrface.video.container import Container, load_av, reason_of_error

if TYPE_CHECKING:
    from av import Packet

ENCODERS: dict[str, dict[str, str]] = {
    # No B-frames: a frame is written when it is there, and no player has to know about reordering.
    "libx264": {"preset": "veryfast", "crf": "20", "bf": "0", "forced-idr": "1", "g": "600"},
    "libopenh264": {"rc_mode": "quality", "allow_skip_frames": "0"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "crf": "26", "lag-in-frames": "0"},
}
"""What may encode, best first, and with which options. All but the last give H.264."""

FRAGMENT_S = 1.0
"""Length of a fragment: what a crash costs, besides the frames that the encoder still holds."""

TICKS = 120_000
"""Units of time a second: all usual frame rates and milliseconds are whole numbers of them."""

BT709 = 1
"""Matrix, primaries and transfer as H.264 numbers them."""
LIMITED_RANGE = 1

_log = logging.getLogger("esrface")


class Mp4Writer:
    """Writes pictures with their times, and the sound of a container beside them.

    Args:
        path: A file (what is there is replaced), device or pipe; pipes get a plain fragmented file.
        size_wh: Of the pictures in pixels; odd ones get a pixel more. Pictures of another size are fitted in.
        rate: Frames per second on average, where known: a hint for players, and how long the last one stays.
        sound: Where sound is taken from; closed with the writer.

    Raises:
        OutputError: It cannot be opened. From the other methods: it cannot be written; what was written
            before then is a video that plays.
        DependencyError: This PyAV encodes nothing that browsers play.
    """

    def __init__(
        self, path: Path, size_wh: tuple[int, int], *, rate: float | None, sound: Container | None = None
    ) -> None:
        self._av = load_av()
        self._path = path
        self._size_wh = size_wh
        self._coded_wh = size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2
        self._usual = round(TICKS / rate) if rate else TICKS // 25
        self._last = -1
        self._last_key = -TICKS
        self._held: Packet[Any] | None = None
        self.open = True
        """Whether more can be written: it was neither closed nor has writing failed."""
        with self._errors():
            self._output = self._av.open(
                f"file:{path}", "w", format="mp4", container_options=self._container_options()
            )
            self._video = self._add_video(rate)
            self._sound = None if sound is None else Sound(sound, self._output)

    def write(self, image: NDArray[np.uint8], time_s: float) -> None:
        """Add a picture, RGB (H, W, 3) uint8, to be shown from this time on, after the one before."""
        stamp = max(round(time_s * TICKS), self._last + 1)
        fitted = np.ascontiguousarray(_fitted(image, self._size_wh, self._coded_wh))
        with self._errors():
            picture = self._av.VideoFrame.from_numpy_buffer(fitted, format="rgb24").reformat(
                format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", interpolation="BILINEAR"
            )
            picture.pts, picture.time_base = stamp, Fraction(1, TICKS)
            if stamp - self._last_key >= FRAGMENT_S * TICKS:
                # A fragment begins with a picture that needs no other.
                picture.pict_type = self._av.video.frame.PictureType.I
                self._last_key = stamp
            self._mux(self._video.encode(picture))
            if self._sound is not None:
                self._sound.until(time_s)
        self._usual = self._usual if self._last < 0 else stamp - self._last
        self._last = stamp

    def close(self, *, whole: bool = False) -> None:
        """Complete the file; ``whole``: with the sound after the last picture. Nothing after a failure."""
        if not self.open:
            return
        with self._errors():
            self.open = False
            self._mux(self._video.encode(None))
            if self._held is not None:
                self._held.duration = self._usual
                self._output.mux(self._held)
            if self._sound is not None:
                self._sound.finish(whole=whole)
            self._output.close()

    def _mux(self, packets: Sequence[Packet[Any]]) -> None:
        for packet in packets:
            # Held back until the next one tells how long it is shown.
            if self._held is not None:
                self._held.duration = (packet.pts or 0) - (self._held.pts or 0)
                self._output.mux(self._held)
            self._held = packet

    def _add_video(self, rate: float | None) -> Any:
        encoder = choose_encoder(self._av)
        hint = Fraction(rate).limit_denominator(1001) if rate else Fraction(25)
        stream = self._output.add_stream(encoder, rate=hint, options=ENCODERS[encoder])
        stream.width, stream.height = self._coded_wh
        stream.pix_fmt = "yuv420p"
        coding = stream.codec_context
        coding.time_base = Fraction(1, TICKS)
        coding.thread_count = available_threads()
        coding.colorspace = coding.color_primaries = coding.color_trc = BT709
        coding.color_range = LIMITED_RANGE
        if encoder == "libopenh264":
            coding.bit_rate = round(self._coded_wh[0] * self._coded_wh[1] * float(hint) * 0.1)
        return stream

    def _container_options(self) -> dict[str, str]:
        fragments = "frag_keyframe+delay_moov"
        # Older FFmpegs than 7.1 leave the fragments as they are.
        modern = self._av.library_versions["libavformat"] >= (61, 7)
        if modern and not (self._path.exists() and not self._path.is_file()):
            fragments += "+hybrid_fragmented"
        # Each fragment goes to the system at once, and no stream waits for long for another to go on.
        patience = {"flush_packets": "1", "max_interleave_delta": "1000000"}
        # FFmpeg counts an offset of the first picture in these, usually milliseconds.
        return {"movflags": fragments, "movie_timescale": str(TICKS), **patience}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn what goes wrong into one line, leave what was written playable, and free the file."""
        try:
            with output_errors(self._path):
                try:
                    yield
                except self._av.FFmpegError as error:
                    if isinstance(error, OSError):
                        raise
                    name, reason = printable(self._path), reason_of_error(error)
                    raise OutputError(f"cannot write {name}: {reason}") from error
        except Exception:
            # Not for a signal's exception: the run ends, and the file with it as it should.
            self.open = False
            self._give_up()
            raise

    def _give_up(self) -> None:
        output = getattr(self, "_output", None)
        if output is not None:
            with suppress(OSError, ValueError, self._av.FFmpegError):
                output.close()
        with suppress(OSError):
            cut_torn_box(self._path)


def choose_encoder(av: ModuleType, encoders: Sequence[str] = tuple(ENCODERS)) -> str:
    """The first one that this PyAV has; a line in the log where it is not H.264.

    Raises:
        DependencyError: It has none of them.
    """
    for name in encoders:
        with suppress(ValueError, av.FFmpegError):
            av.codec.Codec(name, "w")
            if name == "libvpx-vp9":
                _log.warning("this PyAV has no H.264 encoder: the video is VP9, which older players lack")
            return name
    raise DependencyError(
        f"this PyAV has no encoder for videos ({', '.join(encoders)}): pip install --force-reinstall av"
    )


def cut_torn_box(path: Path) -> None:
    """Cut an MP4 file after its last whole part, so that no player stumbles over a torn one."""
    if not path.is_file():
        return
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        place = whole = 0
        while place + 8 <= size:
            file.seek(place)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:16], "big")
            if length < 8 or place + length > size:
                break
            place += length
            if head[4:8] != b"moof":
                # That one is nothing without the media data after it.
                whole = place
        if 0 < whole < size:
            file.truncate(whole)


def _fitted(
    image: NDArray[np.uint8], size_wh: tuple[int, int], coded_wh: tuple[int, int]
) -> NDArray[np.uint8]:
    """The picture in the video's size: as it is, or as large as fits, in the middle of black."""
    height, width = image.shape[:2]
    if (width, height) != size_wh:
        factor = min(size_wh[0] / width, size_wh[1] / height)
        width, height = max(1, round(width * factor)), max(1, round(height * factor))
        placed = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
        x, y = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
        shrunk = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        placed[y : y + height, x : x + width] = shrunk
        image = placed
    across, down = coded_wh[0] - size_wh[0], coded_wh[1] - size_wh[1]
    if across or down:
        # The edge again rather than black, which would show as a line.
        image = np.pad(image, ((0, down), (0, across), (0, 0)), mode="edge")
    return image
