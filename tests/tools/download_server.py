"""A web server on loopback that sends files, breaks off, refuses, redirects."""

from __future__ import annotations

import contextlib
import dataclasses
import http.server
import threading
from collections.abc import Iterator

__all__ = ["Answer", "DownloadServer", "serve"]


@dataclasses.dataclass
class Answer:
    """What the server says about one path.

    Attributes:
      body: The whole content.
      status: HTTP status of a request for the whole content.
      headers: More headers.
      ranges: Whether `Range: bytes=N-` is honoured (206, or 416 past the end).
      says_length: Whether there is a Content-Length.
      cut_at: Once, the connection ends when this many bytes have been sent.
      hold_at: Once, the connection hangs there until the server stops.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    ranges: bool = True
    says_length: bool = True
    cut_at: int | None = None
    hold_at: int | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    server: DownloadServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        answer = self.server.answers[self.path]
        start, status = 0, answer.status
        if wanted and answer.ranges and status == 200:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(answer.body) else 416
        rest = b"" if status == 416 else answer.body[start:]
        headers = {**answer.headers}
        if status == 206:
            end = len(answer.body)
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{end}"
        if answer.says_length:
            headers["Content-Length"] = str(len(rest))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(answer, rest)

    def _send(self, answer: Answer, rest: bytes) -> None:
        cut, answer.cut_at = answer.cut_at, None
        hold, answer.hold_at = answer.hold_at, None
        with contextlib.suppress(ConnectionError):
            self.wfile.write(rest[: hold if cut is None else cut])
        if hold is not None:
            self.server.closing.wait(30)

    def log_message(self, *args: object) -> None:
        """Says nothing: the requests are recorded in `server.requests`."""


class DownloadServer(http.server.ThreadingHTTPServer):
    """Answers from a table and remembers what it was asked.

    Attributes:
      answers: Path to answer.
      requests: (path, value of the Range header or None), in order.
      closing: Set when the server stops, which lets hanging answers go.
      url: Address of the server, without a slash at the end.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, Answer] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.closing = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def serve() -> Iterator[DownloadServer]:
    """Runs a server on a free port of loopback for the length of a block."""
    server = DownloadServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
