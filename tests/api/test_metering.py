"""What an evaluation says a feedback costs is what the engine did for it."""

import pytest

from app.config import load_settings
from app.core.deadline import Deadline
from app.schemas.task import TaskRequest
from app.tasks.feedback import FEEDBACK
from app.tasks.structured import Policy
from app.wiring import running_engine
from evals.scoring.metering import MeteredEngine
from tests.api.judged import bodies
from tests.simulator.sim_harness import FAST, Simulator

pytestmark = pytest.mark.anyio
ASKED = {
    "system_prompt": "답변을 평가하세요.",
    "user_prompt": "질문: 캐시란 무엇인가요?\n답변: 자주 읽는 값을 가까운 곳에 두어 다시 계산하지 않게 합니다.",
}


async def test_every_generation_of_a_feedback_is_counted_streamed_or_not(api_engine: Simulator) -> None:
    settings = load_settings(sglang_host="127.0.0.1", sglang_port=api_engine.port, max_model_len=FAST["context_length"])
    async with running_engine(settings, warm=False) as engine:
        await engine.monitor.wait_ready()
        metered = MeteredEngine(engine)
        request = TaskRequest.model_validate(ASKED)
        body = await FEEDBACK.run(metered, request, Deadline.after(60), Policy("ko", stall=10))
    streamed = [asked["stream"] for asked in bodies(api_engine)]
    assert sorted(streamed)[:1] == [False]  # a measurement is no stream
    assert metered.spent.generations == len(streamed)
    assert metered.spent.prompt_tokens == body.meta.usage.prompt_tokens
    assert metered.spent.completion_tokens == body.meta.usage.completion_tokens
