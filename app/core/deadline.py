"""A point in time by which a request must be answered."""

import asyncio
import time
from types import TracebackType
from typing import NamedTuple

from app.errors import DeadlineExceeded


class Deadline(NamedTuple):
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

    def enforce(self) -> "_Limit":
        """Run the body of ``async with`` under this deadline.

        Raises:
            DeadlineExceeded: the time was up before the body ended.
        """
        return _Limit(self)

    def exceeded(self) -> DeadlineExceeded:
        """The error that says so."""
        return DeadlineExceeded(
            f"No complete answer within the {self.allowed:g} s allowed for this request. "
            f"Repeat it later, or allow more time with {self.setting}."
        )


class _Limit:
    __slots__ = ("_deadline", "_limit")

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline

    async def __aenter__(self) -> None:
        self._limit = asyncio.timeout(self._deadline.remaining())
        await self._limit.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._limit.__aexit__(kind, error, trace)
        except TimeoutError as timeout:
            raise self._deadline.exceeded() from timeout
