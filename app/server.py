"""The HTTP server: uvicorn with our protocol, and a drain."""

import asyncio
import gc
import itertools
import signal
import socket
from contextlib import suppress
from types import FrameType
from typing import Any, cast

import structlog
import uvicorn

from app.api.at_once import AtOnce
from app.core.drain import Drain
from app.protocol import GuardedProtocol, Limits
from app.standing import Heads

log = structlog.get_logger("server")

_KEEP_ALIVE = 75  # seconds; longer than the 60 that proxies usually keep an idle connection, so that they close it
_BACKLOG = 2048
_TURN = 1.0  # seconds between two turns of the server: the Date header says the second
_TICKS = 10  # what uvicorn calls that: it renews the header in every tenth of its own
_YOUNG = 10_000  # objects that may be made before the young are looked through for garbage


class DrainingServer(uvicorn.Server):
    """Ends in steps: readiness says no, then no new connections, then what runs ends; a second signal ends at once."""

    def __init__(self, config: uvicorn.Config, drain: Drain, delay: float) -> None:
        super().__init__(config)
        self._drain = drain
        self._delay = delay
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Run until told to end."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start; what is there by then stays for good and is left out of garbage collection.

        A full collection walks through all objects: 50 to 70 ms (measured) in which nobody is answered. Requests leave
        hardly anything that is freed by collections only, so the young are looked through less often than after 700
        new objects, Python's default, which costs 6 % of a plain chat (measured); 10,000 take 0.3 ms.
        """
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])

    async def main_loop(self) -> None:
        """Take a turn each second, and when told to end.

        Uvicorn takes ten to notice that it was: a third of the CPU of a service that has nothing to do (measured).
        """
        for tick in itertools.count(0, _TICKS):
            self._told.clear()
            if await self.on_tick(tick):
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(_TURN):
                    await self._told.wait()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal begins the drain; the second ends it."""
        if self._drain.draining or not self.started or self._loop is None:
            self.force_exit = self._drain.draining
            super().handle_exit(sig, frame)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._told.set)
            return
        self._drain.begin()
        log.info("draining", signal=signal.Signals(sig).name, delay=self._delay)
        self._captured_signals.append(sig)
        self._loop.call_soon_threadsafe(self._loop.call_later, self._delay, self._end)

    def _end(self) -> None:
        self.should_exit = True
        self._told.set()


def make_server(app: Any, drain: Drain, limits: Limits, at_once: AtOnce | None = None) -> DrainingServer:
    """A server of ``app`` within ``limits``; ``at_once``: what requests are offered to first."""
    chosen = {"limits": limits, "at_once": at_once, "heads": Heads()}
    protocol = cast("type[asyncio.Protocol]", type("Protocol", (GuardedProtocol,), chosen))
    config = uvicorn.Config(
        app,
        http=protocol,
        interface="asgi3",  # cannot be seen from a call that returns another one's awaitable
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=limits.drain_limit,  # type: ignore[arg-type]  a float does as well
    )
    return DrainingServer(config, drain, limits.drain_delay)
