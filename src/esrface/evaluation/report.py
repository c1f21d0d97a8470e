"""An evaluation as files: JSON for programs, Markdown for people, a row an image, a picture."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from esrface.emotions import EMOTIONS, column_name
from esrface.evaluation import metrics
from esrface.evaluation.calibration import accuracy_interval
from esrface.evaluation.judged import Evaluation
from esrface.evaluation.picture import draw_confusion
from esrface.outputs import write_whole

REPORT_FILES = ("report.json", "report.md", "predictions.csv", "confusion.png")
"""Names of the files that ``write_report`` writes."""

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.5)


def write_report(evaluation: Evaluation, folder: Path, *, overwrite: bool = False) -> None:
    """Write ``REPORT_FILES`` into a folder (created if missing), each whole or not at all.

    Raises:
        OutputError: One of them exists (without ``overwrite``) or cannot be written.
    """
    measured = details(evaluation)
    contents: tuple[str | bytes, ...] = (
        json.dumps(measured, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        report_markdown(measured),
        predictions_csv(evaluation),
        confusion_png(evaluation),
    )
    for name, content in zip(REPORT_FILES, contents, strict=True):
        write_whole(folder / name, content, overwrite=overwrite)


def details(evaluation: Evaluation) -> dict[str, Any]:
    """What ``report.json`` holds: the object of ``--json`` and everything else that was measured.

    Fractions 0-1, NLL in nats. ``confusion`` has the label's emotion, then the answer's, then the count.
    """
    answers, labels, correct = evaluation.answers, evaluation.labels, evaluation.correct
    confusion = metrics.confusion_matrix(answers.emotion, labels)
    diagram = metrics.reliability(answers.probabilities, labels)
    curve = metrics.risk_coverage(answers.uncertainty, correct)
    auroc = metrics.error_auroc(answers.uncertainty, correct)
    alone = metrics.branch_accuracies(answers.branch_emotion, labels)
    return {
        **evaluation.to_dict(),
        "data": evaluation.title,
        "accuracy_interval": list(accuracy_interval(correct)),
        "nll": metrics.negative_log_likelihood(answers.probabilities, labels),
        "confusion": {
            label: dict(zip(EMOTIONS, counts, strict=True))
            for label, counts in zip(EMOTIONS, confusion.tolist(), strict=True)
        },
        "reliability": [
            {"from": low, "to": high, "images": images, "confidence": confidence, "accuracy": right}
            for low, high, images, confidence, right in zip(
                diagram.edges[:-1].tolist(),
                diagram.edges[1:].tolist(),
                diagram.images.tolist(),
                diagram.confidence.tolist(),
                diagram.accuracy.tolist(),
                strict=True,
            )
            if images
        ],
        "uncertainty": {
            "measure": evaluation.card.uncertainty.measure,
            "error_auroc": None if np.isnan(auroc) else auroc,
            "risk_coverage_area": curve.area,
            "accuracy_at_coverage": [
                {
                    "coverage": coverage,
                    "accuracy": metrics.accuracy_at_coverage(answers.uncertainty, correct, coverage),
                }
                for coverage in COVERAGES
            ],
        },
        "branches": {
            "accuracy": alone.tolist(),
            "mean_accuracy": float(alone.mean()),
            "ensemble_gain": metrics.ensemble_gain(answers.emotion, answers.branch_emotion, labels),
            "mean_disagreement": metrics.mean_disagreement(answers.branch_emotion),
            "disagreement": metrics.pairwise_disagreement(answers.branch_emotion).tolist(),
        },
        "card": evaluation.card.to_dict(),
        "warnings": list(evaluation.warnings),
    }


def predictions_csv(evaluation: Evaluation) -> str:
    """One row an image: file, label, answer, probabilities, and whether its pixels are new to training."""
    answers = evaluation.answers
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    probabilities = [column_name(name) for name in EMOTIONS]
    writer.writerow(
        ["file", "label", "emotion", "confidence", *probabilities, "agreement", "uncertainty", "fresh"]
    )
    for i, name in enumerate(evaluation.names):
        writer.writerow(
            [
                name,
                EMOTIONS[evaluation.labels[i]],
                EMOTIONS[answers.emotion[i]],
                f"{answers.confidence[i]:.6f}",
                *(f"{p:.6f}" for p in answers.probabilities[i]),
                f"{answers.agreement[i]:.6f}",
                f"{answers.uncertainty[i]:.6f}",
                "" if evaluation.fresh is None else str(bool(evaluation.fresh[i])).lower(),
            ]
        )
    return text.getvalue()


def confusion_png(evaluation: Evaluation) -> bytes:
    """The confusion matrix as a PNG file's content."""
    figures = evaluation.figures()
    picture = draw_confusion(
        metrics.confusion_matrix(evaluation.answers.emotion, evaluation.labels),
        title=f"{evaluation.title}, {figures.images:,} images",
        subtitle=(
            f"{evaluation.card.name} {evaluation.card.version}: accuracy {percent(figures.accuracy)}, "
            f"mean recall {percent(figures.mean_recall)}; {evaluation.labelling}"
        ),
    )
    file = io.BytesIO()
    picture.save(file, format="PNG", optimize=True)
    return file.getvalue()


def report_markdown(measured: dict[str, Any]) -> str:
    """A page for people, from what ``details`` gives; it shows ``confusion.png`` from beside it."""
    parts = [
        f"# {measured['model']} on {measured['data']}",
        f"Protocol: {measured['protocol']}.",
        *(f"> **Warning:** {line}." for line in measured["warnings"]),
        _table(("figure", "all images", "without duplicates"), _headline(measured)),
        "## Emotions",
        _table(("emotion", "images", "recall", "taken most often for"), _emotions(measured)),
        "![Confusion matrix: labels in rows, answers in columns](confusion.png)",
        "## How far the probabilities can be trusted",
        "Images by their top probability: where mean probability and accuracy agree, 80 % means 80 %.",
        _table(("top probability", "images", "mean probability", "accuracy"), _reliability(measured)),
        f"Uncertainty is `{measured['uncertainty']['measure']}`; of a wrong and a right answer the wrong one "
        f"is the less sure in {percent(measured['uncertainty']['error_auroc'])} of all pairs.",
        _table(
            ("surest share of the images", "accuracy on it"),
            [
                (f"{100 * step['coverage']:.0f} %", percent(step["accuracy"]))
                for step in measured["uncertainty"]["accuracy_at_coverage"]
            ],
        ),
        "## Branches",
        _branches(measured["branches"]),
    ]
    return "\n\n".join(parts) + "\n"


def percent(share: float | None) -> str:
    """``0.8715`` -> ``"87.15 %"``; a dash where there is no figure."""
    return "-" if share is None else f"{100 * share:.2f} %"


def _headline(measured: dict[str, Any]) -> list[tuple[str, str, str]]:
    fresh = measured["deduplicated"] or {}
    low, high = measured["accuracy_interval"]
    rows = [
        (name, percent(measured[key]), percent(fresh.get(key)))
        for name, key in (("accuracy", "accuracy"), ("mean recall", "mean_recall"), ("ECE", "ece"))
    ]
    return [
        rows[0],
        ("95 % interval of the accuracy", f"{percent(low)} to {percent(high)}", "-"),
        *rows[1:],
        ("negative log likelihood", f"{measured['nll']:.4f}", "-"),
        ("images", f"{measured['images']:,}", f"{fresh['images']:,}" if fresh else "-"),
    ]


def _emotions(measured: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    rows = []
    for name, counts in measured["confusion"].items():
        others = [(count, other) for other, count in counts.items() if other != name and count]
        taken_for = ", ".join(f"{other} ({count})" for count, other in sorted(others, reverse=True)[:2])
        rows.append((name, f"{sum(counts.values()):,}", percent(measured["recall"][name]), taken_for or "-"))
    return rows


def _reliability(measured: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [
        (
            f"{100 * part['from']:.0f} to {100 * part['to']:.0f} %",
            f"{part['images']:,}",
            percent(part["confidence"]),
            percent(part["accuracy"]),
        )
        for part in measured["reliability"]
    ]


def _branches(branches: dict[str, Any]) -> str:
    alone = ", ".join(percent(share) for share in branches["accuracy"])
    return (
        f"Each by itself: {alone}. Their mean is {percent(branches['mean_accuracy'])}, the ensemble gains "
        f"{100 * branches['ensemble_gain']:+.2f} points over it. Two branches answer differently on "
        f"{percent(branches['mean_disagreement'])} of the images on average."
    )


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [head, ("---",) + ("---:",) * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
