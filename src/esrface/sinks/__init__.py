"""Where results go: each sink is a context manager that consumes pictures or the frames of videos.

See ``esrface.sinks.base`` for pictures and ``esrface.sinks.frames`` for videos.
"""

from esrface.sinks.base import MODES, Picture, RunSettings, Sink
from esrface.sinks.csv_rows import CsvRows
from esrface.sinks.frames import Clip, FrameSink
from esrface.sinks.jsonl_rows import JsonlRows
from esrface.sinks.original_csv import OriginalCsv, OriginalVideoCsv
from esrface.sinks.parquet_rows import ParquetRows
from esrface.sinks.pictures import AnnotatedPictures
from esrface.sinks.report import PictureReport, VideoReport
from esrface.sinks.sheets import BranchSheets, EmotionSheets
from esrface.sinks.video_file import AnnotatedVideo

__all__ = [
    "MODES",
    "AnnotatedPictures",
    "AnnotatedVideo",
    "BranchSheets",
    "Clip",
    "CsvRows",
    "EmotionSheets",
    "FrameSink",
    "JsonlRows",
    "OriginalCsv",
    "OriginalVideoCsv",
    "ParquetRows",
    "Picture",
    "PictureReport",
    "RunSettings",
    "Sink",
    "VideoReport",
]
