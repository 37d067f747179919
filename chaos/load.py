"""Load: the mix of an interview, in a closed loop or at a rate that does not wait for answers."""

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from chaos.client import Answer
from chaos.stage import Service

FEEDBACK = "/api/feedback"
STEP = "/api/interview/step"
REPORT = "/api/report"
CHAT = "/api/chat/completions"
MIX = (STEP, STEP, FEEDBACK, FEEDBACK, REPORT)


@dataclass(frozen=True, slots=True)
class Sample:
    """One call of a load; ``name`` is in its prompt and in no other."""

    path: str
    name: str
    sent: float
    answer: Answer


def body_of(path: str, unique: str) -> bytes:
    """A request that is like no other."""
    if path == CHAT:
        return json.dumps({"messages": [{"role": "user", "content": f"인사해 주세요. {unique}"}]}).encode()
    prompt = {
        "system_prompt": "당신은 백엔드 면접관입니다. 답변을 1~10점으로 평가하세요.",
        "user_prompt": f"질문: 트랜잭션 격리 수준을 설명해 주세요.\n답변: 네 가지가 있습니다. ({unique})",
    }
    return json.dumps(prompt, ensure_ascii=False).encode()


class Load:
    """Sends calls to one service and keeps what came of them."""

    def __init__(self, service: Service, seed: int, *, timeout: float = 60) -> None:
        self.samples: list[Sample] = []
        self._service = service
        self._rng = random.Random(seed)
        self._seed = seed
        self._timeout = timeout
        self._number = 0

    @staticmethod
    def counts(samples: Sequence[Sample]) -> dict[str, tuple[int, int]]:
        """For each path: good answers, and calls."""
        calls, good = Counter(s.path for s in samples), Counter(s.path for s in samples if s.answer.good)
        return {path: (good[path], number) for path, number in sorted(calls.items())}

    async def one(self, path: str, *, stream: bool) -> Answer:
        """One call."""
        self._number += 1
        name = f"{self._seed}-{self._number}-{self._rng.randrange(1 << 40)}"
        body = body_of(path, name)
        sent = time.monotonic()
        where = f"{path}?stream=true" if stream else path
        answer = await self._service.post(where, body, timeout=self._timeout)
        self.samples.append(Sample(path, name, sent, answer))
        return answer

    async def closed(self, clients: int, seconds: float, paths: Sequence[str] = MIX, *, stream: bool = True) -> float:
        """``clients`` that each wait for one answer before the next call; returns good answers a second."""
        started = time.monotonic()
        until = started + seconds
        before = len(self.samples)

        async def client() -> None:
            while time.monotonic() < until:
                answer = await self.one(self._rng.choice(paths), stream=stream)
                if not answer.good:
                    await asyncio.sleep(0.05)

        await asyncio.gather(*(client() for _ in range(clients)))
        took = time.monotonic() - started
        return sum(sample.answer.good for sample in self.samples[before:]) / took

    async def open(self, rate: float, seconds: float, paths: Sequence[str] = MIX, *, stream: bool = True) -> float:
        """Calls at ``rate`` a second, evenly with jitter, whatever comes of them; returns good answers a second."""
        started = time.monotonic()
        before = len(self.samples)
        calls: set[asyncio.Task[Answer]] = set()
        due = started
        while (now := time.monotonic()) < started + seconds:
            while due <= now:
                task = asyncio.create_task(self.one(self._rng.choice(paths), stream=stream))
                calls.add(task)
                task.add_done_callback(calls.discard)
                due += self._rng.uniform(0.5, 1.5) / rate
            await asyncio.sleep(max(0.0, min(due - time.monotonic(), 0.05)))
        took = time.monotonic() - started
        good = sum(s.answer.good for s in self.samples[before:])
        if calls:
            await asyncio.wait(calls)
        return good / took
