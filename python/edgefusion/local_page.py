"""A page for one person on this machine: a small web server.

The server listens on 127.0.0.1 alone and answers no request that another site's page makes the browser send: it checks the Host
header (DNS rebinding), and takes JSON only (a form of another site cannot send that).
"""

from __future__ import annotations

import argparse
import json
import sys
import webbrowser
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

from edgefusion.errors import UserError

_POLICY = (
    "default-src 'none'; img-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)
_MAX_BODY = 1 << 16


@dataclass(frozen=True)
class Content:
    """An answer that is not JSON."""

    data: bytes
    type: str


class Page(Protocol):
    """What a server serves, one call at a time; LookupError means there is no such thing, UserError a bad request."""

    #: The page itself.
    html: Path

    def get(self, path: str, query: dict[str, str]) -> Any:  # noqa: ANN401 - Content or any JSON value
        """The answer to GET /`path`."""

    def post(self, path: str, body: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
        """The answer to POST /`path` with a JSON object."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PageServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path).lstrip("/")
        if not path:
            self._answer(lambda: Content(self.server.page.html.read_bytes(), "text/html; charset=utf-8"))
        else:
            self._answer(lambda: self.server.page.get(path, dict(parse_qsl(parts.query))))

    def do_POST(self) -> None:
        self._answer(lambda: self.server.page.post(unquote(self.path).lstrip("/"), self._body()))

    def _body(self) -> dict[str, Any]:
        size = int(self.headers.get("Content-Length", "0"))
        if self.headers.get_content_type() != "application/json" or size > _MAX_BODY:
            raise UserError("expected a JSON object")
        try:
            body = json.loads(self.rfile.read(size))
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise UserError("expected a JSON object")
        return body

    def _answer(self, make: Any) -> None:  # noqa: ANN401 - a callable without arguments
        try:
            if self.headers.get("Host", "").rpartition(":")[0] not in ("127.0.0.1", "localhost"):
                raise PermissionError
            with self.server.lock:
                value = make()
            status, content = HTTPStatus.OK, value if isinstance(value, Content) else _as_json(value)
        except PermissionError:
            status, content = HTTPStatus.FORBIDDEN, _as_json({"error": "only for pages of this machine"})
        except UserError as error:
            status, content = HTTPStatus.BAD_REQUEST, _as_json({"error": str(error)})
        except LookupError:
            status, content = HTTPStatus.NOT_FOUND, _as_json({"error": "there is no such thing"})
        except OSError as error:
            # Such as a full disk: the person must see that the decision was not kept.
            status, content = HTTPStatus.INTERNAL_SERVER_ERROR, _as_json({"error": str(error)})
        if status != HTTPStatus.OK:
            self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content.type)
        self.send_header("Content-Length", str(len(content.data)))
        self.send_header("Content-Security-Policy", _POLICY)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content.data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: ANN401 - as the base class has it
        """Nothing: the terminal shows the address and the result."""


def _as_json(value: Any) -> Content:  # noqa: ANN401 - any JSON value
    return Content(json.dumps(value, ensure_ascii=False).encode(), "application/json")


class PageServer(ThreadingHTTPServer):
    """Serves `page` at 127.0.0.1:`port` (0: one that is free) from when it exists until it is closed."""

    daemon_threads = True

    def __init__(self, page: Page, port: int = 0) -> None:
        self.page = page
        self.lock = Lock()
        try:
            super().__init__(("127.0.0.1", port), _Handler)
        except OSError as error:
            raise UserError(f"cannot listen at 127.0.0.1:{port} ({error.strerror}); choose another --port, 0 for any") from None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


def add_serving(parser: argparse.ArgumentParser) -> None:
    """The flags of a command that serves a page."""
    parser.add_argument("--port", type=int, default=0, help="of the page's address (default: one that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the address and open nothing")


def serve(page: Page, port: int, open_browser: bool) -> None:
    """Serves `page` until the person interrupts the command."""
    with PageServer(page, port) as server:
        print(f"{server.url} (Ctrl+C ends; everything decided is kept)", flush=True)
        if open_browser:
            webbrowser.open(server.url)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print(file=sys.stderr)
