import asyncio
import math

import pytest
from anyio.lowlevel import checkpoint

from app.core.admission import Admission
from app.core.deadline import Deadline
from app.core.generation import Priority
from app.errors import DeadlineExceeded, Overloaded
from tests.unit.visitors import Visitor, everybody_waits

pytestmark = pytest.mark.anyio


def entered(*visitors: Visitor) -> list[bool]:
    return [visitor.inside for visitor in visitors]


async def leave_all(*visitors: Visitor) -> None:
    for visitor in visitors:
        visitor.leave()
    await asyncio.gather(*(visitor.task for visitor in visitors), return_exceptions=True)


async def test_no_more_run_than_there_are_slots() -> None:
    admission = Admission(slots=2, max_queue=10)
    visitors = [Visitor(admission) for _ in range(5)]
    await everybody_waits()
    assert entered(*visitors) == [True, True, False, False, False]
    assert (admission.running, admission.queued) == (2, 3)
    await leave_all(*visitors)
    assert (admission.running, admission.queued) == (0, 0)


async def test_who_came_first_goes_first() -> None:
    admission = Admission(slots=1, max_queue=10)
    visitors = [Visitor(admission) for _ in range(4)]
    for visitor in visitors:
        await everybody_waits()
        assert visitor.inside
        visitor.leave()
    await leave_all(*visitors)


async def test_a_higher_priority_goes_before_an_earlier_arrival() -> None:
    admission = Admission(slots=1, max_queue=10)
    first = Visitor(admission)
    await everybody_waits()
    waiting = {priority: Visitor(admission, priority) for priority in reversed(Priority)}
    first.leave()
    for priority in sorted(Priority):
        await everybody_waits()
        assert [p for p, visitor in waiting.items() if visitor.inside] == [priority]
        waiting[priority].leave()
    await leave_all(first, *waiting.values())


async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back() -> None:
    admission = Admission(slots=1, max_queue=1)
    visitors = [Visitor(admission), Visitor(admission)]
    await everybody_waits()
    with pytest.raises(Overloaded, match="1 requests are running and 1 are waiting") as caught:
        async with admission.admit(Priority.INTERVIEW_STEP, Deadline.after(60)):
            pytest.fail("there was no place")
    assert caught.value.retry_after
    await leave_all(*visitors)


async def test_without_a_queue_only_free_slots_count() -> None:
    admission = Admission(slots=1, max_queue=0)
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        with pytest.raises(Overloaded):
            async with admission.admit(Priority.CHAT, Deadline.after(60)):
                pytest.fail("there was no place")
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        assert admission.running == 1


async def test_a_waiter_that_is_cancelled_leaves_the_queue() -> None:
    admission = Admission(slots=1, max_queue=1)
    first, second = Visitor(admission), Visitor(admission)
    await everybody_waits()
    second.task.cancel()
    await everybody_waits()
    assert admission.queued == 0
    third = Visitor(admission)
    await everybody_waits()
    first.leave()
    await everybody_waits()
    assert entered(first, second, third) == [False, False, True]
    await leave_all(third)


async def test_the_order_holds_after_a_waiter_has_left() -> None:
    admission = Admission(slots=1, max_queue=10)
    order = [Priority.CHAT, Priority.INTERVIEW_STEP, Priority.REPORT, Priority.FEEDBACK]
    first, gone, last, next_one = (Visitor(admission, priority) for priority in order)
    await everybody_waits()
    gone.task.cancel()
    await everybody_waits()
    first.leave()
    await everybody_waits()
    assert entered(last, next_one) == [False, True]
    await leave_all(last, next_one)


async def test_one_that_is_cancelled_while_it_runs_frees_its_place() -> None:
    admission = Admission(slots=1, max_queue=1)
    first, second = Visitor(admission), Visitor(admission)
    await everybody_waits()
    first.task.cancel()
    await everybody_waits()
    assert second.inside
    await leave_all(second)
    assert admission.running == 0


async def test_one_that_fails_while_it_runs_frees_its_place() -> None:
    admission = Admission(slots=1, max_queue=0)
    with pytest.raises(LookupError):
        async with admission.admit(Priority.CHAT, Deadline.after(60)):
            raise LookupError
    assert admission.running == 0


async def test_a_place_that_comes_in_the_moment_of_the_cancellation_goes_to_the_next() -> None:
    admission = Admission(slots=1, max_queue=10)
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        heir, next_one = Visitor(admission), Visitor(admission)
        await everybody_waits()
    heir.task.cancel()
    await everybody_waits()
    assert heir.task.cancelled()
    assert next_one.inside
    await leave_all(next_one)
    assert (admission.running, admission.queued) == (0, 0)


async def test_a_place_that_comes_in_the_moment_of_the_last_cancellation_is_free_again() -> None:
    admission = Admission(slots=1, max_queue=10)
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        heir = Visitor(admission)
        await everybody_waits()
    heir.task.cancel()
    await everybody_waits()
    assert (admission.running, admission.queued) == (0, 0)


async def test_a_waiter_cancelled_just_before_a_place_comes_is_passed_over() -> None:
    admission = Admission(slots=1, max_queue=10)
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        gone, next_one = Visitor(admission), Visitor(admission)
        await everybody_waits()
        gone.task.cancel()
    await everybody_waits()
    assert entered(gone, next_one) == [False, True]
    await leave_all(next_one)
    assert (admission.running, admission.queued) == (0, 0)


async def test_a_deadline_that_passes_while_waiting_frees_the_place_in_the_queue() -> None:
    admission = Admission(slots=1, max_queue=1)
    async with admission.admit(Priority.CHAT, Deadline.after(60)):
        with pytest.raises(DeadlineExceeded):
            async with admission.admit(Priority.CHAT, Deadline.after(0.02)):
                pytest.fail("there was no place")
        assert (admission.running, admission.queued) == (1, 0)
    assert admission.running == 0


async def test_a_deadline_while_waiting_does_not_bind_what_runs() -> None:
    admission = Admission(slots=1, max_queue=1)
    async with admission.admit(Priority.CHAT, Deadline.after(-1)):
        await checkpoint()
        assert admission.running == 1


async def test_a_place_that_comes_in_the_moment_of_the_deadline_is_not_lost() -> None:
    """Whoever wins, the count is right: the waiter runs, or the place is free."""
    for _ in range(20):
        admission = Admission(slots=1, max_queue=1)
        limit = Deadline.after(0.001)
        first = Visitor(admission)
        await everybody_waits()
        second = Visitor(admission, deadline=limit)
        while limit.remaining() > 0.0001:
            await checkpoint()
        first.leave()
        second.leave()
        await asyncio.gather(first.task, second.task, return_exceptions=True)
        assert (admission.running, admission.queued) == (0, 0)


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


async def taken(
    clock: Clock, slots: int, seconds: float, max_wait: float = math.inf
) -> tuple[Admission, list[Visitor]]:
    """All places taken one second after the other, where a place was held for ``seconds`` before."""
    admission = Admission(slots, max_queue=10, max_wait=max_wait, clock=clock)
    before = [Visitor(admission, priority) for priority in list(Priority)[:slots]]
    await everybody_waits()
    clock.now += seconds
    await leave_all(*before)
    visitors: list[Visitor] = []
    for priority in list(Priority)[:slots]:
        visitors.append(Visitor(admission, priority))
        await everybody_waits()
        clock.now += 1
    return admission, visitors


async def test_the_wait_is_the_time_until_the_first_place_should_be_free() -> None:
    admission, visitors = await taken(Clock(), slots=3, seconds=8)
    assert admission.estimate(Priority.INTERVIEW_STEP) == pytest.approx(5)
    await leave_all(*visitors)


async def test_each_who_waits_ahead_takes_the_next_place_to_be_free() -> None:
    admission, visitors = await taken(Clock(), slots=3, seconds=8)
    ahead = [Visitor(admission, Priority.INTERVIEW_STEP) for _ in range(3)]
    await everybody_waits()
    assert admission.estimate(Priority.INTERVIEW_STEP) == pytest.approx(13)  # the places are free after 5, 6, 7, 13 s
    await leave_all(*visitors, *ahead)


async def test_who_holds_a_place_for_longer_than_usual_may_do_so_for_a_while() -> None:
    clock = Clock()
    admission, visitors = await taken(clock, slots=1, seconds=8)
    clock.now += 100
    assert admission.estimate(Priority.INTERVIEW_STEP) == pytest.approx(2)
    await leave_all(*visitors)


async def test_with_a_longest_wait_who_was_let_in_is_not_overtaken_for_much_longer() -> None:
    clock = Clock()
    admission, visitors = await taken(clock, slots=1, seconds=0.1, max_wait=0.4)
    early = Visitor(admission, Priority.CHAT)
    await everybody_waits()
    clock.now += 0.3
    late = Visitor(admission, Priority.INTERVIEW_STEP)
    await everybody_waits()
    visitors[0].leave()
    await everybody_waits()
    assert entered(early, late) == [True, False]
    await leave_all(*visitors, early, late)


async def test_with_a_longest_wait_no_report_queues_while_all_places_are_taken() -> None:
    admission, visitors = await taken(Clock(), slots=1, seconds=2, max_wait=5)
    with pytest.raises(Overloaded):
        async with admission.admit(Priority.REPORT, Deadline.after(60)):
            pytest.fail("there was no place")
    step = Visitor(admission, Priority.INTERVIEW_STEP)
    await everybody_waits()
    assert admission.queued == 1
    await leave_all(*visitors, step)
