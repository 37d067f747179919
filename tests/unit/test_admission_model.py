"""Admission against a model of it: any order of coming, leaving and being cancelled."""

import asyncio
import math
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.core.admission import Admission
from app.core.generation import Priority
from app.errors import Overloaded
from tests.unit.visitors import Visitor, everybody_waits

T = TypeVar("T")

SHARES = {Priority.INTERVIEW_STEP: 1.0, Priority.FEEDBACK: 0.9, Priority.CHAT: 0.75, Priority.REPORT: 0.5}

pick = st.integers(0, 1000)


class AdmissionMachine(RuleBasedStateMachine):
    """The model is two lists: who is inside, and who waits, in the order in which they want to go in.

    Reports go in only while they hold less than three quarters of the places.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.admission = Admission(1, 0)
        self.inside: list[Visitor] = []
        self.waiting: list[tuple[Priority, int, Visitor]] = []
        self.arrivals = 0

    def teardown(self) -> None:
        """Everybody leaves; the runner fails if a task is left that does not end."""
        self.run(self._empty)
        self.runner.close()

    @initialize(slots=st.integers(1, 5), max_queue=st.sampled_from([0, 1, 4, 8]))
    def open(self, slots: int, max_queue: int) -> None:
        """Any size, the smallest included."""
        self.admission = Admission(slots, max_queue)

    @rule(priority=st.sampled_from(Priority))
    def arrive(self, priority: Priority) -> None:
        """One more: it goes in, waits or is refused."""
        visitor = self.run(lambda: self._arrive(priority))
        self.arrivals += 1
        overtakes = priority is not Priority.REPORT or all(p is not priority for p, _, _ in self.waiting)
        if self._may_enter(priority) and overtakes:
            self.inside.append(visitor)
        elif len(self.waiting) < math.ceil(self.admission.max_queue * SHARES[priority]):
            self.waiting.append((priority, self.arrivals, visitor))
            self.waiting.sort(key=lambda entry: entry[:2])
        else:
            assert isinstance(visitor.task.exception(), Overloaded)

    @precondition(lambda self: self.inside)
    @rule(index=pick)
    def leave(self, index: int) -> None:
        """One is done."""
        self.inside.pop(index % len(self.inside)).leave()
        self._next_goes_in()

    @precondition(lambda self: self.inside)
    @rule(index=pick)
    def cancel_one_inside(self, index: int) -> None:
        """The client of one that runs goes away."""
        self.inside.pop(index % len(self.inside)).task.cancel()
        self._next_goes_in()

    @precondition(lambda self: self.waiting)
    @rule(index=pick)
    def cancel_one_waiting(self, index: int) -> None:
        """The client of one that waits goes away."""
        self.waiting.pop(index % len(self.waiting))[2].task.cancel()

    @precondition(lambda self: self.waiting)
    @rule(index=pick, victim=pick)
    def leave_and_cancel_one_waiting_in_the_same_moment(self, index: int, victim: int) -> None:
        """The place is handed over and the heir, perhaps, is cancelled before it can take it."""
        leaver = self.inside.pop(index % len(self.inside))
        leaver.victim = self.waiting.pop(victim % len(self.waiting))[2]
        leaver.leave()
        self._next_goes_in()

    @precondition(lambda self: self.waiting)
    @rule(index=pick, victim=pick)
    def cancel_one_waiting_and_leave_in_the_same_moment(self, index: int, victim: int) -> None:
        """The heir, perhaps, is cancelled before the place is handed over."""
        self.waiting.pop(victim % len(self.waiting))[2].task.cancel()
        self.inside.pop(index % len(self.inside)).leave()
        self._next_goes_in()

    @invariant()
    def nobody_is_lost_and_no_place_either(self) -> None:
        """Admission and model agree once everybody waits."""
        self.run(everybody_waits)
        assert self.admission.running == len(self.inside) <= self.admission.slots
        assert self.admission.queued == len(self.waiting) <= self.admission.max_queue
        assert all(visitor.inside for visitor in self.inside)
        assert not any(visitor.inside or visitor.task.done() for _, _, visitor in self.waiting)

    def _may_enter(self, priority: Priority) -> bool:
        slots = self.admission.slots
        reports = sum(visitor.priority is Priority.REPORT for visitor in self.inside)
        return len(self.inside) < slots and (priority is not Priority.REPORT or reports < max(1, 3 * slots // 4))

    def _next_goes_in(self) -> None:
        for entry in list(self.waiting):
            if self._may_enter(entry[0]):
                self.waiting.remove(entry)
                self.inside.append(entry[2])

    async def _arrive(self, priority: Priority) -> Visitor:
        visitor = Visitor(self.admission, priority)
        await everybody_waits()
        return visitor

    async def _empty(self) -> None:
        everybody = [*self.inside, *(visitor for _, _, visitor in self.waiting)]
        for visitor in everybody:
            visitor.leave()
        async with asyncio.timeout(5):
            await asyncio.gather(*(visitor.task for visitor in everybody))
        assert (self.admission.running, self.admission.queued) == (0, 0)

    def run(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run ``what()`` in this machine's event loop, in which the visitors live on between the rules."""
        return self.runner.run(what())


TestAdmission = AdmissionMachine.TestCase
TestAdmission.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
