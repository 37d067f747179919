"""Who may run now: a number of slots, and a bounded queue ordered by priority and age.

A bounded queue turns overload into a clear refusal at once; an unbounded one turns it into time-outs for everybody.
What would wait longer than it can, by the service times measured so far, is refused at once as well.
"""

import asyncio
import heapq
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from app.core.deadline import Deadline
from app.core.generation import Priority
from app.core.service_times import ServiceTimes
from app.errors import DeadlineExceeded, Overloaded

_AGING = 20.0  # seconds of waiting that make up for one level of priority, so that nothing starves
_LATE = 0.25  # of the mean time of a place: what whoever has had it for longer is expected to need still
_BULK = Priority.REPORT
_BULK_SHARE = 0.75  # of the slots: the rest is always there for somebody who waits in an interview
# Of the queue: less urgent work cannot fill it up for more urgent work.
_QUEUE_SHARE = {Priority.INTERVIEW_STEP: 1.0, Priority.FEEDBACK: 0.9, Priority.CHAT: 0.75, Priority.REPORT: 0.5}


@dataclass(order=True, slots=True)
class _Waiter:
    rank: float
    order: int
    priority: Priority = field(compare=False)
    place: "asyncio.Future[Holder]" = field(compare=False)


@dataclass(eq=False, slots=True)
class Holder:
    """Who has a place, and since when."""

    priority: Priority
    since: float


class Place:
    """A place at the engine, held while the body of ``async with`` runs."""

    __slots__ = ("_admission", "_deadline", "_holder", "_priority")

    def __init__(self, admission: "Admission", priority: Priority, deadline: Deadline) -> None:
        self._admission = admission
        self._priority = priority
        self._deadline = deadline

    async def __aenter__(self) -> None:
        self._holder = await self._admission.enter(self._priority, self._deadline)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._admission.leave(self._holder, whole=kind is None)


class Admission:
    """Hands out places; a request that finds none waits for one, if there is hope.

    Attributes:
        slots: The most places there ever are.
        limit: Places there are now: fewer than ``slots`` while the engine itself is short of room.
        max_queue: The most requests that wait.
    """

    def __init__(
        self,
        slots: int,
        max_queue: int,
        *,
        max_wait: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``max_wait``: seconds; a request that would wait longer is refused, even if its deadline allows more."""
        self.slots = slots
        self.limit = slots
        self.max_queue = max_queue
        self._max_wait = max_wait
        self._clock = clock
        # Who was let in because the wait is short must not be overtaken for much longer than that; reports always may.
        self._aging = min(_AGING, max_wait / len(Priority))
        self._order = count()
        self._urgent: list[_Waiter] = []
        self._bulk: list[_Waiter] = []
        self._holders: set[Holder] = set()
        self._reports = 0  # among them
        self._times = {priority: ServiceTimes() for priority in Priority}

    @property
    def running(self) -> int:
        """Requests that hold a place now."""
        return len(self._holders)

    @property
    def queued(self) -> int:
        """Requests that wait for a place now."""
        return len(self._urgent) + len(self._bulk)

    @property
    def bulk_limit(self) -> int:
        """Places that reports may hold at the same time."""
        return max(1, math.floor(self.limit * _BULK_SHARE))

    def set_limit(self, limit: int) -> None:
        """Have ``limit`` places from now on, within 1 and ``slots``; whoever holds one keeps it."""
        self.limit = min(max(1, limit), self.slots)
        self._fill()

    def admit(self, priority: Priority, deadline: Deadline) -> "Place":
        """Hold a place while the body of ``async with`` runs; wait for one first if need be.

        A caller that is cancelled while it waits leaves the queue at once.

        Raises:
            Overloaded: the queue is full, or the wait would be too long.
            DeadlineExceeded: the deadline passed while waiting, or leaves less time than any answer took lately.
        """
        return Place(self, priority, deadline)

    async def enter(self, priority: Priority, deadline: Deadline) -> Holder:
        """For ``Place`` and ``LLMEngine`` only: wait for a place; ``leave`` must follow."""
        return self.enter_now(priority, deadline) or await self._wait(priority, deadline)

    def enter_now(self, priority: Priority, deadline: Deadline) -> Holder | None:
        """A place if there is one to be had at once; ``leave`` must follow.

        Raises:
            DeadlineExceeded: it leaves less time than any answer took lately.
        """
        if not self.has_room(priority) or (self._bulk and priority is _BULK):
            return None
        self._refuse_hopeless(priority, deadline, 0.0)
        return self._enter(priority)

    def leave(self, holder: Holder, *, whole: bool) -> None:
        """Give a place back; ``whole`` if it was held for long enough for an answer."""
        now = self._clock()
        self._times[holder.priority].note(now - holder.since, now, whole=whole)
        self._leave(holder)

    def estimate(self, priority: Priority) -> float:
        """Seconds that a request of ``priority`` would wait for a place if it came now."""
        if self.has_room(priority) and not (self._bulk and priority is _BULK):
            return 0.0
        bulk_only = priority is _BULK and self._reports >= self.bulk_limit
        free = [self._left(holder) for holder in self._holders if not bulk_only or holder.priority is _BULK]
        heapq.heapify(free)
        rank = self._rank(priority)
        for waiter in sorted(w for queue in (self._urgent, self._bulk) for w in queue if w.rank <= rank):
            heapq.heapreplace(free, free[0] + self._times[waiter.priority].mean)
        return free[0]

    def _left(self, holder: Holder) -> float:
        """Seconds until ``holder`` should leave; whoever is late may be so for a while."""
        mean = self._times[holder.priority].mean
        left = mean - (self._clock() - holder.since)
        return left if left > 0 else _LATE * mean

    def _rank(self, priority: Priority) -> float:
        return self._clock() + int(priority) * (_AGING if priority is _BULK else self._aging)

    def has_room(self, priority: Priority) -> bool:
        """Whether there is a place for ``priority``, if nobody waits for it already."""
        return len(self._holders) < self.limit and (priority is not _BULK or self._reports < self.bulk_limit)

    async def _wait(self, priority: Priority, deadline: Deadline) -> Holder:
        wait = self.estimate(priority)
        # A report can be overtaken for so long that no short wait can be promised to it once all places are taken.
        if priority is _BULK and self.running >= self.limit and self._max_wait < _AGING:
            raise self._overloaded(wait / 2)
        if self.queued >= math.ceil(self.max_queue * _QUEUE_SHARE[priority]) or wait > self._max_wait:
            raise self._overloaded(wait / 2)
        self._refuse_hopeless(priority, deadline, wait)
        place: asyncio.Future[Holder] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(self._rank(priority), next(self._order), priority, place)
        queue = self._bulk if priority is _BULK else self._urgent
        heapq.heappush(queue, waiter)
        try:
            async with deadline.enforce():
                return await place
        except BaseException:
            if place.done() and not place.cancelled():
                self._leave(place.result())  # the place came in the same moment as the cancellation: hand it on
            elif waiter in queue:
                queue.remove(waiter)
                heapq.heapify(queue)
            raise

    def _refuse_hopeless(self, priority: Priority, deadline: Deadline, wait: float) -> None:
        """Refuse what cannot be done in the time that is left, by what was measured."""
        times = self._times[priority]
        if wait + times.bound <= deadline.expires_at - self._clock():
            return
        least = times.least(self._clock())
        lacking = wait + least - deadline.remaining()
        if lacking <= 0 or least + wait <= 0:
            return
        if wait > 0:
            raise self._overloaded(lacking)
        raise DeadlineExceeded(
            f"{deadline.remaining():.1f} s are left of the {deadline.allowed:g} s allowed for this request, and no "
            f"answer of its kind took less than {2 * least:.1f} s lately. Allow more time with {deadline.setting}."
        )

    def _overloaded(self, retry_after: float) -> Overloaded:
        return Overloaded(
            f"{self.running} requests are running and {self.queued} are waiting. Repeat the call later.",
            retry_after=min(max(1.0, retry_after), 60.0),
        )

    def _enter(self, priority: Priority) -> Holder:
        holder = Holder(priority, self._clock())
        self._holders.add(holder)
        self._reports += priority is _BULK
        return holder

    def _leave(self, holder: Holder) -> None:
        self._holders.discard(holder)
        self._reports -= holder.priority is _BULK
        if self._urgent or self._bulk:
            self._fill()

    def _fill(self) -> None:
        """Give free places to those who wait, in order."""
        while (queue := self._next_queue()) is not None:
            waiter = heapq.heappop(queue)
            if not waiter.place.done():  # one that is being cancelled may still stand in the queue
                waiter.place.set_result(self._enter(waiter.priority))

    def _next_queue(self) -> list[_Waiter] | None:
        """The queue whose first one is next; None if nobody may enter."""
        if self.running >= self.limit:
            return None
        queues = [self._urgent, self._bulk if self._reports < self.bulk_limit else []]
        waiting = [queue for queue in queues if queue]
        return min(waiting, key=lambda queue: queue[0]) if waiting else None
