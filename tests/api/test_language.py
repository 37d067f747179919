"""The language of answers is the operator's choice, and grammars are known to the engine before the first caller."""

from collections.abc import Iterator

import pytest

from app.tasks.feedback import FEEDBACK
from app.tasks.interview import MESSAGE_FIRST, THOUGHT_FIRST
from app.tasks.judging.doubt import GRAMMAR as BELIEF
from app.tasks.judging.rubric import GRAMMAR as DIGIT
from app.tasks.report import REPORT
from tests.api.judged import bodies
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import Prompt, feedback_prompt, report_prompt, step_prompt
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
    return [body["ebnf"] for body in bodies(engine)]


def test_the_engine_knows_every_grammar_when_the_service_is_ready(fresh_engine: Simulator) -> None:
    with service_on(fresh_engine) as service:
        service.wait_healthy()
        tasks = (FEEDBACK, MESSAGE_FIRST, REPORT)
        wanted = {grammar for task in tasks for grammar in task.grammars("ko")} | {DIGIT, BELIEF}
        known = grammars(fresh_engine)
        assert set(known) == wanted
        assert len(known) == len(wanted)


@pytest.mark.parametrize(("language", "expected"), [("ko", "ko"), ("en", "en"), ("auto", "en")])
def test_an_english_prompt_is_answered_in_the_language_of_the_setting(
    fresh_engine: Simulator, language: str, expected: str
) -> None:
    with service_on(fresh_engine, LANGUAGE=language) as service:
        service.wait_healthy()
        assert service.post("/api/feedback", ENGLISH).status_code == 200
        assert grammars(fresh_engine)[-1] in FEEDBACK.grammars("ko" if expected == "ko" else "en")


def test_the_order_of_a_step_is_a_setting(fresh_engine: Simulator) -> None:
    with service_on(fresh_engine, INTERVIEW_ORDER="thought-first") as service:
        service.wait_healthy()
        assert service.post("/api/interview/step", step_prompt()).status_code == 200
        assert grammars(fresh_engine)[-1] in THOUGHT_FIRST.grammars("ko")


@pytest.mark.parametrize("prompt", [feedback_prompt(), step_prompt(), report_prompt()])
@pytest.mark.parametrize("path", ["/api/feedback", "/api/interview/step", "/api/report"])
def test_no_call_asks_for_a_grammar_that_the_engine_has_not_seen(
    api_service: Service, api_engine: Simulator, path: str, prompt: Prompt
) -> None:
    assert api_service.post(path, prompt).status_code == 200
    tasks = (FEEDBACK, MESSAGE_FIRST, REPORT)
    assert set(grammars(api_engine)) <= {grammar for task in tasks for grammar in task.grammars("ko")} | {DIGIT, BELIEF}
