"""A web server on loopback with the habits that a download has to survive."""

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
      body: The whole content, in bytes.
      status: HTTP status of a request for the whole content.
      content_type: Value of that header.
      ranges: Whether `Range: bytes=N-` is honoured (206, or 416 past the end).
      location: Where the client is sent instead, with status 302.
      cut_at: Once, the connection ends when this many bytes have been sent.
      hold_at: Once, the connection hangs there until the server stops.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "application/octet-stream"
    ranges: bool = True
    location: str | None = None
    cut_at: int | None = None
    hold_at: int | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    server: DownloadServer

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.server.requests.append((self.path, wanted))
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
        elif answer.location is not None:
            self.send_response(302)
            self.send_header("Location", answer.location)
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self._send(answer, wanted)

    def _send(self, answer: Answer, wanted: str | None) -> None:
        start, body = 0, answer.body
        status = answer.status
        if wanted and answer.ranges and status == 200:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            status = 206 if start < len(body) else 416
        self.send_response(status)
        if status == 206:
            last = f"{len(body) - 1}/{len(body)}"
            self.send_header("Content-Range", f"bytes {start}-{last}")
        rest = b"" if status == 416 else body[start:]
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut, answer.cut_at = answer.cut_at, None
        hold, answer.hold_at = answer.hold_at, None
        with contextlib.suppress(ConnectionError):
            self.wfile.write(rest[: hold if cut is None else cut])
            self.wfile.flush()
        if hold is not None:
            self.server.closing.wait(30)

    def log_message(self, *args: object) -> None:
        """Says nothing: the requests are recorded in `server.requests`."""


class DownloadServer(http.server.ThreadingHTTPServer):
    """Answers from a table and remembers what it was asked.

    Attributes:
      answers: Path (with its query) to answer; anything else is a 404.
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
