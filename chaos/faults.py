"""Line 3 and line 9: a thousand faults, and a long time at most of the load with faults all the while."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

from chaos.client import Answer
from chaos.load import CHAT, FEEDBACK, REPORT, STEP, Load
from chaos.proxy import FaultProxy, fault_proxy
from chaos.stage import Engine, Service
from chaos.verdict import Verdict, percentile

_DEADLINE = 5.0
_PATIENT = 15.0
_PATHS = (STEP, FEEDBACK, CHAT, REPORT)
_MEGABYTE = 1 << 20


async def _staged(stack: AsyncExitStack, seed: int, tps: int, **settings: object) -> tuple[Engine, FaultProxy, Service]:
    engine = Engine(slots=64, ttft=0.02, tps=tps, priority=True)
    await engine.start()
    stack.push_async_callback(engine.kill)
    proxy = await stack.enter_async_context(fault_proxy(engine.port, seed))
    service = Service(
        proxy.port, **{"REQUEST_TIMEOUT": _DEADLINE, "STALL_TIMEOUT": 1, "RETRY_GRACE_SECONDS": 1, **settings}
    )
    await service.start()
    stack.push_async_callback(service.stop)
    return engine, proxy, service


async def faults(seed: int, *, short: bool) -> Verdict:
    """Each generation meets a fault with a chance of 70 %, until there have been a thousand."""
    verdict = Verdict()
    wanted = 150 if short else 1000
    async with AsyncExitStack() as stack:
        engine, proxy, service = await _staged(stack, seed, 300)
        load = Load(service, seed, timeout=_DEADLINE + 10)
        await load.closed(8, 1.0, _PATHS)
        await asyncio.sleep(2.0)
        before = await service.figures()
        proxy.chance = 0.7
        samples = len(load.samples)
        while proxy.faults.total() < wanted:
            await asyncio.gather(
                load.closed(16, 1.0, _PATHS, stream=True),
                load.closed(16, 1.0, _PATHS[:2] + _PATHS[3:], stream=False),
            )
        proxy.chance = 0.0
        answers = [sample.answer for sample in load.samples[samples:]]
        await asyncio.sleep(3.0)  # the grace of answers that were left, and probes
        state, after = await engine.state(), await service.figures()
        complaints = service.complaints()
    verdict.note("faults", ", ".join(f"{count} {kind}" for kind, count in sorted(proxy.faults.items())))
    _judge_answers(verdict, answers, _DEADLINE)
    verdict.at_most("engine slots held after", state["running"] + state["queued"], 0)
    verdict.at_most("tasks more than before", after["tasks"] - before["tasks"], 1)  # a probe may be under way
    verdict.at_most("sockets more than before", after["sockets"] - before["sockets"], 16)  # kept for the next calls
    verdict.none("unhandled errors", after["unhandled"])
    verdict.none("complaints in the log", complaints)
    return verdict


def _judge_answers(verdict: Verdict, answers: list[Answer], deadline: float) -> None:
    kinds = Counter("answer" if a.good else str(a.status) if a.status != 200 else "stream error" for a in answers)  # noqa: PLR2004
    verdict.note("outcomes", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    verdict.at_most("longest call", max(a.seconds for a in answers), deadline + 1, " s")
    verdict.none("undocumented ends", [(a.status, a.trouble, a.body[-200:]) for a in answers if not a.documented()])


async def soak(seed: int, *, short: bool) -> Verdict:
    """Twenty minutes at most of the load, with a fault in every tenth generation."""
    verdict = Verdict()
    minutes = 1.0 if short else 20.0
    async with AsyncExitStack() as stack:
        engine, proxy, service = await _staged(stack, seed, 100, MAX_CONCURRENCY=8, REQUEST_TIMEOUT=_PATIENT)
        del engine
        warm = Load(service, seed, timeout=_PATIENT + 10)
        capacity = await warm.closed(8, 20.0, _PATHS)
        rate = 0.8 * capacity
        proxy.chance = 0.1
        await Load(service, seed + 1, timeout=_PATIENT + 10).open(rate, 60.0 * minutes / 10, _PATHS)
        memory: list[tuple[float, int]] = []
        figures: dict[str, Any] = {}
        answers: list[Answer] = []
        started = time.monotonic()
        while time.monotonic() - started < 60 * minutes:
            load = Load(service, seed + 2 + len(memory), timeout=_PATIENT + 10)
            await load.open(rate, min(30.0, 60 * minutes / 10), _PATHS)
            answers += [sample.answer for sample in load.samples]
            figures = await service.figures()
            memory.append((time.monotonic() - started, figures["rss"]))
        unhandled, complaints = figures["unhandled"], service.complaints()
    verdict.note(
        "memory", ", ".join(f"{rss / _MEGABYTE:.1f}" for _, rss in memory[:: max(1, len(memory) // 10)]) + " MB"
    )
    verdict.note("load", f"{rate:.1f} calls/s, {len(answers)} calls, {proxy.faults.total()} faults")
    _judge_answers(verdict, answers, _PATIENT)
    verdict.note("p99 of a call", f"{percentile([a.seconds for a in answers], 0.99):.2f} s")
    growth = _slope(memory) * 600 / _MEGABYTE
    if short:
        verdict.note("memory growth", f"{growth:.2f} MB in 10 min (too short a run to judge)")
    else:
        verdict.at_most("memory growth in 10 min", growth, 1.0, " MB")
    verdict.none("unhandled errors", unhandled)
    verdict.none("complaints in the log", complaints)
    return verdict


def _slope(points: list[tuple[float, int]]) -> float:
    """Bytes a second, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
