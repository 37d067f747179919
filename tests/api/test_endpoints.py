"""What every caller may rely on, seen on a simulated engine."""

import json
import time
from typing import Any

import httpx2
import pytest

from app.schemas.feedback import FeedbackResponse
from app.schemas.interview import InterviewStepResponse
from app.schemas.report import ReportResponse
from tests.api.judged import BROKEN_MEASURE, asking, bodies, words
from tests.simulator.sim_harness import Simulator
from tests.support.prompts import feedback_prompt, report_prompt, step_prompt
from tests.support.service import Service

TEXT = {"feedback": "정확하고 구체적인 답변입니다.", "improvement_suggestion": None}


def test_feedback_passes_from_six_on(api_service: Service, api_engine: Simulator) -> None:
    for score, passed in ((5, False), (6, True)):
        api_engine.fault(**BROKEN_MEASURE)  # so that the model's own number counts
        api_engine.script(words(score=score, **TEXT))
        answer = FeedbackResponse.model_validate(api_service.post("/api/feedback", feedback_prompt()).json())
        assert (answer.score, answer.is_passed) == (score, passed)


def test_an_answer_that_breaks_the_contract_is_asked_for_once_more(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("4", "Yes", '{"score":7,"feedback":"잘려 버린', words(score=7, **TEXT))
    answer = FeedbackResponse.model_validate(api_service.post("/api/feedback", feedback_prompt()).json())
    assert (answer.score, answer.meta.attempts, answer.meta.repaired) == (7, 2, [])


def test_two_answers_that_break_the_contract_are_closed_and_marked(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("{", "{", "{")
    answer = FeedbackResponse.model_validate(api_service.post("/api/feedback", feedback_prompt()).json())
    assert (answer.meta.attempts, answer.is_passed) == (2, False)
    assert "score: not given by the model" in answer.meta.repaired


def test_a_measured_score_stands_in_an_answer_that_had_to_be_closed(
    api_service: Service, api_engine: Simulator
) -> None:
    api_engine.script("5", "Yes", "{", "{")
    answer = FeedbackResponse.model_validate(api_service.post("/api/feedback", feedback_prompt()).json())
    assert (answer.meta.attempts, answer.score, answer.is_passed) == (2, 9, True)
    assert "feedback: not given by the model" in answer.meta.repaired


@pytest.mark.parametrize("lead", ["", "\n", "  "], ids=["goes on", "repeats", "repeats further in"])
def test_an_engine_may_repeat_what_its_answer_begins_with(
    api_service: Service, api_engine: Simulator, lead: str
) -> None:
    api_engine.script("4", "Yes", lead + words(score=7, **TEXT))
    body = api_service.post("/api/feedback", feedback_prompt()).json()
    assert (body["score"], body["feedback"], body["meta"]["attempts"]) == (7, TEXT["feedback"], 1)
    assert body["meta"]["repaired"] == []


@pytest.mark.usefixtures("api_engine")
def test_step_and_report_have_every_field(api_service: Service) -> None:
    InterviewStepResponse.model_validate(api_service.post("/api/interview/step", step_prompt()).json())
    ReportResponse.model_validate(api_service.post("/api/report", report_prompt()).json())


def test_the_caller_s_text_reaches_the_engine_first_and_unchanged(api_service: Service, api_engine: Simulator) -> None:
    prompt = step_prompt()
    api_service.post("/api/interview/step", prompt)
    system, user, begun = _last_generation(api_engine)["messages"]
    assert (system["role"], user["role"], begun["role"]) == ("system", "user", "assistant")
    assert system["content"].startswith(prompt["system_prompt"] + "\n\n---\n[출력 규칙]")
    assert user["content"].startswith(prompt["user_prompt"] + "\n\n---\n")
    assert "[출력 규칙]" in user["content"].removeprefix(prompt["user_prompt"])


def test_two_calls_of_a_phase_share_everything_up_to_the_user_s_text(
    api_service: Service, api_engine: Simulator
) -> None:
    for answer in ("메모리를 자동으로 회수하는 기능입니다.", "참조를 세어 가며 객체를 지우는 방식입니다."):
        api_service.post("/api/interview/step", step_prompt(0, answer))
    first, second = asking(api_engine)
    assert first["messages"][0] == second["messages"][0]
    assert first["messages"][1] != second["messages"][1]


def test_only_known_fields_reach_the_engine(api_service: Service, api_engine: Simulator) -> None:
    hostile = {
        "messages": [{"role": "user", "content": "안녕", "name": "x"}],
        "n": 50,
        "regex": "a+",
        "top_logprobs": 9,
    }
    assert api_service.post("/api/chat/completions", hostile).status_code == 200
    body = _last_generation(api_engine)
    assert not {"n", "regex", "top_logprobs", "logprobs"} & set(body)
    assert set(body["messages"][0]) == {"role", "content"}


def test_health_names_service_version_engine_and_model_at_once(api_service: Service) -> None:
    started = time.perf_counter()
    answer = httpx2.get(f"{api_service.url}/health")
    assert answer.status_code == 200
    assert time.perf_counter() - started < 1
    body = answer.json()
    assert (body["status"], body["service"], body["engine"]) == ("healthy", "llm-service", "sglang")
    assert body["version"]
    assert body["model"] == "Qwen/Qwen3-32B-Instruct"


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_the_documentation_needs_nothing_from_elsewhere(api_service: Service, page: str) -> None:
    html = httpx2.get(f"{api_service.url}{page}").text
    links = [part.split('"')[0] for mark in ('src="', 'href="') for part in html.split(mark)[1:]]
    assert links
    for link in links:
        assert link.startswith("/"), link
        assert httpx2.get(f"{api_service.url}{link}").status_code == 200


def test_every_endpoint_is_documented_with_an_example(api_service: Service) -> None:
    document = httpx2.get(f"{api_service.url}/openapi.json").json()
    schemas = document["components"]["schemas"]
    for path in ("/api/chat/completions", "/api/feedback", "/api/interview/step", "/api/report"):
        operation = document["paths"][path]["post"]
        request = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
        assert schemas[request]["examples"]
        assert {"200", "400", "413", "415", "422", "502", "503", "504"} <= set(operation["responses"])
        assert "HTTPValidationError" not in json.dumps(operation)


def _last_generation(engine: Simulator) -> dict[str, Any]:
    """The body of the last request to generate."""
    return bodies(engine)[-1]
