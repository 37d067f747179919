"""Takes whatever a service sends as traces and keeps the bytes, so that they can be searched."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Sink:
    """An OTLP/HTTP receiver that understands nothing.

    Attributes:
        port: Where it listens, on loopback.
        bodies: What was sent, uncompressed protobuf: texts stand in it as they are.
    """

    port: int = 0
    bodies: list[bytes] = field(default_factory=list[bytes])

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                self.bodies.append(await reader.readexactly(length))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def sink() -> AsyncGenerator[Sink, None]:
    """A sink for as long as the block runs."""
    taken = Sink()
    server = await asyncio.start_server(taken.take, "127.0.0.1", 0)
    taken.port = server.sockets[0].getsockname()[1]
    async with server:
        yield taken
