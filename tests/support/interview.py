"""An interview phase in the shape in which the first caller asks for its steps, and what of it a cache can share."""

from collections.abc import Sequence
from typing import Any

import httpx2

from app.core.deadline import Deadline
from app.core.generation import Generation, Message, Usage
from app.core.llm_engine import LLMEngine
from app.core.prompt_builder import Language, build_messages
from app.schemas.task import TaskRequest
from app.tasks.interview import MESSAGE_FIRST
from app.tasks.structured import Call, Policy

CONTEXT = 8192
_SAID = 16  # tokens of each answer

# About 1,900 characters, the same for a whole phase.
_RULES = {
    "ko": "당신은 백엔드 개발자 면접을 진행하는 면접관입니다. 지금은 기술 면접 단계입니다. "
    "지원자의 답변이 모호하거나 더 확인할 점이 있으면 꼬리 질문을 하고, 충분하면 다른 주제로 넘어가세요. "
    "같은 질문을 되풀이하지 말고, 지원자의 이력서와 포트폴리오에 나온 기술을 우선해서 물어보세요. "
    "답변을 모른다고 하면 힌트를 주지 말고 주제를 바꾸세요. ",
    "en": "You are interviewing a backend developer; this is the technical phase. Ask a follow-up if an answer is "
    "vague or worth a closer look, otherwise move on to another topic. Never repeat a question. Prefer what the "
    "résumé and the portfolio name. If the candidate does not know, give no hints and change the topic. ",
}
_FORMAT = '{"thought": "...", "action": "GENERATE_QUESTION | NEXT_PHASE", "message": "...", "evaluation": null}'
_RESUME = {
    "ko": "쇼핑몰 주문 시스템을 개발하면서 조회 성능을 개선하고 결제 연동을 안정화했습니다. ",
    "en": "Built the order system of an online shop, made its queries faster and its payments reliable with Redis. ",
}
_PORTFOLIO = {
    "ko": "주문 조회를 캐시로 옮겨 응답 시간을 줄였고, 장애를 겪은 뒤 재시도와 알림을 더했습니다. ",
    "en": "Moved order look-ups to a cache, and after an outage added retries and alerts that told us first. ",
}
_TOPICS = {
    "ko": (
        "가비지 컬렉션을 설명해 주세요.",
        "인덱스는 왜 쓰나요?",
        "트랜잭션 격리 수준은요?",
        "캐시는 어떻게 비웠나요?",
    ),
    "en": (
        "What does garbage collection do?",
        "Why use an index?",
        "What are isolation levels?",
        "When is a cache stale?",
    ),
}
_ANSWER = {
    "ko": "참조되지 않는 객체를 회수하는 기능이고, 저는 설정을 바꾸면서 멈춤 시간을 절반으로 줄인 경험이 있습니다. ",
    "en": "It does what its name says, and in my last project I measured it before and after, and halved the pauses. ",
}


def steps(language: Language, count: int, *, resume: int) -> list[TaskRequest]:
    """The first ``count`` step requests of a phase; ``resume`` characters each of résumé and portfolio."""
    system = (_RULES[language] * 12)[: 1900 - len(_FORMAT)] + _FORMAT
    pasted, made = ((text[language] * 60)[:resume] for text in (_RESUME, _PORTFOLIO))
    head = f"JUNIOR / Java, Spring, MySQL\n[이력서]\n{pasted}\n[포트폴리오]\n{made}\n\n"
    blocks = [
        f"[질문 {n + 1}] {topic}\n[답변] {_ANSWER[language] * 2}\n\n" for n, topic in enumerate(_TOPICS[language])
    ]
    return [
        TaskRequest.model_validate(
            {"system_prompt": system, "user_prompt": f"{head}{''.join(blocks[: n + 1])}꼬리 질문 횟수: {n % 3}/2\n"}
        )
        for n in range(count)
    ]


async def shared_and_cached(
    engine: LLMEngine, http: httpx2.AsyncClient, requests: Sequence[TaskRequest]
) -> list[tuple[int, int]]:
    """For each step after the first: tokens that its prompt begins with as the one before did, and those reused.

    Args:
        engine: The service's client of a real engine.
        http: A client of the same engine's tokenizer.
        requests: Consecutive steps.
    """
    figures: list[tuple[int, int]] = []
    before: list[int] = []
    for request in requests:
        asked = await _generation(engine, request)
        usage = await _ask(engine, asked)  # its prompt is what is looked at
        prompt = await _rendered(http, asked.messages)
        if before:
            figures.append((_common(before, prompt), usage.cached_tokens))
        before = prompt
    return figures


async def _generation(engine: LLMEngine, request: TaskRequest) -> Generation:
    """What the task asks of the engine for ``request``, once it is ruled what may be said."""
    call = Call.of(request, Deadline.after(280), Policy(language="auto", stall=300))
    async with engine.admit(MESSAGE_FIRST.priority, Deadline.after(280)) as slot:
        ruling = await MESSAGE_FIRST.decide(slot, call)
    contract = MESSAGE_FIRST.contract.text(call.spoken, call.language)
    return Generation(
        messages=build_messages(request.system_prompt, request.user_prompt, contract, ruling.words),
        max_tokens=_SAID,
        sampling=MESSAGE_FIRST.sampling,
        grammar=ruling.shape.grammars[call.language],
        priority=MESSAGE_FIRST.priority,
        begun=ruling.shape.begun,
    )


async def _ask(engine: LLMEngine, generation: Generation) -> Usage:
    async with engine.admit(generation.priority, Deadline.after(280)) as slot, slot.stream(generation) as tokens:
        async for _ in tokens:
            pass
        return tokens.usage


async def _rendered(http: httpx2.AsyncClient, messages: Sequence[Message]) -> list[int]:
    """The prompt as the engine itself renders and cuts it."""
    said = [{"role": message.role, "content": message.content} for message in messages]
    template = await http.post("/apply-template", json={"messages": said})
    if template.is_success:  # llama.cpp renders and cuts in two calls, SGLang in one
        body: dict[str, Any] = {"content": template.json()["prompt"], "add_special": True, "parse_special": True}
    else:
        body = {"model": "any", "messages": said}
    tokens: list[int] = (await http.post("/tokenize", json=body)).raise_for_status().json()["tokens"]
    return tokens


def _common(first: Sequence[int], second: Sequence[int]) -> int:
    return next((n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), len(first))
