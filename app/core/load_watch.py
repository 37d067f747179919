"""Adapts the number of places to what the engine says about itself; asked for by the monitor, off the hot path."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from pydantic_core import from_json

from app.core.admission import Admission
from app.core.engine_load import EngineLoad, adapted_limit, read_load
from app.core.http_pool import HttpPool
from app.core.transport_errors import TransportError
from app.engines.base import EngineHost

_TIMEOUT = 1.0

log = structlog.get_logger("load")


class LoadWatch:
    """Looks at one engine's load whenever it is told to.

    Attributes:
        load: What it last said of itself; None while it said nothing.
        seen_at: When it said that, on the monotonic clock.
    """

    def __init__(
        self, host: EngineHost, pool: HttpPool, path: str | None, headers: Mapping[str, str], admission: Admission
    ) -> None:
        """``path``: where the engine tells its load; None if it does not."""
        self._host = host
        self._pool = pool
        self._path = path
        self._headers = headers
        self._admission = admission
        self.load: EngineLoad | None = None
        self.seen_at = 0.0

    async def look(self) -> None:
        """Ask once; an engine that does not tell changes nothing."""
        address = self._host.address
        if address is None or self._path is None:
            return
        try:
            async with (
                asyncio.timeout(_TIMEOUT),
                self._pool.exchange("GET", address, self._path, headers=self._headers) as response,
            ):
                load = read_load(from_json(await response.read(), cache_strings="keys"))
        except (TransportError, TimeoutError, ValueError, TypeError, LookupError):
            return
        self.load, self.seen_at = load, time.monotonic()
        limit = adapted_limit(self._admission.limit, self._admission.slots, load)
        if limit != self._admission.limit:
            log.info("limit adapted", limit=limit, waiting=load.waiting, usage=load.usage)
            self._admission.set_limit(limit)
