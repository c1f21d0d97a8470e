"""``esrface export``: a model as a file of another kind or precision."""

from __future__ import annotations

from pathlib import Path

import click

from esrface.cli.command import OUTPUT, Command, Name, option
from esrface.cli.streams import printable, say

DATA, MODEL = "Data", "Model"


@click.command(
    "export",
    cls=Command,
    examples=[
        (
            "esrface export runs/mine -o mine.onnx --precision fp16",
            "One file with its card beside it (mine.json); then: --model mine.onnx.",
        ),
        (
            "esrface export runs/mine -o small.onnx --precision int8 --data ferplus",
            "A quarter of the size, and faster; the card tells what it costs.",
        ),
        ("esrface export esr9-fer -o esr9.safetensors --format safetensors", "Weights for torch."),
        (
            "esrface export runs/paper -o esr_9 --format legacy",
            "The original's .pt files, for networks that it knows.",
        ),
        ("esrface export esr_9/ -o original.onnx", "The original's weights for machines without torch."),
    ],
)
@click.argument("model", metavar="MODEL", type=click.Path())
@option(
    OUTPUT,
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="File to write; for legacy a folder.",
)
@option(
    OUTPUT,
    "--format",
    type=Name(["onnx", "safetensors", "legacy"]),
    default="onnx",
    metavar="onnx|safetensors|legacy",
    help="[default: onnx]",
)
@option(
    OUTPUT,
    "--precision",
    type=Name(["fp32", "fp16", "int8"]),
    default="fp32",
    metavar="fp32|fp16|int8",
    help="fp16 halves the file, int8 (ONNX only) quarters it and is faster.  [default: fp32]",
)
@option(OUTPUT, "--overwrite", is_flag=True, help="Replace files that exist.")
@option(
    DATA,
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="FER+ or a folder of your own pictures, training and validation: int8 is calibrated with the "
    "former, and what a precision changes is measured on the latter.",
)
@option(
    MODEL,
    "--batch-norm",
    type=Name(["instance", "running"]),
    metavar="instance|running",
    help="For the original's weights: statistics of each face (as the original answers) or of training.  "
    "[default: instance]",
)
def command(
    model: str,
    out: Path,
    format: str,
    precision: str,
    overwrite: bool,
    data: Path | None,
    batch_norm: str | None,
) -> int:
    """Write a model as ONNX, safetensors or in the original's layout.

    MODEL is a name, a training run's folder, an .onnx file with its card beside it, or a folder of the
    original's .pt files. Nothing appears unless it answers as MODEL does.
    """
    from esrface.cli.console import make_console
    from esrface.cli.training import TrainingProgress, require_training

    require_training("exporting")
    from esrface.export import export_model

    with TrainingProgress(make_console(), 1) as progress:
        done = export_model(
            model,
            out,
            format=format,
            precision=precision,
            data=data,
            batch_norm=batch_norm,
            overwrite=overwrite,
            progress=progress.show,
        )
    size = sum(file.stat().st_size for file in done.files) / 1e6
    measure = "at most" if precision == "fp32" else "on average"
    say(
        printable(
            f"esrface: {out}: {size:.2f} MB, {precision}; probabilities differ from the network's by "
            f"{done.difference:.1g} {measure}"
        )
    )
    if done.effect is not None:
        say(
            f"esrface: on validation: accuracy {100 * done.effect['accuracy_change']:+.2f} points against "
            f"fp32, {100 * done.effect['equal_answers']:.2f} % of the answers equal"
        )
    return 0
