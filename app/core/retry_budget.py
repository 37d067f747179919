"""How many calls to the engine may be repeated: a share of all, so that retries cannot become an overload."""

import time
from collections.abc import Callable

_RATIO = 0.07  # retries for each call
_PER_SECOND = 0.1  # retries, so that a quiet service has some too
_RESERVE = 3.0
_MOST = 50.0
_LOOK_BACK = 100.0  # ends
_TRUST = 10.0  # calls that an engine is taken to have served before it was ever asked
_HALF = 0.5


class RetryBudget:
    """Every call earns a fraction of a retry; every retry costs a whole one.

    A call that the engine refused before it did any work cost it nothing: repeating it is free as long as the engine
    serves more calls than it refuses. An engine that refuses everything is not asked more often than one that is dead.
    What is under way counts as served: refusals come at once and answers late, so that of a burst the refusals are all
    that is heard for a while.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = clock()
        self._balance = _RESERVE
        self._under_way = 0
        self._ended = _TRUST
        self._failed = 0.0

    def begun(self, *, asked: bool = False) -> None:
        """A call, not a repeated one, goes to the engine; ``asked``: see there."""
        self._under_way += asked
        self._earn(_RATIO)

    def asked(self) -> None:
        """An attempt, the first or another, goes to the engine."""
        self._under_way += 1

    def ended(self, *, served: bool | None) -> None:
        """An attempt was served, or failed or was refused; None: its end tells nothing of the engine."""
        self._under_way -= 1
        if served is not None:
            kept = 1 - 1 / _LOOK_BACK
            self._ended = self._ended * kept + 1
            self._failed = self._failed * kept + (not served)

    def spend(self, *, refused: bool) -> bool:
        """Whether one call may be repeated now; ``refused``: it had cost the engine nothing."""
        if refused and self._failed < _HALF * (self._ended + self._under_way):
            return True
        self._earn(0.0)
        if self._balance < 1:
            return False
        self._balance -= 1
        return True

    def _earn(self, amount: float) -> None:
        now = self._clock()
        balance = self._balance + amount + _PER_SECOND * (now - self._seen)
        self._balance = min(_MOST, balance)
        self._seen = now
