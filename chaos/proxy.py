"""A fault proxy between the service and its engine: it breaks generations as networks and machines break."""

import asyncio
import contextlib
import random
import re
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

Fault = Literal["refuse", "reset", "hang", "drip", "truncate", "5xx", "half-open"]

FAULTS: tuple[Fault, ...] = ("refuse", "reset", "hang", "drip", "truncate", "5xx", "half-open")
_GENERATION = b"POST /v1/chat/completions"
_NAME = re.compile(rb"\b\d+-\d+-\d{6,13}\b")
_PIECE = 65536
_RESET = struct.pack("ii", 1, 0)
_STATUSES = (500, 502, 503)


class FaultProxy:
    """Forwards one port to another; a generation is broken with a chance, by a fault drawn from a seed.

    Attributes:
        port: Where it listens.
        chance: Of a fault for one generation.
        faults: How many of each kind there have been.
        generations: How many generations were begun through it.
        begun: When the first generation of each call of a load was begun, by the call's name.
    """

    def __init__(self, target: int, seed: int) -> None:
        self.port = 0
        self.chance = 0.0
        self.faults: Counter[Fault] = Counter()
        self.generations = 0
        self.begun: dict[str, float] = {}
        self._target = target
        self._rng = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the service."""
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        try:
            await self._relay(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_connection("127.0.0.1", self._target)
        answers: asyncio.Task[None] | None = None
        try:
            while data := await reader.read(_PIECE):
                fault = self._draw(data) if data.startswith(_GENERATION) else None
                if fault is not None and await self._before(fault, reader, writer):
                    return
                engine_writer.write(data)
                await engine_writer.drain()
                if answers is None or fault is not None:
                    if answers is not None:
                        answers.cancel()
                    answers = asyncio.create_task(self._answers(fault, engine_reader, writer))
        finally:
            if answers is not None:
                answers.cancel()
            engine_writer.transport.abort()

    def _draw(self, request: bytes) -> Fault | None:
        self.generations += 1
        if (name := _NAME.search(request)) is not None:
            self.begun.setdefault(name[0].decode(), time.monotonic())
        if self._rng.random() >= self.chance:
            return None
        fault = self._rng.choice(FAULTS)
        self.faults[fault] += 1
        return fault

    async def _before(self, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Faults that the engine never hears of; whether this was one."""
        if fault == "refuse":
            _reset(writer)
        elif fault == "hang":
            await reader.read(_PIECE)
        elif fault == "5xx":
            status = self._rng.choice(_STATUSES)
            writer.write(f"HTTP/1.1 {status} Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
            await writer.drain()
        return fault in {"refuse", "hang", "5xx"}

    async def _answers(self, fault: Fault | None, engine: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = self._rng.randrange(1, 4000) if fault in {"reset", "truncate", "half-open"} else None
        with contextlib.suppress(OSError):
            while data := await engine.read(_PIECE):
                if left is not None and (left := left - len(data)) <= 0:
                    writer.write(data[:left])
                    await self._break(fault, writer)
                    return
                if fault == "drip":
                    await _drip(data, writer)
                else:
                    writer.write(data)
                    await writer.drain()
            writer.close()

    async def _break(self, fault: Fault | None, writer: asyncio.StreamWriter) -> None:
        if fault == "reset":
            _reset(writer)
        elif fault == "truncate":
            writer.close()
        else:
            await asyncio.Event().wait()  # half-open: the engine's side is gone, and nobody says so

    async def close(self) -> None:
        """Cut everything."""
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)


async def _drip(data: bytes, writer: asyncio.StreamWriter) -> None:
    for at in range(0, len(data), 16):
        writer.write(data[at : at + 16])
        await writer.drain()
        await asyncio.sleep(0.001)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


@asynccontextmanager
async def fault_proxy(target: int, seed: int) -> AsyncGenerator[FaultProxy, None]:
    """A proxy that runs while the body does."""
    proxy = FaultProxy(target, seed)
    listener = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, backlog=1024)
    proxy.port = listener.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listener.close()
        await proxy.close()
