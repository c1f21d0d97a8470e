"""Downloading published weights from a real server that dies, lies, or is not there."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from esrface import ModelError, OutputError, Recognizer
from esrface.cli import main
from esrface.models import download as downloading
from esrface.models import manifest as manifests
from esrface.models.download import download
from esrface.models.manifest import Manifest, git_blob_id, load_manifest
from esrface.models.original import BASE_FILE, BRANCH_FILE
from loopback import Loopback
from original_layout import write_folder
from processes import heed_signals

NAME = "esr1-example"
BRANCH = BRANCH_FILE.format(1)
Run = Callable[..., int]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Real weights of one branch with random numbers: the base's file (1.5 MB) and a branch's (9 MB)."""
    folder = write_folder(tmp_path_factory.mktemp("weights"), branches=1)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def manifest(files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    """What there is to download, and an empty models folder to put it in."""
    original = json.loads((manifests.MANIFESTS / "esr9-affectnet.json").read_text("utf-8"))
    listed = []
    for name in (BASE_FILE, BRANCH):
        (tmp_path / "one").write_bytes(files[name])
        size = len(files[name]) if name == BASE_FILE else None
        listed.append({"name": name, "bytes": size, "git_blob": git_blob_id(tmp_path / "one")})
    folder = tmp_path / "published"
    folder.mkdir()
    described = {**original, "name": NAME, "about_bytes": 10_000_000, "files": listed}
    (folder / f"{NAME}.json").write_text(json.dumps(described), "utf-8")
    monkeypatch.setattr(manifests, "MANIFESTS", folder)
    monkeypatch.setattr(downloading, "WAITS_S", (0.0, 0.0))
    monkeypatch.setenv("ESRFACE_MODELS", str(tmp_path / "models"))
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    return load_manifest(NAME)


@pytest.fixture
def server(files: dict[str, bytes]) -> Iterator[Loopback]:
    with Loopback(dict(files)) as server:
        yield server


@pytest.fixture
def run(server: Loopback) -> Run:
    """``esrface models download`` from the server, terms accepted; returns the exit code."""

    def download_it(url: str = server.url) -> int:
        return main(["models", "download", NAME, "--accept-licence", "--url", url])

    return download_it


def models(tmp_path: Path) -> list[str]:
    folder = tmp_path / "models"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "Traceback" not in shown.err
    *terms, line = shown.err.splitlines()
    assert not any(term.startswith("esrface:") for term in terms)
    return line


def test_a_download_is_found_by_its_name(
    manifest: Manifest, run: Run, server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError, match=f"is not on this machine yet: esrface models download {NAME}$"):
        Recognizer(NAME)
    assert run() == 0
    shown = capsys.readouterr()
    assert "non-commercial use only" in shown.err
    assert f"use it with --model {NAME}" in shown.err
    assert models(tmp_path) == sorted(
        [NAME, *(f"{NAME}/{name}" for name in ("card.json", BASE_FILE, BRANCH))]
    )
    with Recognizer(NAME, detector="none", threads=1) as recognizer:
        assert recognizer.card.name == NAME
        assert recognizer.card.licence == manifest.licence
        [answer] = recognizer.predict([np.full((50, 50, 3), 90, np.uint8)])
    assert answer.affect_source == "network"
    assert main(["models", "verify", NAME]) == 0
    capsys.readouterr()
    server.close()
    assert run() == 0
    assert "is here already, and intact" in capsys.readouterr().err


def test_a_server_that_dies_midway_and_comes_back(
    manifest: Manifest, run: Run, server: Loopback, files: dict[str, bytes], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server.habits.breaks_after = 2_000_000
    assert run() == 2
    line = last_line(capsys)
    assert f"the download of {BRANCH} broke off after 6.0 MB (" in line
    assert "the same command goes on with it" in line
    server.close()
    assert run() == 2
    assert re.search(
        r"cannot reach .*\(Connection refused\).*6\.0 MB of Net-Branch_1\.pt are kept", last_line(capsys)
    )
    assert models(tmp_path) == [f".{NAME}.part", f".{NAME}.part/{BASE_FILE}", f".{NAME}.part/{BRANCH}.part"]
    with Loopback(dict(files)) as second:
        assert run(second.url) == 0
        assert second.habits.asked == [(BRANCH, "bytes=6000000-")]
    assert (tmp_path / "models" / NAME / BRANCH).read_bytes() == files[BRANCH]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_process_that_is_stopped_midway_goes_on(
    signum: int, code: int, manifest: Manifest, run: Run, server: Loopback, tmp_path: Path
) -> None:
    server.habits.pause_s = 0.05
    script = (
        "import sys; from pathlib import Path; from esrface.models import manifest\n"
        "manifest.MANIFESTS = Path(sys.argv.pop(1)); from esrface.cli import main; sys.exit(main())"
    )
    words = [sys.executable, "-c", script, str(manifests.MANIFESTS), "models", "download", NAME]
    words += ["--accept-licence", "--url", server.url]
    part = tmp_path / "models" / f".{NAME}.part" / f"{BRANCH}.part"
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, preexec_fn=heed_signals) as process:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 300_000):
            time.sleep(0.01)
        process.send_signal(signum)
        started = time.monotonic()
        _, err = process.communicate(timeout=20)
    assert time.monotonic() - started < 2
    assert process.returncode == code
    assert b"Traceback" not in err
    if code == 130:
        assert b"what came so far stays; the same command goes on with it" in err
    server.habits.pause_s = 0.0
    server.habits.asked.clear()
    assert run() == 0
    [(name, asked_from)] = server.habits.asked
    assert name == BRANCH
    assert int(asked_from.removeprefix("bytes=").removesuffix("-")) > 300_000


def test_a_server_that_cannot_go_on_in_the_middle(
    manifest: Manifest, run: Run, server: Loopback, files: dict[str, bytes], tmp_path: Path
) -> None:
    server.habits.breaks_after = 2_000_000
    run()
    server.habits.breaks_after, server.habits.ranges = None, False
    assert run() == 0
    assert (tmp_path / "models" / NAME / BRANCH).read_bytes() == files[BRANCH]


@pytest.mark.parametrize("left", [b"\0" * 1000, b"\0" * 20_000_000])
def test_what_an_earlier_run_left_may_be_wrong(
    left: bytes, manifest: Manifest, run: Run, files: dict[str, bytes], tmp_path: Path
) -> None:
    """Too short and wrong, or longer than the server's file: fetched once more from the start."""
    work = tmp_path / "models" / f".{NAME}.part"
    work.mkdir(parents=True)
    (work / f"{BRANCH}.part").write_bytes(left)
    (work / BASE_FILE).write_bytes(left)
    assert run() == 0
    for name in (BASE_FILE, BRANCH):
        assert (tmp_path / "models" / NAME / name).read_bytes() == files[name]


def test_a_server_that_does_not_tell_the_length(manifest: Manifest, run: Run, server: Loopback) -> None:
    server.habits.tells_length = False
    assert run() == 0


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({BASE_FILE: b"tiny"}, r"/weights/Net-Base\S+ is not the published file: 4 bytes, expected 1,5\d\d,"),
        ({BRANCH: b"other"}, r"Net-Branch_1\.pt is not the published file \(5 bytes that do not match \w{40}\)"),  # noqa: E501
        ({BRANCH: b""}, r"Net-Branch_1\.pt is not the published file \(0 bytes"),
        ({BRANCH: b"\0" * 100_000_001}, r"is not the published file: 100,000,001 bytes, expected at most 100"),  # noqa: E501
    ],
)  # fmt: skip
@pytest.mark.parametrize("tells_length", [True, False])
def test_wrong_content_is_thrown_away(
    wrong: dict[str, bytes], line: str, tells_length: bool, manifest: Manifest, run: Run, server: Loopback,
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server.habits.files.update(wrong)
    server.habits.tells_length = tells_length
    if not tells_length and BASE_FILE in wrong:
        line = r"Net-Base\S+ is not the published file \(4 bytes that do not match"
    if not tells_length and len(wrong.get(BRANCH, b"")) > 100:
        line = r"is not the published file: 100,0\d\d,\d\d\d bytes, expected at most 100,000,000$"
    assert run() == 2
    assert re.search(line, last_line(capsys))
    assert NAME not in models(tmp_path)
    with pytest.raises(ModelError, match="is not on this machine yet"):
        Recognizer(NAME)


def test_a_log_in_page_is_recognised(
    manifest: Manifest, run: Run, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    server.habits.page = b"<html>Welcome to our hotel</html>"
    assert run() == 2
    assert "33 bytes of a web page (does the network ask for a log-in?)" in last_line(capsys)


@pytest.mark.parametrize(
    ("status", "line", "requests"),
    [
        (404, "says 404 Not Found for Net-Base-Shared_Representations.pt: it may have moved; get", 1),
        (403, "says 403 Forbidden for Net-Base", 1),
        (503, "broke off after 0.0 MB (127.0.0.1:{port} says 503 Service Unavailable): what came", 3),
    ],
)
def test_errors_of_the_server_are_one_line(
    status: int, line: str, requests: int, manifest: Manifest, run: Run, server: Loopback, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server.habits.status = status
    assert run() == 2
    assert line.format(port=server.port) in last_line(capsys)
    assert len(server.habits.asked) == requests
    assert models(tmp_path) == []


def test_no_network_is_one_line_that_names_the_proxy_but_not_its_password(
    manifest: Manifest, run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    server.close()
    assert run() == 2
    refused = (
        f"esrface: cannot reach 127.0.0.1:{server.port} (Connection refused): check the network, HTTPS_PROXY"
    )
    assert last_line(capsys).startswith(refused)
    monkeypatch.setenv("http_proxy", f"http://someone:secret@127.0.0.1:{server.port}")
    assert run("http://weights.invalid/esr") == 2
    line = last_line(capsys)
    assert f"cannot reach weights.invalid through the proxy 127.0.0.1:{server.port} (" in line
    assert "secret" not in line


def test_a_proxy_is_used(
    manifest: Manifest, run: Run, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    assert run("http://weights.invalid/esr/") == 0
    assert server.habits.asked[0][0] == f"http://weights.invalid/esr/{BASE_FILE}"


@pytest.mark.parametrize("url", ["file:///etc/passwd", "weights", "ftp://127.0.0.1/x", "http://"])
def test_other_addresses_are_refused(
    url: str, manifest: Manifest, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(url) == 2
    assert "is no address of a web server" in last_line(capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line(
    manifest: Manifest, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "models" / f".{NAME}.part"
    work.mkdir(parents=True)
    (work / f"{BRANCH}.part").symlink_to("/dev/full")
    assert run() == 2
    assert re.search(rf"cannot write .*{BRANCH}\.part: no space left on the device", last_line(capsys))
    assert (work / BASE_FILE).exists()


def test_a_disk_that_is_too_small_is_said_beforehand(
    manifest: Manifest, server: Loopback, tmp_path: Path
) -> None:
    with pytest.raises(
        OutputError, match=r"needs 1000000000000\.0 MB, and .* are free; make room, or set ESRFACE_M"
    ):
        download(replace(manifest, about_bytes=10**18), url=server.url)
    assert server.habits.asked == []
    assert models(tmp_path) == []


def test_a_models_folder_that_cannot_be_written(
    manifest: Manifest, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ESRFACE_MODELS", str(tmp_path / "file"))
    assert run() == 2
    assert "a part of its path is a file, not a folder" in last_line(capsys)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX locks")
def test_two_at_once(
    manifest: Manifest, run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import fcntl

    (tmp_path / "models").mkdir()
    with (tmp_path / "models" / f".{NAME}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert run() == 2
    assert f"{NAME} is being downloaded by another process: wait for it to end" in last_line(capsys)
    assert run() == 0


def test_without_acceptance_nothing_is_asked_of_the_server(
    manifest: Manifest, server: Loopback, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "download", NAME, "--url", server.url]) == 2
    shown = capsys.readouterr().err
    assert all(sentence in shown for sentence in manifest.terms)
    assert shown.splitlines()[-1].endswith("add --accept-licence to accept them")
    assert server.habits.asked == []
    assert models(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("answer", "code"), [("y", 0), ("n", 2), ("", 2)])
def test_on_a_terminal_there_is_a_question(
    answer: str, code: int, manifest: Manifest, server: Loopback, tmp_path: Path
) -> None:
    script = (
        "import sys; from pathlib import Path; from esrface.models import manifest\n"
        "manifest.MANIFESTS = Path(sys.argv.pop(1)); from esrface.cli import main; sys.exit(main())"
    )
    words = [
        sys.executable,
        "-c",
        script,
        str(manifests.MANIFESTS),
        "models",
        "download",
        NAME,
        "--url",
        server.url,
    ]
    ours, theirs = os.openpty()
    os.write(ours, f"{answer}\n".encode())
    with subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 65536)
            except OSError:  # How Linux tells that nobody is left at the other end.
                break
            if not block:
                break
            shown += block
        assert process.wait(timeout=30) == code
    os.close(ours)
    assert b"Do you accept these terms, and download 10 MB? [y/N]" in shown
    assert (NAME in models(tmp_path)) == (code == 0)
    if code:
        assert b"not accepted: nothing was downloaded" in shown


def test_the_shipped_manifest_holds_the_published_facts() -> None:
    manifest = load_manifest("esr9-affectnet")
    assert [file.name for file in manifest.files] == [
        BASE_FILE,
        *(BRANCH_FILE.format(i) for i in range(1, 10)),
    ]
    assert manifest.files[0].bytes == 1_506_551
    assert len({file.git_blob for file in manifest.files}) == 10
    assert all(re.fullmatch("[0-9a-f]{40}", file.git_blob) for file in manifest.files)
    assert f"/{manifest.commit}/model/ml/trained_models/esr_9/" in manifest.url
    assert manifest.url.startswith("https://")


def test_blob_ids_are_gits(tmp_path: Path) -> None:
    (tmp_path / "hello").write_bytes(b"hello\n")
    assert git_blob_id(tmp_path / "hello") == "ce013625030ba8dba906f756967f9e9ca394464a"
