"""Video and cameras: every frame accounted for, every person one identity.

A source gives frames with their numbers and times, sampling chooses, and three threads decode, find faces
(with a track for each person) and recognise; ``open_video`` gives the result as an iterator of ``Frame``.
"""

from esrface.video.addresses import safe_name
from esrface.video.frames import Frame, TrackedFace
from esrface.video.opening import open_source
from esrface.video.pipeline import DETECTION_SIZE, Video, open_video
from esrface.video.sources import Source, SourceFrame, SourceInfo, SourceOptions

__all__ = [
    "DETECTION_SIZE",
    "Frame",
    "Source",
    "SourceFrame",
    "SourceInfo",
    "SourceOptions",
    "TrackedFace",
    "Video",
    "open_source",
    "open_video",
    "safe_name",
]
