"""Whether the engine can answer now, known before anybody asks.

``/health`` must answer at once and must not wait for a busy engine, so a task probes the engine's cheap readiness path
all the time and the answer to "now?" is what it last saw. A child process that ends is known without a probe.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from app.core.http_pool import HttpPool, TransportError
from app.engines.base import EngineHost
from app.errors import ServiceError

_INTERVAL = 1.0
_TIMEOUT = 2.0
_MISSES_ALLOWED = 3
_OK = 200

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
    ) -> None:
        """``warm`` runs each time the engine comes up, before it counts as ready; a ServiceError means not yet."""
        self._host = host
        self._pool = pool
        self._path = path
        self._headers = headers
        self._warm = warm
        self._problem: str | None = "the engine has not been seen yet"
        self._slow = 0
        self._ready = asyncio.Event()

    @property
    def trouble(self) -> str | None:
        """Why the engine cannot answer now, or None if it can."""
        return self._host.trouble or self._problem

    async def wait_ready(self) -> None:
        """Return as soon as the engine can answer."""
        await self._ready.wait()

    async def run(self) -> None:
        """Probe until cancelled."""
        while True:
            problem = await self._probe()
            if problem is None and self._problem is not None:
                self._note("the engine is up and compiles the grammars of the tasks")
                problem = await self._warmed()
            self._note(problem)
            await asyncio.sleep(_INTERVAL if self.trouble is None else _INTERVAL / 4)

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
        self._problem = problem
        if self.trouble is None:
            self._ready.set()
        else:
            self._ready.clear()

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
