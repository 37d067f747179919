"""What the unit tests share."""

from collections.abc import AsyncIterator, Iterator

import pytest
from anyio import fail_after
from anyio.lowlevel import checkpoint
from blockbuster import blockbuster_ctx
from hypothesis import settings

from app.core.http_pool import HttpPool

# How long an example takes says more about the machine's other work than about the code.
settings.register_profile("unit", deadline=None)
settings.load_profile("unit")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def no_blocking_calls() -> Iterator[None]:
    """A blocking call of ours in the event loop fails the test."""
    with blockbuster_ctx("app"):
        yield


@pytest.fixture
async def pool() -> AsyncIterator[HttpPool]:
    """Connections that are all closed in the end."""
    pool = HttpPool()
    with fail_after(20):
        yield pool
        pool.close()
        for _ in range(3):
            await checkpoint()  # transports close in the loop's next turns
