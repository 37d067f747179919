"""Requests that hold a place for as long as a test wants."""

import asyncio

from anyio.lowlevel import checkpoint

from app.core.admission import Admission
from app.core.deadline import Deadline
from app.core.generation import Priority


async def everybody_waits() -> None:
    """Let all tasks run until each waits for something: no step here takes more than a few turns of the loop."""
    for _ in range(8):
        await checkpoint()


class Visitor:
    """A task that asks for a place, holds it until told to leave, and can take another one down with it.

    Attributes:
        priority: As it was told.
        inside: It holds a place now.
        victim: Cancelled in the very step in which this one gives its place back.
    """

    def __init__(
        self, admission: Admission, priority: Priority = Priority.CHAT, deadline: Deadline | None = None
    ) -> None:
        self.inside = False
        self.victim: Visitor | None = None
        self._admission = admission
        self.priority = priority
        self._deadline = deadline or Deadline.after(60)
        self._leave = asyncio.Event()
        self.task = asyncio.create_task(self._visit())

    def leave(self) -> None:
        """Give the place back as soon as there is one."""
        self._leave.set()

    async def _visit(self) -> None:
        async with self._admission.admit(self.priority, self._deadline):
            self.inside = True
            try:
                await self._leave.wait()
            finally:
                self.inside = False
        if self.victim is not None:
            self.victim.task.cancel()
