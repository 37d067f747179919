"""Line 1: bodies by the million; nothing undocumented comes back and nothing unchecked reaches the engine."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from chaos.verdict import Verdict
from fuzz.bodies import request
from fuzz.judging import Contract
from fuzz.serving import Door, serving

# What app/core/llm_engine.py sends to SGLang; everything else is a leak.
ALLOWED = frozenset(
    {"model", "messages", "messages.role", "messages.content", "max_tokens", "temperature", "top_p", "top_k", "min_p"}
    | {"presence_penalty", "frequency_penalty", "repetition_penalty", "stream", "stream_options", "seed", "stop"}
    | {"chat_template_kwargs", "logprobs", "top_logprobs", "ebnf", "priority", "rid", "continue_final_message"}
)
_WORKERS = 32
_WRONG = 500
_LATE = 504  # is right where the caller allowed a tenth of a second


class Fuzzer:
    """Sends requests and keeps what was wrong."""

    def __init__(self, door: Door, contract: Contract, seed: int, share: float) -> None:
        self.statuses: Counter[int] = Counter()
        self.faults: list[str] = []
        self.unexpected: list[str] = []
        self._door = door
        self._contract = contract
        self._seed = seed
        self._share = share

    async def work(self, numbers: Iterator[int], bar: Progress) -> None:
        """Take numbers until there are no more."""
        task = bar.task_ids[0]
        for number in numbers:
            asked = request(self._seed, number, self._share)
            try:
                response = await self._door.ask(asked)
            except Exception as error:  # noqa: BLE001  what a server would log as an unexpected error
                self.faults.append(f"number {number}, {asked.method} {asked.path}: {error!r}")
                continue
            self.statuses[response.status] += 1
            if (fault := self._contract.fault(asked, response)) is not None:
                self.faults.append(f"number {number}, {asked.method} {asked.path}: {fault}")
            if response.status >= _WRONG and not (response.status == _LATE and "x-request-timeout" in asked.headers):
                self.unexpected.append(f"number {number}, {asked.path}: {response.status} {response.body[:200]!r}")
            bar.advance(task)
            if number % 64 == 0:
                await asyncio.sleep(0)


async def bodies(seed: int, first: int, count: int, share: float = 0.02) -> Verdict:
    """``count`` requests from number ``first`` on, of which about ``share`` are good ones."""
    verdict = Verdict()
    async with serving() as (door, engine, document):
        fuzzer = Fuzzer(door, Contract(document), seed, share)
        numbers = iter(range(first, first + count))
        started = time.monotonic()
        columns = (TextColumn("fuzz"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, refresh_per_second=1) as bar:
            bar.add_task("fuzz", total=count)
            await asyncio.gather(*(fuzzer.work(numbers, bar) for _ in range(_WORKERS)))
        seconds = time.monotonic() - started
        state = await engine.state()
    verdict.note("requests", f"{sum(fuzzer.statuses.values())} from {first}, {count / seconds:.0f}/s")
    verdict.note("statuses", ", ".join(f"{status}: {n}" for status, n in sorted(fuzzer.statuses.items())))
    verdict.note("generations at the engine", str(state["total"]))
    verdict.none("responses that are not documented", fuzzer.faults)
    verdict.none("5xx from a healthy engine", fuzzer.unexpected)
    verdict.none("engine fields outside the allow-list", sorted(set(state["fields"]) - ALLOWED))
    verdict.at_least("engine fields seen", len(state["fields"]), 10)
    return verdict
