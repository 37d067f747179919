"""The first of many generations that begin alike goes alone.

llama.cpp keeps what it has read by slot: eight generations that begin with the same thousand tokens read them eight
times if they start together, and once if seven of them wait for the first (measured on two cores: 224 s and 28 s).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

_KEPT = 64  # beginnings remembered; a service knows two rubrics and the bands of its callers


class Prefixes:
    """Which beginnings the engine has read."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, None] = OrderedDict()
        self._reading: dict[str, asyncio.Lock] = {}

    @asynccontextmanager
    async def lead(self, beginning: str) -> AsyncGenerator[None, None]:
        """Run the body at once if ``beginning`` has been read, else alone."""
        if beginning not in self._read:
            lock = self._reading.setdefault(beginning, asyncio.Lock())
            async with lock:
                if beginning not in self._read:
                    yield
                    self._read[beginning] = None
                    self._reading.pop(beginning, None)
                    while len(self._read) > _KEPT:
                        self._read.popitem(last=False)
                    return
        yield

    def forget(self) -> None:
        """The engine is a new one: it has read nothing."""
        self._read.clear()
