"""Line 4: clients that leave, in each of the three phases."""

import asyncio
import time

from chaos.client import Answer, Connection
from chaos.load import CHAT, body_of
from chaos.stage import Engine, Service, stage
from chaos.verdict import Verdict, percentile

_BYSTANDERS = 3
_PHASES = ("queued", "before the first token", "mid-stream")
_NAME = "bystander"
_LONG = 30.0  # seconds to the first token, where nobody may get one


async def leaving(seed: int, *, short: bool) -> Verdict:
    """Each phase many times, beside calls that must not notice."""
    verdict = Verdict()
    rounds = 20 if short else 334
    async with stage({"slots": 64, "ttft": 0.1, "tps": 50, "priority": True}, {}) as (engine, service):
        for phase in _PHASES:
            times, aborted, bystanders = await _phase(engine, service, phase, seed, rounds)
            verdict.at_most(f"slot free, {phase}, p99", percentile(times, 0.99) * 1000, 100, " ms")
            verdict.note(f"slot free, {phase}, p50", f"{percentile(times, 0.5) * 1000:.1f} ms of {len(times)}")
            verdict.at_most(f"aborts too many or too few, {phase}", abs(aborted - rounds), 0)
            verdict.none(f"bystanders disturbed, {phase}", [a.body[-200:] for a in bystanders if not a.good])
        figures = await service.figures()
    verdict.none("unhandled errors", figures["unhandled"])
    return verdict


async def _phase(
    engine: Engine, service: Service, phase: str, seed: int, rounds: int
) -> tuple[list[float], int, list[Answer]]:
    """How long each took, how many generations were aborted, and what became of the bystanders."""
    await engine.control("reset")
    # Without its figures the service sends more than fits: that is how a call gets to wait inside the engine. The
    # bystanders are dripped, so that they last for the whole phase.
    drip = {"kind": "drip", "match": _NAME, "seconds": 0.0005 if rounds < 100 else 0.004}  # noqa: PLR2004
    await engine.control("faults", [{"kind": "status", "routes": ["/v1/loads"], "status": 404}, drip])
    full = phase == "queued"
    await engine.control("settings", {"slots": _BYSTANDERS if full else _BYSTANDERS + 1, "ttft": 0.1})
    others = [
        asyncio.create_task(service.post(CHAT, _body(f"{_NAME} {n}", stream=True), timeout=300))
        for n in range(_BYSTANDERS)
    ]
    await engine.wait(running=_BYSTANDERS)
    await asyncio.sleep(0.5)
    await engine.control("settings", {"ttft": 0.02 if phase == "mid-stream" else _LONG})
    stream = phase == "mid-stream"
    times = [await _leave(engine, service, _body(f"{seed}-{n}", stream=stream), stream=stream) for n in range(rounds)]
    aborted = (await engine.state())["aborted"]
    return times, aborted, await asyncio.gather(*others)


def _body(unique: str, *, stream: bool) -> bytes:
    return body_of(CHAT, unique)[:-1] + (b',"max_tokens":2000,"stream":%b}' % (b"true" if stream else b"false"))


async def _leave(engine: Engine, service: Service, body: bytes, *, stream: bool) -> float:
    """One client that leaves; seconds until the engine has let go of its call."""
    before = await engine.state()
    client = Connection(service.port, CHAT, body)
    await client.open()
    if stream:
        await client.read_until(b"event: delta")
    else:
        try:
            await engine.wait(total_min=before["total"] + 1)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; the service said {await client.said()!r}") from error
    gone = asyncio.create_task(engine.wait(aborted_min=before["aborted"] + 1))
    await asyncio.sleep(0.01)
    started = time.monotonic()
    client.leave()
    await gone
    return time.monotonic() - started
