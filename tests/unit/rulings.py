"""What is ruled about a step before the model speaks, for cases in which the engine is not needed or not there."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from app.core.admission import Admission
from app.core.deadline import Deadline
from app.core.generation import Usage
from app.core.http_pool import HttpPool
from app.core.llm_engine import LLMEngine, Slot
from app.core.prompt_builder import Language
from app.core.retry import RetryPolicy
from app.engines.base import Address, RemoteHost
from app.engines.profiles import SGLANG
from app.schemas.common import Meta
from app.schemas.task import HistoryItem, TaskRequest
from app.tasks.interview import StepAnswer, StepTask, interview_step
from app.tasks.structured import Call, Policy, Ruling, token_usage

META = Meta(
    engine="e",
    model="m",
    finish="length",
    attempts=2,
    repaired=[],
    usage=token_usage(Usage()),
    judged="whole prompt",
)

ANSWER = "참조되지 않는 객체를 JVM이 자동으로 회수하고, 저는 G1으로 바꿔 일시 정지를 줄였습니다."
_ASKED = [
    HistoryItem(question=f"{topic}에 대해 설명해 주세요.", answer=ANSWER, score=None)
    for topic in "가나다라마바사아자차카타"
]
CASES: Mapping[str, Mapping[str, Any]] = {
    "first question": {"history": []},
    "short phase": {"history": _ASKED[:1], "phase": "TECHNICAL"},
    "follow-ups used": {"history": _ASKED[:4], "phase": "TECHNICAL", "follow_up_count": 2},
    "long phase": {"history": _ASKED, "phase": "TECHNICAL"},
    "anything goes": {"history": _ASKED[:4], "phase": "TECHNICAL", "follow_up_count": 0},
}
"""Fields of requests, one for each set of actions that the rules can leave. In the last one the score would decide;
the engine is not there to measure it, so nothing is ruled out."""


@asynccontextmanager
async def slot_at(address: Address, stall: float = 10.0) -> AsyncGenerator[Slot, None]:
    """A place at the engine that listens, or does not, at ``address``.

    ``stall``: seconds for which it may be silent amid an answer.
    """
    pool = HttpPool()
    engine = LLMEngine(
        host=RemoteHost(address.host, address.port),
        profile=SGLANG,
        model="m",
        context=8192,
        api_key="",
        admission=Admission(4, 4),
        pool=pool,
        retries=RetryPolicy(stall=stall),
    )
    try:
        yield Slot(engine, Deadline.after(60))
    finally:
        await engine.close()
        pool.close()


def step_task(order: str) -> StepTask:
    """The task that says its fields in ``order``."""
    return interview_step("message-first" if order == "message-first" else "thought-first")


@cache
def ruling(order: str, case: str, language: Language = "ko") -> Ruling[StepAnswer]:
    """What is settled about a case of ``CASES``; nobody answers in the engine's place."""
    request = TaskRequest(system_prompt="당신은 면접관입니다.", user_prompt="다음 질문을 하세요.", **CASES[case])
    call = Call.of(request, Deadline.after(2), Policy(language, 10))  # nobody will answer: not worth waiting for

    async def decided() -> Ruling[StepAnswer]:
        async with slot_at(Address("127.0.0.1", 9)) as slot:  # the discard port: nobody listens
            return await step_task(order).decide(slot, call)

    return asyncio.run(decided())
