"""Line 8 on a real SGLang: steps beside reports, and beside calls that are as urgent as they are.

Shown, not judged: on a CPU every generation slows the others down, whoever goes first. What priorities are worth is the
difference between the two. Needs ``deploy/sglang-cpu``; ``SGLANG_CPU_VENV`` names an install elsewhere.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

from chaos.client import Answer
from chaos.load import REPORT, STEP
from chaos.stage import ROOT, Service
from chaos.verdict import Verdict, percentile
from simulator.ports import free_port

_PLACES = 4
_CLIENTS = 12  # three for each place
_PATIENCE = 600  # seconds; a CPU takes longer than callers of a GPU wait
_SERVICE = {
    "MODEL_NAME": "smollm2-135m-instruct",
    "LANGUAGE": "en",
    "MAX_CONCURRENCY": _PLACES,
    "STALL_TIMEOUT": 120,
    **{f"{name}_TIMEOUT": _PATIENCE for name in ("REQUEST", "INTERVIEW", "FEEDBACK", "REPORT")},
}


@asynccontextmanager
async def _engine() -> AsyncGenerator[int, None]:
    """A real SGLang that works on as many calls as the service sends; its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "deploy/sglang-cpu/serve.py", "--port", str(port)),
        *("--", "--max-running-requests", str(_PLACES)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        if process.stdout is None or not await process.stdout.readline():
            raise RuntimeError("SGLang did not start; deploy/sglang-cpu/serve.py says why")
        yield port
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def sglang(seed: int, *, short: bool) -> Verdict:
    """Steps of one client alone, beside reports, and beside steps of others."""
    verdict = Verdict()
    number = 3 if short else 12
    async with _engine() as port:
        service = Service(port, **_SERVICE)
        await service.start()
        try:
            for name, path in (("alone", None), ("beside reports", REPORT), ("beside steps", STEP)):
                answers, others = await _steps(service, f"{seed} {name}", number, path)
                print(f"steps {name}: {', '.join(f'{a.seconds:.1f} s' for a in answers)}", file=sys.stderr, flush=True)
                times, firsts = [a.seconds for a in answers], [a.first for a in answers if a.good]
                verdict.note(
                    f"steps {name}, p50 and p95",
                    f"{percentile(times, 0.5):.1f} s, {percentile(times, 0.95):.1f} s; "
                    f"first piece {percentile(firsts, 0.5):.1f} s, {percentile(firsts, 0.95):.1f} s",
                )
                verdict.note(f"others meanwhile, {name}", f"{len(others)} answers")
                verdict.none(f"failed, {name}", [a.body[-200:] for a in [*answers, *others] if not a.good])
        finally:
            await service.stop()
    return verdict


async def _steps(service: Service, name: str, number: int, others: str | None) -> tuple[list[Answer], list[Answer]]:
    """Steps one after the other, and what others were answered meanwhile."""
    answers: list[Answer] = []

    async def client(which: int) -> None:
        turn = 0
        while others is not None:
            answers.append(await _ask(service, others, f"{name} {which}-{turn}"))
            turn += 1

    clients = [asyncio.create_task(client(which)) for which in range(_CLIENTS if others else 0)]
    await asyncio.sleep(5.0 if others else 0.0)
    steps = [await _ask(service, STEP, f"{name} {turn}") for turn in range(number)]
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    return steps, answers


async def _ask(service: Service, path: str, name: str) -> Answer:
    prompt = {
        "system_prompt": "You are an interviewer. Be brief.",
        "user_prompt": f"Question: What is an index?\nAnswer: A structure that finds rows quickly. ({name})",
    }
    return await service.post(f"{path}?stream=true", json.dumps(prompt).encode(), timeout=_PATIENCE)
