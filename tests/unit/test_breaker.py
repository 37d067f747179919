from hypothesis import given
from hypothesis import strategies as st

from app.core.breaker import Breaker
from app.core.retry_budget import RetryBudget


class Clock:
    """Time that stands still until told otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """The time."""
        return self.now


def ended(breaker: Breaker, served: bool | None, times: int = 1) -> None:  # noqa: FBT001
    for _ in range(times):
        probe = not breaker.closed
        if breaker.begin():
            breaker.end(served, probe=probe)


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    ended(breaker, served=False, times=20)
    assert not breaker.closed
    return breaker


def test_a_few_failures_do_not_open_it() -> None:
    breaker = Breaker(Clock())
    ended(breaker, served=False, times=19)
    assert breaker.begin()


def test_failures_among_many_answers_do_not_open_it() -> None:
    breaker = Breaker(Clock())
    for _ in range(50):
        ended(breaker, served=True, times=2)
        ended(breaker, served=False)
    assert breaker.closed


def test_calls_that_say_nothing_do_not_open_it() -> None:
    breaker = Breaker(Clock())
    ended(breaker, served=None, times=1000)
    assert breaker.closed


def test_failures_long_ago_are_forgotten() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    for _ in range(100):
        ended(breaker, served=False)
        clock.now += 1.0
    assert breaker.closed


def test_while_it_is_open_no_call_begins() -> None:
    breaker = opened(Clock())
    assert not breaker.begin()
    assert breaker.left() == 1.0


def test_after_its_pause_two_calls_try_the_engine() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1.0
    assert [breaker.begin() for _ in range(4)] == [True, True, False, False]


def test_a_probe_that_is_served_closes_it() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1.0
    ended(breaker, served=True)
    assert breaker.closed


def test_a_probe_that_fails_opens_it_for_longer() -> None:
    clock = Clock()
    breaker = opened(clock)
    for pause in (2.0, 4.0, 5.0, 5.0):
        clock.now += breaker.left()
        ended(breaker, served=False)
        assert breaker.left() == pause


def test_a_probe_whose_client_leaves_makes_room_for_another() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 1.0
    ended(breaker, served=None, times=10)
    assert breaker.begin()


def test_a_restart_of_the_engine_voids_what_was_held_against_it() -> None:
    breaker = opened(Clock())
    breaker.reset()
    assert breaker.closed


def test_retries_are_at_most_a_tenth_of_the_calls() -> None:
    budget = RetryBudget(Clock())
    retries = 0
    for _ in range(1000):
        budget.begun()
        retries += budget.spend(refused=False)
    assert retries <= 100


def test_refusals_are_repeated_freely_while_most_calls_are_served() -> None:
    budget = RetryBudget(Clock())
    for _ in range(300):
        for served in (True, True, False):
            budget.asked()
            budget.ended(served=served)
        assert budget.spend(refused=True)


@given(st.integers(1, 2000))
def test_of_an_engine_that_refuses_three_of_ten_no_call_gives_up_however_many_come_at_once(at_once: int) -> None:
    budget = RetryBudget(Clock())
    for _ in range(5):
        waiting, under_way = at_once, 0
        while waiting:  # refusals come at once and answers late
            refused = waiting * 3 // 10
            for _ in range(waiting):
                budget.asked()
            for _ in range(refused):
                budget.ended(served=False)
            assert not refused or budget.spend(refused=True)
            under_way += waiting - refused
            waiting = refused
        for _ in range(under_way):
            budget.ended(served=True)


def test_an_engine_that_refuses_everything_is_not_asked_more_often_than_a_dead_one() -> None:
    budget = RetryBudget(Clock())
    retries = 0
    for _ in range(1000):
        budget.begun()
        budget.asked()
        budget.ended(served=False)
        while budget.spend(refused=True):
            retries += 1
            budget.asked()
            budget.ended(served=False)
    assert retries <= 100


def test_a_quiet_service_has_some_retries_too() -> None:
    clock = Clock()
    budget = RetryBudget(clock)
    while budget.spend(refused=False):
        pass
    clock.now += 10
    assert budget.spend(refused=False)
