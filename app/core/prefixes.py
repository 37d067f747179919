"""The first of many generations that begin alike goes alone.

llama.cpp keeps what it has read by slot: eight generations that begin with the same thousand tokens read them eight
times if they start together. If seven wait for the first, they have something to take it from (see ``slot_copies``).
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

Place = Literal["first", "alone", "beside"]
"""The first of its kind, or the only one that is under way, or one beside others."""


class Prefixes:
    """Which beginnings the engine has read, and how many generations begin with each now."""

    def __init__(self, kept: int) -> None:
        """``kept``: how many beginnings the engine remembers, those used last."""
        self._kept = kept
        self._read: OrderedDict[str, None] = OrderedDict()
        self._reading: dict[str, asyncio.Lock] = {}
        self._under_way: Counter[str] = Counter()

    @asynccontextmanager
    async def lead(self, beginning: str) -> AsyncGenerator[Place, None]:
        """Run the body at once if ``beginning`` has been read, else alone; tells which it is."""
        if beginning not in self._read:
            lock = self._reading.setdefault(beginning, asyncio.Lock())
            async with lock:
                if beginning not in self._read:
                    yield "first"
                    self._read[beginning] = None
                    self._reading.pop(beginning, None)
                    if len(self._read) > self._kept:
                        self._read.popitem(last=False)
                    return
        self._read.move_to_end(beginning)
        place: Place = "beside" if self._under_way[beginning] else "alone"
        self._under_way[beginning] += 1
        try:
            yield place
        finally:
            self._under_way[beginning] -= 1
            self._under_way += Counter()  # drops the zeros

    def forget(self) -> None:
        """The engine is a new one: it has read nothing."""
        self._read.clear()
