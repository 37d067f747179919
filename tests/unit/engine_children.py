"""Small real child processes that stand in for an engine, and a line to each of them.

Each child first connects back to the test and says its process id. What it is told over that line it executes as
Python. A test can wait for its death as for any other event.
"""

import asyncio
import os
import select
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from app.engines.supervisor import EngineCommand

_CHILD = """
import os, signal, socket, subprocess, sys
line = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def say(text):
    line.sendall(f"{text}\\n".encode())  # not buffered: a signal handler may speak too
def listen(port):
    print("LISTENING 127.0.0.1", port, flush=True)
def fill():
    # More than a pipe and its reader can hold: once this is written, all that came before it has been read.
    print((" " * 1000 + "\\n") * 2000, flush=True)
say(os.getpid())
for order in line.makefile("r"):
    exec(order)
    say("done")
"""


class Child:
    """One child process, as seen over its line.

    Attributes:
        pid: Its process id.
    """

    def __init__(self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self._reader = reader
        self._writer = writer
        self._process = os.pidfd_open(pid)  # becomes readable when the process ends, reaped or not

    async def do(self, order: str) -> None:
        """Have the child execute ``order``, and wait until it has."""
        self.tell(order)
        assert await self._reader.readline() == b"done\n"

    def tell(self, order: str) -> None:
        """Have the child execute ``order``."""
        self._writer.write(f"{order}\n".encode())

    async def last_words(self) -> str:
        """What the child said of its own accord before it ended."""
        return (await self._reader.read()).decode().strip()

    async def ended(self) -> None:
        """Wait until the process has ended."""
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._process, ended.set)
        await ended.wait()
        loop.remove_reader(self._process)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        readable, _, _ = select.select([self._process], [], [], 0)
        return not readable

    async def close(self) -> None:
        """Hang up, whereupon the child ends."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()
        os.close(self._process)


class Nursery:
    """Where children report.

    Attributes:
        command: Starts one.
    """

    def __init__(self) -> None:
        self.command = EngineCommand([])
        self._born: asyncio.Queue[Child] = asyncio.Queue()
        self._children: list[Child] = []

    async def born(self) -> Child:
        """The next child that reports."""
        return await self._born.get()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A child has reported."""
        child = Child(int(await reader.readline()), reader, writer)
        self._children.append(child)
        self._born.put_nowait(child)

    async def close(self) -> None:
        """Hang up on all children."""
        for child in self._children:
            await child.close()


@asynccontextmanager
async def nursery() -> AsyncGenerator[Nursery, None]:
    """Open while the body runs."""
    opened = Nursery()
    server = await asyncio.start_server(opened.connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    opened.command = EngineCommand([sys.executable, "-S", "-c", _CHILD, str(port)], {"CHILDS_VARIABLE": "its value"})
    try:
        yield opened
    finally:
        await opened.close()
        server.close()
        await server.wait_closed()
