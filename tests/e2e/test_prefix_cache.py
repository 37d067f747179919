"""What the embedded engine has read is not read anew: by the next step of an interview, or by many calls at once."""

import asyncio

import httpx2
import pytest

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Priority, Usage
from app.core.llm_engine import LLMEngine
from tests.contract.conftest import connected
from tests.contract.engines import ENGINES, EngineUnderTest
from tests.support.interview import shared_and_cached, steps

pytestmark = pytest.mark.timeout(300)

SHARE = 0.9  # of what two consecutive prompts have in common


async def figures(tested: EngineUnderTest) -> list[tuple[int, int]]:
    headers = {"authorization": f"Bearer {tested.api_key}"}
    async with (
        connected(tested, tested.api_key) as engine,
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{tested.port}", headers=headers, timeout=60) as http,
    ):
        return await shared_and_cached(engine, http, steps("en", 4, resume=1000))


def test_consecutive_steps_reuse_nine_tenths_of_what_they_share() -> None:
    with ENGINES["embedded"]() as tested:
        pairs = asyncio.run(figures(tested))
    print(f"shared, cached: {pairs}")  # noqa: T201  a figure for the reader
    assert all(cached >= SHARE * shared > 500 for shared, cached in pairs)


RULES = "You judge the answers of candidates. Be brief, be fair, and say only what the answer shows. " * 30


async def said(engine: LLMEngine, number: int) -> Usage:
    asked = (Message("system", RULES), Message("user", f"Answer {number}: it frees memory."))
    async with (
        engine.admit(Priority.FEEDBACK, Deadline.after(250)) as slot,
        slot.stream(Generation(asked, 8, priority=Priority.FEEDBACK, common=True)) as tokens,
    ):
        async for _ in tokens:
            pass
        return tokens.usage


async def at_once(tested: EngineUnderTest, count: int) -> list[Usage]:
    async with connected(tested, tested.api_key) as engine, asyncio.TaskGroup() as group:
        calls = [group.create_task(said(engine, number)) for number in range(count)]
        await asyncio.gather(*calls)
    return [call.result() for call in calls]


def test_of_eight_calls_at_once_that_begin_alike_one_reads_the_beginning() -> None:
    with ENGINES["embedded"]() as tested:
        usages = asyncio.run(at_once(tested, 8))
    shares = sorted(usage.cached_tokens / usage.prompt_tokens for usage in usages)
    print(f"share that was cached: {shares}")  # noqa: T201  a figure for the reader
    assert all(usage.prompt_tokens > 500 for usage in usages)
    assert all(share >= SHARE for share in shares[1:])
