"""The process: a listening socket that can be closed and opened again, signals, and an orderly end."""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from email.utils import formatdate
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from simulator.answer import Script
from simulator.app import Simulator
from simulator.engine import Engine, build_engine
from simulator.scheduler import Cut
from simulator.settings import Settings

_BACKLOG = 4096
_GC_EVERY = 50_000  # allocations; a full collection over thousands of open streams would delay their tokens
_KEEP_ALIVE = 5  # seconds; the engine's default


class Protocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol, with its transport in reach of the faults."""

    def on_message_begin(self) -> None:
        """Put the transport into the scope."""
        super().on_message_begin()
        self.scope["extensions"] = {"simulator": {"transport": self.transport}}


class Process:
    """One running simulator."""

    def __init__(self, settings: Settings, script: Script) -> None:
        self._engine: Engine = build_engine(settings, script, self._restart, self._refuse)
        self._state = ServerState()
        self._config = uvicorn.Config(
            Simulator(self._engine),  # pyright: ignore[reportArgumentType]  an ASGI callable by its protocol
            http=Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_keep_alive=_KEEP_ALIVE,
        )
        self._config.load()
        self._listener: asyncio.Server | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._port = settings.port

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until a signal says otherwise; `announce` gets the URL once the port is open."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._drain)
        loop.add_signal_handler(signal.SIGINT, self._stop.set)
        self._spawn(self._tick_dates())
        await self._listen()
        self._spawn(self._warm_up(self._engine.settings.starting))
        gc.freeze()
        gc.set_threshold(_GC_EVERY)
        announce(f"http://{self._engine.settings.host}:{self._port}")
        await self._stop.wait()
        self._close_listener()
        await self._finish_connections()

    async def _finish_connections(self) -> None:
        """Cut what still runs (after SIGINT) and let the last bytes out."""
        for task in self._tasks:
            task.cancel()
        if self._engine.scheduler.running or self._engine.scheduler.queued:
            await self._cut_connections()
        for connection in list(self._state.connections):
            cast("HttpToolsProtocol", connection).shutdown()
        if self._state.tasks:
            await asyncio.wait(self._state.tasks, timeout=1.0)

    async def _cut_connections(self) -> None:
        """Drop every connection, then every job: in this order nobody tries to answer."""
        for connection in list(self._state.connections):
            cast("HttpToolsProtocol", connection).transport.abort()
        for _ in range(2):
            await asyncio.sleep(0)
        self._engine.scheduler.abort("", Cut.GONE)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tick_dates(self) -> None:
        while True:
            date = (b"date", formatdate(time.time(), usegmt=True).encode())
            self._state.default_headers = [date, (b"server", b"uvicorn")]
            await asyncio.sleep(1.0)

    async def _listen(self) -> None:
        """Open the port; the first time it may be any free one, later it must be the same."""
        settings = self._engine.settings
        listening = socket.create_server((settings.host, self._port), reuse_port=False, backlog=_BACKLOG)
        self._port = listening.getsockname()[1]
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._protocol, sock=listening, backlog=_BACKLOG)

    def _protocol(self) -> Protocol:
        return Protocol(config=self._config, server_state=self._state, app_state={})

    def _close_listener(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _refuse(self, seconds: float) -> None:
        """Close the port for a while; open connections live on."""
        self._close_listener()
        self._spawn(self._reopen(seconds))

    async def _reopen(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if not self._stop.is_set():
            await self._listen()

    def _restart(self, seconds: float, starting: float) -> None:
        """Behave as a process that was killed and comes back."""
        self._close_listener()
        self._spawn(self._come_back(seconds, starting))

    async def _come_back(self, seconds: float, starting: float) -> None:
        await asyncio.sleep(0)  # the answer to the request that asked for this goes out first
        await self._cut_connections()
        self._engine.crash()
        await self._reopen(seconds)
        await self._warm_up(starting)

    async def _warm_up(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._engine.come_up()

    def _drain(self) -> None:
        """SIGTERM: tell the probes, finish what runs, and what still comes, then end."""
        if not self._engine.draining:
            self._engine.draining = True
            self._spawn(self._leave_when_idle())

    async def _leave_when_idle(self) -> None:
        engine = self._engine
        while True:
            await asyncio.sleep(engine.settings.drain_poll)
            if not (engine.scheduler.running or engine.scheduler.queued):
                break
        self._stop.set()


def print_url(url: str) -> None:
    """The one line a parent process waits for."""
    sys.stdout.write(f"simulator listening on {url}\n")
    sys.stdout.flush()


async def serve_forever(settings: Settings, script: Script) -> None:
    """Run one simulator in this process."""
    await Process(settings, script).run(print_url)
