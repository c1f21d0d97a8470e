"""How a folder says that a run put its results there, and that pictures among them were drawn."""

from __future__ import annotations

import json
import os
from pathlib import Path

RECORD = ".esrface.json"
"""Hidden file in an output folder that keeps the settings of the run, so that it can be resumed."""

DRAWN = "drawn"
"""Key of that record: true where the folder is for pictures that were drawn here, which are no input."""


def holds_drawn_pictures(folder: str | os.PathLike[str]) -> bool:
    """Whether an output folder is for pictures that were drawn here (annotated copies, sheets)."""
    try:
        record = json.loads((Path(folder) / RECORD).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get(DRAWN) is True
