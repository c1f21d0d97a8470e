"""``esrface evaluate ferplus`` as users and scripts meet it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from drawn import write_ferplus
from esrface.cli import main
from esrface.cli.evaluation import check_place
from esrface.errors import OutputError
from esrface.models.registry import DEFAULT_MODEL, resolve_model, shipped_names
from unprivileged import reachable_folder, unprivileged

DRAWN = ["Happy", "Sad", "NF", "Neutral", "Anger", "Happy", "unknown", "Surprise"]
FILES = ["charts", "confusion.png", "predictions.csv", "report.html", "report.json", "report.md"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "ferplus"
    folder.mkdir()
    write_ferplus(folder, "zip", "valid", DRAWN)
    return folder


def _arguments(data: Path, model: Path, *more: str) -> list[str]:
    return ["evaluate", "ferplus", "--data", str(data), "--model", str(model), "--threads", "1", *more]


def _run(arguments: list[str], **options: object) -> subprocess.CompletedProcess[str]:
    command_line = [sys.executable, "-m", "esrface", *arguments]
    return subprocess.run(command_line, capture_output=True, text=True, timeout=120, **options)


def test_json_is_one_object_and_nothing_else(data: Path, tiny_model: Path) -> None:
    done = _run(_arguments(data, tiny_model, "--split", "valid", "--json"))
    assert done.returncode == 0
    assert done.stdout.count("\n") == 1
    record = json.loads(done.stdout)
    keys = "accuracy mean_recall recall ece images protocol model deduplicated"
    assert list(record) == keys.split()
    assert record["images"] == 6
    assert record["deduplicated"] is None
    for key in ("accuracy", "mean_recall", "ece"):
        assert 0 <= record[key] <= 1
    # Only what is wrong with this miniature of the data set is said besides, and no terminal codes.
    lines = done.stderr.splitlines()
    assert [line[:17] for line in lines] == ["esrface: warning:"] * 2
    assert "\x1b" not in done.stderr


def test_for_people_there_is_a_table_on_stderr(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_ferplus(data, "zip", "train", ["Happy"], first_seed=0)
    assert main(_arguments(data, tiny_model, "--json")) == 0
    record = json.loads(capsys.readouterr().out)
    assert main(_arguments(data, tiny_model)) == 0
    seen = capsys.readouterr()
    assert seen.out == ""
    rows = {line.split("  ")[0].strip(): line.split() for line in seen.err.splitlines()}
    inner = record["deduplicated"]
    figures = [f"{100 * part['accuracy']:.2f}" for part in (record, inner)]
    assert rows["accuracy"] == ["accuracy", figures[0], "%", figures[1], "%"]
    assert rows["images"] == ["images", "6", "5"]
    assert rows["recall Contempt"] == ["recall", "Contempt", "-", "-"]
    assert record["protocol"] in seen.err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(
    data: Path, tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(_arguments(data, tiny_model, "--out", str(tmp_path / "file" / "report"))) == 2
    seen = capsys.readouterr().err
    assert seen.endswith("a part of its path is a file, not a folder\n")
    assert "accuracy" not in seen
    with reachable_folder() as folder:
        (folder / "locked").mkdir(mode=0o555)
        with unprivileged(), pytest.raises(OutputError, match="permission denied; write to another place"):
            check_place(folder / "locked" / "below" / "report", ["one"], overwrite=False)
        assert not list((folder / "locked").iterdir())


def test_a_place_without_any_folder_above_it_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a drive that is not there: not even its root exists.
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(OutputError, match=r"^cannot write \S+report: No such file or directory$"):
        check_place(tmp_path / "report", ["one"], overwrite=False)


def test_options_reach_the_inference(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--mirror", "--vote", "plurality", "--label-rule", "distribution", "--json")
    assert main(_arguments(data, tiny_model, *options)) == 0
    protocol = json.loads(capsys.readouterr().out)["protocol"]
    assert "label rule distribution: 6 of 8 images" in protocol
    assert "mirror on, vote plurality" in protocol


def test_report_folder(data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = data.parent / "a new" / "report"
    assert main(_arguments(data, tiny_model, "--out", str(out), "--json")) == 0
    assert sorted(path.name for path in out.iterdir()) == FILES
    printed = json.loads(capsys.readouterr().out)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert {key: report[key] for key in printed} == printed
    assert f"{100 * printed['accuracy']:.2f} %" in (out / "report.md").read_text(encoding="utf-8")
    assert len((out / "predictions.csv").read_text(encoding="utf-8").splitlines()) == 7


def test_an_earlier_report_is_kept_unless_overwritten(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data.parent / "report"
    out.mkdir()
    (out / "confusion.png").write_text("mine")
    assert main(_arguments(data, tiny_model, "--out", str(out))) == 2
    said = capsys.readouterr().err
    assert "confusion.png: it exists already" in said
    assert said.count("\n") == 1  # refused before anything was computed
    assert [path.name for path in out.iterdir()] == ["confusion.png"]
    assert (out / "confusion.png").read_text() == "mine"
    assert main(_arguments(data, tiny_model, "--out", str(out), "--overwrite")) == 0
    assert (out / "confusion.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in out.iterdir()) == FILES


def test_a_report_folder_that_is_a_file_is_refused_before_the_work(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data.parent / "report").write_text("a file")
    assert main(_arguments(data, tiny_model, "--out", str(data.parent / "report"))) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_figures_are_shown_where_the_report_cannot_be_written(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert main(_arguments(data, tiny_model, "--json", "--out", str(data.parent / "report"))) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    seen = capsys.readouterr()
    assert json.loads(seen.out)["images"] == 6
    assert "cannot write" in seen.err.splitlines()[-1]
    assert not [path for path in (data.parent / "report").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "ferplus"], "--data"),
        (["evaluate", "ferpls", "--data", "."], "did you mean 'ferplus'?"),
        (["evaluate", "ferplus", "--data", ".", "--split", "tets"], "did you mean 'test'?"),
        (["evaluate", "ferplus", "--data", ".", "--label-rule", "majorty"], "did you mean 'majority'?"),
        (["evaluate", "ferplus", "--data", ".", "--ot", "x"], "--out"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert said in seen.err


def test_bad_data_is_one_line_and_exit_2(
    data: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(_arguments(data, tiny_model, "--split", "test", "--json")) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert "FER2013Test.zip" in seen.err
    (data / "FER2013Valid.zip").unlink()
    names = write_ferplus(data, "original", "valid", DRAWN)
    (data / "Images" / "FER2013Valid" / names[2]).unlink()  # listed, though the rule would leave it out
    assert main(_arguments(data, tiny_model, "--json")) == 2
    seen = capsys.readouterr()
    assert seen.out == ""
    assert seen.err.count("\n") == 1
    assert names[2] in seen.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_stdout_is_one_line(data: Path, tiny_model: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "esrface", *_arguments(data, tiny_model, "--json")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "standard output cannot be written" in done.stderr


def test_ascii_terminal_of_40_columns(data: Path, tiny_model: Path) -> None:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii", "COLUMNS": "40", "TERM": "dumb"}
    done = _run(_arguments(data, tiny_model), env=environment)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "recall Contempt" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_sees_progress(data: Path, tiny_model: Path) -> None:
    import pty

    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "esrface", *_arguments(data, tiny_model, "--json")],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(terminal)
    shown = b""
    while True:
        try:
            part = os.read(controller, 4096)
        except OSError:  # Linux says so where the other side has closed.
            break
        if not part:
            break
        shown += part
    os.close(controller)
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    hidden, shown_again = shown.find(b"\x1b[?25l"), shown.rfind(b"\x1b[?25h")
    assert 0 <= hidden < shown_again  # the bar hides the cursor and gives it back
    assert json.loads(printed)["images"] == 6


def test_help_page_has_examples_and_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "ferplus", "--help"]) == 0
    page = capsys.readouterr().out
    assert "esrface evaluate ferplus --data ferplus --split valid" in page
    for name in ("--data", "--split", "--model", "--label-rule", "--vote", "--no-mirror", "--out", "--json"):
        assert name in page
    assert "--abstain-below" not in page  # it would change nothing here


@pytest.mark.skipif("ESRFACE_FERPLUS" not in os.environ, reason="needs ESRFACE_FERPLUS: a folder with FER+")
@pytest.mark.skipif(DEFAULT_MODEL not in shipped_names(), reason="the default model is not here yet")
def test_the_shipped_model_reaches_the_figure_on_its_card(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "ferplus", "--data", os.environ["ESRFACE_FERPLUS"], "--json"]) == 0
    seen = capsys.readouterr()
    record = json.loads(seen.out)
    score = resolve_model().card.scores[0]
    assert record["images"] == score["images"] == 3191
    # Figures are counts of right answers; two images either way are allowed between kinds of CPUs.
    assert record["accuracy"] == pytest.approx(score["accuracy"], abs=2.5 / 3191)
    assert record["mean_recall"] == pytest.approx(score["mean_recall"], abs=0.02)
    assert record["ece"] == pytest.approx(score["ece"], abs=0.005)
    assert seen.err == ""
