"""What people see of an evaluation on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table

from esrface.evaluation.comparison import Named, comparison
from esrface.evaluation.comparison_report import chance
from esrface.evaluation.corruptions import SEVERITIES, TITLES
from esrface.evaluation.details import interval_of, percent, points
from esrface.evaluation.metrics import accuracy_at_coverage

if TYPE_CHECKING:
    from rich.console import Console

    from esrface.evaluation.judged import Evaluation

COVERAGE = 0.8


def show_model(console: Console, evaluation: Evaluation) -> None:
    """The figures of one model, without duplicates too where they are known."""
    figures = evaluation.figures()
    ends = {"accuracy": figures.accuracy, "accuracy_interval": evaluation.accuracy_interval()}
    columns = {"all images": figures, "without duplicates": evaluation.fresh_figures()}
    shown = {heading: figures for heading, figures in columns.items() if figures is not None}
    table = _table(list(shown))
    blanks = [""] * (len(shown) - 1)
    table.add_row("accuracy", *(percent(figures.accuracy) for figures in shown.values()))
    table.add_row("95 % interval", interval_of(ends, "accuracy"), *blanks)
    table.add_row("mean recall", *(percent(figures.mean_recall) for figures in shown.values()))
    table.add_row("ECE", *(percent(figures.ece) for figures in shown.values()))
    table.add_row("surest 80 %", percent(_surest(evaluation)), *blanks)
    for name, figure in _of_its_own(evaluation.extra()):
        table.add_row(name, figure, *blanks)
    table.add_row("images", *(f"{figures.images:,}" for figures in shown.values()))
    for name in evaluation.emotions:
        table.add_row(f"recall {name}", *(percent(figures.recall[name]) for figures in shown.values()))
    console.print(table)


def show_comparison(console: Console, models: Sequence[Named]) -> None:
    """The figures of several models side by side, and each against the first."""
    figures = [evaluation.figures() for _, evaluation in models]
    table = _table([name for name, _ in models])
    table.add_row("accuracy", *(percent(one.accuracy) for one in figures))
    table.add_row("mean recall", *(percent(one.mean_recall) for one in figures))
    table.add_row("ECE", *(percent(one.ece) for one in figures))
    table.add_row("surest 80 %", *(percent(_surest(evaluation)) for _, evaluation in models))
    own = [dict(_of_its_own(evaluation.extra())) for _, evaluation in models]
    for name in own[0]:
        table.add_row(name, *(figures.get(name, "-") for figures in own))
    table.add_row("images", *(f"{one.images:,}" for one in figures))
    for name in dict.fromkeys(name for one in figures for name in one.recall):
        table.add_row(f"recall {name}", *(percent(one.recall.get(name)) for one in figures))
    console.print(table)
    for entry in comparison(models)["differences"]:
        low, high = entry["accuracy_interval"]
        console.print(
            f"{entry['second']} against {entry['first']}: accuracy {points(entry['accuracy'])} points (95 % "
            f"{points(low)} to {points(high)})"
            + (f", McNemar's p {chance(entry['p'])}" if entry["p"] is not None else ""),
            soft_wrap=True,
        )


def show_corruptions(console: Console, models: Sequence[Named]) -> None:
    """Accuracy under every corruption: at each severity for one model, their means for several."""
    tested = [evaluation.robustness.to_dict() for _, evaluation in models if evaluation.robustness]
    if not tested:
        return
    if len(tested) == 1:
        table = _table([str(severity) for severity in SEVERITIES])
        rows = {name: tested[0]["accuracy"][name] for name in TITLES}
    else:
        table = _table([name for name, _ in models])
        rows = {name: [sum(one["accuracy"][name]) / len(SEVERITIES) for one in tested] for name in TITLES}
    for name, shares in rows.items():
        table.add_row(TITLES[name].lower().replace("jpeg", "JPEG"), *(percent(share) for share in shares))
    console.print()
    console.print(table)
    means = ", ".join(percent(one["mean_accuracy"]) for one in tested)
    console.print(
        f"mean accuracy under corruptions (boxes of a wrong size left out): {means}", soft_wrap=True
    )


def _surest(evaluation: Evaluation) -> float:
    return accuracy_at_coverage(evaluation.answers.uncertainty, evaluation.correct, COVERAGE)


def _of_its_own(extra: dict[str, Any]) -> list[tuple[str, str]]:
    """Figures that only some data sets have."""
    rows = []
    if "accuracy_7" in extra:
        rows.append(("seven emotions", percent(extra["accuracy_7"])))
    for name in ("valence", "arousal") if extra.get("affect") else ():
        figures = extra["affect"][name]
        agreement = "-" if figures["ccc"] is None else f"{figures['ccc']:.3f}"
        rows.append((name, f"RMSE {figures['rmse']:.3f}, CCC {agreement}"))
    return rows


def _table(headings: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table
