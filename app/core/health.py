"""Whether the engine can answer now, known before anybody asks.

``/health`` must answer at once and must not wait for a busy engine, so a task probes the engine's cheap readiness path
all the time and the answer to "now?" is what it last saw. A child process that ends is known without a probe.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.core.http_pool import HttpPool
from app.core.transport_errors import TransportError
from app.engines.base import EngineHost
from app.errors import ServiceError

_INTERVAL = 1.0
_TIMEOUT = 2.0
_MISSES_ALLOWED = 3
_OK = 200
_SHORTEST = 1.0
_UNKNOWN = 5.0  # seconds an engine may be away if it never was before

log = structlog.get_logger("health")


class EngineMonitor:
    """Probes one engine; ``trouble`` is None exactly while it can answer."""

    def __init__(
        self,
        host: EngineHost,
        pool: HttpPool,
        path: str,
        headers: Mapping[str, str],
        warm: Callable[[], Awaitable[None]],
        look: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """``warm`` runs each time the engine comes up, before it counts as ready; a ServiceError means not yet.

        ``look`` runs after each probe that found it ready.
        """
        self._host = host
        self._pool = pool
        self._path = path
        self._headers = headers
        self._warm = warm
        self._look = look
        self._problem: str | None = "the engine has not been seen yet"
        self._slow = 0
        self._ready = asyncio.Event()
        self._doubts: list[asyncio.Future[None]] = []
        self._doubted = asyncio.Event()
        self._seen = False
        self._outages = 0
        self._down_since: float | None = None
        self._last_outage = _UNKNOWN

    @property
    def trouble(self) -> str | None:
        """Why the engine cannot answer now, or None if it can."""
        return self._host.trouble or self._problem

    async def wait_ready(self) -> None:
        """Return as soon as the engine can answer."""
        await self._ready.wait()

    def recovery(self) -> float | None:
        """Seconds until an engine that is away should be back, by the time it took before; None if it is not away.

        One that has been away for longer than that is expected to take as long again.
        """
        if self.trouble is None:
            return None
        if self._down_since is None:
            return self._last_outage
        away = time.monotonic() - self._down_since
        return max(_SHORTEST, self._last_outage - away if away < self._last_outage else away)

    @property
    def seen(self) -> bool:
        """Whether the engine has been ready once."""
        return self._seen

    async def confirmed(self) -> bool:
        """Return when a probe that begins now or later finds the engine ready; True if it has been away meanwhile."""
        before = self._outages if self.trouble is None else -1
        doubt: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._doubts.append(doubt)
        self._doubted.set()
        try:
            await doubt
        finally:
            if doubt in self._doubts:
                self._doubts.remove(doubt)
        return self._outages != before

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            self._doubted.clear()
            doubts, self._doubts = self._doubts, []
            problem = await self._probe()
            if problem is None and self._problem is not None:
                self._note("the engine is up and compiles the grammars of the tasks")
                problem = await self._warmed()
            self._note(problem)
            if self.trouble is None:
                for doubt in doubts:
                    if not doubt.done():
                        doubt.set_result(None)
                if self._look is not None:
                    await self._look()
            else:
                self._doubts = [*doubts, *self._doubts]
            await self._pause()

    async def _pause(self) -> None:
        """Wait for the next turn, or until somebody doubts an engine that seemed ready."""
        if self.trouble is not None:
            await asyncio.sleep(_INTERVAL / 4)
            return
        try:
            async with asyncio.timeout(_INTERVAL):
                await self._doubted.wait()
        except TimeoutError:
            return

    async def _warmed(self) -> str | None:
        try:
            await self._warm()
        except ServiceError as error:
            return f"its first generation failed: {error}"
        return None

    def _note(self, problem: str | None) -> None:
        if problem != self._problem:
            if problem is None:
                log.info("engine ready")
            else:
                log.warning("engine not ready", reason=problem)
        was_ready = self._ready.is_set()
        self._problem = problem
        if self.trouble is None:
            self._seen = True
            self._ready.set()
            if self._down_since is not None:
                self._last_outage = max(_SHORTEST, time.monotonic() - self._down_since)
                self._down_since = None
        else:
            self._ready.clear()
            if self._down_since is None:
                self._down_since = time.monotonic()
                self._outages += was_ready

    async def _probe(self) -> str | None:
        address = self._host.address
        if address is None:
            return self._host.trouble
        where = f"{address.host}:{address.port}"
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                self._pool.exchange("GET", address, self._path, headers=self._headers) as response,
            ):
                await response.read()
                self._slow = 0
                return None if response.status == _OK else f"the engine at {where} says it is not ready"
        except TransportError:
            return f"nothing answers at {where}"
        except TimeoutError:
            # A machine whose cores are all busy is slow to answer but not broken: one late probe proves nothing.
            self._slow += 1
            return self._problem if self._slow < _MISSES_ALLOWED else f"the engine at {where} does not answer"
