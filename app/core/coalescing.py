"""Identical requests share one piece of work.

A caller that lost patience repeats its request, byte for byte, seconds later. The work that it left runs on for a short
grace; the repetition attaches to it, and so does everybody who asks the same meanwhile. What has just been finished is
handed out for a while too. Everything is in memory, and bounded.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from app.errors import InvalidField

_MOST_RESULTS = 1024


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes two requests the same.

    Attributes:
        key: Names the work; a digest, with whatever separates callers in it.
        content: A digest of what is asked: under one key it must not differ.
        keep: Seconds for which the result is handed out once it is there.
    """

    key: bytes
    content: bytes
    keep: float


@dataclass(slots=True)
class _Work:
    content: bytes
    task: "asyncio.Task[Any]"
    waiting: int = 0
    timer: asyncio.TimerHandle | None = field(default=None)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Coalescer:
    """Holds the work under way and what was finished just now.

    Attributes:
        grace: Seconds that work goes on without anybody who waits for it.
        shared: Requests that got the result of work begun for another one.
    """

    def __init__(self, grace: float, most_results: int = _MOST_RESULTS) -> None:
        self.grace = grace
        self._most_results = most_results
        self._work: dict[bytes, _Work] = {}
        self._finished: dict[bytes, None] = {}  # oldest first
        self.shared = 0

    @property
    def running(self) -> int:
        """Pieces of work under way."""
        return len(self._work) - len(self._finished)

    @property
    def kept(self) -> int:
        """Results that are handed out."""
        return len(self._finished)

    def known(self, identity: Identity) -> bool:
        """Whether the work is under way or finished.

        Raises:
            InvalidField: it is, but for another content.
        """
        work = self._work.get(identity.key)
        if work is not None and work.content != identity.content:
            raise InvalidField(
                "Idempotency-Key: it was used for another request. Send each request with a key of its own.",
                param="Idempotency-Key",
            )
        return work is not None

    async def share(self, identity: Identity, begin: Callable[[], Awaitable[Any]]) -> Any:
        """The result of the work; ``begin`` starts it unless it is known. Leaving early does not end it at once.

        Raises:
            InvalidField: the key is in use for another content.
            Exception: whatever the work raised; nothing of it is kept.
        """
        known = self.known(identity)
        work = self._work[identity.key] if known else self._begin(identity, begin)
        self.shared += known
        work.waiting += 1
        if not work.task.done():
            work.stop_timer()
        try:
            return await asyncio.shield(work.task)
        finally:
            work.waiting -= 1
            if not work.waiting and not work.task.done():
                work.timer = asyncio.get_running_loop().call_later(self.grace, work.task.cancel)

    async def close(self) -> None:
        """End everything."""
        tasks = [work.task for work in self._work.values() if not work.task.done()]
        for work in self._work.values():
            work.stop_timer()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._work.clear()
        self._finished.clear()

    def _begin(self, identity: Identity, begin: Callable[[], Awaitable[Any]]) -> _Work:
        async def run() -> Any:
            return await begin()

        work = _Work(identity.content, asyncio.create_task(run(), name="shared work"))
        self._work[identity.key] = work
        work.task.add_done_callback(lambda task: self._ended(identity, work, task))
        return work

    def _ended(self, identity: Identity, work: _Work, task: "asyncio.Task[Any]") -> None:
        work.stop_timer()
        if self._work.get(identity.key) is not work:
            return
        if task.cancelled() or task.exception() is not None or identity.keep <= 0:
            del self._work[identity.key]
            return
        self._finished[identity.key] = None
        work.timer = asyncio.get_running_loop().call_later(identity.keep, self._forget, identity.key)
        if len(self._finished) > self._most_results:
            self._forget(next(iter(self._finished)))

    def _forget(self, key: bytes) -> None:
        self._finished.pop(key, None)
        if (work := self._work.pop(key, None)) is not None:
            work.stop_timer()
