"""Quotas: a minute's worth at once, then evenly; nobody takes from another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.quotas import Quota, Quotas, QuotaUsedUp, Visit
from app.errors import TooManyRequests


def test_a_minutes_worth_may_come_at_once_and_no_more() -> None:
    quotas = Quotas(Quota())
    for left in reversed(range(10)):
        visit = quotas.enter("a", Quota(requests=10), 0)
        assert visit.levels[0].remaining == left
        visit.leave(0)
    with pytest.raises(QuotaUsedUp, match="10 requests a minute") as caught:
        quotas.enter("a", Quota(requests=10), 0)
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 6
    assert caught.value.levels[0].remaining == 0


def test_one_callers_greed_leaves_others_their_quota() -> None:
    quotas = Quotas(Quota(requests=100))
    for _ in range(50):
        try:
            quotas.enter("greedy", Quota(requests=5), 0).leave(0)
        except TooManyRequests:
            continue
    for _ in range(90):
        quotas.enter("modest", Quota(requests=90), 0).leave(0)


def test_all_callers_together_have_a_quota_too() -> None:
    quotas = Quotas(Quota(requests=3))
    for caller in "abc":
        quotas.enter(caller, Quota(), 0).leave(0)
    with pytest.raises(TooManyRequests, match="All callers"):
        quotas.enter("d", Quota(), 0)


def test_tokens_are_charged_by_the_size_of_the_body_and_settled_at_the_end() -> None:
    quotas, quota = Quotas(Quota()), Quota(tokens=1000)
    visit = quotas.enter("a", quota, 400)
    assert visit.levels[0].remaining == 899
    visit.leave(500)
    assert quotas.enter("a", quota, 0).levels[0].remaining in range(497, 502)


def test_an_answer_that_cost_more_than_is_left_empties_the_bucket() -> None:
    quotas, quota = Quotas(Quota()), Quota(tokens=1000)
    quotas.enter("a", quota, 0).leave(50_000)
    with pytest.raises(TooManyRequests, match="tokens"):
        quotas.enter("a", quota, 400)


def test_a_body_that_no_minute_could_hold_is_told_so_without_a_time_to_come_back() -> None:
    with pytest.raises(TooManyRequests, match="shorter prompt") as caught:
        Quotas(Quota()).enter("a", Quota(tokens=10), 1000)
    assert caught.value.retry_after is None


def test_a_caller_has_so_many_requests_at_once_and_one_more_when_one_ends() -> None:
    quotas, quota = Quotas(Quota()), Quota(concurrency=2)
    first, _ = quotas.enter("a", quota, 0), quotas.enter("a", quota, 0)
    quotas.enter("b", quota, 0)
    with pytest.raises(TooManyRequests, match="2 requests under way"):
        quotas.enter("a", quota, 0)
    first.leave(0)
    quotas.enter("a", quota, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60))
def test_places_are_given_back_whatever_the_order(steps: list[tuple[str, bool]]) -> None:
    quotas, quota = Quotas(Quota()), Quota(concurrency=3)
    inside: dict[str, list[Visit]] = {caller: [] for caller in "abc"}
    for caller, enters in steps:
        if enters and len(inside[caller]) < 3:
            inside[caller].append(quotas.enter(caller, quota, 0))
        elif not enters and inside[caller]:
            inside[caller].pop().leave(0)
        assert quotas.running().get(caller, 0) == len(inside[caller])
