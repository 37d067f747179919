"""A Python package index on a loopback port, with packages made on the fly and switches for what can go wrong."""

import hashlib
import io
import json
import threading
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import socket
from typing import Any

from app.engines.catalog import EmbeddedModel, Part

JSON = "application/vnd.pypi.simple.v1+json"


class PackageIndex:
    """What the index offers, how it misbehaves, and what it has done so far.

    Attributes:
        files: Wheels by file name.
        requests: Path and Range header of each request.
        sent: Bytes of wheels sent.
        cut: Break off after this many bytes of a wheel.
        ranges: Whether Range headers are understood.
        status: Answer index pages with this status.
        html: Answer index pages as HTML.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.sent = 0
        self.cut: int | None = None
        self.ranges = True
        self.status = 200
        self.html = False

    def publish(self, project: str, member: str, data: bytes) -> Part:
        """Make a wheel that holds ``data``, and offer it."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{project}/__init__.py", "raise RuntimeError('a data package was imported')")
            archive.writestr(f"{project}/data/{member}", data)
        part = Part(project, "1.0", member, hashlib.sha256(packed.getvalue()).hexdigest())
        self.files[part.wheel] = packed.getvalue()
        return part

    def publish_model(self, *pieces: bytes) -> EmbeddedModel:
        """Make a model of these pieces, a package each, and offer them."""
        parts = [self.publish(f"tiny-part{i}", f"part{i:02}.bin", piece) for i, piece in enumerate(pieces, 1)]
        whole = b"".join(pieces)
        return EmbeddedModel("tiny", len(whole), hashlib.sha256(whole).hexdigest(), 8192, tuple(parts))

    @property
    def wheels_asked_for(self) -> list[str]:
        """Names of the wheels that were downloaded, in order."""
        return [path.rsplit("/", 1)[-1] for path, _ in self.requests if path.startswith("/files/")]

    @contextmanager
    def served(self) -> Generator[str]:
        """Serve while the body runs; gives the index's address."""
        with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self)) as server:
            thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}/simple"
            finally:
                server.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, index: PackageIndex, request: socket, client_address: Any, server: ThreadingHTTPServer) -> None:
        self._index = index
        super().__init__(request, client_address, server)

    def do_GET(self) -> None:
        self._index.requests.append((self.path, self.headers["Range"]))
        if self.path.startswith("/files/"):
            self._file(self._index.files[self.path.removeprefix("/files/")])
        else:
            self._page(self.path.split("/")[2])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing."""

    def _page(self, project: str) -> None:
        files: list[dict[str, Any]] = [
            {"filename": name, "url": f"../../files/{name}", "size": len(data), "hashes": {}}
            for name, data in self._index.files.items()
            if name.startswith(project.replace("-", "_") + "-")
        ]
        status = self._index.status if files or self._index.status != 200 else 404
        kind = "text/html" if self._index.html else JSON
        body = b"<!DOCTYPE html>" if self._index.html else json.dumps({"files": files}).encode()
        self._answer(status, body, {"Content-Type": kind})

    def _file(self, data: bytes) -> None:
        asked = self.headers["Range"]
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self._index.ranges else None
        if start is None:
            self._answer(200, data, {})
        elif start >= len(data):
            self._answer(416, b"", {"Content-Range": f"bytes */{len(data)}"})
        else:
            self._answer(206, data[start:], {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        is_file = self.path.startswith("/files/")
        sent = body[: self._index.cut] if is_file else body
        self.wfile.write(sent)
        self._index.sent += len(sent) if is_file else 0
