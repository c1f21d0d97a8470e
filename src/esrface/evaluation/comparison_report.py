"""The report on several models side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from esrface.evaluation import charts
from esrface.evaluation.blocks import Block, Chart, Heading, Pair, Table, Warn, Words
from esrface.evaluation.corruptions import TITLES
from esrface.evaluation.details import interval_of, percent, points

Measured = Sequence[tuple[str, dict[str, Any]]]
"""What each model is called, and its `esrface.evaluation.details.details`."""


def comparison_report(models: Measured, compared: dict[str, Any]) -> list[Block]:
    """The report's blocks, from each model's details and `esrface.evaluation.comparison.comparison`."""
    names = [name for name, _ in models]
    first = models[0][1]
    warnings = dict.fromkeys(line for _, measured in models for line in measured["warnings"])
    return [
        Heading(f"{len(models)} models on {first['data']}"),
        *(Words(f"{name}: {measured['protocol']}.", note=True) for name, measured in models),
        *(Warn(f"{line}.") for line in warnings),
        Table(("figure", *names), _figures(models)),
        Heading(f"Against {names[0]}"),
        Words(
            "Differences in percentage points with 95 % intervals (paired bootstrap over the same images). "
            "p: how often two equally good models would differ as much by chance in which images they answer "
            "rightly (McNemar's exact test; not where images come in groups, as frames of one person do)."
        ),
        _differences(compared["differences"]),
        Words(" ".join(_verdict(entry) for entry in compared["differences"])),
        Heading("Emotions"),
        Pair(
            [Chart("recall", charts.recall_chart(models), "Recall: the share of an emotion's images found")],
            [Table(("emotion", "images", *names), _recalls(models))],
        ),
        Heading("How far the answers can be trusted"),
        Pair(
            [Chart("reliability", charts.reliability_chart(models), "Reliability of the top probability")],
            [Chart("coverage", charts.coverage_chart(models), "Accuracy on the surest share of the images")],
        ),
        *_corruptions(models),
    ]


def _figures(models: Measured) -> list[list[str]]:
    rows = [
        ["accuracy", *(percent(measured["accuracy"]) for _, measured in models)],
        ["its 95 % interval", *(interval_of(measured, "accuracy") for _, measured in models)],
        ["mean recall", *(percent(measured["mean_recall"]) for _, measured in models)],
        ["its 95 % interval", *(interval_of(measured, "mean_recall") for _, measured in models)],
        ["ECE", *(percent(measured["ece"]) for _, measured in models)],
        ["accuracy of the surest 80 %", *(percent(_surest(measured)) for _, measured in models)],
        ["mean branch", *(percent(measured["branches"]["mean_accuracy"]) for _, measured in models)],
        [
            "two branches disagree",
            *(percent(measured["branches"]["mean_disagreement"]) for _, measured in models),
        ],
    ]
    if all("accuracy_7" in measured for _, measured in models):
        rows.append(
            ["accuracy, seven emotions", *(percent(measured["accuracy_7"]) for _, measured in models)]
        )
        for dimension in ("valence", "arousal"):
            for key in ("rmse", "ccc"):
                figures = [
                    ((measured["affect"] or {}).get(dimension) or {}).get(key) for _, measured in models
                ]
                shown = ("-" if figure is None else f"{figure:.3f}" for figure in figures)
                rows.append([f"{key.upper()} of {dimension}", *shown])
    if all("corruptions" in measured for _, measured in models):
        rows.append(
            ["mean accuracy under corruptions",
             *(percent(measured["corruptions"]["mean_accuracy"]) for _, measured in models)]
        )  # fmt: skip
    rows.append(["images", *(f"{measured['images']:,}" for _, measured in models)])
    return rows


def _recalls(models: Measured) -> list[list[str]]:
    # Models may have classes of their own; of a class that all images lack, no figure exists.
    names = dict.fromkeys(name for _, measured in models for name in measured["recall"])
    return [
        [
            name,
            f"{sum(models[0][1]['confusion'].get(name, {}).values()):,}",
            *(percent(measured["recall"].get(name)) for _, measured in models),
        ]
        for name in names
    ]


def _differences(entries: Sequence[dict[str, Any]]) -> Table:
    rows = [
        ["accuracy", *(points(entry["accuracy"]) for entry in entries)],
        ["its 95 % interval", *(_points_range(entry["accuracy_interval"]) for entry in entries)],
        ["images only the first answers rightly", *(f"{entry['first_only']:,}" for entry in entries)],
        ["images only the other answers rightly", *(f"{entry['second_only']:,}" for entry in entries)],
        ["p", *(chance(entry["p"]) for entry in entries)],
        ["mean recall", *(points(entry["mean_recall"]) for entry in entries)],
        ["its 95 % interval", *(_points_range(entry["mean_recall_interval"]) for entry in entries)],
    ]
    if all("corruptions" in entry for entry in entries):
        rows.append(["mean accuracy under corruptions", *(points(entry["corruptions"]) for entry in entries)])
        rows.append(
            ["its 95 % interval", *(_points_range(entry["corruptions_interval"]) for entry in entries)]
        )
    return Table(("difference", *(entry["second"] for entry in entries)), rows)


def chance(p: float | None) -> str:
    """A p value for people."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _verdict(entry: dict[str, Any]) -> str:
    low, high = entry["accuracy_interval"]
    if low <= 0 <= high if entry["p"] is None else entry["p"] >= 0.05:
        return f"{entry['second']} and {entry['first']} cannot be told apart by accuracy on these images."
    which = "more" if entry["accuracy"] > 0 else "less"
    return f"{entry['second']} is {which} accurate than {entry['first']}, by more than chance explains."


def _corruptions(models: Measured) -> list[Block]:
    if not all("corruptions" in measured for _, measured in models):
        return []
    clean = [percent(measured["corruptions"]["clean_accuracy"]) for _, measured in models]
    rows = [["none", *clean]]
    for name, title in TITLES.items():
        means = (float(np.mean(measured["corruptions"]["accuracy"][name])) for _, measured in models)
        rows.append([title, *(percent(mean) for mean in means)])
    chart = Chart(
        "corruptions", charts.corruption_chart(models), "Accuracy over severity; 0 is the face as it is"
    )
    return [
        Heading("Worse pictures"),
        Words("Accuracy under each corruption, the mean over its five severities."),
        Pair([Table(("corruption", *(name for name, _ in models)), rows)], [chart]),
    ]


def _surest(measured: dict[str, Any]) -> float:
    steps = measured["uncertainty"]["accuracy_at_coverage"]
    return float(next(step["accuracy"] for step in steps if step["coverage"] == 0.8))


def _points_range(ends: Sequence[float]) -> str:
    return f"{points(ends[0])} to {points(ends[1])}"
