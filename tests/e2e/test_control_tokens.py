"""The real tokenizer of the embedded model finds no control token in what a request may hold."""

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
from app.engines.catalog import find_model
from app.engines.llamacpp import llamacpp_command
from app.engines.profiles import EMBEDDED
from app.engines.supervisor import Supervisor
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


async def specials_in(engine: httpx2.AsyncClient, text: str) -> int:
    """How many control tokens the tokenizer makes of ``text``."""
    body = {"content": text, "add_special": False, "parse_special": True}
    answer: dict[str, Any] = (await engine.post("/tokenize", json=body)).raise_for_status().json()
    return sum(token >= FIRST_SPECIAL for token in answer["tokens"])


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
