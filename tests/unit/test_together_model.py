"""Coalescing, breaker and admission together, against a model: 400 interleavings of up to 50 steps, in any order.

``INTERLEAVINGS=10000 pytest tests/unit/test_together_model.py --timeout 1200`` runs as many.

A request shares the work of its key; the work passes the breaker, takes a place, and ends served or failed. The model
knows nothing of queues, futures or timers: it is four collections and the rules of the three, written down again.
"""

import asyncio
import math
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.core.admission import Admission
from app.core.breaker import Breaker
from app.core.coalescing import Coalescer, Identity
from app.core.deadline import Deadline
from app.core.generation import Priority
from app.errors import EngineFailure, NotReady, Overloaded, ServiceError
from tests.unit.visitors import everybody_waits

T = TypeVar("T")

KEYS = 6
MOST_RESULTS = 3
VOLUME = 2  # so that the breaker opens often
SHARES = {Priority.INTERVIEW_STEP: 1.0, Priority.FEEDBACK: 0.9, Priority.CHAT: 0.75, Priority.REPORT: 0.5}
pick = st.integers(0, 1000)


@dataclass(eq=False)
class Job:
    """One piece of work in the model, and the handle by which the real one is ended."""

    key: int
    priority: Priority
    order: int
    probe: bool
    end: "asyncio.Future[bool]"
    clients: list["asyncio.Task[Any]"] = field(default_factory=list["asyncio.Task[Any]"])


class BreakerModel:
    """The breaker's rules: enough ends in 10 s, half of them failures; 1 s, doubled up to 5; two probes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.ends: list[tuple[float, bool]] = []
        self.open_until: float | None = None
        self.pause = 1.0
        self.probes = 0

    def lets_through(self) -> bool:
        """Whether a call may begin."""
        return self.open_until is None or (self.now >= self.open_until and self.probes < 2)

    def over(self, *, served: bool, probe: bool) -> None:
        """A call has ended."""
        self.probes -= probe
        if self.open_until is None:
            self.ends = [(when, ok) for when, ok in [*self.ends, (self.now, served)] if self.now - when <= 10]
            failed = sum(not ok for _, ok in self.ends)
            if len(self.ends) >= VOLUME and failed * 2 >= len(self.ends):
                self._open()
        elif probe and served:
            self.ends, self.open_until, self.pause = [], None, 1.0
        elif probe:
            self.pause = min(2 * self.pause, 5.0)
            self._open()

    def _open(self) -> None:
        self.ends, self.open_until = [], self.now + self.pause


class TogetherMachine(RuleBasedStateMachine):
    """Requests with few keys, so that many of them meet."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.theory = BreakerModel()
        self.breaker = Breaker(lambda: self.theory.now, volume=VOLUME)
        self.coalescer = Coalescer(grace=1000, most_results=MOST_RESULTS)
        self.admission = Admission(1, 0)
        self.inside: list[Job] = []
        self.waiting: list[Job] = []
        self.kept: list[int] = []
        self.begun = 0
        self.expected = 0

    def teardown(self) -> None:
        """Everything ends; nothing is left."""
        self.run(self._close)
        self.runner.close()

    @initialize(slots=st.integers(1, 5), max_queue=st.sampled_from([0, 2, 8]))
    def open(self, slots: int, max_queue: int) -> None:
        """Any size."""
        self.admission = Admission(slots, max_queue)

    @rule(key=st.integers(0, KEYS - 1), priority=st.sampled_from(Priority))
    def request(self, key: int, priority: Priority) -> None:
        """A client asks: it is served at once, attaches, begins work or is refused."""
        job = Job(key, priority, self.expected, not self.breaker.closed, self.run(_future))
        client = self.run(lambda: self._ask(job))
        known = next((other for other in [*self.inside, *self.waiting] if other.key == key), None)
        if key in self.kept:
            assert client.done()
            assert client.exception() is None
        elif known is not None:
            known.clients.append(client)
        else:
            self.expected += 1
            job.clients.append(client)
            self._begin(job, client)

    def _begin(self, job: Job, client: "asyncio.Task[Any]") -> None:
        if not self.theory.lets_through():
            assert type(client.exception()) is NotReady
            return
        queued_before = any(other.priority is Priority.REPORT for other in self.waiting)
        if self._may_enter(job.priority) and not (job.priority is Priority.REPORT and queued_before):
            self.inside.append(job)
        elif len(self.waiting) < math.ceil(self.admission.max_queue * SHARES[job.priority]):
            self.waiting.append(job)
            self.waiting.sort(key=lambda other: (other.priority, other.order))
        else:
            assert type(client.exception()) is Overloaded
            return
        self.theory.probes += job.probe

    @precondition(lambda self: self.inside)
    @rule(index=pick, served=st.booleans())
    def end(self, index: int, served: bool) -> None:  # noqa: FBT001
        """The engine is done with one, well or not: everybody who waits for it hears the same."""
        job = self.inside.pop(index % len(self.inside))
        job.end.set_result(served)
        self.run(everybody_waits)
        self.theory.over(served=served, probe=job.probe)
        if served:
            self.kept = [*self.kept, job.key][-MOST_RESULTS:]
        for client in job.clients:
            assert client.cancelled() or (client.exception() is None) is served
        while (following := next((j for j in self.waiting if self._may_enter(j.priority)), None)) is not None:
            self.waiting.remove(following)
            self.inside.append(following)

    @precondition(lambda self: self.inside or self.waiting)
    @rule(index=pick)
    def leave(self, index: int) -> None:
        """A client leaves; the work goes on, for whoever asks the same."""
        jobs = [job for job in [*self.inside, *self.waiting] if job.clients]
        if jobs:
            jobs[index % len(jobs)].clients.pop().cancel()

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.0, 11.0]))
    def wait(self, seconds: float) -> None:
        """Time passes for the breaker."""
        self.theory.now += seconds

    @invariant()
    def they_agree(self) -> None:
        """Everything that can be seen is as the model says."""
        self.run(everybody_waits)
        assert self.begun == self.expected
        assert self.admission.running == len(self.inside) <= self.admission.slots
        assert self.admission.queued == len(self.waiting)
        assert self.coalescer.running == len(self.inside) + len(self.waiting)
        assert self.coalescer.kept == len(self.kept)
        assert self.breaker.closed == (self.theory.open_until is None)
        assert (self.breaker.left() == 0) == self.theory.lets_through()

    def _may_enter(self, priority: Priority) -> bool:
        slots = self.admission.slots
        reports = sum(job.priority is Priority.REPORT for job in self.inside)
        return len(self.inside) < slots and (priority is not Priority.REPORT or reports < max(1, 3 * slots // 4))

    async def _ask(self, job: Job) -> "asyncio.Task[Any]":
        identity = Identity(bytes([job.key]), b"", 1000)
        client = asyncio.create_task(self.coalescer.share(identity, lambda: self._work(job)))
        await everybody_waits()
        return client

    async def _work(self, job: Job) -> int:
        self.begun += 1
        probe = not self.breaker.closed
        if not self.breaker.begin():
            raise NotReady("left alone")
        served: bool | None = None
        try:
            async with self.admission.admit(job.priority, Deadline.after(1000)):
                served = await job.end
        finally:
            self.breaker.end(served, probe=probe)
        if not served:
            raise EngineFailure("failed")
        return job.key

    async def _close(self) -> None:
        clients = [client for job in [*self.inside, *self.waiting] for client in job.clients]
        await self.coalescer.close()
        ends = await asyncio.gather(*clients, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError | ServiceError) for end in ends)
        assert (self.admission.running, self.admission.queued) == (0, 0)

    def run(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``what()`` in this machine's event loop."""
        return self.runner.run(what())


async def _future() -> "asyncio.Future[bool]":
    return asyncio.get_running_loop().create_future()


TestTogether = TogetherMachine.TestCase
TestTogether.settings = settings(
    max_examples=int(os.environ.get("INTERLEAVINGS", "400")), stateful_step_count=50, deadline=None
)
