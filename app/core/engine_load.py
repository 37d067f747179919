"""The engine's own figures -> how many requests it should have at once. Pure.

A request that waits inside the engine is out of our hands: it cannot be overtaken by a more urgent one, and its cache
may be pushed out by others. So the limit comes down while the engine has a queue or is short of cache, quickly, and
goes up again slowly.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_FULL = 0.95  # of the KV cache: beyond it engines begin to retract what runs
_STEPS = 16  # from nothing to everything


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """What an engine says about itself.

    Attributes:
        running: Requests it works on.
        waiting: Requests in its own queue.
        most: Requests it can work on at once; 0 if it does not say.
        usage: The part of its KV cache that is taken, 0 to 1.
    """

    running: int
    waiting: int
    most: int
    usage: float


def read_load(body: Any) -> EngineLoad:
    """SGLang's ``/v1/loads``, summed over its data-parallel ranks.

    Raises:
        ValueError, TypeError, LookupError: it is something else.
    """
    ranks: list[Mapping[str, Any]] = body["loads"]
    return EngineLoad(
        running=sum(int(rank["num_running_reqs"]) for rank in ranks),
        waiting=sum(int(rank["num_waiting_reqs"]) for rank in ranks),
        most=sum(int(rank["max_running_requests"]) for rank in ranks),
        usage=max(float(rank["token_usage"]) for rank in ranks),
    )


def adapted_limit(limit: int, slots: int, load: EngineLoad) -> int:
    """The next limit after ``limit``, never more than ``slots`` or what the engine can take."""
    most = min(slots, load.most or slots)
    if load.waiting or load.usage > _FULL:
        return max(1, most // 4, min(limit, load.running) - load.waiting)
    return min(most, limit + max(1, slots // _STEPS))
