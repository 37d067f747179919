"""One HTTP exchange: ASGI events in, exact bytes out, and ways to break the connection."""

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_VARY = (b"vary", b"Origin")
_HIGH_WATER = 65536  # bytes not yet taken by the socket, from which on writing waits
DONE = b"data: [DONE]\n\n"


def compact(value: object) -> bytes:
    """JSON as the engine writes it: no spaces, raw UTF-8."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class ConnectionBrokenError(Exception):
    """The connection was broken on purpose; there is nothing left to send."""


class Exchange:
    """A request with its body, and the means to answer it."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.path = cast("str", scope["path"])
        self.method = cast("str", scope["method"])
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in cast("list[tuple[bytes, bytes]]", scope["headers"])
        ]
        self.query = cast("bytes", scope["query_string"]).decode()
        self.body = b""
        self.status: int | None = None
        self.left = False
        self.drip_seconds: float | None = None
        self._transport = cast("asyncio.Transport", scope["extensions"]["simulator"]["transport"])
        self._fast: asyncio.Transport | None = None
        self._receive = receive
        self._send = send

    def header(self, name: str) -> str:
        """A request header, or the empty string."""
        return next((value for key, value in self.headers if key == name), "")

    async def read(self) -> None:
        """Read the whole request body."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.left = True
                break
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        self.body = b"".join(parts)

    async def gone(self) -> None:
        """Wait until the client has left (or the answer is complete)."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = True

    async def gone_or_after(self, seconds: float | None) -> None:
        """Wait until the client has left, or until some time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.gone()

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the status line and the headers."""
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def respond(
        self, status: int, body: bytes, kind: bytes | None = b"application/json", *, vary: bool = True
    ) -> None:
        """Send a whole response."""
        headers = [(b"content-length", str(len(body)).encode())]
        headers += [(b"content-type", kind)] if kind else []
        headers += [_VARY] if vary else []
        await self.start(status, headers)
        await self.write(body)
        await self.finish()

    async def start_stream(self) -> None:
        """Begin an SSE response."""
        await self.start(200, [(b"content-type", b"text/event-stream; charset=utf-8"), _VARY])
        self._fast = self._transport

    async def write(self, data: bytes) -> None:
        """Send a piece of the body."""
        if self.drip_seconds is not None:
            await self._drip(data)
        elif self._fast is not None and self._fast.get_write_buffer_size() < _HIGH_WATER:
            self.write_now(data)
        else:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    def write_now(self, data: bytes) -> None:
        """Send a chunk without the two coroutines of the ASGI way, which cost more than the chunk itself."""
        if self._fast is not None and data and not self._fast.is_closing():
            self._fast.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def _drip(self, data: bytes) -> None:
        for at in range(len(data)):
            await self._send({"type": "http.response.body", "body": data[at : at + 1], "more_body": True})
            await asyncio.sleep(self.drip_seconds or 0)

    async def finish(self) -> None:
        """End the body."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    def close(self, *, reset: bool) -> None:
        """Break the connection: with a TCP RST, or by closing it in the middle of the body."""
        if reset:
            linger_none(self._transport)
            self._transport.abort()
        else:
            self._transport.close()


def linger_none(transport: asyncio.Transport) -> None:
    """Make the next close of the socket a RST instead of a FIN."""
    carrier = transport.get_extra_info("socket")
    if carrier is None:
        return
    twin = socket.socket(fileno=os.dup(carrier.fileno()))
    try:
        twin.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    finally:
        twin.close()
