"""Who runs now: slots, a bounded queue by priority, aborts and the pace of tokens."""

import asyncio
from bisect import insort
from enum import Enum
from itertools import count

from simulator.errors import EngineAbort, RequestError, evicted, queue_full
from simulator.settings import Settings

LOWEST_PRIORITY = -(2**63)


class Cut(Enum):
    """Why a job ended before its last token."""

    ABORTED = "aborted"  # /abort_request or a fault: the client gets what there is
    GONE = "gone"  # the client left, or the process "died": there is nobody to answer
    REFUSED = "refused"  # evicted from the queue: the client gets an error


class Job:
    """One request inside the scheduler."""

    def __init__(self, rid: str, priority: int | None, held_tokens: int) -> None:
        self.rid = rid
        self.priority = LOWEST_PRIORITY if priority is None else priority
        self.held_tokens = held_tokens
        self.cut: Cut | None = None
        self.running = False
        self.arrived = asyncio.get_running_loop().time()
        self.started = 0.0
        self._wake: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """End the pause the job is in, if any."""
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def end(self, why: Cut) -> None:
        """Cut the job short; the first reason stays."""
        self.cut = self.cut or why
        self.wake()

    async def pause(self, until: float | None) -> None:
        """Sleep until a moment of the loop's clock (None: for good), or until woken or cut."""
        loop = asyncio.get_running_loop()
        if self.cut or (until is not None and until <= loop.time()):
            return
        self._wake = loop.create_future()
        timer = loop.call_at(until, self.wake) if until is not None else None
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()


class Scheduler:
    """Holds every job from submission to its end."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.running: dict[str, Job] = {}
        self._queue: list[tuple[int, int, Job]] = []
        self._order = count()
        self._changed: asyncio.Event = asyncio.Event()
        self.completed = 0
        self.aborted = 0
        self.refused = 0

    @property
    def queued(self) -> int:
        """Requests that wait."""
        return len(self._queue)

    @property
    def held_tokens(self) -> int:
        """KV tokens of the running requests."""
        return sum(job.held_tokens for job in self.running.values())

    def known(self, rid: str) -> bool:
        """Whether a request with this id is in flight."""
        return rid in self.running or any(job.rid == rid for _, _, job in self._queue)

    def notify(self) -> None:
        """Tell whoever watches that a figure moved."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        """Wait for the next change of any figure."""
        await self._changed.wait()

    async def enter(self, job: Job) -> None:
        """Take a slot, waiting for one if need be.

        Raises:
            EngineAbort: The queue is full, or a more urgent request took the place.
        """
        if len(self.running) < self.settings.slots and not self._queue:
            self._start(job)
        else:
            self._enqueue(job)
            while not (job.running or job.cut):
                await job.pause(None)
        if not job.running:
            job.started = asyncio.get_running_loop().time()
        self.notify()
        if job.cut is Cut.REFUSED:
            raise evicted()

    def _enqueue(self, job: Job) -> None:
        bound = self.settings.max_queued
        if bound is not None and len(self._queue) >= bound:
            self._make_room(job)
        rank = -job.priority if self.settings.priority else 0
        insort(self._queue, (rank, next(self._order), job))
        self.notify()

    def _make_room(self, job: Job) -> None:
        """Evict the least urgent waiting request, if it is less urgent than the new one."""
        last = self._queue[-1][2] if self._queue else None
        if last is None or not self.settings.priority or last.priority >= job.priority:
            self._count_refusal()
            raise queue_full()
        self._queue.pop()
        self._count_refusal()
        last.end(Cut.REFUSED)

    def _count_refusal(self) -> None:
        self.refused += 1
        self.notify()

    def _start(self, job: Job) -> None:
        job.running = True
        job.started = asyncio.get_running_loop().time()
        self.running[job.rid] = job
        job.wake()

    def leave(self, job: Job, error: RequestError | None = None) -> None:
        """Free whatever the job holds and let the next ones run."""
        if job.running:
            self.running.pop(job.rid, None)
        else:
            self._queue = [entry for entry in self._queue if entry[2] is not job]
        if job.cut in (Cut.ABORTED, Cut.GONE):
            self.aborted += 1
        elif not isinstance(error, EngineAbort):
            self.completed += 1
        self.fill()
        self.notify()

    def fill(self) -> None:
        """Start waiting requests while there are slots."""
        while self._queue and len(self.running) < self.settings.slots:
            self._start(self._queue.pop(0)[2])

    def abort(self, prefix: str, why: Cut = Cut.ABORTED) -> None:
        """Cut every request whose id starts with the prefix, waiting or running, as the real scheduler matches."""
        waiting = [job for _, _, job in self._queue if job.rid.startswith(prefix)]
        self._queue = [entry for entry in self._queue if entry[2] not in waiting]
        for job in [*waiting, *(job for job in self.running.values() if job.rid.startswith(prefix))]:
            job.end(why)
        self.notify()
