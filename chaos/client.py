"""A client that counts: one connection a call, and every way to end is an outcome."""

import asyncio
import json
import math
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_LOOPBACK = "127.0.0.1"
_OK = 200


@dataclass(slots=True)
class Answer:
    """What came of one call.

    Attributes:
        status: 0 if there was none.
        headers: Names in lower case.
        body: All of it.
        first: Seconds to the first byte of the body; of a stream, to its first piece of the answer.
        seconds: Seconds to the end.
        trouble: What ended it early: a time-out or a broken connection.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    first: float = math.inf
    seconds: float = 0.0
    trouble: str = ""

    @property
    def good(self) -> bool:
        """Whether it is a whole answer."""
        return self.status == _OK and not self.trouble and (not self.streamed or self.terminals() == ["result"])

    @property
    def streamed(self) -> bool:
        """Whether it came as events."""
        return self.headers.get("content-type", "").startswith("text/event-stream")

    def terminals(self) -> list[str]:
        """The terminal events of a stream, in order."""
        names = [line[7:] for line in self.body.decode("utf-8", "replace").splitlines() if line.startswith("event: ")]
        return [name for name in names if name in {"result", "error"}]

    def documented(self) -> bool:
        """Whether it is a good answer, or an error as the README documents them."""
        if self.good:
            return True
        if self.trouble:
            return False
        if self.streamed:
            return self.terminals() == ["error"]
        try:
            error: Any = json.loads(self.body)["error"]
        except (ValueError, LookupError, TypeError):
            return False
        return self.status in {502, 503, 504} and {"type", "message", "request_id"} <= set(error)


async def get(port: int, path: str, timeout: float = 30) -> Answer:  # noqa: ASYNC109  a figure of the call
    """One GET."""
    return await call(port, path, b"", method="GET", timeout=timeout)


async def call(
    port: int,
    path: str,
    body: bytes,
    *,
    method: str = "POST",
    timeout: float = 60,  # noqa: ASYNC109  a figure of the call
    headers: dict[str, str] | None = None,
) -> Answer:
    """One call; never raises."""
    answer = Answer()
    started = time.monotonic()
    try:
        async with asyncio.timeout(timeout):
            await _exchange(port, _request(method, path, body, headers or {}), answer, started)
    except TimeoutError:
        answer.trouble = "time-out"
    except (OSError, asyncio.IncompleteReadError, ValueError) as error:
        answer.trouble = f"{type(error).__name__}: {error}"
    answer.seconds = time.monotonic() - started
    return answer


def _request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"host: {_LOOPBACK}", "connection: close"]
    if method != "GET":
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def _exchange(port: int, request: bytes, answer: Answer, started: float) -> None:
    reader, writer = await asyncio.open_connection(_LOOPBACK, port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        answer.status = int(lines[0].split(" ")[1])
        answer.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
        if answer.headers.get("transfer-encoding") == "chunked":
            await _read_chunks(reader, answer, started)
        else:
            answer.body = await reader.readexactly(int(answer.headers.get("content-length", "0")))
            answer.first = time.monotonic() - started
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_chunks(reader: asyncio.StreamReader, answer: Answer, started: float) -> None:
    parts: list[bytes] = []
    while size := int(await reader.readline(), 16):
        piece = (await reader.readexactly(size + 2))[:-2]
        if answer.first == math.inf and b"event: start" not in piece:
            answer.first = time.monotonic() - started
        parts.append(piece)
        answer.body = b"".join(parts) if len(parts) % 64 == 0 else answer.body
    await reader.readline()
    answer.body = b"".join(parts)


class Connection:
    """A call whose client can leave at any moment."""

    def __init__(self, port: int, path: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        self._port = port
        self._request = _request("POST", path, body, headers or {})
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Send the request."""
        self._reader, self._writer = await asyncio.open_connection(_LOOPBACK, self._port)
        self._writer.write(self._request)
        await self._writer.drain()

    async def read_until(self, mark: bytes) -> None:
        """Read until ``mark`` has come."""
        if self._reader is not None:
            await self._reader.readuntil(mark)

    async def said(self) -> bytes:
        """What has come so far, for whoever wonders."""
        if self._reader is None:
            return b""
        try:
            async with asyncio.timeout(1.0):
                return await self._reader.read(2000)
        except TimeoutError:
            return b""

    def leave(self) -> None:
        """Cut the connection."""
        if self._writer is not None:
            self._writer.transport.abort()
