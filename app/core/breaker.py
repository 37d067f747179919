"""A circuit breaker: an engine that keeps failing is left alone for a while, then tried with a few calls.

It hears how calls ended, not how they began: a stream that opens well and dies is a failure. Refusals of an engine
that is busy, faults of a request and clients that leave say nothing about it and are not told to the breaker.
"""

import time
from collections import deque
from collections.abc import Callable

_WINDOW = 10.0  # seconds
_GRAIN = 0.02  # seconds that are not told apart
_VOLUME = 20  # calls that must have ended in the window: one dead connection drops many calls in one moment
_RATIO = 0.5
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 5.0  # so that the next try is within the time of most requests
_PROBES = 2


class _Moment:
    """Calls that ended at about the same time; each kept alone, thousands a second would be a burden."""

    __slots__ = ("calls", "failures", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.calls = self.failures = 0


class Breaker:
    """Closed while calls succeed; open, for longer each time, once most fail; half-open while a few try it again.

    Attributes:
        trips: How often it has opened.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, volume: int = _VOLUME) -> None:
        """``volume``: calls that must have ended within ten seconds before it judges."""
        self._clock = clock
        self._volume = volume
        self._ended: deque[_Moment] = deque()
        self._calls = 0
        self._failures = 0
        self._pause = _FIRST_PAUSE
        self._open_until: float | None = None
        self._probing = 0
        self.trips = 0

    @property
    def closed(self) -> bool:
        """Whether calls are let through freely."""
        return self._open_until is None

    def left(self) -> float:
        """Seconds until a call may be tried; 0 if one may be now."""
        if self._open_until is None:
            return 0.0
        pause = max(0.0, self._open_until - self._clock())
        return pause if pause or self._probing < _PROBES else _FIRST_PAUSE

    def begin(self) -> bool:
        """Whether a call may begin now; if so, ``end`` must follow."""
        if self.left() > 0:
            return False
        if not self.closed:
            self._probing += 1
        return True

    def end(self, served: bool | None, *, probe: bool) -> None:  # noqa: FBT001  an outcome, not a switch
        """A call is over.

        Args:
            served: Whether the engine did its part; None if the call says nothing about that.
            probe: Whether it began while the breaker was not closed.
        """
        if probe:
            self._probing = max(0, self._probing - 1)
        if served is None:
            return
        if self._open_until is not None:
            if probe:
                self._judge(served=served)
            return
        self._note(served=served)
        if self._calls >= self._volume and self._failures >= _RATIO * self._calls:
            self._trip()

    def reset(self) -> None:
        """The engine has been seen to come up anew: what was held against it is void."""
        self._forget()
        self._pause = _FIRST_PAUSE
        self._open_until = None

    def _judge(self, *, served: bool) -> None:
        if served:
            self.reset()
        else:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._trip()

    def _trip(self) -> None:
        self._forget()
        self._open_until = self._clock() + self._pause
        self.trips += 1

    def _note(self, *, served: bool) -> None:
        now = self._clock()
        ended = self._ended
        if not ended or now - ended[-1].since >= _GRAIN:
            ended.append(_Moment(now))
        self._calls += 1
        ended[-1].calls += 1
        if not served:
            self._failures += 1
            ended[-1].failures += 1
        while now - ended[0].since > _WINDOW:
            oldest = ended.popleft()
            self._calls -= oldest.calls
            self._failures -= oldest.failures

    def _forget(self) -> None:
        self._ended.clear()
        self._calls = self._failures = 0
