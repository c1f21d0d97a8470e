"""Where results go: each sink is a context manager that consumes frames (see ``esrface.sinks.base``)."""

from esrface.sinks.base import MODES, Frame, RunSettings, Sink
from esrface.sinks.csv_rows import CsvRows
from esrface.sinks.jsonl_rows import JsonlRows
from esrface.sinks.original_csv import OriginalCsv
from esrface.sinks.pictures import AnnotatedPictures
from esrface.sinks.sheets import BranchSheets, EmotionSheets

__all__ = [
    "MODES",
    "AnnotatedPictures",
    "BranchSheets",
    "CsvRows",
    "EmotionSheets",
    "Frame",
    "JsonlRows",
    "OriginalCsv",
    "RunSettings",
    "Sink",
]
