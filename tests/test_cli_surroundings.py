"""``esrface`` in real surroundings: signals, closed pipes, full disks, poor terminals, odd names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from drawn import drawn_face
from esrface.models.registry import WEIGHTS
from processes import heed_signals, until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals, devices and names")

PICTURES = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a few small pictures; nothing is written there."""
    place = tmp_path_factory.mktemp("pictures")
    for number in range(PICTURES):
        PIL.Image.fromarray(drawn_face("Happy", number)).save(place / f"{number:04}.png")
    return place


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 1,500 pictures: more than is done before a test reacts."""
    place = tmp_path_factory.mktemp("many")
    first = place / "0000.png"
    PIL.Image.fromarray(drawn_face("Happy", 0)).save(first)
    for number in range(1, 1500):
        os.link(first, place / f"{number:04}.png")
    return place


@pytest.fixture
def command(tiny_model: Path) -> Callable[..., list[str]]:
    """Words of an ``esrface image`` that needs little time."""

    def make(*arguments: str | Path) -> list[str]:
        start = [sys.executable, "-m", "esrface", "image", "--model", str(tiny_model), "--detector", "none"]
        return [*start, *map(str, arguments)]

    return make


def run(words: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 60, "check": False, **options}
    return subprocess.run(words, **options)


def one_line(text: str) -> str:
    assert text.count("\n") == 1, text
    assert "Traceback" not in text
    return text.rstrip("\n")


# Signals


@pytest.fixture
def running(
    command: Callable[..., list[str]], many: Path, tmp_path: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A run over many pictures that has written its first rows."""
    rows = tmp_path / "rows.csv"
    words = command(many, "--csv", rows, "--save", tmp_path / "out", "--threads", "2")
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        assert until(lambda: rows.exists() and rows.stat().st_size >= 2000)
        yield process
        process.kill()


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_closes_everything_within_two_seconds(
    name: str, code: int, running: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    started = time.monotonic()
    running.send_signal(getattr(signal, name))
    _, err = running.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert running.returncode == code
    assert err.decode().splitlines()[-1] == f"esrface: stopped by {name}"
    assert b"Traceback" not in err
    rows = (tmp_path / "rows.csv").read_bytes()
    assert rows.endswith(b"\n")
    assert {line.count(b",") for line in rows.splitlines()} == {24}
    assert not list(tmp_path.rglob("*.part"))
    pictures = list((tmp_path / "out").glob("*.png"))
    assert abs(len(pictures) - (rows.count(b"\n") - 1)) <= 1
    for path in pictures:
        PIL.Image.open(path).verify()


def test_what_kill_9_leaves_can_be_resumed(
    running: subprocess.Popen[bytes], command: Callable[..., list[str]], many: Path, tmp_path: Path
) -> None:
    running.kill()
    running.communicate()
    before = (tmp_path / "rows.csv").read_bytes()
    with (tmp_path / "rows.csv").open("ab") as file:
        file.write(b"torn,0,,0,")
    done = run(command(many, "--csv", tmp_path / "rows.csv", "--resume", "--quiet"))
    assert (done.returncode, done.stderr) == (0, "")
    after = (tmp_path / "rows.csv").read_bytes()
    assert after.startswith(before.rpartition(b"\n")[0])
    assert after.count(b"\n") == 1501
    assert len(set(after.splitlines())) == 1501


def test_a_signal_does_not_wait_for_a_picture_that_never_comes(command: Callable[..., list[str]]) -> None:
    """Standard input that nobody writes to: reading it cannot be interrupted, ending can."""
    with subprocess.Popen(
        command("-"), stdin=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed_signals
    ) as process:
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=2) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b"esrface: stopped by SIGINT\n"


def test_nohup_is_respected(command: Callable[..., list[str]], many: Path) -> None:
    words = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command(many, "--json")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGHUP)
        for _ in range(50):
            assert process.stdout.readline().endswith(b"}\n")
        process.kill()


# Streams


@pytest.mark.parametrize("redirect", ["--json", "--quiet --csv /dev/stdout", "2>&1"])
def test_a_closed_pipe_ends_quietly(
    redirect: str, command: Callable[..., list[str]], many: Path, tmp_path: Path
) -> None:
    line = f'{{ "$@" {redirect}; echo $? > code; }} | head -n 2'
    done = run(["sh", "-c", line, "sh", *command(many)], cwd=tmp_path)
    assert done.stdout.count("\n") == 2
    assert done.stderr == ""
    assert (tmp_path / "code").read_text() == "0\n"


def test_a_closed_pipe_does_not_end_other_outputs(
    command: Callable[..., list[str]], folder: Path, tmp_path: Path
) -> None:
    words = ["sh", "-c", '"$@" | true', "sh", *command(folder, "--json", "--csv", tmp_path / "rows.csv")]
    assert run(words).returncode == 0
    assert (tmp_path / "rows.csv").read_bytes().count(b"\n") == PICTURES + 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("output", ["--csv", "--jsonl", "--json", "--help", "stderr"])
def test_a_full_disk_is_one_line_and_exit_2(
    output: str, command: Callable[..., list[str]], folder: Path
) -> None:
    with Path("/dev/full").open("w") as full:
        if output == "stderr":
            done = run(command(folder), capture_output=False, stdout=subprocess.PIPE, stderr=full)
            assert (done.returncode, done.stdout) == (2, "")
            return
        to_stdout = output in ("--json", "--help")
        stdout = full if to_stdout else subprocess.PIPE
        file = [] if to_stdout else ["/dev/full"]
        done = run(
            command(folder, output, *file), capture_output=False, stdout=stdout, stderr=subprocess.PIPE
        )
    assert done.returncode == 2
    assert "o space left on " in one_line(done.stderr).replace("No", "no")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", [["models"], ["models", "list"], ["models", "info", "esr9-fer"], ["doctor"]]
)
def test_an_answer_for_people_that_cannot_be_written_is_one_line_and_exit_2(words: list[str]) -> None:
    command = [sys.executable, "-m", "esrface", *words]
    with Path("/dev/full").open("w") as full:
        done = run(command, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    line = "esrface: standard output cannot be written: No space left on device"
    assert (done.returncode, one_line(done.stderr)) == (2, line)
    # A reader that has enough is no failure.
    piped = run(["sh", "-c", 'trap "" PIPE; { "$@"; echo $? >&2; } | true', "sh", *command])
    assert piped.stderr == "0\n"


def test_a_current_folder_that_is_gone_is_named(command: Callable[..., list[str]], folder: Path) -> None:
    start = ["sh", "-c", 'cd "$(mktemp -d)"; rmdir "$PWD"; exec "$@"', "sh"]
    done = run([*start, *command("x.jpg")])
    line = "esrface: the current folder does not exist any more: go to another one"
    assert (done.returncode, one_line(done.stderr)) == (2, line)
    assert run([*start, *command(folder / "0000.png", "--quiet")]).returncode == 0


def test_a_disk_that_fills_up_stops_the_run_and_keeps_whole_files(
    command: Callable[..., list[str]], folder: Path, tmp_path: Path
) -> None:
    """A limit on the size of files is the nearest thing to a small disk that needs no privileges."""
    limited = ["sh", "-c", 'ulimit -f 8; exec "$@"', "sh"]
    done = run([*limited, *command(folder, "--csv", tmp_path / "rows.csv", "--branches", "--quiet")])
    assert done.returncode == 2
    assert one_line(done.stderr.splitlines()[-1] + "\n").startswith(
        f"esrface: cannot write {tmp_path}/rows.csv: "
    )
    rows = (tmp_path / "rows.csv").read_bytes()
    assert rows == b"" or rows.endswith(b"\n")


def test_streams_that_are_closed(command: Callable[..., list[str]], folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    done = run(["sh", "-c", '"$@" 2>&- <&-', "sh", *command(folder, "--csv", rows)])
    assert (done.returncode, done.stdout) == (0, "")
    assert rows.read_bytes().count(b"\n") == PICTURES + 1
    done = run(["sh", "-c", '"$@" >&-', "sh", *command(folder, "--json")])
    assert done.returncode == 2
    assert one_line(done.stderr) == "esrface: standard output is closed: nothing can be written to it"


# Terminals


@pytest.mark.parametrize(
    "surroundings",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii:strict", "COLUMNS": "40"},
        {"TERM": "dumb", "COLUMNS": "1"},
    ],
)
def test_poor_terminals_get_plain_text(
    surroundings: dict[str, str], command: Callable[..., list[str]], folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "0000.png", tmp_path / "schön.png")
    done = run(command(tmp_path, "--branches"), env={**os.environ, **surroundings})
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if "COLUMNS" not in surroundings or surroundings["COLUMNS"] == "40":
        assert done.stderr.isascii()
        assert "\\x" in done.stderr or "sch" in done.stderr
    assert "\x1b" not in done.stderr
    assert run(command(tmp_path, "--help"), env={**os.environ, **surroundings}).returncode == 0
    found = run(command(tmp_path, "--json"), env={**os.environ, **surroundings})
    assert json.loads(found.stdout)["source"].endswith("schön.png")


def in_terminal(words: list[str], **variables: str) -> str:
    """What a command writes to a pseudo-terminal of 80 columns."""
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24", **variables}
    environment.pop("NO_COLOR", None) if "NO_COLOR" not in variables else None
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:
                break
            if not block:
                break
            shown += block
        assert process.wait(timeout=30) == 0
    os.close(ours)
    return shown.decode()


def test_a_terminal_gets_colours_and_a_bar_unless_told_otherwise(
    command: Callable[..., list[str]], folder: Path, many: Path
) -> None:
    words = command(folder)
    assert "\x1b[38;" in in_terminal(words)
    plain = in_terminal(words, NO_COLOR="1")
    assert "\x1b[38;" not in plain
    assert "\x1b[" not in in_terminal(words, TERM="dumb")
    long = in_terminal(command(many, many, "--threads", "1", "--csv", "/dev/null"))
    assert "/3000" in long, "the bar knows the total"
    assert "written: /dev/null" in long.splitlines()[-1]


# Names and places


def test_odd_names(command: Callable[..., list[str]], folder: Path, tmp_path: Path) -> None:
    names = [
        b"-rf.png",
        b"100%.png",
        b"a b.PNG",
        b"caf\xe9.png",
        "雪.png".encode(),
        b"line\nbreak.png",
        b"[x].png",
    ]
    for name in names:
        shutil.copy(folder / "0000.png", os.path.join(os.fsencode(tmp_path), name))  # noqa: PTH118 - bytes
    (tmp_path / "._a.png").write_bytes(b"no picture")
    (tmp_path / "loop").symlink_to(tmp_path)
    found = run(command("--json", "--save", "out", "-o", "csv", "--csv", "rows.csv", "--", "."), cwd=tmp_path)
    assert found.returncode == 0
    assert found.stderr == ""
    sources = [json.loads(line)["source"] for line in found.stdout.splitlines()]
    assert sorted(os.fsencode(source) for source in sources) == sorted(b"./" + name for name in names)
    assert len(list((tmp_path / "out").glob("*.[pP]*"))) == len(names)
    assert len(list((tmp_path / "csv").glob("*.csv"))) == len(names)
    again = run(command("--resume", "--csv", "rows.csv", "."), cwd=tmp_path)
    assert again.returncode == 0
    assert f"{len(names) - 1} pictures done before" in again.stderr
    table = run(command(os.fsdecode(b"caf\xe9.png"), "line\nbreak.png"), cwd=tmp_path)
    assert [line.split()[0] for line in table.stderr.splitlines()[1:3]] == [
        "caf\\xe9.png",
        "line\\nbreak.png",
    ]


def test_a_folder_of_many_starts_at_once(command: Callable[..., list[str]], many: Path) -> None:
    with subprocess.Popen(command(many, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"schema_version":1,')
        assert process.poll() is None  # it answers while most of the folder is still to come
        process.kill()


def test_no_home_and_a_read_only_folder(
    command: Callable[..., list[str]], folder: Path, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    here.chmod(0o555)
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "TMPDIR")}
    done = run(command(folder, "--json"), cwd=here, env={**environment, "HOME": "/nonexistent"})
    assert done.returncode == 0
    assert done.stdout.count("\n") == PICTURES
    assert list(here.iterdir()) == []


def test_recognising_uses_no_network(command: Callable[..., list[str]], folder: Path, tmp_path: Path) -> None:
    """Any socket is an error: told by a module that Python loads before everything else."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*args, **kwargs):\n"
        "    raise RuntimeError('a socket was opened')\n"
        "socket.socket = socket.create_connection = socket.getaddrinfo = refuse\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-m", "esrface", "image", str(folder / "0000.png"), "--json"]
    done = run(words, env={**os.environ, "PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["model"] == sorted(WEIGHTS.glob("*.onnx"))[0].stem
