"""An evaluation as files: JSON for programs, pages for people, a row an image, pictures."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from esrface._names import same_file_key
from esrface.emotions import column_name
from esrface.evaluation import metrics
from esrface.evaluation.blocks import CHARTS, Block, charts_of, to_markdown
from esrface.evaluation.comparison import Named, comparison
from esrface.evaluation.comparison_report import comparison_report
from esrface.evaluation.details import details, percent
from esrface.evaluation.judged import Evaluation
from esrface.evaluation.model_report import model_report
from esrface.evaluation.page import to_html
from esrface.evaluation.picture import draw_confusion
from esrface.outputs import write_together

PAGES = ("report.json", "report.md", "report.html", "predictions.csv")
"""Files of every report; the charts of ``report.md`` lie in a folder beside it."""

REPORT_FILES = (*PAGES, "confusion.png")
"""Files of the report on one model."""

CHART_FILES = tuple(
    f"{CHARTS}/{name}.svg"
    for name in ("recall", "confusion", "reliability", "coverage", "disagreement", "affect", "corruptions")
)
"""Charts that a report may have."""

Files = dict[str, str | bytes]
"""Contents by their paths within a report's folder."""


def write_report(models: Sequence[Named], folder: Path, *, overwrite: bool = False) -> None:
    """Write the report on one model, or on several side by side, into a folder (created if missing).

    For several, each has its own in a folder named like it, besides.

    Args:
        models: What each is called, and its answers.
        folder: Where to.
        overwrite: Replace files of an earlier report.

    Raises:
        OutputError: A file exists (without ``overwrite``) or cannot be written; then none is.
        DataError: The models did not see the same images.
    """
    files = {folder / path: content for path, content in report_files(models).items()}
    write_together(files, overwrite=overwrite)


def report_files(models: Sequence[Named]) -> Files:
    """What ``write_report`` writes."""
    measured = [(name, details(evaluation)) for name, evaluation in models]
    if len(models) == 1:
        return _one(*models[0], measured[0][1])
    compared = comparison(models)
    files = _pages(compared, comparison_report(measured, compared), side_by_side_csv(models))
    for folder, model, (_, figures) in zip(
        folders_of([name for name, _ in models]), models, measured, strict=True
    ):
        files.update({f"{folder}/{path}": content for path, content in _one(*model, figures).items()})
    return files


def planned_files(names: Sequence[str]) -> list[str]:
    """Every file that the report on models of these names may have."""
    if len(names) == 1:
        return [*REPORT_FILES, *CHART_FILES]
    inside = [f"{folder}/{file}" for folder in folders_of(names) for file in (*REPORT_FILES, *CHART_FILES)]
    return [*PAGES, *CHART_FILES, *inside]


def folders_of(names: Sequence[str]) -> list[str]:
    """A folder's name for each model, none twice on any file system."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.") or "model"
        taken = {same_file_key(other) for other in (*found, CHARTS)}
        number, unique = 1, plain
        while same_file_key(unique) in taken:
            number += 1
            unique = f"{plain}-{number}"
        found.append(unique)
    return found


def predictions_csv(evaluation: Evaluation) -> str:
    """One row an image: file, label, answer, probabilities, and whether its pixels are new to training."""
    answers, emotions = evaluation.answers, evaluation.emotions
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    probabilities = [column_name(name) for name in emotions]
    extra = evaluation.columns()
    told = ("valence", "arousal", "agreement", "uncertainty", "fresh")
    writer.writerow(["file", "label", "emotion", "confidence", *probabilities, *told, *extra])
    for i, name in enumerate(evaluation.names):
        writer.writerow(
            [
                name,
                emotions[evaluation.labels[i]],
                emotions[answers.emotion[i]],
                f"{answers.confidence[i]:.6f}",
                *(f"{p:.6f}" for p in answers.probabilities[i]),
                *(f"{value:.6f}" for value in answers.affect[i]),
                f"{answers.agreement[i]:.6f}",
                f"{answers.uncertainty[i]:.6f}",
                "" if evaluation.fresh is None else str(bool(evaluation.fresh[i])).lower(),
                *("" if values[i] is None else f"{values[i]:.3f}" for values in extra.values()),
            ]
        )
    return text.getvalue()


def side_by_side_csv(models: Sequence[Named]) -> str:
    """One row an image: file, label, and each model's answer and confidence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = [f"{name} {what}" for name, _ in models for what in ("emotion", "confidence")]
    writer.writerow(["file", "label", *heads])
    first = models[0][1]
    for i, (name, label) in enumerate(zip(first.names, first.labels, strict=True)):
        said = [
            cell
            for _, evaluation in models
            for cell in (
                evaluation.emotions[evaluation.answers.emotion[i]],
                f"{evaluation.answers.confidence[i]:.6f}",
            )
        ]
        writer.writerow([name, first.emotions[label], *said])
    return text.getvalue()


def confusion_png(evaluation: Evaluation) -> bytes:
    """The confusion matrix as a PNG file's content."""
    figures = evaluation.figures()
    picture = draw_confusion(
        metrics.confusion_matrix(evaluation.answers.emotion, evaluation.labels, len(evaluation.emotions)),
        title=f"{evaluation.title}, {figures.images:,} images",
        subtitle=(
            f"{evaluation.card.name} {evaluation.card.version}: accuracy {percent(figures.accuracy)}, "
            f"mean recall {percent(figures.mean_recall)}; {evaluation.labelling}"
        ),
        names=evaluation.emotions,
    )
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def _one(name: str, evaluation: Evaluation, measured: dict[str, Any]) -> Files:
    files = _pages(measured, model_report(name, evaluation, measured), predictions_csv(evaluation))
    files["confusion.png"] = confusion_png(evaluation)
    return files


def _pages(measured: dict[str, Any], blocks: Sequence[Block], predictions: str) -> Files:
    """`PAGES` and the charts of ``report.md``."""
    text = json.dumps(measured, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    contents = (text, to_markdown(blocks), to_html(blocks), predictions)
    files: Files = dict(zip(PAGES, contents, strict=True))
    files.update({f"{CHARTS}/{chart.name}.svg": chart.svg for chart in charts_of(blocks)})
    return files
