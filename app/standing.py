"""What stands where uvicorn expects the cycle of a request, and its task, while the request is answered at once."""

import asyncio
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Protocol

from uvicorn.server import ServerState

from app.api.at_once import Offer
from app.api.browsers import NO_SNIFFING
from app.api.client import Begun
from app.api.lean import EVENTS

_SAFE = b"%b: %b\r\n" % NO_SNIFFING
_JSON = b"content-type: application/json\r\n"
_STREAM = b"".join([b"%b: %b\r\n" % header for header in EVENTS]) + b"transfer-encoding: chunked\r\n"
_CLOSE = b"connection: close\r\n"


class Heads:
    """The headers that all responses have, in bytes: uvicorn makes them anew once a second."""

    __slots__ = ("_bytes", "_seen")

    def __init__(self) -> None:
        self._seen: Sequence[tuple[bytes, bytes]] = ()
        self._bytes = _SAFE

    def of(self, default: Sequence[tuple[bytes, bytes]]) -> bytes:
        """``default`` and ours."""
        if default is not self._seen:
            self._seen = default
            self._bytes = b"".join([b"%b: %b\r\n" % header for header in default]) + _SAFE
        return self._bytes


class Answering(Protocol):
    """The connection, as far as it is needed to answer."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    tasks: set[asyncio.Task[None]]
    server_state: ServerState
    heads: Heads

    def on_response_complete(self) -> None:
        """The answer is out."""
        ...

    def await_answer(self, standing: "Standing", begun: Begun) -> None:
        """Have the application answer."""
        ...


class Standing:
    """One request.

    Attributes:
        offer: It.
        body: Of it.
        keep_alive: Whether the connection may be kept, as far as uvicorn knows.
        disconnected: Whether the client has left.
        response_started: Whether the answer has begun.
        response_complete: Whether it is out.
    """

    __slots__ = (
        "_connection",
        "_over",
        "body",
        "disconnected",
        "keep_alive",
        "offer",
        "response_complete",
        "response_started",
    )

    def __init__(self, connection: Answering, offer: Offer, body: bytes | bytearray) -> None:
        self._connection = connection
        self._over = False
        self.offer = offer
        self.body = body
        self.keep_alive = True
        self.disconnected = self.response_started = self.response_complete = False

    # As a Reply
    def answer(self, content: bytes, request_id: str, *, close: bool) -> None:
        """Send JSON with status 200; ``close``: the connection is not kept."""
        close = close or not self.keep_alive
        self._send(b"200 OK", _CLOSE if close else b"", content, request_id, close=close)

    def refuse(self, status: int, headers: Mapping[str, str], content: bytes, request_id: str) -> None:
        """Send JSON with another status and close the connection."""
        line = f"{status} {HTTPStatus(status).phrase}".encode()
        further = "".join(f"{name.lower()}: {value}\r\n" for name, value in headers.items()).encode("latin-1")
        self._send(line, further + _CLOSE, content, request_id, close=True)

    def await_answer(self, begun: Begun) -> None:
        """Have the application answer."""
        connection = self._connection
        self._over = True
        connection.tasks.discard(self)  # type: ignore[arg-type]  it stands for a task
        connection.await_answer(self, begun)

    def _send(self, status: bytes, further: bytes, content: bytes, request_id: str, *, close: bool) -> None:
        connection = self._connection
        connection.transport.write(
            b"HTTP/1.1 %b\r\n%b%b%bcontent-length: %d\r\nx-request-id: %b\r\n\r\n%b"
            % (
                status,
                connection.heads.of(connection.server_state.default_headers),
                _JSON,
                further,
                len(content),
                request_id.encode(),
                content,
            )
        )
        self.response_started = True
        self._done(close=close)

    def begin(self, events: bytes, request_id: str, *, close: bool) -> None:
        """Begin a stream of server-sent events, with status 200, by its first."""
        connection = self._connection
        self.response_started = True
        if close:
            self.keep_alive = False
        connection.transport.write(
            b"HTTP/1.1 200 OK\r\n%b%b%bx-request-id: %b\r\n\r\n%b"
            % (
                connection.heads.of(connection.server_state.default_headers),
                _STREAM,
                b"" if self.keep_alive else _CLOSE,
                request_id.encode(),
                _chunk(events),
            )
        )
        self.body = b""  # nobody else will answer

    def more(self, events: bytes) -> None:
        """Send the next ones."""
        if not self._connection.transport.is_closing():
            self._connection.transport.write(_chunk(events))

    def end(self, events: bytes) -> None:
        """Send the last ones."""
        if not self._connection.transport.is_closing():
            self._connection.transport.write(_chunk(events) + b"0\r\n\r\n")
        self._done(close=not self.keep_alive)

    def _done(self, *, close: bool) -> None:
        connection = self._connection
        connection.tasks.discard(self)  # type: ignore[arg-type]  it stands for a task
        self._over = self.response_complete = True
        if close:
            connection.transport.close()
        connection.on_response_complete()

    # As a cycle
    @property
    def message_event(self) -> "Standing":
        """Nobody waits for what the client sends."""
        return self

    def set(self) -> None:
        """See ``message_event``."""

    # As a task
    def cancel(self, msg: str = "") -> None:
        """The server is shutting down and out of patience; it goes through its tasks just now."""
        del msg
        self._connection.loop.call_soon(self._shut_down)

    def _shut_down(self) -> None:
        if not self._over:
            self.offer.shut_down()

    def leave(self) -> None:
        """The client has left; it may have been answered before."""
        if not self._over:
            self._over = True
            self._connection.tasks.discard(self)  # type: ignore[arg-type]  it stands for a task
            self.offer.left()

    def hold(self) -> None:
        """The client reads more slowly than it is written to."""
        if not self._over:
            self.offer.hold()

    def go_on(self) -> None:
        """It has read."""
        if not self._over:
            self.offer.go_on()


def _chunk(data: bytes) -> bytes:
    """One of a body that is sent in chunks."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
