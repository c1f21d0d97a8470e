"""A web server on the loopback interface that can misbehave the ways real ones do."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Habits:
    """What the server does with each file; change it at any time."""

    files: dict[str, bytes]
    ranges: bool = True
    """Whether it can go on in the middle of a file."""
    breaks_after: int | None = None
    """Bytes of an answer after which the connection is cut."""
    status: int | None = None
    """Answer with this error instead."""
    pause_s: float = 0.0
    """Wait after every 64 kB."""
    page: bytes | None = None
    """Answer with this web page, whatever was asked for."""
    tells_length: bool = True
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Name (with its whole address if asked as a proxy) and Range header of every request."""


class Loopback:
    """``with Loopback(files) as server``: serves them from ``server.url`` until the block ends."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.habits = habits = Habits(files)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                _answer(self, habits)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/weights"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Loopback:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Gone: later connections are refused. Safe to repeat."""
        self._server.shutdown()
        self._server.server_close()


def _answer(request: BaseHTTPRequestHandler, habits: Habits) -> None:
    name = request.path.rpartition("/")[2]
    asked_as = request.path if request.path.startswith("http") else name
    wanted = request.headers.get("Range", "")
    habits.asked.append((asked_as, wanted))
    if habits.status or (habits.page is None and name not in habits.files):
        request.send_error(habits.status or 404)
        return
    content = habits.files.get(name, b"") if habits.page is None else habits.page
    start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted and habits.ranges else 0  # type: ignore[index]
    if start and start >= len(content):
        request.send_error(416)
        return
    request.send_response(206 if start else 200)
    if start:
        request.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
    if habits.tells_length:
        request.send_header("Content-Length", str(len(content) - start))
    request.send_header("Content-Type", "text/html" if habits.page else "application/octet-stream")
    request.end_headers()
    _send(request, memoryview(content)[start:], habits)


def _send(request: BaseHTTPRequestHandler, body: memoryview, habits: Habits) -> None:
    if habits.breaks_after is not None:
        body = body[: habits.breaks_after]
    try:
        for at in range(0, len(body), 1 << 16):
            request.wfile.write(body[at : at + (1 << 16)])
            time.sleep(habits.pause_s)
    except ConnectionError:
        pass
    request.close_connection = True
