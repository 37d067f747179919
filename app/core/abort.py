"""Tells an engine by name which generation to stop, beside the cut connection, which it may notice late."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from pydantic_core import to_json

from app.core.http_pool import HttpPool
from app.core.transport_errors import TransportError
from app.engines.base import Address

_TIMEOUT = 2.0


class Aborter:
    """Sends aborts in the background: whoever leaves does not wait for them."""

    def __init__(self, pool: HttpPool, path: str, field: str, headers: Mapping[str, str]) -> None:
        self._pool = pool
        self._path = path
        self._field = field
        self._headers = headers
        self._tasks: set[asyncio.Task[None]] = set()

    def abort(self, address: Address, generation: str) -> None:
        """Stop ``generation``. Engines match ids by prefix: all of ours have the same length."""
        task = asyncio.create_task(self._send(address, generation), name="abort")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Let the aborts under way end."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_TIMEOUT)

    async def _send(self, address: Address, generation: str) -> None:
        body = to_json({self._field: generation})
        with suppress(TransportError, TimeoutError):
            async with (
                asyncio.timeout(_TIMEOUT),
                self._pool.exchange("POST", address, self._path, headers=self._headers, body=body) as response,
            ):
                await response.read()
