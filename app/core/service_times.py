"""How long requests of one kind have held their place lately: what the wait of the next one is estimated from."""

from collections import deque

_WEIGHT = 0.1  # of the newest observation in the mean
_RECENT = 32
_FRESH = 60.0  # seconds after which an observation says nothing about the least time any more
_ENOUGH = 8
_MARGIN = 0.5  # prompts differ: only half of the least time seen lately is surely needed


class ServiceTimes:
    """Observations of one kind of request."""

    def __init__(self) -> None:
        self._mean: float | None = None
        self._whole: deque[tuple[float, float]] = deque(maxlen=_RECENT)

    @property
    def mean(self) -> float:
        """Seconds that a place is held; 0 while nothing has been seen."""
        return self._mean or 0.0

    @property
    def bound(self) -> float:
        """Seconds that ``least`` cannot exceed, without a look at all observations."""
        return _MARGIN * self._whole[-1][1] if self._whole else 0.0

    def note(self, seconds: float, now: float, *, whole: bool) -> None:
        """One place was held for ``seconds``; ``whole`` if that was enough for an answer."""
        self._mean = seconds if self._mean is None else self._mean + _WEIGHT * (seconds - self._mean)
        if whole:
            self._whole.append((now, seconds))

    def least(self, now: float) -> float:
        """Seconds without which no answer can be expected; 0 if too little has been seen lately to say so."""
        fresh = [seconds for seen, seconds in self._whole if now - seen < _FRESH]
        return _MARGIN * min(fresh) if len(fresh) >= _ENOUGH else 0.0
