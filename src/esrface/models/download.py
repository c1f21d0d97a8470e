"""Downloads of published weights: resumed where they stopped, verified before they are used.

The only part of esrface that downloads anything, and only when it is called. Files grow as ``NAME.pt.part``
in a hidden folder of the models folder; each gets its name when its content is verified, and the folder gets
the model's name when it is complete. Proxies are taken from ``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``.
"""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from esrface import __version__
from esrface._names import printable
from esrface.errors import ModelError, OutputError
from esrface.models.installed import CARD, install, installed_folder, unfinished_folder
from esrface.models.manifest import Manifest, PublishedFile
from esrface.models.original import MAX_FILE_BYTES, read_state_files
from esrface.outputs import make_folder, output_errors, write_whole

TIMEOUT_S = 30.0
"""How long the other end may be silent."""

WAITS_S = (1.0, 3.0)
"""Pauses before going on after a connection broke; there are no more attempts than these and the first."""

BLOCK = 1 << 16

Progress = Callable[[int], object]
"""Called with the number of bytes that have come in so far, those of earlier runs included."""


class _Broken(Exception):  # noqa: N818 - no failure yet: the download goes on from there
    """The connection broke off, or the server is overloaded."""


def download(manifest: Manifest, *, url: str | None = None, progress: Progress = lambda _: None) -> Path:
    """Fetch published weights into the models folder, or what is missing of them; returns their folder.

    Args:
        manifest: Which. Whoever calls this has made sure that its terms are accepted.
        url: Folder of a mirror instead of the published place (http or https); content is verified alike.
        progress: See ``Progress``.

    Raises:
        ModelError: The network, the server, or what it sent; what came so far stays, and the next call goes
            on with it.
        OutputError: The models folder cannot be written, or the disk is full.
    """
    base = _folder_url(url or manifest.url)
    folder = installed_folder(manifest.name)
    if folder is not None:
        return folder
    work = make_folder(unfinished_folder(manifest.name))
    with _only_one(work, manifest.name):
        _check_room(work, manifest)
        done = 0
        for file in manifest.files:
            _fetch(base, file, work / file.name, _counting_from(done, progress))
            done += (work / file.name).stat().st_size
        card = manifest.card(read_state_files(work))
        write_whole(work / CARD, card.to_json(), overwrite=True)
    return install(work, manifest.name)


def _counting_from(done: int, progress: Progress) -> Progress:
    return lambda count: progress(done + count)


def _folder_url(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise ModelError(
            f"{printable(url)} is no address of a web server: it begins with http:// or https://"
        )
    return url if url.endswith("/") else f"{url}/"


def _check_room(work: Path, manifest: Manifest) -> None:
    """Say beforehand that the disk is too small."""
    there = sum(path.stat().st_size for path in work.iterdir())
    free = shutil.disk_usage(work).free
    if free < manifest.about_bytes - there:
        raise OutputError(
            f"cannot write {printable(work)}: {manifest.name} needs {_megabytes(manifest.about_bytes)}, and "
            f"{_megabytes(free)} are free; make room, or set ESRFACE_MODELS to a folder on another disk"
        )


def _fetch(base: str, file: PublishedFile, target: Path, progress: Progress) -> None:
    """Bring one file to its place, whole and verified."""
    if file.is_content_of(target):
        progress(target.stat().st_size)
        return
    part = target.with_name(f"{target.name}.part")
    for was_resumed in (_size(part) > 0, False):
        if not file.is_content_of(part):
            _load(urllib.parse.urljoin(base, file.name), file, part, progress)
        if file.is_content_of(part):
            with output_errors(target):
                part.replace(target)
            return
        size = _size(part)
        with output_errors(part):
            part.unlink(missing_ok=True)
        if not was_resumed:  # Else what an earlier run left may be to blame: once more from the start.
            break
    raise ModelError(
        f"{base}{file.name} is not the published file ({size:,} bytes that do not match {file.git_blob}): it "
        "was thrown away; try another network, or get the file elsewhere and use 'esrface models import'"
    )


def _load(url: str, file: PublishedFile, part: Path, progress: Progress) -> None:
    """Append to ``part`` until the server has sent everything, going on where connections break."""
    for wait in (*WAITS_S, None):
        try:
            _load_once(url, file, part, progress)
            return
        except _Broken as broken:
            if wait is None:
                raise ModelError(
                    f"the download of {file.name} broke off after {_megabytes(_size(part))} ({broken}): what "
                    "came so far stays, the same command goes on with it"
                ) from None
            time.sleep(wait)


def _load_once(url: str, file: PublishedFile, part: Path, progress: Progress) -> None:
    have = _size(part)
    if file.bytes is not None and have >= file.bytes:
        # As large as can be and not what it should be.
        have = 0
    headers = {"User-Agent": f"esrface/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _open(urllib.request.Request(url, headers=headers), file, have) as response:
        if have and not _goes_on_at(response, have):
            have = 0
        length = response.headers.get("Content-Length", "")
        total = have + int(length) if length.isdigit() else None
        if total is not None and total != (file.bytes or min(total, MAX_FILE_BYTES)):
            _refuse_size(url, file, total, response.headers.get_content_type())
        with output_errors(part), part.open("ab" if have else "wb") as output:
            for block in _blocks(response):
                have += len(block)
                if have > (file.bytes or MAX_FILE_BYTES):
                    _refuse_size(url, file, have)
                output.write(block)
                progress(have)
    if total is not None and have < total:
        raise _Broken(f"{_host(url)} closed the connection")


@contextmanager
def _open(request: urllib.request.Request, file: PublishedFile, have: int) -> Iterator[Any]:
    """The server's answer, or one line on why there is none."""
    host = _host(request.full_url)
    try:
        # An opener of our own: urlopen would keep the proxies of its first use.
        response = urllib.request.build_opener().open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416 and have:
                # It has less than we: start again, without the range.
                request.remove_header("Range")
                with _open(request, file, 0) as response:
                    yield response
                return
            if error.code >= 500 or error.code in (408, 429):
                raise _Broken(f"{host} says {error.code} {printable(error.reason)}") from None
            raise ModelError(
                f"{host} says {error.code} {printable(error.reason)} for {file.name}: it may have moved; get "
                "the files elsewhere and use 'esrface models import'"
            ) from None
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise _Broken(_words(error)) from None
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, (ConnectionResetError, TimeoutError)):
            raise _Broken(f"{host}: {_words(reason)}") from None
        kept = f"; {_megabytes(have)} of {file.name} are kept" if have else ""
        raise ModelError(
            f"cannot reach {_with_proxy(request.full_url)} ({_words(reason)}): check the network, "
            f"HTTPS_PROXY and NO_PROXY, or copy the files here and use 'esrface models import'{kept}"
        ) from None
    with response:
        yield response


def _blocks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            block = response.read(BLOCK)
        except (http.client.HTTPException, OSError) as error:
            raise _Broken(_words(error)) from None
        if not block:
            return
        yield block


def _goes_on_at(response: Any, have: int) -> bool:
    """Whether the answer begins where our part ends; servers without ranges begin at the start."""
    if response.status != http.client.PARTIAL_CONTENT:
        return False
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _refuse_size(url: str, file: PublishedFile, size: int, kind: str = "") -> NoReturn:
    expected = f"{file.bytes:,}" if file.bytes else f"at most {MAX_FILE_BYTES:,}"
    page = " of a web page (does the network ask for a log-in?)" if kind == "text/html" else ""
    raise ModelError(f"{url} is not the published file: {size:,} bytes{page}, expected {expected}")


@contextmanager
def _only_one(work: Path, name: str) -> Iterator[None]:
    """Keep a second process from writing to the same files; the system frees the lock when this one ends."""
    lock = work.with_name(f".{name}.lock")
    with output_errors(lock), lock.open("ab") as file:
        try:
            if sys.platform == "win32":
                import msvcrt

                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ModelError(f"{name} is being downloaded by another process: wait for it to end") from None
        try:
            yield
        finally:
            with suppress(OSError):
                lock.unlink()
            with suppress(OSError):
                work.rmdir()  # Where nothing came.


def _with_proxy(url: str) -> str:
    """The host, and the proxy on the way to it, without the password that may stand in its address."""
    parts = urllib.parse.urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
        return _host(url)
    return f"{_host(url)} through the proxy {_host(proxy if '://' in proxy else f'//{proxy}')}"


def _host(url: str) -> str:
    return printable(urllib.parse.urlsplit(url).netloc.rpartition("@")[2])


def _words(error: object) -> str:
    if isinstance(error, (TimeoutError, socket.timeout)):
        return f"no answer for {TIMEOUT_S:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was closed"
    if isinstance(error, OSError) and error.strerror:
        return printable(error.strerror)
    return printable(" ".join(str(error).split()) or type(error).__name__)


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"
