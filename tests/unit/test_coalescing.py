import asyncio

import pytest

from app.core.coalescing import Coalescer, Identity
from app.errors import EngineFailure, InvalidField
from tests.unit.visitors import everybody_waits

pytestmark = pytest.mark.anyio


class Work:
    """Work that ends when told to, and counts how often it was begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.cancelled = 0
        self.end = asyncio.Event()
        self.given_up = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        """One run of it; its result is its number."""
        self.begun += 1
        number = self.begun
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            self.given_up.set()
            raise
        if self.error is not None:
            raise self.error
        return number


def identity(key: bytes = b"key", content: bytes = b"content", keep: float = 60) -> Identity:
    return Identity(key, content, keep)


async def test_who_asks_the_same_meanwhile_shares_one_piece_of_work() -> None:
    coalescer, work = Coalescer(60), Work()
    calls = [asyncio.create_task(coalescer.share(identity(), work)) for _ in range(100)]
    await everybody_waits()
    assert (work.begun, coalescer.running) == (1, 1)
    work.end.set()
    assert await asyncio.gather(*calls) == [1] * 100
    await coalescer.close()


async def test_who_asks_again_after_leaving_attaches_to_what_runs() -> None:
    coalescer, work = Coalescer(60), Work()
    first = asyncio.create_task(coalescer.share(identity(), work))
    await everybody_waits()
    first.cancel()
    await everybody_waits()
    assert work.cancelled == 0
    second = asyncio.create_task(coalescer.share(identity(), work))
    await everybody_waits()
    work.end.set()
    assert await second == 1
    await coalescer.close()


async def test_work_that_nobody_comes_back_for_ends_after_the_grace() -> None:
    coalescer, work = Coalescer(0.01), Work()
    call = asyncio.create_task(coalescer.share(identity(), work))
    await everybody_waits()
    call.cancel()
    async with asyncio.timeout(5):
        await work.given_up.wait()
    assert work.cancelled == 1


async def test_a_result_is_handed_out_for_a_while() -> None:
    coalescer, work = Coalescer(60), Work()
    work.end.set()
    assert await coalescer.share(identity(keep=0.02), work) == 1
    assert await coalescer.share(identity(keep=0.02), work) == 1
    async with asyncio.timeout(5):
        while coalescer.kept:  # noqa: ASYNC110  a timer of its own
            await asyncio.sleep(0.005)
    assert await coalescer.share(identity(keep=0.02), work) == 2
    await coalescer.close()


async def test_everybody_hears_of_a_failure_and_the_next_one_tries_anew() -> None:
    coalescer, work = Coalescer(60), Work()
    work.error = EngineFailure("broken")
    calls = [asyncio.create_task(coalescer.share(identity(), work)) for _ in range(3)]
    await everybody_waits()
    work.end.set()
    assert [type(error) for error in await asyncio.gather(*calls, return_exceptions=True)] == [EngineFailure] * 3
    work.error = None
    assert await coalescer.share(identity(), work) == 2
    await coalescer.close()


async def test_a_key_with_another_content_is_refused() -> None:
    coalescer, work = Coalescer(60), Work()
    work.end.set()
    await coalescer.share(identity(), work)
    with pytest.raises(InvalidField, match="Idempotency-Key"):
        await coalescer.share(identity(content=b"other"), work)
    assert work.begun == 1
    await coalescer.close()


async def test_the_oldest_results_make_room() -> None:
    coalescer, work = Coalescer(60, most_results=2), Work()
    work.end.set()
    for number in range(5):
        await coalescer.share(identity(bytes([number])), work)
    assert coalescer.kept == 2
    assert not coalescer.known(identity(bytes([2])))
    assert coalescer.known(identity(bytes([4])))
    await coalescer.close()


async def test_closing_ends_what_runs() -> None:
    coalescer, work = Coalescer(60), Work()
    call = asyncio.create_task(coalescer.share(identity(), work))
    await everybody_waits()
    await coalescer.close()
    await asyncio.gather(call, return_exceptions=True)
    assert (work.cancelled, coalescer.running, coalescer.kept) == (1, 0, 0)
