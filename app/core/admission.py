"""Who may run now: a fixed number of slots, and a bounded queue ordered by priority, then by arrival.

A bounded queue turns overload into a clear refusal at once; an unbounded one turns it into time-outs for everybody.
"""

import asyncio
import heapq
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import count

from app.core.deadline import Deadline
from app.core.generation import Priority
from app.errors import Overloaded


class Admission:
    """Hands out ``slots`` places; at most ``max_queue`` requests wait for one.

    Attributes:
        running: Requests that hold a place now.
    """

    def __init__(self, slots: int, max_queue: int) -> None:
        self.slots = slots
        self.max_queue = max_queue
        self.running = 0
        self._order = count()
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []

    @property
    def queued(self) -> int:
        """Requests that wait for a place now."""
        return len(self._queue)

    @asynccontextmanager
    async def admit(self, priority: Priority, deadline: Deadline) -> AsyncGenerator[None, None]:
        """Hold a place while the body runs; wait for one first if need be.

        A caller that is cancelled while it waits leaves the queue at once.

        Raises:
            Overloaded: the queue is full.
            DeadlineExceeded: the deadline passed while waiting.
        """
        if self.running < self.slots:
            self.running += 1
        else:
            await self._wait(priority, deadline)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, priority: Priority, deadline: Deadline) -> None:
        if len(self._queue) >= self.max_queue:
            raise Overloaded(
                f"{self.running} requests are running and {len(self._queue)} are waiting. Repeat the call later.",
                retry_after=5,
            )
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (int(priority), next(self._order), place)
        heapq.heappush(self._queue, entry)
        try:
            async with deadline.enforce():
                await place
        except BaseException:
            if place.done() and not place.cancelled():
                self._release()  # the place came in the same moment as the cancellation: hand it on
            elif entry in self._queue:
                self._queue.remove(entry)
                heapq.heapify(self._queue)
            raise

    def _release(self) -> None:
        """Give the place to the next in the queue, or free it."""
        while self._queue:
            _, _, place = heapq.heappop(self._queue)
            if not place.done():  # a waiter that is being cancelled may still stand in the queue
                place.set_result(None)
                return
        self.running -= 1
