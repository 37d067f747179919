"""What callers may ask in a minute and at once, per API key and in all.

A quota is a bucket that holds one minute's worth and fills evenly (GCRA): a pause can be made up for, a burst cannot
go on. Requests are counted one by one; tokens are estimated from the size of the body when a request comes, and what
it really cost is charged when it has ended.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from throttled import RateLimiterType, Throttled, rate_limiter
from throttled.store import MemoryStore

from app.errors import TooManyRequests

_BYTES_PER_TOKEN = 4  # in JSON, UTF-8: Korean 4.3, English 4, measured on Qwen's vocabulary
_ALL = "all"
_MOST_KEYS = 20_000


@dataclass(frozen=True, slots=True)
class Quota:
    """What one caller, or all of them, may do; 0 is no limit.

    Attributes:
        requests: A minute.
        tokens: A minute, of prompts and answers together.
        concurrency: Requests at once.
    """

    requests: int = 0
    tokens: int = 0
    concurrency: int = 0

    def __bool__(self) -> bool:
        return self.requests > 0 or self.tokens > 0 or self.concurrency > 0


class Level(NamedTuple):
    """How full a caller's bucket is.

    Attributes:
        name: ``requests`` or ``tokens``.
        quota: What it holds, a minute's worth.
        remaining: What is left in it.
        reset: Seconds until it is full again.
    """

    name: str
    quota: int
    remaining: int
    reset: float


class QuotaUsedUp(TooManyRequests):
    """A bucket is empty.

    Attributes:
        levels: The caller's buckets as far as they were looked at.
    """

    def __init__(self, message: str, levels: list[Level], retry_after: float) -> None:
        super().__init__(message, retry_after=retry_after)
        self.levels = levels


class Visit:
    """One request that was let in."""

    def __init__(self, quotas: "Quotas", caller: str, quota: Quota, charged: int, levels: list[Level]) -> None:
        self._quotas = quotas
        self._caller = caller
        self._quota = quota
        self._charged = charged
        self.levels = levels

    def leave(self, tokens: int) -> None:
        """It is over and has cost ``tokens``; 0: nobody counted."""
        self._quotas.leave(self._caller, self._quota, max(0, tokens - self._charged))


class Quotas:
    """The buckets of all callers."""

    def __init__(self, overall: Quota) -> None:
        """``overall``: what all callers may do together; its ``concurrency`` is not looked at (MAX_CONNECTIONS is)."""
        self._overall = overall
        self._running: Counter[str] = Counter()
        self._store = MemoryStore(options={"MAX_SIZE": _MOST_KEYS})
        self._buckets: dict[tuple[str, int], Throttled] = {}

    def enter(self, caller: str, quota: Quota, size: int) -> Visit:
        """Let a request in.

        Args:
            caller: Whose buckets it takes from.
            quota: What that caller may do.
            size: Bytes of its body.

        Raises:
            TooManyRequests: a bucket is empty. What the request took from others stays taken.
        """
        if quota.concurrency and self._running[caller] >= quota.concurrency:
            raise TooManyRequests(
                f"This API key has {quota.concurrency} requests under way, as many as it may. "
                "Send the next one when one has been answered.",
                retry_after=1.0,
            )
        tokens = size // _BYTES_PER_TOKEN + 1
        levels = self._take(caller, quota, tokens, "This API key may ask for")
        self._take(_ALL, self._overall, tokens, "All callers together may ask for")
        self._running[caller] += 1
        return Visit(self, caller, quota, tokens, levels)

    def leave(self, caller: str, quota: Quota, tokens: int) -> None:
        """For ``Visit`` only."""
        if self._running[caller] > 1:
            self._running[caller] -= 1
        else:
            del self._running[caller]
        if tokens > 0:
            for whose, limit in ((caller, quota.tokens), (_ALL, self._overall.tokens)):
                if limit:
                    self._drain(f"tokens {whose}", limit, tokens)

    def running(self) -> Mapping[str, int]:
        """Requests under way, by caller."""
        return self._running

    def _take(self, caller: str, quota: Quota, tokens: int, who: str) -> list[Level]:
        levels: list[Level] = []
        for name, limit, cost in (("requests", quota.requests, 1), ("tokens", quota.tokens, tokens)):
            if not limit:
                continue
            if cost > limit:
                raise TooManyRequests(
                    f"{who} {limit} {name} a minute; this request alone is about {cost}. Send a shorter prompt."
                )
            result = self._bucket(name, limit).limit(f"{name} {caller}", cost)
            state = result.state
            if result.limited:
                wait = max(1.0, state.retry_after)
                levels.append(Level(name, limit, 0, wait))
                raise QuotaUsedUp(
                    f"{who} {limit} {name} a minute. Repeat the call in {math.ceil(wait)} s.", levels, wait
                )
            levels.append(Level(name, limit, state.remaining, state.reset_after))
        return levels

    def _drain(self, key: str, limit: int, tokens: int) -> None:
        """Take what was spent; an empty bucket is all that it can become."""
        bucket = self._bucket("tokens", limit)
        if bucket.limit(key, min(tokens, limit)).limited and (left := bucket.peek(key).remaining) > 0:
            bucket.limit(key, left)

    def _bucket(self, name: str, limit: int) -> Throttled:
        found = self._buckets.get((name, limit))
        if found is None:
            quota = rate_limiter.per_min(limit, burst=limit)
            found = Throttled(using=RateLimiterType.GCRA.value, quota=quota, store=self._store)
            self._buckets[(name, limit)] = found
        return found
