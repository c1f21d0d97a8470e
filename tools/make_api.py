"""Build the API reference out of the docstrings; a warning is an error.

    python tools/make_api.py [FOLDER]      default: build/api

Open FOLDER/index.html. Needs the extra ``dev``.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pdoc

ROOT = Path(__file__).parent.parent

MODULES = (
    "esrface",
    "esrface.annotate",
    "esrface.compat.cvision",
    "esrface.detection",
    "esrface.emotions",
    "esrface.images",
    "esrface.models.download",
    "esrface.models.importing",
    "esrface.models.manifest",
    "esrface.models.registry",
    "esrface.overlay",
    "esrface.saliency",
    "esrface.sheet",
)
"""What users may import: the package's own names, and the modules with more of the same."""


def main(folder: Path) -> int:
    """Write the pages; returns 1 if there was anything to warn of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pdoc.render.configure(docformat="google", footer_text="esrface")
        pdoc.pdoc(*MODULES, output_directory=folder)
    for warning in caught:
        print(f"make_api: {warning.message}", file=sys.stderr)
    return 1 if caught else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "api"))
