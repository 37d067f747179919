"""The language of answers is the operator's choice, and grammars are known to the engine before the first caller."""

from collections.abc import Iterator

import pytest

from app.tasks.feedback import FEEDBACK
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.report import REPORT
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import step_prompt
from tests.support.service import Service

ENGLISH = {"system_prompt": "You are an interviewer.", "user_prompt": "Question: what is a heap?\nAnswer: a tree."}


@pytest.fixture
def fresh_engine() -> Iterator[Simulator]:
    """An engine that has seen no grammar yet."""
    with running(FAST) as simulator:
        yield simulator


def service_on(engine: Simulator, **environment: str) -> Service:
    """A service in front of ``engine``."""
    return Service(
        environment={
            "SGLANG_HOST": "127.0.0.1",
            "SGLANG_PORT": str(engine.port),
            "MAX_MODEL_LEN": str(FAST["context_length"]),
            **environment,
        }
    )


def grammars(engine: Simulator) -> list[str]:
    """The grammars that were asked for, in order."""
    return [request["body"]["ebnf"] for request in engine.state(last=50)["requests"] if request["body"]]


def test_the_engine_knows_every_grammar_when_the_service_is_ready(fresh_engine: Simulator) -> None:
    with service_on(fresh_engine) as service:
        service.wait_healthy()
        assert grammars(fresh_engine) == [task.grammars["ko"] for task in (FEEDBACK, MESSAGE_FIRST, REPORT)]


@pytest.mark.parametrize(("language", "expected"), [("ko", "ko"), ("en", "en"), ("auto", "en")])
def test_an_english_prompt_is_answered_in_the_language_of_the_setting(
    fresh_engine: Simulator, language: str, expected: str
) -> None:
    with service_on(fresh_engine, LANGUAGE=language) as service:
        service.wait_healthy()
        assert service.post("/api/feedback", ENGLISH).status_code == 200
        assert grammars(fresh_engine)[-1] == FEEDBACK.grammars["ko" if expected == "ko" else "en"]


def test_the_order_of_a_step_is_a_setting(fresh_engine: Simulator) -> None:
    with service_on(fresh_engine, INTERVIEW_ORDER="thought-first") as service:
        service.wait_healthy()
        assert service.post("/api/interview/step", step_prompt()).status_code == 200
        assert grammars(fresh_engine)[-1] == THOUGHT_FIRST.grammars["ko"]
