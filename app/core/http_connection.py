"""One kept-alive connection to an engine, and the exchange that is under way on it."""

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

import httptools

from app.core.alarm import RESOLUTION, Alarm
from app.core.transport_errors import TimedOut, TransportError

LATE = "no whole answer in time"
LONGEST = 8 * 1024 * 1024
"""Bytes that a whole answer may have."""

_HIGH_WATER = 256 * 1024
_AT_ONCE = 64 * 1024  # bytes that one look fetches
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # struct linger: on, 0 seconds


class Connection(asyncio.Protocol):
    """A connection whose exchange is read by a task, in pieces or whole, or told whole by the event loop (``ask``).

    A httptools response parser calls the on_* methods.
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_every",
        "_failure",
        "_heard",
        "_limit",
        "_look",
        "_loop",
        "_parser",
        "_paused",
        "_take",
        "_told",
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
        self._told: Callable[[], None] | None = None
        self._limit = Alarm(self._loop, self._expire)
        self._look = Alarm(self._loop, self._fetch)
        self._every: Callable[[], float] | None = None
        self._whole = False
        self._buffered = 0
        self.status: int | None = None
        self.complete = False
        self.keep_alive = False
        self._heard = False

    # asyncio.Protocol
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of an answer; whoever waits for them is woken, or told."""
        self._heard = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not HTTP: {error}")
            self.close()
        if self._told is not None and not self.complete and self._failure is None:
            if self._take is not None:
                if self._chunks:
                    self._hand_out(self._take)
            elif self._buffered > LONGEST:
                self._fail(f"answer longer than {LONGEST} bytes")
                self.close()
            return
        if self._take is not None and self._chunks and not self._hand_out(self._take):
            return
        if self._buffered > _HIGH_WATER and self._transport is not None:
            self._pause(self._transport)
        elif self._whole and not self.complete and self._failure is None:
            return  # an engine's head and body are two packets: the first alone wakes nobody who waits for both
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._fail(f"connection lost: {exc}" if exc else "connection closed by the engine")
        self._transport = None
        self._limit.end()
        self._look.end()
        self._wake()

    # httptools callbacks; of headers it knows by itself what it needs, and nobody here needs one
    def on_message_begin(self) -> None:
        """The first byte of an answer."""
        if self.complete:
            raise ValueError("bytes nobody asked for")

    def on_headers_complete(self) -> None:
        """Its head."""
        self.status = self._parser.get_status_code()
        self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        self._chunks.append(body)
        self._buffered += len(body)

    def on_message_complete(self) -> None:
        """Its end."""
        self.complete = True

    # the exchange
    @property
    def reusable(self) -> bool:
        """Open, and nothing of an earlier exchange is pending."""
        return self._transport is not None and not self._transport.is_closing() and self._failure is None

    def send(self, request: bytes, limit: float | None) -> None:
        """Start an exchange, and cut it after ``limit`` seconds.

        ``asyncio.timeout`` would have to cancel, and to tell cancellations apart.
        """
        self._chunks.clear()
        self._buffered = 0
        self.status = None
        self.complete = self.keep_alive = self._heard = False
        if self._transport is None:
            raise TransportError("connection closed by the engine", before_response=True)
        self._whole = limit is not None
        if limit is not None:
            self._limit.set(limit)
        if self._paused:  # the last answer was long and nobody read it
            self._resume()
        self._transport.write(request)

    def ask(self, request: bytes, limit: float, told: Callable[[], None]) -> None:
        """Start an exchange; the event loop calls ``told`` when its answer is whole, or when it broke: see ``whole``.

        No task waits for it: to wake one costs as much as all that a short answer is read with.
        """
        self.send(request, limit)
        self._told = told

    def flow(self, request: bytes, take: Callable[[bytes], bool], told: Callable[[], None]) -> None:
        """Start an exchange; the event loop hands the bytes of its answer to ``take`` and calls ``told`` at its end.

        Args:
            request: What is asked.
            take: Is handed the bytes as they come, once ``status`` is known; returns True.
            told: See ``ask``.
        """
        self.send(request, None)
        self._take, self._told = take, told

    def hold(self) -> None:
        """Hand out nothing more until ``go_on``; the engine finds that it can send no more."""
        if self._transport is not None:
            self._pause(self._transport)

    def go_on(self) -> None:
        """See ``hold``."""
        self._resume()

    def whole(self) -> bytes:
        """The body of a whole answer; of one that was handed out, nothing.

        Raises:
            TimedOut: it was not whole within the limit.
            TransportError: it broke.
        """
        if not self.complete:
            raise self._broken()
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

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

    async def pump(self, take: Callable[[bytes], bool], every: Callable[[], float] | None = None) -> None:
        """Hand out body bytes the moment they come, until ``take`` wants no more or there are none.

        It is called by the event loop and not by a task: to wake one costs more than all that is done with a token.

        Args:
            take: Is handed the bytes; whether it wants more.
            every: Tells the seconds until the next look, where bytes need not be handed out the moment they come: the
                kernel collects them meanwhile, and to be woken for each token costs more than all the rest.
        """
        if self._chunks or self.complete:
            return
        self._take = take
        if every is not None and self._transport is not None:
            self._pause(self._transport)
            self._look_soon(every())
            self._every = every
        try:
            await self._more()
        finally:
            self._take = self._every = None
            self._look.give_up()
            self._resume()

    def _look_soon(self, every: float) -> None:
        """At a time at which all connections look, so that the event loop wakes up once for them."""
        self._look.set(every - (self._loop.time() + RESOLUTION) % every)

    def _fetch(self) -> None:
        """Read what has come, past the transport, which is told not to read."""
        if self._transport is None or not self.reusable:
            return
        try:
            data = os.read(self._transport.get_extra_info("socket").fileno(), _AT_ONCE)
        except BlockingIOError:
            data = None
        except OSError:
            data = b""
        if data:
            self.data_received(data)
        if data == b"":
            self._resume()  # it has ended or broken: the transport finds out which
        elif self._take is not None and self._every is not None and not self.complete and self._failure is None:
            self._look_soon(self._every())

    def end(self) -> None:
        """The exchange is over; its time no longer counts."""
        self._told = self._take = None
        self._limit.give_up()

    def _expire(self) -> None:
        self._fail(LATE)
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
            raise self._broken()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _broken(self) -> TransportError:
        kind = TimedOut if self._failure is LATE else TransportError
        return kind(self._failure or "", before_response=not self._heard)

    def _hand_out(self, take: Callable[[bytes], bool]) -> bool:
        """Whether the task that pumps has to be woken."""
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if not take(data):
            self._take = None
        return self._take is None or self.complete

    def _pause(self, transport: asyncio.Transport) -> None:
        if not self._paused:
            self._paused = True
            transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _fail(self, reason: str) -> None:
        if self._failure is None:
            self._failure = reason

    def _wake(self) -> None:
        if self._told is not None:
            told, self._told = self._told, None
            told()
        elif self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
