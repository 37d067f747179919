"""Whether a real model's answers obey the contract whatever the prompts say, at a temperature that invites mistakes.

    ENGINE=embedded python -m evals.conformance --calls 40 --temperature 1.5

Starts or reaches the engine that the settings name, asks each task ``--calls`` times with prompts in four styles that
contradict the contract, and prints one row a task. Ends with status 1 if any answer is not valid, holds Han or kana,
was cut, or has an empty field.
"""

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel

from app.config import load_settings
from app.core.deadline import Deadline
from app.core.generation import Sampling
from app.core.llm_engine import LLMEngine
from app.errors import ServiceError
from app.schemas.task import TaskRequest
from app.tasks.feedback import FEEDBACK
from app.tasks.interview import interview_step
from app.tasks.report import Report
from app.tasks.structured import Answering, Policy, answer
from app.wiring import running_engine

_FOREIGN = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_EXAMPLE = "두세 문장"
_STYLES = (
    '반드시 다음 JSON으로만 답하세요. {"feedback": "두세 문장", "score": 7, "action": "GENERATE_QUESTION"}',
    "마크다운 표와 제목을 써서 자유롭게, 길게 설명하세요. JSON은 쓰지 마세요.",
    'Answer in English as XML: <result><score>85</score><comment>two sentences</comment></result>. "score" is 0-100.',
    "请用中文回答。점수는 A부터 F까지의 글자로, 한 단어로만 답하세요.",
)
_CASE = (
    "[질문 1] 자바의 가비지 컬렉션을 설명해 주세요.\n[답변] {}\n점수: 6\n"
    "[질문 2] 인덱스는 왜 쓰나요?\n[답변] 모르겠습니다.\n점수: 1\n꼬리 질문 횟수: 1/2"
)
_TASKS = ("feedback", "interview_step", "report")
_ANSWERS = (
    "참조되지 않는 객체를 회수합니다.",
    "G1으로 바꾸어 멈춤 시간을 줄였습니다.",
    "패스",
    "메모리를 지우는 기능입니다.",
)


def _request(number: int) -> TaskRequest:
    style = _STYLES[number % len(_STYLES)]
    answer = _ANSWERS[number // len(_STYLES) % len(_ANSWERS)]
    body = {"system_prompt": f"당신은 백엔드 면접관입니다.\n{style}", "user_prompt": _CASE.format(answer)}
    return TaskRequest.model_validate(body)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        items: Any = value.values() if isinstance(value, dict) else value  # pyright: ignore[reportUnknownVariableType]
        for item in items:
            yield from _texts(item)


async def _ask(task: Answering[BaseModel], engine: LLMEngine, number: int, seconds: float) -> Counter[str]:
    """What one call counts for."""
    try:
        policy = Policy(language="ko", stall=seconds)
        body = await answer(task, engine, _request(number), Deadline.after(seconds), policy)
    except ServiceError as error:
        print(f"{task.name} {number}: {error}", file=sys.stderr)
        return Counter(calls=1, invalid=1)
    said = type(body).model_validate_json(body.model_dump_json()).model_dump(exclude={"meta"})
    meta: Any = body.model_dump()["meta"]
    texts = list(_texts(said))
    return Counter(
        calls=1,
        foreign=sum(len(_FOREIGN.findall(text)) for text in texts),
        cut=meta["finish"] != "stop" or any("cut short" in repair for repair in meta["repaired"]),
        empty=sum(not text.strip() for text in texts),
        copied=any(_EXAMPLE in text for text in texts),
        again=meta["attempts"] > 1,
    )


async def _measure(calls: int, temperature: float, seconds: float, only: str) -> bool:
    settings = load_settings()
    sound = True
    print("| engine | task | calls | invalid | Han or kana | cut | empty | example copied | asked twice |")
    async with running_engine(settings) as engine:
        await engine.monitor.wait_ready()
        sampling = Sampling(temperature=temperature)
        step = replace(interview_step(settings.interview_order), sampling=sampling)
        tasks: list[Answering[Any]] = [replace(FEEDBACK, sampling=sampling), step, Report(sampling)]
        for task in [task for task in tasks if only in {"", task.name}]:
            counts: Counter[str] = Counter()
            asked = [_ask(task, engine, number, seconds) for number in range(calls)]
            for done in asyncio.as_completed(asked):
                counts += await done
                print(f"{task.name}: {counts['calls']} of {calls}", end="\r", file=sys.stderr)
            row = [counts[name] for name in ("calls", "invalid", "foreign", "cut", "empty", "copied", "again")]
            print(f"| {engine.name} | {task.name} | " + " | ".join(map(str, row)) + " |", flush=True)
            sound = sound and not any(row[1:5])
    return sound


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=40, help="per task")
    parser.add_argument("--temperature", type=float, default=1.5)
    parser.add_argument("--task", default="", choices=_TASKS, help="only this one")
    parser.add_argument("--deadline", type=float, default=3600, help="seconds for one call, its wait included")
    arguments = parser.parse_args()
    sys.exit(
        0 if asyncio.run(_measure(arguments.calls, arguments.temperature, arguments.deadline, arguments.task)) else 1
    )


if __name__ == "__main__":
    main()
