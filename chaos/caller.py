"""Line 7: the first caller's way to repeat itself."""

import asyncio

from chaos.load import REPORT, STEP, body_of
from chaos.stage import Engine, Service, stage
from chaos.verdict import Verdict

_OK = 200


async def caller(seed: int, *, short: bool) -> Verdict:
    """A report that takes longer than its caller waits; and a thousand callers with the same request."""
    verdict = Verdict()
    scale = 0.1 if short else 1.0
    settings = {"REPORT_TIMEOUT": 55 * scale, "STALL_TIMEOUT": 10}
    async with stage({"slots": 8, "ttft": 0.1, "tps": 500}, settings) as (engine, service):
        alone = await _parts(engine, service, REPORT, f"{seed} alone")
        await engine.control("settings", {"ttft": 75 * scale / alone})
        before = (await engine.state())["total"]
        body = body_of(REPORT, str(seed))
        first = await service.post(REPORT, body, timeout=60 * scale)
        await asyncio.sleep(2.0 * (0.5 if short else 1.0))
        second = await service.post(REPORT, body, timeout=60 * scale)
        generations = (await engine.state())["total"] - before
    verdict.note("first try", f"{first.status or first.trouble} after {first.seconds:.1f} s")
    verdict.at_least("second try, status 200", float(second.status == _OK), 1)
    verdict.note("second try", f"after {second.seconds:.1f} s more")
    verdict.at_most("generations, in one report's", generations / alone, 1)
    number = 200 if short else 1000
    async with stage({"slots": 8, "ttft": 0.5, "tps": 100}, {}) as (engine, service):
        alone = await _parts(engine, service, STEP, f"{seed} alone")
        before = (await engine.state())["total"]
        body = body_of(STEP, str(seed))
        answers = await asyncio.gather(*(service.post(STEP, body) for _ in range(number)))
        generations = (await engine.state())["total"] - before
    verdict.none(f"failed of {number} identical calls", [a.status or a.trouble for a in answers if a.status != _OK])
    verdict.at_most("generations for them, in one step's", generations / alone, 1)
    verdict.at_most("different answers", len({a.body for a in answers}), 1)
    return verdict


async def _parts(engine: Engine, service: Service, path: str, name: str) -> int:
    """How many generations one call takes that nobody repeats: measurements and words."""
    before = (await engine.state())["total"]
    await service.post(path, body_of(path, name))
    return (await engine.state())["total"] - before
