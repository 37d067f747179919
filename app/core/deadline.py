"""A point in time by which a request must be answered."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """When the time is up, and how much of it there was.

    Attributes:
        expires_at: On the monotonic clock, seconds.
        allowed: The whole time allowed, seconds; shown in messages.
        setting: What allows more time, for messages.
    """

    expires_at: float
    allowed: float
    setting: str = "REQUEST_TIMEOUT"

    @classmethod
    def after(cls, seconds: float) -> "Deadline":
        """A deadline ``seconds`` from now."""
        return cls(time.monotonic() + seconds, seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.expires_at - time.monotonic())

    @asynccontextmanager
    async def enforce(self) -> AsyncGenerator[None, None]:
        """Run the body under this deadline.

        Raises:
            DeadlineExceeded: the time was up before the body ended.
        """
        limit = asyncio.timeout(self.remaining())
        try:
            async with limit:
                yield
        except TimeoutError as error:
            if not limit.expired():  # one of the body's own
                raise
            raise self.exceeded() from error

    def exceeded(self) -> DeadlineExceeded:
        """The error that says so."""
        return DeadlineExceeded(
            f"No complete answer within the {self.allowed:g} s allowed for this request. "
            f"Repeat it later, or allow more time with {self.setting}."
        )
