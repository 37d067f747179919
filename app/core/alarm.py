"""A timer that is set anew for every request and hardly ever goes off."""

import asyncio
import math
from collections.abc import Callable

RESOLUTION = 0.001
"""Seconds by which timers of an event loop may go off early: uvloop's count whole milliseconds. To set one for the rest
would wake the loop up again and again until it is over."""


class Alarm:
    """Calls back at a time that may be moved and given up for next to nothing.

    One timer of the event loop is left running, looks at the time that was set last, and sleeps on if that is still to
    come. To start and to cancel a timer for each request would cost 2.4 us (measured with uvloop), an attribute 0.2.
    """

    __slots__ = ("_call", "_due", "_fires", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
        self._loop = loop
        self._call = call
        self._due = math.inf
        self._fires = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Call back in ``seconds``, and not when it was to be before."""
        due = self._due = self._loop.time() + seconds
        if due < self._fires:
            self._start(seconds)

    def give_up(self) -> None:
        """Do not call back."""
        self._due = math.inf

    def end(self) -> None:
        """The same, and hold nothing any more."""
        self._due = self._fires = math.inf
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = self._loop.time() + seconds
        self._timer = self._loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._timer, self._fires = None, math.inf
        left = self._due - self._loop.time()
        if left <= RESOLUTION:
            self._due = math.inf
            self._call()
        elif left < math.inf:
            self._start(left)
