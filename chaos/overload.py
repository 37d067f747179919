"""Line 1 and line 8: ten times the load, and reports that would take everything."""

import asyncio
import time

from chaos.load import REPORT, STEP, Load, Sample
from chaos.stage import stage
from chaos.verdict import Verdict, percentile

_SLOTS = 16
_ENGINE = {"slots": _SLOTS, "ttft": 0.3, "tps": 300, "tokens_per_chunk": 8, "priority": True}
_SERVICE = {"MAX_CONCURRENCY": _SLOTS, "MAX_QUEUE": 64, "RETRY_GRACE_SECONDS": 0, "MAX_WAIT": 0.2}


async def overload(seed: int, *, short: bool) -> Verdict:
    """Ten times of what the engine can do."""
    verdict = Verdict()
    seconds = 10.0 if short else 60.0
    async with stage(_ENGINE, _SERVICE) as (_, service):
        await Load(service, seed).closed(_SLOTS, 3.0)  # measures service times
        capacity = await Load(service, seed + 1).closed(_SLOTS + 8, seconds / 3)
        calm = Load(service, seed + 2)
        await calm.open(0.8 * capacity, seconds / 3)
        storm = Load(service, seed + 3)
        begun = time.monotonic()
        await storm.open(10 * capacity, seconds)
        ended = time.monotonic()
        after = Load(service, seed + 4)
        await after.open(0.8 * capacity, 10.0)
    goodput = sum(s.answer.good for s in storm.samples) / (ended - begun)
    usual = percentile(_firsts(calm.samples), 0.99)
    refused = [s.answer for s in storm.samples if not s.answer.good]
    verdict.note("capacity", f"{capacity:.1f} answers/s")
    verdict.note("sent", f"{len(storm.samples)} calls, {len(refused)} refused")
    verdict.at_least("goodput of capacity", goodput / capacity, 0.95)
    verdict.at_most("admitted p99 TTFT / that at 80 % load", percentile(_firsts(storm.samples), 0.99) / usual, 1.5)
    steps = [s for s in storm.samples if s.path == STEP]
    verdict.at_most("step p99 TTFT / p99 of all at 80 % load", percentile(_firsts(steps), 0.99) / usual, 1.5)
    verdict.note("p99 TTFT at 80 % load", f"{usual * 1000:.0f} ms")
    verdict.at_most("refusals p99", percentile([a.seconds for a in refused], 0.99) * 1000, 50, " ms")
    verdict.none("refusals without Retry-After", [a for a in refused if "retry-after" not in a.headers])
    late = [s for s in after.samples if s.sent - ended > 5]  # noqa: PLR2004  the bar
    verdict.at_most("p99 TTFT 5 s after, / that at 80 % load", percentile(_firsts(late), 0.99) / usual, 1.5)
    verdict.none("failed calls 5 s after", [s for s in late if not s.answer.good and s.answer.status != 503])  # noqa: PLR2004
    return verdict


def _firsts(samples: list[Sample]) -> list[float]:
    return [sample.answer.first for sample in samples if sample.answer.good]


async def isolation(seed: int, *, short: bool) -> Verdict:
    """Steps while fifty clients want nothing but reports."""
    verdict = Verdict()
    seconds = 8.0 if short else 40.0
    service_settings = {**_SERVICE, "MAX_WAIT": 0}
    async with stage(_ENGINE, service_settings) as (_, service):
        alone = Load(service, seed)
        await alone.closed(2, seconds, (STEP,))
        reports, steps = Load(service, seed + 1), Load(service, seed + 2)
        background = asyncio.create_task(reports.closed(50, seconds + 2, (REPORT,)))
        await asyncio.sleep(2.0)
        await steps.closed(2, seconds, (STEP,))
        await background
    usual, loaded = (percentile([s.answer.seconds for s in load.samples], 0.95) for load in (alone, steps))
    verdict.note("steps", f"{len(alone.samples)} alone, {len(steps.samples)} beside {len(reports.samples)} reports")
    verdict.at_most("step p95 beside reports / alone", loaded / usual, 1.2)
    verdict.none("failed steps", [s for s in steps.samples if not s.answer.good])
    verdict.at_least("reports done", sum(s.answer.good for s in reports.samples), 1)
    return verdict
