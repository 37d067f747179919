"""How many calls to the engine may be repeated: a share of all, so that retries cannot become an overload."""

import time
from collections.abc import Callable

_RATIO = 0.08  # retries for each call
_PER_SECOND = 0.1  # retries, so that a quiet service has some too
_RESERVE = 3.0
_MOST = 50.0
_WEIGHT = 0.05  # of the newest outcome
_HALF = 0.5


class RetryBudget:
    """Every call earns a fraction of a retry; every retry costs a whole one.

    A call that the engine refused before it did any work cost it nothing: repeating it is free as long as the engine
    serves more calls than it refuses. An engine that refuses everything is not asked more often than one that is dead.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen = clock()
        self._balance = _RESERVE
        self._served = 1.0

    def begun(self) -> None:
        """A call, not a repeated one, goes to the engine."""
        self._earn(_RATIO)

    def ended(self, *, served: bool) -> None:
        """An attempt was served, or failed or was refused."""
        self._served += _WEIGHT * (served - self._served)

    def spend(self, *, refused: bool) -> bool:
        """Whether one call may be repeated now; ``refused``: it had cost the engine nothing."""
        if refused and self._served > _HALF:
            return True
        self._earn(0.0)
        if self._balance < 1:
            return False
        self._balance -= 1
        return True

    def _earn(self, amount: float) -> None:
        now = self._clock()
        self._balance = min(_MOST, self._balance + amount + _PER_SECOND * (now - self._seen))
        self._seen = now
