"""Line 5: whether the time of a refusal tells anything about a key, and what the check costs.

In one process and interleaved, which is far closer than anybody on a network gets.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from statistics import median

from app.core.api_keys import KeyRing, make_key
from app.core.quotas import Quota, Quotas
from app.errors import Unauthenticated
from chaos.verdict import Verdict

_MICRO = 1e6
_BAR = 0.25  # microseconds; a network's jitter is a hundred times that


async def timing(seed: int, first: int, count: int) -> Verdict:
    """``count`` rounds over keys that differ from a real one early, late and in the id."""
    del first
    verdict = Verdict()
    key, record = make_key("real", ["tasks"])
    ring = KeyRing([record, *(make_key(f"k{number}", ["chat"])[1] for number in range(1000))])
    # Whole keys with right checksums: the real record's id with a hash of its own is all that differs.
    strangers = {name: make_key("stranger", ["tasks"])[0] for name in ("unknown id", "another unknown id")}
    twin = KeyRing([record.model_copy(update={"id": strangers["unknown id"].split("_")[1]})])
    ways: dict[str, Callable[[], object]] = {
        "unknown id": lambda: ring.owner(strangers["another unknown id"]),
        "known id, other secret": lambda: twin.owner(strangers["unknown id"]),
        "good key": lambda: ring.owner(key),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    random = Random(seed)
    for _ in range(count):
        for name in random.sample(sorted(ways), len(ways)):
            started = time.perf_counter()
            with suppress(Unauthenticated):
                ways[name]()
            times[name].append(time.perf_counter() - started)
    middle = {name: median(values) * _MICRO for name, values in times.items()}
    for name, value in middle.items():
        verdict.note(f"{name}: median", f"{value:.2f} us of {count}")
    verdict.at_most(
        "unknown id against known id, apart", abs(middle["unknown id"] - middle["known id, other secret"]), _BAR, " us"
    )
    verdict.note("a quota of requests and tokens, entered and left", f"{_quota(count):.2f} us")
    return verdict


def _quota(count: int) -> float:
    quotas, quota = Quotas(Quota(requests=10**6)), Quota(10**6, 10**9, 10)
    started = time.perf_counter()
    for _ in range(count):
        quotas.enter("a", quota, 2000).leave(600)
    return (time.perf_counter() - started) / count * _MICRO
