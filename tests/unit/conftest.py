"""What the unit tests share."""

from collections.abc import Iterator

import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

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
