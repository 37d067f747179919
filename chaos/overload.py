"""Line 1 and line 8: ten times the load, and reports that would take everything."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from chaos.load import FEEDBACK, REPORT, STEP, Load, Sample
from chaos.proxy import FaultProxy, fault_proxy
from chaos.stage import Engine, Service
from chaos.verdict import Verdict, percentile

_SLOTS = 16
_ENGINE = {"slots": _SLOTS, "ttft": 0.3, "tps": 300, "tokens_per_chunk": 8, "priority": True}
_SERVICE = {"MAX_CONCURRENCY": _SLOTS, "MAX_QUEUE": 64, "RETRY_GRACE_SECONDS": 0}
_NAMES = {STEP: "step", FEEDBACK: "feedback", REPORT: "report"}
_RAMP = 2.0  # seconds until a load is what it will be
_SETTLED = 5.0  # seconds after which the storm must be forgotten
_TRAVEL = 0.05  # seconds in which a call may still be on its way to the queue, at least
_SURE = 0.02  # seconds between two generations whose order at the engine says which one had its place first
_OVERLOADED = 503


@asynccontextmanager
async def _staged(seed: int, *settings: Mapping[str, object]) -> AsyncGenerator[tuple[FaultProxy, list[Service]], None]:
    """One engine behind a proxy that only looks on, and one service for each of ``settings``."""
    async with AsyncExitStack() as stack:
        engine = Engine(**_ENGINE)
        await engine.start()
        stack.push_async_callback(engine.kill)
        proxy = await stack.enter_async_context(fault_proxy(engine.port, seed))
        services = [Service(proxy.port, **{**_SERVICE, **one}) for one in settings]
        for service in services:
            await service.start()
            stack.push_async_callback(service.stop)
        yield proxy, services


async def overload(seed: int, *, short: bool) -> Verdict:
    """Ten times of what the engine can do."""
    verdict = Verdict()
    seconds = 10.0 if short else 60.0
    async with _staged(seed, {"MAX_WAIT": 0.15}, {"MAX_WAIT": 0}) as (proxy, (service, patient)):
        cost = await _costs(patient, seed)
        full = Load(patient, seed + 1)  # refuses nothing, so the calls it answers are the calls it was sent
        begun = time.monotonic()
        await full.closed(3 * _SLOTS, _RAMP + max(10.0, seconds / 3))
        done = _done(full.samples, begun, _RAMP + max(10.0, seconds / 3))
        capacity = len(done) / max(10.0, seconds / 3)
        work = _work(done, cost) / max(10.0, seconds / 3)
        calm = Load(service, seed + 2)
        await calm.open(0.8 * capacity, max(10.0, seconds / 3))
        storm = Load(service, seed + 3)
        begun = time.monotonic()
        await storm.open(10 * capacity, seconds)
        goodput = _work(_done(storm.samples, begun, seconds), cost) / (seconds - _RAMP)
        after = Load(service, seed + 4)
        await after.open(0.8 * capacity, 10.0)
    sent = Load.counts(storm.samples)
    verdict.note("capacity", f"{capacity:.1f} calls/s, {work:.1f} of {_SLOTS} places at work")
    verdict.note("sent", ", ".join(f"{good} of {all_} {_NAMES[path]}s served" for path, (good, all_) in sent.items()))
    verdict.at_least("goodput of capacity, in work done", goodput / work, 0.95)
    _judge_firsts(verdict, "admitted", calm.samples, storm.samples)
    refused = [s.answer for s in storm.samples if not s.answer.good]
    verdict.note("refusals p50", f"{percentile([a.seconds for a in refused], 0.5) * 1000:.1f} ms of {len(refused)}")
    verdict.at_most("refusals p99", percentile([a.seconds for a in refused], 0.99) * 1000, 50, " ms")
    verdict.none("refusals without Retry-After", [a for a in refused if "retry-after" not in a.headers])
    _judge_order(verdict, storm.samples, proxy)
    late = [s for s in after.samples if s.sent - begun - seconds > _SETTLED]
    _judge_firsts(verdict, "5 s after,", calm.samples, late)
    verdict.none("failed calls 5 s after", [s for s in late if not s.answer.good and s.answer.status != _OVERLOADED])
    return verdict


async def _costs(service: Service, seed: int) -> dict[str, float]:
    """Seconds that a call of each kind holds its place, where nobody waits for one."""
    load = Load(service, seed)
    for path in _NAMES:
        await load.closed(_SLOTS // 4, 3.0, (path,))
    return {path: _mean(s.answer.seconds for s in load.samples if s.path == path) for path in _NAMES}


def _done(samples: list[Sample], begun: float, seconds: float) -> list[Sample]:
    """Good answers that ended while the load was what it should be: after the ramp, before the last call was sent."""
    return [s for s in samples if s.answer.good and _RAMP < s.sent + s.answer.seconds - begun < seconds]


def _work(samples: list[Sample], cost: Mapping[str, float]) -> float:
    """What answers are worth, in seconds of a place: a load that is served more short calls has not done more."""
    return sum(cost[sample.path] for sample in samples)


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found)


def _firsts(samples: list[Sample], path: str) -> list[float]:
    return [sample.answer.first for sample in samples if sample.answer.good and sample.path == path]


def _judge_firsts(verdict: Verdict, when: str, calm: list[Sample], then: list[Sample]) -> None:
    """Each kind against itself: a mix that is served fewer reports would seem faster than it is."""
    for path, name in _NAMES.items():
        usual, found = percentile(_firsts(calm, path), 0.99), _firsts(then, path)
        if found:
            title = f"{when} {name} p99 TTFT / {usual * 1000:.0f} ms at 80 % load"
            verdict.at_most(title, percentile(found, 0.99) / usual, 1.5)


def _judge_order(verdict: Verdict, samples: list[Sample], proxy: FaultProxy) -> None:
    """No report was given a place while a step waited for one.

    A call waits once it has reached the queue; how long that takes on this machine is what the slowest refusal took.
    """
    begun = proxy.begun
    travel = max([_TRAVEL, *(s.answer.seconds for s in samples if s.answer.status == _OVERLOADED)])
    steps = [(s.sent + travel, begun[s.name] - _SURE) for s in samples if s.path == STEP and s.name in begun]
    waits = [(since, until) for since, until in steps if since < until]
    reports = [begun[s.name] for s in samples if s.path == REPORT and s.name in begun]
    behind = [at for at in reports if any(since < at < until for since, until in waits)]
    waited = f"{len(waits)} of {len(steps)}, {len(reports)} reports began"
    verdict.note(f"steps that waited for over {travel * 1000:.0f} ms", waited)
    verdict.none("reports begun while a step waited", behind)


async def isolation(seed: int, *, short: bool) -> Verdict:
    """Steps while fifty clients want nothing but reports."""
    verdict = Verdict()
    seconds = 8.0 if short else 40.0
    async with _staged(seed, {"MAX_WAIT": 0}) as (proxy, (service,)):
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
    _judge_order(verdict, [*steps.samples, *reports.samples], proxy)
    return verdict
