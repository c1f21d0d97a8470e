"""Run examples/quickstart.ipynb and keep what it answers.

    python tools/run_notebook.py            run it and write the outputs into it
    python tools/run_notebook.py --check    run it; exit 1 if it fails or says something else than it shows

Numbers are left out of the comparison: they differ in the last digit between processors. Needs the extra
``dev``.
"""

from __future__ import annotations

import argparse
import copy
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOK = Path(__file__).parent.parent / "examples" / "quickstart.ipynb"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    shown = nbformat.read(NOTEBOOK, as_version=4)
    ran = copy.deepcopy(shown)
    client = NotebookClient(
        ran, timeout=120, kernel_name="python3", resources={"metadata": {"path": NOTEBOOK.parent}}
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    if check:
        if words(shown) == words(ran):
            return 0
        print("examples/quickstart.ipynb shows old answers: python tools/run_notebook.py", file=sys.stderr)
        return 1
    ran.metadata = {"kernelspec": ran.metadata["kernelspec"], "language_info": {"name": "python"}}
    for cell in ran.cells:
        cell.metadata = {}
    nbformat.write(ran, NOTEBOOK)
    return 0


def words(notebook: nbformat.NotebookNode) -> list[list[str]]:
    """What each cell of code answers in text, without numbers and spaces."""
    answers = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [
                output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs
            ]
            answers.append([re.sub(r"[\d\s.+-]+", " ", str(text)) for text in texts])
    return answers


if __name__ == "__main__":
    sys.exit(main())
