"""The sound of a video, taken over into another one: as it is where browsers play it, else as AAC."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from esrface.video.container import Container, load_av

if TYPE_CHECKING:
    from av.container import OutputContainer

COPIED = frozenset({"aac", "mp3", "mp3float", "opus", "flac"})
"""Codecs that MP4 holds and browsers play."""

AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})

_log = logging.getLogger("esrface")


class Sound:
    """Hands over the first sound of ``source`` to ``output``, no farther than is asked for.

    Times count from where the pictures' times count, so that both stay together. Damaged sound ends with a
    line in the log and not with an error: the pictures are what the run is for.

    Args:
        source: A container opened for this alone; closed by ``finish``.
        output: Not written to yet.
    """

    def __init__(self, source: Container, output: OutputContainer) -> None:
        self._av = load_av()
        self._source = source
        self._output = output
        self._stream = source.opened.streams.audio[0]
        self._copies = self._stream.codec_context.name in COPIED
        self._added: Any = self._add()
        self._filter = self._plain_aac()
        self._last: int | None = None
        self._ended = False
        self._items = self._read()
        self._next: Any = None

    def until(self, time_s: float) -> None:
        """Hand over what sounds before ``time_s``."""
        while not self._ended:
            if self._next is None:
                self._next = self._following()
                if self._next is None:
                    return
            if self._seconds(self._next) >= time_s:
                return
            item, self._next = self._next, None
            self._hand_over(item)

    def finish(self, *, whole: bool) -> None:
        """The end: with all the rest, or with nothing more. Closes the source."""
        if whole:
            self.until(float("inf"))
        if not self._copies:
            self._output.mux(self._added.encode(None))
        self._ended = True
        self._source.close()

    def _add(self) -> Any:
        if self._copies:
            return self._output.add_stream_from_template(self._stream)
        coding = self._stream.codec_context
        rate = coding.sample_rate if coding.sample_rate in AAC_RATES else 48000
        return self._output.add_stream("aac", rate=rate, layout="mono" if coding.channels == 1 else "stereo")

    def _plain_aac(self) -> Any:
        """What takes the headers off AAC from broadcasts (ADTS): MP4 has one for all of it; or None."""
        coding = self._stream.codec_context
        if coding.name != "aac" or coding.extradata:
            return None
        from av.bitstream import BitStreamFilterContext

        return BitStreamFilterContext("aac_adtstoasc", self._stream)

    def _read(self) -> Iterator[Any]:
        """Packets to be copied, or frames to be coded."""
        for packet in self._source.opened.demux(self._stream):
            if self._copies:
                if packet.dts is not None and packet.pts is not None:
                    yield packet
            else:
                yield from (frame for frame in packet.decode() if frame.pts is not None)

    def _following(self) -> Any:
        try:
            item = next(self._items, None)
        except (self._av.FFmpegError, OSError) as error:
            item = None
            _log.warning("%s: the sound breaks off (%s)", self._source.name, self._source.reason(error))
        if item is None:
            self._ended = True
        return item

    def _seconds(self, item: Any) -> float:
        return float(item.pts * item.time_base - self._source.origin)

    def _hand_over(self, item: Any) -> None:
        shift = round(self._source.origin / item.time_base)
        item.pts -= shift
        if not self._copies:
            self._output.mux(self._added.encode(item))
            return
        item.dts -= shift
        if self._last is not None and item.dts <= self._last:
            # Broken files repeat or reverse times, which MP4 cannot hold.
            return
        self._last = item.dts
        for packet in [item] if self._filter is None else self._filter.filter(item):
            packet.stream = self._added
            self._output.mux(packet)
