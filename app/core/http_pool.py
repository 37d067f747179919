"""The engine client's hot path: a small HTTP/1.1 client over kept-alive connections to one address.

General HTTP clients cost 0.2 to 3 ms of CPU per request; this one does only what an engine on the same host or
network needs: plain HTTP, one exchange per connection at a time, bodies as they arrive, and a connection that is cut
at once when the answer is no longer wanted (that is how a generation is cancelled).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from functools import lru_cache

from app.core.http_connection import LATE, LONGEST, Connection
from app.core.transport_errors import NoConnection, TimedOut, TransportError
from app.engines.base import Address

_MAX_IDLE = 1024  # as many as may be busy at once (MAX_CONCURRENCY) on a large engine


class Response:
    """The answer to one request, its status and body; valid inside the ``exchange`` that gave it."""

    __slots__ = ("_connection", "status")

    def __init__(self, connection: Connection, status: int) -> None:
        self._connection = connection
        self.status = status

    async def chunk(self) -> bytes | None:
        """The next bytes of the body; None at its end.

        Raises:
            TransportError: the connection broke before the body was complete.
        """
        return await self._connection.next_chunk()

    async def pump(self, take: Callable[[bytes], bool], every: Callable[[], float] | None = None) -> None:
        """Hand out the body the moment it comes, or ``every`` so many seconds, until ``take`` returns False.

        ``take`` must not raise, and keeps what it is given. What ends the body, or breaks it, is found by ``chunk``.
        """
        with suppress(TransportError):
            await self._connection.pump(take, every)

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

    async def read(self, limit: int = LONGEST) -> bytes:
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
        self._idle: dict[Address, list[Connection]] = {}
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
        seconds, if there are any for the whole of it: then it is there to be read when it is whole, be they infinite.

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

    async def open(self, address: Address, request: bytes, limit: float | None) -> tuple[Connection, int]:
        """For ``Exchange`` only: send on an idle connection, or on a new one if that was closed meanwhile."""
        started = time.monotonic()
        connection = self.idle(address)
        if connection is not None:
            try:
                return connection, await self._send(connection, request, limit)
            except TransportError as error:
                if not error.before_response or isinstance(error, TimedOut):
                    raise
        connection = await self.connect(address, limit)
        left = None if limit is None else limit - (time.monotonic() - started)
        return connection, await self._send(connection, request, left)

    async def _send(self, connection: Connection, request: bytes, limit: float | None) -> int:
        try:
            connection.send(request, limit)
            return await connection.read_head()
        except BaseException:
            connection.end()
            connection.close()
            raise

    async def connect(self, address: Address, limit: float | None = None) -> Connection:
        """A new connection; ``put_back`` must follow.

        Raises:
            TransportError: none within ``limit`` seconds.
        """
        loop = asyncio.get_running_loop()
        patience = self._connect_timeout if limit is None else min(limit, self._connect_timeout)
        try:
            async with asyncio.timeout(patience):
                _, connection = await loop.create_connection(Connection, address.host, address.port)
        except (OSError, TimeoutError) as error:
            if isinstance(error, TimeoutError) and patience == limit:
                raise TimedOut(LATE, before_response=True) from error
            raise NoConnection(f"no connection: {error}", before_response=True) from error
        return connection

    def idle(self, address: Address) -> Connection | None:
        """Take a connection that waits for work, if there is one; ``put_back`` must follow."""
        idle = self._idle.get(address, [])
        while idle:
            connection = idle.pop()
            if connection.reusable:
                return connection
        return None

    def put_back(self, address: Address, connection: Connection) -> None:
        """The exchange is over: keep the connection for the next one, or cut it."""
        connection.end()
        idle = self._idle.setdefault(address, [])
        whole = connection.complete and connection.keep_alive and connection.reusable
        if whole and len(idle) < _MAX_IDLE and not self._closed:
            idle.append(connection)
        else:
            connection.close()


def beginning(method: str, address: Address, path: str, headers: Mapping[str, str]) -> bytes:
    """A request as far as it is the same each time; headers may follow, an empty line must."""
    return f"{_request_line(method, address, path)}{_lines(headers)}".encode("latin-1")


def _head(method: str, address: Address, path: str, headers: Mapping[str, str], length: int) -> bytes:
    size = "" if method == "GET" else f"content-length: {length}\r\n"
    return f"{_request_line(method, address, path)}{size}{_lines(headers)}\r\n".encode("latin-1")


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])


@lru_cache(64)
def _request_line(method: str, address: Address, path: str) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{method} {path} HTTP/1.1\r\nhost: {host}:{address.port}\r\n"
