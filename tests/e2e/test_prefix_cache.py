"""A step of an interview is not prefilled anew: the embedded engine."""

import asyncio

import httpx2
import pytest

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
