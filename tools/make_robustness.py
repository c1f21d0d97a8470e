"""Put a report's accuracies under corruptions into the model's card and docs/evaluation.md, with its pictures.

esrface evaluate ferplus --data DIR --corruptions --out REPORT
python tools/make_robustness.py REPORT
python tools/make_model_card.py
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

from esrface.detection import create_detector
from esrface.evaluation.blocks import Table, to_markdown
from esrface.evaluation.corruption_sheet import draw_corruptions
from esrface.evaluation.corruptions import CORRUPTIONS
from esrface.evaluation.details import percent
from esrface.evaluation.framing import located_view
from esrface.evaluation.model_report import CORRUPTION_HEAD, corruption_rows
from esrface.images import load_image
from esrface.models.registry import ModelFile, resolve_model

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "evaluation.md"
PICTURES = ROOT / "docs" / "img"
BEGIN, END = "<!-- made by tools/make_robustness.py; do not edit -->", "<!-- end -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("report", type=Path)
    report = parser.parse_args().report
    measured = json.loads((report / "report.json").read_text(encoding="utf-8"))
    model = resolve_model()
    if model.card.sha256[:12] not in measured["protocol"]:
        parser.error(f"{report} judged other weights than those of {model.card.name}")
    write_card(model, measured["corruptions"])
    text = DOCUMENT.read_text(encoding="utf-8")
    made = f"{BEGIN}\n{told(measured)}\n{END}"
    DOCUMENT.write_text(
        re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: made, text, flags=re.S), encoding="utf-8"
    )
    shutil.copyfile(report / "charts" / "corruptions.svg", PICTURES / "corruptions.svg")
    picture = load_image(ROOT / "examples" / "astronaut.jpg")
    face = create_detector().detect(picture)[0]
    view = located_view(picture, face, model.card.crop)
    draw_corruptions(view, seed=1).save(PICTURES / "corruptions.jpg", quality=88, optimize=True)


def write_card(model: ModelFile, tested: dict) -> None:
    """Add the figures to the first score of the card beside the weights."""
    first, *others = model.card.scores
    kept = {key: tested[key] for key in ("mean_accuracy", "retained", "accuracy")}
    card = replace(model.card, scores=({**first, "corruptions": kept}, *others))
    model.path.with_suffix(".json").write_text(card.to_json(), encoding="utf-8")


def told(measured: dict) -> str:
    tested = measured["corruptions"]
    rows, _ = corruption_rows(tested)
    return (
        f"{measured['protocol']}.\n\n{to_markdown([Table(CORRUPTION_HEAD, rows)])}\n"
        f"As they are: {percent(tested['clean_accuracy'])}. Mean over the {len(CORRUPTIONS)} corruptions: "
        f"{percent(tested['mean_accuracy'])}, that is {percent(tested['retained'])} of it."
    )


if __name__ == "__main__":
    main()
