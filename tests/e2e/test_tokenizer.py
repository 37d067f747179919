"""What we take for granted of the real tokenizer of the embedded model, which is that of Qwen3, too."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from itertools import islice
from typing import Any

import httpx2
import pytest

from app.core.defuse import defuse
from app.core.health import EngineMonitor
from app.core.http_pool import HttpPool
from app.core.prompt_builder import LANGUAGES
from app.engines.catalog import find_model
from app.engines.llamacpp import llamacpp_command
from app.engines.profiles import EMBEDDED
from app.engines.supervisor import Supervisor
from app.tasks.feedback import FREE, SCORED
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.interview_words import openings_for
from app.tasks.judging.case import Case, Exchange
from app.tasks.report_parts import REVIEWS, SUMMARY
from app.tasks.report_whole import WHOLE_REPORT
from tests.support.attacks import variants
from tests.support.service import ROOT

VARIANTS = 100_000
BATCH = 2_000
FIRST_SPECIAL = 151_643  # Qwen2.5: every id from here on is a control token

pytestmark = pytest.mark.timeout(300)


@asynccontextmanager
async def tokenizer() -> AsyncGenerator[httpx2.AsyncClient, None]:
    """The embedded engine, asked for its tokens only."""
    model = find_model("qwen2.5-coder-1.5b", ROOT / "models")
    supervisor = Supervisor(llamacpp_command(model.path, context=512, slots=1, api_key="tokens"))
    monitor = EngineMonitor(supervisor, HttpPool(), EMBEDDED.ready_path, {}, lambda: asyncio.sleep(0))
    running = [asyncio.create_task(supervisor.run()), asyncio.create_task(monitor.run())]
    try:
        await monitor.wait_ready()
        address = supervisor.address
        assert address is not None
        base, headers = f"http://{address.host}:{address.port}", {"authorization": "Bearer tokens"}
        async with httpx2.AsyncClient(base_url=base, timeout=120, headers=headers) as client:
            yield client
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def tokens_of(engine: httpx2.AsyncClient, text: str) -> list[int]:
    """What the tokenizer makes of ``text``."""
    body = {"content": text, "add_special": False, "parse_special": True}
    answer: dict[str, Any] = (await engine.post("/tokenize", json=body)).raise_for_status().json()
    return answer["tokens"]


async def specials_in(engine: httpx2.AsyncClient, text: str) -> int:
    """How many control tokens the tokenizer makes of ``text``."""
    return sum(token >= FIRST_SPECIAL for token in await tokens_of(engine, text))


async def count_specials() -> tuple[int, int]:
    """Control tokens in all attacks, as they are and defused."""
    attacks = variants(VARIANTS)
    raw = defused = 0
    async with tokenizer() as engine:
        while batch := list(islice(attacks, BATCH)):
            raw += await specials_in(engine, "\n".join(batch))
            defused += await specials_in(engine, "\n".join(map(defuse, batch)))
    return raw, defused


def test_the_tokenizer_sees_no_special_in_a_hundred_thousand_defused_attacks() -> None:
    raw, defused = asyncio.run(count_specials())
    assert raw > VARIANTS / 10  # the attacks are real ones
    assert defused == 0


# What may follow the beginning of an answer: the words of a text, or the rest of a key.
GOING_ON = {
    '"': ("답변은 좋습니다.", "네", "NEW_TOPIC", "FOLLOW_UP", "The answer"),
    "": ('":7', '":null', '":"답변', '":['),
}


async def ends_a_token(engine: httpx2.AsyncClient, begun: str, rest: str) -> bool:
    """Whether ``begun`` is cut into the same tokens by itself as in front of ``rest``."""
    alone, within = await tokens_of(engine, begun), await tokens_of(engine, begun + rest)
    return within[: len(alone)] == alone


def opened() -> list[str]:
    """Every beginning that a message may be given."""
    answered = Exchange("캐시란 무엇인가요?", "자주 쓰는 값을 가까이 둡니다.")
    return [
        f'{{"action":"{action}","message":"{opening}'
        for language in LANGUAGES
        for count in range(5)
        for stopped in (True, False)
        for action, opening in openings_for(Case((answered,) * count), language, stopped=stopped).items()
    ]


async def cut_differently() -> list[tuple[str, str]]:
    """Beginnings of answers that end amid a token, with what follows."""
    shapes = (*SCORED, FREE, *REVIEWS, SUMMARY, *MESSAGE_FIRST.shapes, *THOUGHT_FIRST.shapes, *WHOLE_REPORT.shapes)
    begun = dict.fromkeys(shape.begun for shape in shapes)
    pairs = [(one, rest) for one in begun for rest in GOING_ON['"' if one.endswith('"') else ""]]
    pairs += [(one, rest) for one in opened() for rest in (" 어떤 경험", " 주문 조회", " How", " What")]
    async with tokenizer() as engine:
        assert not await ends_a_token(engine, '{"score":', '"답변')  # it would not do to end there
        return [(one, rest) for one, rest in pairs if not await ends_a_token(engine, one, rest)]


def test_the_beginning_of_an_answer_ends_where_a_token_ends() -> None:
    assert asyncio.run(cut_differently()) == []
