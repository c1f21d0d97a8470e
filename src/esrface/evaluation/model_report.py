"""The report on one model: what stands in it and in which order."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from esrface import __version__
from esrface._names import printable
from esrface.errors import EsrfaceError
from esrface.evaluation import charts
from esrface.evaluation.affectnet import DIMENSIONS, AffectNetEvaluation
from esrface.evaluation.blocks import (
    Block,
    Chart,
    Gallery,
    Heading,
    Pair,
    Photo,
    Table,
    Tile,
    Tiles,
    Warn,
    Words,
)
from esrface.evaluation.corruption_sheet import draw_corruptions
from esrface.evaluation.corruptions import CORRUPTIONS, SEVERITIES, TITLES
from esrface.evaluation.details import interval, interval_of, percent, points
from esrface.evaluation.judged import Evaluation

MISTAKES = 12
"""Of the surest wrong answers, shown with their pictures."""

MEASURED_BY = {
    "one_minus_confidence": "1\u00a0−\u00a0confidence",
    "entropy": "the entropy of the probabilities",
    "mutual_information": "the branches' mutual information",
    "mix": "a fitted mix of confidence, entropy, mutual information and the emotion answered",
}
"""The card's measures of uncertainty in words."""

THUMBNAIL = 112
"""Largest side of these pictures in pixels."""


def model_report(name: str, evaluation: Evaluation, measured: dict[str, Any]) -> list[Block]:
    """The report's blocks, from an evaluation and what `esrface.evaluation.details.details` makes of it."""
    model = (name, measured)
    blocks: list[Block] = [
        Heading(f"{printable(name)} on {measured['data']}"),
        Words(f"{measured['protocol']}.", note=True),
        *(Warn(f"{line}.") for line in measured["warnings"]),
        Tiles(_tiles(measured)),
        _headline(measured),
        Heading("Emotions"),
        _emotions(model),
        *_trust(model),
        *_branches(measured),
        *(_affect(evaluation, measured["affect"]) if isinstance(evaluation, AffectNetEvaluation) else ()),
        *_corruptions(evaluation, model),
        *_mistakes(evaluation),
        Heading("How this was made"),
        Words(
            f"esrface {__version__}. Weights sha256 {evaluation.card.sha256}. Intervals: 95 %, percentiles "
            f"of 1,000 resamples of the {'images' if evaluation.groups is None else 'people'}; they say how "
            "far another sample of as many would move a figure, not how far another training would. "
            "Calibration error (ECE): 15 bins of equal width.",
            note=True,
        ),
    ]
    return blocks


def corruption_rows(tested: dict[str, Any]) -> tuple[list[list[str]], list[list[float | None]]]:
    """Rows of the table of accuracies under corruptions, with the mean over severities, and their shades."""
    clean = tested["clean_accuracy"]
    rows, shades = [], []
    for name, title in TITLES.items():
        shares = tested["accuracy"][name]
        line = [*shares, float(np.mean(shares))]
        rows.append([title, *(f"{100 * share:.1f}" for share in line)])
        # Lost accuracy; all of it lost would be the darkest.
        shades.append([0.75 * max(0.0, clean - share) / clean if clean else None for share in line])
    return rows, shades


CORRUPTION_HEAD = ("accuracy in % at severity", *map(str, SEVERITIES), "mean")


def _tiles(measured: dict[str, Any]) -> list[Tile]:
    at = {step["coverage"]: step["accuracy"] for step in measured["uncertainty"]["accuracy_at_coverage"]}
    tiles = [
        Tile(
            "accuracy",
            percent(measured["accuracy"]),
            f"95 %: {interval(measured['accuracy_interval'], digits=1).rstrip(' %')}",
        ),
        Tile(
            "mean recall",
            percent(measured["mean_recall"]),
            f"95 %: {interval(measured['mean_recall_interval'], digits=1).rstrip(' %')}",
        ),
        Tile("calibration error", percent(measured["ece"]), "ECE"),
        Tile("surest 80 %", percent(at[0.8]), "accuracy on them"),
    ]
    if "accuracy_7" in measured:
        tiles.append(Tile("seven emotions", percent(measured["accuracy_7"]), "without contempt"))
        for name in DIMENSIONS if measured["affect"] else ():
            figures = measured["affect"][name]
            tiles.append(Tile(name, _decimal(figures["ccc"]), f"CCC; RMSE {_decimal(figures['rmse'])}"))
    if "corruptions" in measured:
        tested = measured["corruptions"]
        tiles.append(Tile("under corruptions", percent(tested["mean_accuracy"]), "mean accuracy"))
    return tiles


def _headline(measured: dict[str, Any]) -> Table:
    fresh = measured["deduplicated"] or {}
    rows = [
        (name, percent(measured[key]), percent(fresh.get(key)))
        for name, key in (("accuracy", "accuracy"), ("mean recall", "mean_recall"), ("ECE", "ece"))
    ]
    table = [
        rows[0],
        ("its 95 % interval", interval_of(measured, "accuracy"), "-"),
        rows[1],
        ("its 95 % interval", interval_of(measured, "mean_recall"), "-"),
        rows[2],
        ("negative log likelihood", f"{measured['nll']:.4f}", "-"),
        ("images", f"{measured['images']:,}", f"{fresh['images']:,}" if fresh else "-"),
    ]
    if "accuracy_7" in measured:
        seven = f"{percent(measured['accuracy_7'])} of {measured['images_7']:,}"
        table.append(("seven emotions (no contempt)", seven, "-"))
    head = ("figure", "all images", "without duplicates")
    if not fresh:
        return Table(head[:2], [row[:2] for row in table])
    return Table(head, table)


def _emotions(model: charts.Model) -> Pair:
    measured = model[1]
    rows = []
    for name, counts in measured["confusion"].items():
        others = [(count, other) for other, count in counts.items() if other != name and count]
        taken_for = ", ".join(f"{other} ({count})" for count, other in sorted(others, reverse=True)[:2])
        rows.append((name, f"{sum(counts.values()):,}", percent(measured["recall"][name]), taken_for or "-"))
    recall = Chart("recall", charts.recall_chart([model]), "Recall: the share of an emotion's images found")
    confusion = Chart(
        "confusion",
        charts.confusion_chart(measured),
        "Confusions in % of each label: labels in rows, answers in columns",
    )
    table = Table(("emotion", "images", "recall", "taken most often for"), rows, text_columns=(3,))
    return Pair([recall, table], [confusion])


def _trust(model: charts.Model) -> list[Block]:
    uncertainty = model[1]["uncertainty"]
    steps = [
        (f"{100 * step['coverage']:.0f} %", percent(step["accuracy"]))
        for step in uncertainty["accuracy_at_coverage"]
    ]
    bins = [
        (
            f"{100 * part['from']:.0f} to {100 * part['to']:.0f} %",
            f"{part['images']:,}",
            percent(part["confidence"]),
            percent(part["accuracy"]),
        )
        for part in model[1]["reliability"]
    ]
    return [
        Heading("How far the answers can be trusted"),
        Words(
            "Where the line of the first picture lies on the diagonal, 80 % means 80 %. The second shows the "
            "accuracy where only the surest images are answered. Uncertainty is "
            f"{MEASURED_BY[uncertainty['measure']]}; of a wrong and a right answer the wrong one is the less "
            f"sure in {percent(uncertainty['error_auroc'])} of all pairs."
        ),
        Pair(
            [
                Chart("reliability", charts.reliability_chart([model]), "Reliability of the top probability"),
                Table(("top probability", "images", "mean probability", "accuracy"), bins),
            ],
            [
                Chart(
                    "coverage", charts.coverage_chart([model]), "Accuracy on the surest share of the images"
                ),
                Table(("surest share of the images", "accuracy on it"), steps),
            ],
        ),
    ]


def _branches(measured: dict[str, Any]) -> list[Block]:
    branches = measured["branches"]
    if len(branches["accuracy"]) < 2:
        return []
    chart = Chart(
        "disagreement", charts.disagreement_chart(measured), "How often two branches answer differently"
    )
    rows = [
        (f"branch {number}", percent(share)) for number, share in enumerate(branches["accuracy"], start=1)
    ]
    table = Table(("", "accuracy alone"), [*rows, ("together", percent(measured["accuracy"]))])
    return [
        Heading("Branches"),
        Words(
            f"The mean of the branches is {percent(branches['mean_accuracy'])}, the ensemble gains "
            f"{points(branches['ensemble_gain'])} points over it. Two branches answer differently on "
            f"{percent(branches['mean_disagreement'])} of the images on average."
        ),
        Pair([chart], [table]),
    ]


def _affect(evaluation: AffectNetEvaluation, affect: dict[str, Any] | None) -> list[Block]:
    if affect is None:
        return []
    known = ~np.isnan(evaluation.faces.affect).any(axis=1)
    source = (
        "a trained layer"
        if affect["source"] == "network"
        else "the probabilities, by the circumplex coordinates of Russell & Mehrabian (1977), untrained"
    )
    return [
        Heading("Valence and arousal"),
        Words(f"Read from {source}. {affect['images']:,} images have labels."),
        Pair(
            [
                Chart(
                    "affect",
                    charts.affect_chart(evaluation.answers.affect[known], evaluation.faces.affect[known]),
                    "Answers over labels, darker where more images lie; on the diagonal they agree",
                )
            ],
            [
                Table(
                    ("", "RMSE", "CCC"),
                    [
                        (name, _decimal(affect[name]["rmse"]), _decimal(affect[name]["ccc"]))
                        for name in DIMENSIONS
                    ],
                )
            ],
        ),
    ]


def _corruptions(evaluation: Evaluation, model: charts.Model) -> list[Block]:
    tested = model[1].get("corruptions")
    if tested is None:
        return []
    rows, shades = corruption_rows(tested)
    chart = Chart(
        "corruptions", charts.corruption_chart([model]), "Accuracy over severity; 0 is the face as it is"
    )
    return [
        Heading("Worse pictures"),
        Words(
            f"Accuracy is {percent(tested['clean_accuracy'])} on the faces as they are and "
            f"{percent(tested['mean_accuracy'])} on average over {len(CORRUPTIONS)} corruptions at five "
            f"severities ({percent(tested['retained'])} of it is left); boxes of a wrong size do not count "
            "in that mean."
        ),
        Table(CORRUPTION_HEAD, rows, shades),
        Pair([chart], _example(evaluation)),
    ]


def _example(evaluation: Evaluation) -> list[Photo]:
    """The surest right answer's face under every corruption, as it was tested."""
    sure = np.where(evaluation.correct, evaluation.answers.confidence, -1.0)
    index = int(sure.argmax())
    try:
        sheet = draw_corruptions(next(evaluation.views([index])), seed=index)
    except EsrfaceError:  # A picture that has vanished: the figures stand without it.
        return []
    caption = f"What the severities look like: {printable(evaluation.names[index])}"
    return [Photo(_jpeg(sheet), caption, wide=True)]


def _mistakes(evaluation: Evaluation) -> list[Block]:
    """The surest wrong answers with their pictures: true mistakes, and wrong labels."""
    answers = evaluation.answers
    wrong = np.flatnonzero(~evaluation.correct)
    worst = wrong[np.argsort(-answers.confidence[wrong], kind="stable")][:MISTAKES].tolist()
    if not worst:
        return []
    try:
        photos = [
            Photo(
                _thumbnail(view(1.0)),
                f"{evaluation.emotions[answers.emotion[index]]} {answers.confidence[index]:.0%}\n"
                f"label {evaluation.emotions[evaluation.labels[index]]}",
            )
            for index, view in zip(worst, evaluation.views(worst), strict=True)
        ]
    except EsrfaceError:
        return []
    return [
        Heading("The surest mistakes"),
        Words(
            "Answers that are not the label, the surest first. Look at them: some are mistakes of the model, "
            "some of the labels. Pictures of people are personal data; keep this page accordingly."
        ),
        Gallery(photos),
    ]


def _thumbnail(face: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    picture = Image.fromarray(face)
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    return _jpeg(picture)


def _jpeg(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="JPEG", quality=85, optimize=True)
    return file.getvalue()


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
