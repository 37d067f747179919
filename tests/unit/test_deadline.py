import anyio
import pytest
from anyio.lowlevel import checkpoint

from app.core.deadline import Deadline
from app.errors import DeadlineExceeded

pytestmark = pytest.mark.anyio


async def test_what_ends_in_time_is_left_alone() -> None:
    async with Deadline.after(60).enforce():
        await checkpoint()


async def test_what_takes_too_long_is_stopped_and_the_error_names_the_time_allowed() -> None:
    with pytest.raises(DeadlineExceeded, match=r"within the 0\.02 s allowed"):
        async with Deadline.after(0.02).enforce():
            await anyio.sleep_forever()


async def test_a_deadline_that_has_passed_stops_at_the_first_wait() -> None:
    with pytest.raises(DeadlineExceeded):
        async with Deadline.after(-1).enforce():
            await anyio.sleep_forever()


async def test_the_same_deadline_holds_for_one_wait_after_another() -> None:
    deadline = Deadline.after(0.02)
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            async with deadline.enforce():
                await anyio.sleep_forever()


async def test_a_time_out_of_the_bodys_own_is_not_the_deadline() -> None:
    with pytest.raises(TimeoutError, match="the body's own"):
        async with Deadline.after(60).enforce():
            raise TimeoutError("the body's own")


async def test_an_error_of_the_body_passes_unchanged() -> None:
    with pytest.raises(LookupError, match="of the body"):
        async with Deadline.after(60).enforce():
            raise LookupError("of the body")


async def test_the_inner_deadline_may_be_the_shorter_one() -> None:
    async with Deadline.after(60).enforce():
        with pytest.raises(DeadlineExceeded):
            async with Deadline.after(0.01).enforce():
                await anyio.sleep_forever()
        await checkpoint()


@pytest.mark.parametrize(("seconds", "least", "most"), [(-1, 0, 0), (0, 0, 0), (100, 90, 100)])
async def test_time_that_remains_is_never_negative(seconds: float, least: float, most: float) -> None:
    assert least <= Deadline.after(seconds).remaining() <= most
