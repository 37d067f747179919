"""The engine client's hot path: a small HTTP/1.1 client over kept-alive connections to one address.

General HTTP clients cost 0.2 to 3 ms of CPU per request; this one does only what an engine on the same host or
network needs: plain HTTP, one exchange per connection at a time, bodies as they arrive, and a connection that is cut
at once when the answer is no longer wanted (that is how a generation is cancelled).
"""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

import httptools

from app.core.transport_errors import NoConnection, TimedOut, TransportError
from app.engines.base import Address

_HIGH_WATER = 256 * 1024
_MAX_IDLE = 64
_LATE = "no whole answer in time"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class _Connection(asyncio.Protocol):
    """One connection and the exchange that is under way on it; a httptools response parser calls the on_* methods."""

    __slots__ = (
        "_buffered",
        "_chunks",
        "_failure",
        "_heard",
        "_loop",
        "_parser",
        "_paused",
        "_take",
        "_timer",
        "_transport",
        "_waiter",
        "_whole",
        "complete",
        "keep_alive",
        "status",
    )

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._failure: str | None = None
        self._parser: Any = httptools.HttpResponseParser(self)  # one for all messages: it follows keep-alive itself
        self._chunks: list[bytes] = []
        self._paused = False
        self._take: Callable[[bytes], bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._whole = False
        self._reset()

    def _reset(self) -> None:
        self._chunks.clear()
        self._buffered = 0
        self.status: int | None = None
        self.complete = False
        self.keep_alive = False
        self._heard = False

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()
        if self._take is not None and self._chunks and not self._hand_out(self._take):
            return
        if self._buffered > _HIGH_WATER and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        elif self._whole and not self.complete and self._failure is None:
            return  # an engine's head and body are two packets: the first alone wakes nobody who waits for both
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost: {exc}" if exc else "connection closed by the engine")
        self._transport = None
        self._wake()

    # httptools callbacks; of headers it knows by itself what it needs, and nobody here needs one
    def on_message_begin(self) -> None:
        if self.complete:
            raise ValueError("bytes nobody asked for")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        self.complete = True

    # the exchange
    @property
    def reusable(self) -> bool:
        """Open, and nothing of an earlier exchange is pending."""
        return self._transport is not None and not self._transport.is_closing() and self._failure is None

    def send(self, request: bytes, limit: float | None) -> None:
        """Start an exchange, and cut it after ``limit`` seconds.

        A timer of its own costs a quarter of ``asyncio.timeout``, which has to cancel and to tell cancellations apart.
        """
        self._reset()
        if self._transport is None:
            raise TransportError("connection closed by the engine", before_response=True)
        self._whole = limit is not None
        if limit is not None:
            self._timer = self._loop.call_later(limit, self._expire)
        self._resume()  # paused if the last answer was long and nobody read it
        self._transport.write(request)

    async def read_head(self) -> int:
        """Wait for the status line and headers; return the status."""
        while self.status is None:
            await self._more()
        return self.status

    async def next_chunk(self) -> bytes | None:
        """All body bytes that have arrived since the last call, at least one; None at the end."""
        while not self._chunks:
            if self.complete:
                return None
            await self._more()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        self._resume()
        return data

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Hand out body bytes the moment they come, until ``take`` wants no more or there are none.

        It is called by the event loop and not by a task: to wake one costs more than all that is done with a token.
        """
        if self._chunks or self.complete:
            return
        self._take = take
        try:
            await self._more()
        finally:
            self._take = None

    def end(self) -> None:
        """The exchange is over; its time no longer counts."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        self._fail(_LATE)
        self.close()

    def close(self) -> None:
        """Cut the connection without waiting; an exchange under way ends with a reset.

        A reset fails the engine's very next write, while an orderly close fails only the one after it: that is one
        batch of prefill sooner.
        """
        if self._transport is None:
            return
        if not self.complete and (connection := self._transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    async def _more(self) -> None:
        if self._failure is not None:
            kind = TimedOut if self._failure is _LATE else TransportError
            raise kind(self._failure, before_response=not self._heard)
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _hand_out(self, take: Callable[[bytes], bool]) -> bool:
        """Whether the task that pumps has to be woken."""
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if not take(data):
            self._take = None
        return self._take is None or self.complete

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Response:
    """The answer to one request, its status and body; valid inside the ``exchange`` that gave it."""

    __slots__ = ("_connection", "status")

    def __init__(self, connection: _Connection, status: int) -> None:
        self._connection = connection
        self.status = status

    async def chunk(self) -> bytes | None:
        """The next bytes of the body; None at its end.

        Raises:
            TransportError: the connection broke before the body was complete.
        """
        return await self._connection.next_chunk()

    async def pump(self, take: Callable[[bytes], bool]) -> None:
        """Hand out the body the moment it comes, until ``take`` returns False or nothing more comes.

        ``take`` must not raise, and keeps what it is given. What ends the body, or breaks it, is found by ``chunk``.
        """
        with suppress(TransportError):
            await self._connection.pump(take)

    def cut(self) -> None:
        """Break the connection: whoever waits for more of the body gets a TransportError."""
        self._connection.close()

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives.

        Raises:
            TransportError: the connection broke before the body was complete.
        """
        while (chunk := await self._connection.next_chunk()) is not None:
            yield chunk

    async def read(self, limit: int = 8 * 1024 * 1024) -> bytes:
        """The whole body.

        Raises:
            TransportError: the connection broke, or the body is longer than ``limit`` bytes.
        """
        parts: list[bytes] = []
        size = 0
        while (chunk := await self._connection.next_chunk()) is not None:
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise TransportError(f"answer longer than {limit} bytes", before_response=False)
        return b"".join(parts)


class Exchange:
    """One request and its response, which is held while the body of ``async with`` runs.

    A class and not a generator, because every request passes here: it costs a tenth.
    """

    __slots__ = ("_address", "_connection", "_limit", "_pool", "_request")

    def __init__(self, pool: "HttpPool", address: Address, request: bytes, limit: float | None) -> None:
        self._limit = limit
        self._pool = pool
        self._address = address
        self._request = request

    async def __aenter__(self) -> Response:
        request, self._request = self._request, b""  # an answer may take minutes, and needs no copy of the question
        self._connection, status = await self._pool.open(self._address, request, self._limit)
        return Response(self._connection, status)

    async def __aexit__(self, *_: object) -> None:
        self._pool.put_back(self._address, self._connection)


class HttpPool:
    """Kept-alive connections to engines; one exchange at a time on each."""

    def __init__(self, *, connect_timeout: float = 5.0) -> None:
        self._connect_timeout = connect_timeout
        self._idle: dict[Address, list[_Connection]] = {}
        self._closed = False

    def exchange(
        self,
        method: str,
        address: Address,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        limit: float | None = None,
    ) -> Exchange:
        """Send one request and hold its response while the body runs.

        Leaving before the answer is complete cuts the connection, which tells the engine to stop. So do ``limit``
        seconds, if there are any for the whole of it.

        Raises:
            TimedOut: they are over; reading the answer raises it, too.
            TransportError: no connection, or it broke before the head of the answer.
        """
        return Exchange(self, address, _head(method, address, path, headers or {}, len(body)) + body, limit)

    def close(self) -> None:
        """Cut all idle connections; those in use are cut when their exchanges end."""
        self._closed = True
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    async def open(self, address: Address, request: bytes, limit: float | None) -> tuple[_Connection, int]:
        """For ``Exchange`` only: send on an idle connection, or on a new one if that was closed meanwhile."""
        started = time.monotonic()
        connection = self._take_idle(address)
        if connection is not None:
            try:
                return connection, await self._send(connection, request, limit)
            except TransportError as error:
                if not error.before_response or isinstance(error, TimedOut):
                    raise
        connection = await self._connect(address, limit)
        left = None if limit is None else limit - (time.monotonic() - started)
        return connection, await self._send(connection, request, left)

    async def _send(self, connection: _Connection, request: bytes, limit: float | None) -> int:
        try:
            connection.send(request, limit)
            return await connection.read_head()
        except BaseException:
            connection.end()
            connection.close()
            raise

    async def _connect(self, address: Address, limit: float | None) -> _Connection:
        loop = asyncio.get_running_loop()
        patience = self._connect_timeout if limit is None else min(limit, self._connect_timeout)
        try:
            async with asyncio.timeout(patience):
                _, connection = await loop.create_connection(_Connection, address.host, address.port)
        except (OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and patience == limit:
                raise TimedOut(_LATE, before_response=True) from error
            raise NoConnection(f"no connection: {error}", before_response=True) from error
        return connection

    def _take_idle(self, address: Address) -> _Connection | None:
        idle = self._idle.get(address, [])
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection
        return None

    def put_back(self, address: Address, connection: _Connection) -> None:
        """For ``Exchange`` only: keep the connection for the next one, or cut it."""
        connection.end()
        idle = self._idle.setdefault(address, [])
        whole = connection.complete and connection.keep_alive and connection.reusable
        if whole and len(idle) < _MAX_IDLE and not self._closed:
            idle.append(connection)
        else:
            connection.close()


def _head(method: str, address: Address, path: str, headers: Mapping[str, str], length: int) -> bytes:
    lines = _request_line(method, address, path)
    if method != "GET":
        lines += f"content-length: {length}\r\n"
    for name, value in headers.items():
        lines += f"{name}: {value}\r\n"
    return f"{lines}\r\n".encode("latin-1")


@lru_cache(64)
def _request_line(method: str, address: Address, path: str) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{method} {path} HTTP/1.1\r\nhost: {host}:{address.port}\r\n"
