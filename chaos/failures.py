"""Line 2 and line 6: the engine is killed under load, fails for good, or refuses every third call."""

import asyncio
import json
import time
from collections.abc import Mapping

from chaos.client import Answer
from chaos.load import CHAT, FEEDBACK, STEP, Load
from chaos.stage import Engine, Service, stage
from chaos.verdict import Verdict

_OK = 200


async def killed(seed: int, *, short: bool) -> Verdict:
    """The engine dies under streams and JSON calls, and is back after five seconds."""
    verdict = Verdict()
    each = 40 if short else 200
    engine_settings = {"slots": 2 * each, "ttft": 0.2, "tps": 8, "priority": True}
    async with stage(engine_settings, {"MAX_CONCURRENCY": 2 * each, "MAX_QUEUE": 2 * each}) as (engine, service):
        load = Load(service, seed)
        streams = [asyncio.create_task(load.one(FEEDBACK, stream=True)) for _ in range(each)]
        calls = [asyncio.create_task(load.one((FEEDBACK, STEP)[n % 2], stream=False)) for n in range(each)]
        await engine.wait(total_min=2 * each + 3)  # three warmed it up
        await asyncio.sleep(1.0)
        under_way = (await engine.state())["running"]
        await engine.kill()
        await asyncio.sleep(5.0)
        await engine.start()
        back = time.monotonic()
        answers, told = await asyncio.gather(*calls), await asyncio.gather(*streams)
        took = time.monotonic() - back
        state, unhandled = await engine.state(), (await service.figures())["unhandled"]
    verdict.note("killed with", f"{under_way} generations under way")
    verdict.none("JSON calls lost", [(a.status, a.body[:200], a.trouble) for a in answers if a.status != _OK])
    verdict.note("JSON answers that were closed early", str(sum(_repaired(a) for a in answers)))
    verdict.none("streams without exactly one terminal event", [a.terminals() for a in told if len(a.terminals()) != 1])
    verdict.note("streams that ended in a result", str(sum(a.terminals() == ["result"] for a in told)))
    verdict.note("all over", f"{took:.1f} s after the engine was back")
    verdict.at_most("engine slots held after", state["running"] + state["queued"], 0)
    verdict.none("unhandled errors", unhandled)
    return verdict


_PARTS = {CHAT: 1, FEEDBACK: 2}  # generations that one request cannot do without: a measurement, and the words


def _repaired(answer: Answer) -> bool:
    return answer.status == _OK and bool(json.loads(answer.body)["meta"]["repaired"])


async def failing(seed: int, *, short: bool) -> Verdict:
    """Nothing but failures, in three ways; then 30 % refusals."""
    verdict = Verdict()
    number = 300 if short else 1000
    for kind in ({"kind": "reset"}, {"kind": "status", "status": 500}, {"kind": "status", "status": 503}):
        async with stage({"slots": 64, "ttft": 0.05, "tps": 200}, {"REQUEST_TIMEOUT": 4}) as (engine, service):
            name = f"{kind['kind']} {kind.get('status', '')}".strip()
            for path, parts in _PARTS.items():
                answers, attempts = await _ask(engine, service, seed, number, kind, path)
                each = attempts / len(answers) / parts
                verdict.at_most(f"attempts a generation, {path.split('/')[2]}, all {name}", each, 1.1)
                verdict.none(f"undocumented ends, all {name}", [a.status for a in answers if not a.documented()])
    settings = {"REQUEST_TIMEOUT": 20}
    async with stage({"slots": 64, "ttft": 0.05, "tps": 200}, settings) as (engine, service):
        fault = {"kind": "status", "status": 503, "probability": 0.3, "seed": seed}
        for path in _PARTS:
            whole, made = await _ask(engine, service, seed + 1, number, None, path)  # how many it takes is the answer's
            parts = made / len(whole)
            verdict.note(f"generations, {path.split('/')[2]}", f"{parts:.2f}")
            answers, attempts = await _ask(engine, service, seed, 2 * number, fault, path)
            name = f"{path.split('/')[2]}, 30 % of answers 503"
            verdict.at_least(f"success, {name}", sum(a.good for a in answers) / len(answers), 0.999)
            verdict.at_most(f"attempts a generation, {name}", attempts / len(answers) / parts, 1.5)
    return verdict


async def _ask(
    engine: Engine, service: Service, seed: int, number: int, fault: Mapping[str, object] | None, path: str
) -> tuple[list[Answer], int]:
    """``number`` JSON calls from 32 clients while the engine has ``fault``, if any; and how often it was asked."""
    await engine.control("reset", {})
    if fault is not None:
        await engine.control("faults", fault)
    before = (await engine.state())["total"]
    load = Load(service, seed, timeout=30)
    places = asyncio.Semaphore(32)

    async def one() -> Answer:
        async with places:
            return await load.one(path, stream=False)

    answers = await asyncio.gather(*(one() for _ in range(number)))
    return answers, (await engine.state())["total"] - before
