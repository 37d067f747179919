"""A server on a loopback port that says exactly the bytes a test wants, and counts who comes."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from anyio.lowlevel import checkpoint

from app.engines.base import Address


class Peer:
    """The server's end of one connection.

    Attributes:
        number: Of the connection, from 1.
        sent: Body bytes that ``say`` has handed to the kernel.
    """

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        self.sent = 0
        self._reader = reader
        self._writer = writer

    async def request(self) -> bytes:
        """The next request, head and body; empty if the client is gone."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return head + await self._reader.readexactly(int(value))
        return head

    async def say(self, *pieces: bytes) -> None:
        """Send ``pieces``, each in a packet of its own: the client, in the same loop, reads it before the next."""
        for piece in pieces:
            self._writer.write(piece)
            await self._writer.drain()
            self.sent += len(piece)
            for _ in range(3):
                await checkpoint()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            while await self._reader.read(65536):
                pass


Script = Callable[[Peer], Awaitable[None]]


class ScriptedServer:
    """Runs ``script`` for each connection, and closes it after that.

    Attributes:
        address: Where it listens.
        connections: How many there have been.
        ended: Set each time a script has run to its end.
    """

    def __init__(self, script: Script) -> None:
        self.address = Address("", 0)
        self.connections = 0
        self.ended = asyncio.Event()
        self._script = script

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        with suppress(ConnectionError):
            await self._script(Peer(self.connections, reader, writer))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        self.ended.set()


@asynccontextmanager
async def scripted(script: Script, host: str = "127.0.0.1") -> AsyncGenerator[ScriptedServer, None]:
    """A server that runs while the body does."""
    server = ScriptedServer(script)
    listener = await asyncio.start_server(server.serve, host, 0)
    server.address = Address(host, listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def answer(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole response with a content length."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{headers}\r\n".encode() + body


def chunked(*chunks: bytes) -> bytes:
    """A whole response in chunks."""
    coded = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in (*chunks, b""))
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + coded


async def for_ever(peer: Peer, response: bytes) -> None:
    """Give ``response`` to every request on the connection."""
    while await peer.request():
        await peer.say(response)
