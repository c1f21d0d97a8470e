"""CK+ from the data to the paper's table: every variant in every trial, then means and paired t-tests.

A run's folder holds ``config.yaml``, ``results.csv`` (a row for each variant and trial), ``table.md``, a run
for each trial in ``<variant>/trial_0`` and so on, and the model with the best validation of all.
"""

from __future__ import annotations

import csv
import io
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from esrface._names import printable
from esrface.datasets.ckplus import CkPlus, ckplus_trial, load_ckplus
from esrface.errors import DataError
from esrface.evaluation.paired import paired_t_test
from esrface.networks.esr import ESR, parameter_count
from esrface.networks.saved import load_saved
from esrface.outputs import write_whole
from esrface.training.checkpoint import load_checkpoint
from esrface.training.protocols.ckplus import ckplus_plan, fingerprint, of_subjects
from esrface.training.protocols.config import CkPlusConfig, variant_shape
from esrface.training.protocols.export import export_run
from esrface.training.protocols.run import (
    OF_TRIALS,
    Training,
    check_place,
    run_folder,
    train_plan,
)
from esrface.training.run import WEIGHTS
from esrface.training.table import read_table

RESULTS, TABLE = OF_TRIALS


@dataclass(frozen=True)
class Result:
    """One trial of one variant."""

    variant: str
    trial: int
    parameters: int
    validation: float
    """Accuracy of the best epoch on the validation fold, by which it was chosen."""
    accuracy: float
    """On the test fold, looked at once."""
    images: int
    """Of the test fold."""


Report = Callable[[Result], None]


def train_ckplus(
    data: Path,
    run: Path,
    config: CkPlusConfig,
    how: Training,
    *,
    name: str = "ckplus",
    report: Report | None = None,
) -> list[Result]:
    """Train and test every variant in every trial.

    Args:
        data: As `esrface.datasets.ckplus.load_ckplus` takes it.
        run: Folder to write.
        config: All settings.
        how: Device, resume and so on.
        name: On the model's card.
        report: Called after each trial.

    Raises:
        DataError: The data or the run cannot be used as they are.
    """
    # Before the data are read, which may take minutes.
    check_place(run, config, how.resume)
    faces = load_ckplus(data, neutral=config.neutral)
    for trial in config.trials:
        ckplus_trial([str(subject) for subject in faces.subjects], trial)
    with run_folder(run, config, how):
        results = _read_results(run / RESULTS) if how.resume else []
        finished = {(result.variant, result.trial) for result in results}
        pictures = fingerprint(faces)
        for variant, trial in finished:
            pictures.check(run, load_checkpoint(trial_folder(run, variant, trial)))
        for variant, trial in itertools.product(config.variants, config.trials):
            if (variant, trial) in finished:
                continue
            result = _train_trial(faces, run, variant, trial, config, how)
            results.append(result)
            if how.ranks.is_first:
                write_whole(run / RESULTS, _results_csv(results), overwrite=True)
                if report is not None:
                    report(result)
        if how.ranks.is_first:
            write_whole(run / TABLE, table_of(results), overwrite=True)
            _export_best(faces, run, results, config, name, how.threads)
    return results


def trial_folder(run: Path, variant: str, trial: int) -> Path:
    """Where a trial's own run is."""
    return run / variant / f"trial_{trial}"


def table_of(results: Sequence[Result]) -> str:
    """The paper's table as Markdown, and below it the paired t-tests between the variants.

    Deviations are those of a sample (n - 1).
    """
    lines = ["| network | parameters | trials | test accuracy |", "|---|---:|---:|---:|"]
    variants = list(dict.fromkeys(result.variant for result in results))
    by_trial = {name: {r.trial: 100 * r.accuracy for r in results if r.variant == name} for name in variants}
    for name in variants:
        figures = list(by_trial[name].values())
        parameters = next(result.parameters for result in results if result.variant == name)
        spread = f"{np.std(figures, ddof=1):.1f}" if len(figures) > 1 else "-"
        lines.append(f"| {name} | {parameters:,} | {len(figures)} | {np.mean(figures):.1f} ± {spread} % |")
    tests = [_compared(by_trial, one, other) for one, other in itertools.combinations(variants, 2)]
    if tests:
        lines += ["", "Paired t-tests over the trials, two-sided, without correction for their number:", ""]
        lines += ["| networks | difference | t | p |", "|---|---:|---:|---:|", *tests]
    return "\n".join(lines) + "\n"


def _compared(by_trial: dict[str, dict[int, float]], one: str, other: str) -> str:
    both = sorted(by_trial[one].keys() & by_trial[other].keys())
    if len(both) < 2:
        return f"| {one} - {other} | | | too few trials |"
    test = paired_t_test([by_trial[one][n] for n in both], [by_trial[other][n] for n in both])
    numbers = ("-", "-") if math.isnan(test.t) else (f"{test.t:.2f}", f"{test.p:.3f}")
    return f"| {one} - {other} | {test.difference:+.1f} | {numbers[0]} | {numbers[1]} |"


def _train_trial(
    faces: CkPlus, run: Path, variant: str, trial: int, config: CkPlusConfig, how: Training
) -> Result:
    folder = trial_folder(run, variant, trial)
    own = replace(config, variants=(variant,), trials=(trial,))
    plan = ckplus_plan(faces, variant, trial, own)
    # A trial that was begun in a run that is gone on with is gone on with too.
    trainer = train_plan(plan, folder, own, how)
    test = of_subjects(faces, ckplus_trial([str(s) for s in faces.subjects], trial).test)
    validation = trainer.judge(trainer.network, plan.valid).score
    accuracy = trainer.judge(trainer.network, test).score
    return Result(
        variant, trial, parameter_count(ESR(variant_shape(variant))), validation, accuracy, len(test)
    )


def _export_best(
    faces: CkPlus, run: Path, results: Sequence[Result], config: CkPlusConfig, name: str, threads: int
) -> None:
    best = max(results, key=lambda result: result.validation)
    plan = ckplus_plan(faces, best.variant, best.trial, config)
    network = load_saved(trial_folder(run, best.variant, best.trial) / WEIGHTS)
    notes = {
        "variant": best.variant,
        "trial": best.trial,
        "chosen": f"best validation accuracy of {len(results)} trials",
        "test_accuracy_of_this_trial": best.accuracy,
    }
    export_run(network, plan, run, config, protocol="ckplus", name=name, notes=notes, threads=threads)


def _results_csv(results: Sequence[Result]) -> str:
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(asdict(results[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(result) for result in results)
    return table.getvalue()


def _read_results(path: Path) -> list[Result]:
    try:
        return [
            Result(
                row["variant"],
                int(row["trial"]),
                int(row["parameters"]),
                float(row["validation"]),
                float(row["accuracy"]),
                int(row["images"]),
            )
            for row in read_table(path)
        ]
    except (KeyError, ValueError) as error:
        raise DataError(
            f"{printable(path)}: not a table of results ({error}); delete it to begin again"
        ) from error
