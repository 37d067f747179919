from typing import Any

import pytest

from app.core.engine_load import EngineLoad, adapted_limit, read_load
from app.core.service_times import ServiceTimes


def rank(running: int, waiting: int, most: int = 32, usage: float = 0.1) -> dict[str, object]:
    return {
        "num_running_reqs": running,
        "num_waiting_reqs": waiting,
        "max_running_requests": most,
        "token_usage": usage,
        "queues": {"waiting": waiting},
    }


def test_the_load_is_the_sum_over_ranks_and_the_fullest_cache() -> None:
    found = read_load({"loads": [rank(3, 1, 32, 0.2), rank(4, 0, 32, 0.7)]})
    assert found == EngineLoad(running=7, waiting=1, most=64, usage=0.7)


NOT_A_LOAD: list[Any] = [{}, [], {"loads": [{}]}, {"loads": []}, "no"]


@pytest.mark.parametrize("body", NOT_A_LOAD)
def test_something_else_is_an_error(body: object) -> None:
    with pytest.raises((ValueError, TypeError, LookupError)):
        read_load(body)


def test_the_limit_comes_down_with_a_queue_and_goes_up_step_by_step_without_one() -> None:
    limit = adapted_limit(64, 64, EngineLoad(40, 24, 0, 0.5))
    assert limit == 16
    seen = [limit]
    while limit < 64:
        limit = adapted_limit(limit, 64, EngineLoad(limit, 0, 0, 0.5))
        seen.append(limit)
    assert seen == list(range(16, 65, 4))


def test_a_full_cache_counts_as_a_queue() -> None:
    assert adapted_limit(64, 64, EngineLoad(30, 0, 0, 0.97)) == 30


def test_there_are_never_more_places_than_the_engine_has() -> None:
    assert adapted_limit(64, 64, EngineLoad(0, 0, 8, 0.0)) == 8


@pytest.mark.parametrize("slots", [1, 2, 64])
def test_there_is_always_a_place(slots: int) -> None:
    assert adapted_limit(1, slots, EngineLoad(0, 1000, 0, 1.0)) >= 1


def test_nothing_is_said_about_the_least_time_until_enough_has_been_seen() -> None:
    times = ServiceTimes()
    for number in range(8):
        assert times.least(number) == 0.0
        times.note(4.0, number, whole=True)
    assert times.least(8.0) == 2.0
    assert times.mean == 4.0


def test_what_was_seen_long_ago_or_broke_off_says_nothing_about_the_least_time() -> None:
    times = ServiceTimes()
    for _ in range(32):
        times.note(4.0, 0.0, whole=True)
        times.note(0.1, 100.0, whole=False)
    assert times.least(100.0) == 0.0
