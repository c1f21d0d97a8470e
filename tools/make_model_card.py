"""Write MODEL_CARD.md from the default model's card, so that both always say the same.

python tools/make_model_card.py            write it
python tools/make_model_card.py --check    exit 1 if it is not up to date
"""

from __future__ import annotations

import argparse
import csv
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from esrface.emotions import EMOTIONS
from esrface.evaluation.corruptions import TITLES
from esrface.models.card import ModelCard
from esrface.models.registry import resolve_model

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "MODEL_CARD.md"
RUNS = ROOT / "docs" / "runs.csv"

RECIPES = {
    "robust": "the shipped weights' last stage",
    "straight": "what it goes on from and learns from",
    "wide": "FER+ alone: another network, from nothing",
}
"""What the runs of a recipe are."""

BASELINE = "ferplus-paper"
"""The run of the paper's network."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true")
    text = render(resolve_model().card)
    if parser.parse_args().check:
        return 0 if TARGET.read_text(encoding="utf-8") == text else 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def render(card: ModelCard) -> str:
    """The whole document."""
    scores = card.scores[0]
    parts = [
        f"# Model card: {card.name}",
        "Made from the model's own card by `tools/make_model_card.py`; do not edit.",
        overview(card),
        "## What it is for",
        "Reading which of eight expressions people would most likely name for a face in a picture, for research, "
        "annotation and human-robot interaction with the consent of those who are seen. Not for deciding anything "
        "about a person, not for lie detection, hiring, proctoring or policing, and not where the law forbids it "
        "(in the EU, inferring emotions at work and in education: Article 5(1)(f) of the AI Act). An expression "
        "is not a feeling. See *Responsible use* in the README.",
        "## How good it is",
        table(("protocol", "images", "accuracy", "mean recall"), [short(score) for score in card.scores]),
        f"Default inference, 95 % bootstrap intervals: accuracy {between(scores['accuracy_interval'])}, mean recall "
        f"{between(scores['mean_recall_interval'])} (rare emotions have few images). By plurality of "
        f"the branches: {percent(scores['accuracy_plurality'])}. The validation split chose the model, so expect "
        "a little less elsewhere; the test split was never used.",
        table(("", *EMOTIONS), [("recall", *(percent(scores["recall"][name]) for name in EMOTIONS))]),
        branches(scores),
        half_precision(scores),
        calibration(card, scores),
        adjustment(card),
        corruptions(scores),
        repeated(),
        "## What it learnt from",
        table(("data", "use", "terms"), [(d.name, d.use, d.terms) for d in card.training_data]),
        f"Weights: {card.licence}.",
        "Images whose pixels stand in the validation split too were left out of training. FER2013 holds many more "
        "copies within and across its splits; the figures without them stand above.",
        "## Known limits",
        "- FER+ has no demographic labels: error rates for groups of people are unknown. Assume that they differ.\n"
        "- Rare emotions are recognised much worse than common ones (recalls above); the validation split has 16 "
        "faces of contempt and 25 of disgust, so their figures are rough.\n"
        "- It learnt from grey web pictures of 48x48 pixels. Profile views, strong tilt, occlusion and poor light "
        "make it worse.\n"
        "- Valence and arousal are not learnt: they are read out of the probabilities by the circumplex "
        "coordinates of Russell & Mehrabian (1977); contempt, which they lack, is the mean of anger and disgust.",
        "## How it was trained",
        table(("setting", "value"), [(key, told(value)) for key, value in card.protocol.items()]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(card: ModelCard) -> str:
    """What the network is and wants."""
    spec, rule = card.input, card.crop
    crop = f"{'square of the larger side' if rule.square else 'the box'}, margin {rule.margin:g}"
    rows = [
        ("version", card.version),
        ("network", f"{card.network['name']}, {card.branches} branches"),
        ("input", f"{spec.size}x{spec.size}, {spec.color}, (x - {spec.mean[0]:g}) / {spec.std[0]:g}"),
        (
            "crop around the detected box",
            f"{crop}{', turned until the eyes are level' if rule.align else ''}",
        ),
        ("looks at, by default", card.looks_at),
        ("temperature", f"{card.temperature:.3f}"),
        ("uncertainty", card.uncertainty.measure),
        ("valence and arousal", card.affect_source),
        ("SHA-256 of the weights", f"`{card.sha256}`"),
    ]
    return table(("", ""), rows)


def short(score: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """One row of the table of scores."""
    protocol = f"{score['data']} {score['split']}: {score['protocol']}"
    return protocol, f"{score['images']:,}", percent(score["accuracy"]), percent(score["mean_recall"])


def branches(scores: Mapping[str, Any]) -> str:
    """What the ensemble is worth."""
    alone = ", ".join(percent(share) for share in scores["branch_accuracy"])
    return (
        f"The branches alone: {alone}; their mean {percent(scores['mean_branch_accuracy'])}, so the ensemble gains "
        f"{100 * scores['ensemble_gain']:+.2f} points. Two branches differ on {percent(scores['disagreement'])} of "
        "the faces."
    )


def half_precision(scores: Mapping[str, Any]) -> str:
    """What the small file costs."""
    for key, kept in (
        ("float16_weights", "The file holds its weights as float16 and computes in float32."),
        ("int8", "The file holds its weights as whole numbers of 7 bits and computes in int8."),
    ):
        effect = scores.get(key)
        if effect is not None:
            return (
                f"{kept} Against float32 weights the accuracy changes by "
                f"{100 * effect['accuracy_change']:+.2f} points, "
                f"{percent(effect['equal_answers'])} of the answers are equal, and no branch's probability moves "
                f"by more than {effect['largest_probability_difference']:.1g}."
            )
    return ""


def calibration(card: ModelCard, scores: Mapping[str, Any]) -> str:
    """Calibration and uncertainty."""
    halves = " and ".join(
        f"{half['temperature']:.3f} ({percent(half['ece_after'])})" for half in scores["ece_halves"]
    )
    ranking = table(
        ("measure of uncertainty", "AUROC of errors", "accuracy on the surest 80 %"),
        [
            (f"**{rank['measure']}**" if rank["measure"] == card.uncertainty.measure else rank["measure"],
             f"{rank['error_auroc']:.3f}", percent(rank["accuracy_at_80"]))
            for rank in scores["uncertainty_ranking"]
        ],
    )  # fmt: skip
    fitted = (
        "\n\nThe mix is the probability of an error: the logistic of these measures, the log odds of the confidence and "
        "a number for each emotion that may be the answer. Here it is fitted on one half of the images and ranks the "
        "other, both ways; the file's own is fitted on all of them."
    )
    return (
        f"Calibration error (ECE, 15 bins): {percent(scores['ece_before'])} before temperature, "
        f"{percent(scores['ece_after'])} after a temperature fitted on one half of the images and measured on the "
        f"other, both ways: {halves}.\n\n{ranking}{fitted if card.uncertainty.measure == 'mix' else ''}"
    )


def adjustment(card: ModelCard) -> str:
    """The dial between accuracy and mean recall."""
    if card.logit_adjustment is None:
        return ""
    curve = [
        (f"{point['share']:g}", percent(point["accuracy"]), percent(point["mean_recall"]))
        for point in card.logit_adjustment["curve_on_validation"]
    ]
    return (
        "The branches were trained with logit adjustment (Menon et al., 2021; strengths "
        f"{', '.join(f'{s:g}' for s in card.logit_adjustment['strengths'])}). The share of it that is given back, "
        f"{card.logit_adjustment['share']:g} in this file, is a dial between accuracy and mean recall; it was chosen on "
        f"{card.logit_adjustment['share_chosen_on']}. "
        '`--prior balanced` (`Recognizer(prior="balanced")`) gives back none:\n\n'
        + table(("share given back", "accuracy", "mean recall"), curve)
    )


def corruptions(scores: Mapping[str, Any]) -> str:
    """What is left of the accuracy on worse pictures."""
    tested = scores.get("corruptions")
    if tested is None:
        return ""
    rows = [
        (TITLES[name], *(percent(share) for share in shares)) for name, shares in tested["accuracy"].items()
    ]
    return (
        f"Under the eight corruptions of [evaluation.md](docs/evaluation.md) at five severities it is right on "
        f"{percent(tested['mean_accuracy'])} of the faces, {percent(tested['retained'])} of what it is right on as "
        "they are:\n\n" + table(("accuracy at severity", "1", "2", "3", "4", "5"), rows)
    )


def repeated() -> str:
    """How much another seed changes, from the table of runs, and what the paper's network reaches."""
    runs = defaultdict(list)
    with RUNS.open(newline="", encoding="utf-8") as file:
        for run in csv.DictReader(file):
            runs[run["recipe"]].append(run)
    figures = ("accuracy", "accuracy_mirror", "mean_branch", "mean_recall")
    rows = [
        (
            f"[`{recipe}`](docs/recipes/{recipe}.yaml): {what}",
            str(len(runs[recipe])),
            *(spread([float(run[figure]) for run in runs[recipe]]) for figure in figures),
        )
        for recipe, what in RECIPES.items()
    ]
    header = ("recipe", "runs", "accuracy, default view", "both views", "mean branch, default view")
    return (
        "The same recipes with other seeds, or once more with the same (a GPU adds up in another order every time): "
        "mean and standard deviation on validation, float32 or bf16, all of the adjustment given back, no run left "
        "out. The shipped file is the first run of its recipe, and its luckiest:\n\n"
        + table((*header, "mean recall, both views"), rows)
        + "\n\n"
        + baseline(*runs[BASELINE])
    )


def baseline(run: Mapping[str, str]) -> str:
    """The paper's network beside ours: as published, and on the same data."""
    accuracy, branch, recall = (
        percent(float(run[figure])) for figure in ("accuracy", "mean_branch", "mean_recall")
    )
    return (
        "The paper's ESR-9 is published with 87.15 ± 0.10 % on FER+'s *test* split, with AffectNet behind it. From "
        "FER+ alone, by the paper's nine stages in 168 epochs instead of 580 and in batches of 128 "
        "(`esrface train ferplus-paper --init none`, one run; as in the paper, each stage's best epoch was picked on this "
        f"very split, which none of ours was), it is right on {accuracy} of validation, its branches "
        f"on {branch} on the mean, and finds {recall} of an average emotion ([experiments.md](docs/experiments.md))."
    )


def spread(shares: list[float]) -> str:
    """Mean and standard deviation (n - 1) as percentages."""
    return f"{100 * statistics.mean(shares):.2f} ± {100 * statistics.stdev(shares):.2f} %"


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def told(value: object) -> str:
    """A setting; earlier runs by their names, under which their recipes stand in docs/recipes."""
    if _names_runs(value):
        assert isinstance(value, (list, tuple))
        return "; ".join(
            " and ".join(map(_run, item)) + " together" if isinstance(item, (list, tuple)) else _run(item)
            for item in value
        )
    return _run(value)


def _names_runs(value: object) -> bool:
    """Whether it is a list with runs, or with lists of runs, in it."""
    return isinstance(value, (list, tuple)) and any(
        isinstance(item, Mapping) or _names_runs(item) for item in value
    )


def _run(value: object) -> str:
    if not (isinstance(value, Mapping) and "run" in value):
        return f"`{value}`"
    recipe = value["run"].removesuffix(f"-{value['seed']}")
    return f"the run `{value['run']}` ([recipe](docs/recipes/{recipe}.yaml), seed {value['seed']})"


def between(ends: Sequence[float]) -> str:
    """An interval of percentages."""
    return f"{percent(ends[0])} to {percent(ends[1])}"


def percent(share: float | None) -> str:
    """A share as a percentage with two digits."""
    return "-" if share is None else f"{100 * share:.2f} %"


if __name__ == "__main__":
    raise SystemExit(main())
