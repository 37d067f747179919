"""The service on a real SGLang: the four endpoints, and an engine that is killed."""

import json
import signal

import httpx2
import psutil
import pytest

from app.schemas.chat import ChatResponse
from app.schemas.feedback import FeedbackResponse
from app.schemas.interview import InterviewStepResponse
from app.schemas.report import ReportResponse
from tests.support.service import Service, wait_until

pytestmark = [pytest.mark.sglang, pytest.mark.timeout(900)]

PROMPT = {
    "system_prompt": "You are an interviewer. Be brief.",
    "user_prompt": "Question: What is an index?\nAnswer: A structure that finds rows quickly.",
}


def test_chat(sglang_service: Service) -> None:
    body = {"messages": [{"role": "user", "content": "What is the capital of France?"}], "max_tokens": 30}
    answer = sglang_service.post("/api/chat/completions", body)
    assert answer.status_code == 200, answer.text
    assert ChatResponse.model_validate(answer.json()).usage.completion_tokens <= 30


def test_a_chat_stream(sglang_service: Service) -> None:
    body = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 20, "stream": True}
    answer = sglang_service.post("/api/chat/completions", body)
    assert answer.status_code == 200
    assert answer.text.rstrip().split("\n\n")[-1].startswith("event: result")


def test_feedback(sglang_service: Service) -> None:
    answer = sglang_service.post("/api/feedback", PROMPT, timeout=600)
    assert answer.status_code == 200, answer.text
    FeedbackResponse.model_validate(answer.json())


def test_a_request_is_found_by_its_id_in_the_logs_of_the_service_and_of_the_engine(sglang_service: Service) -> None:
    answer = sglang_service.post("/api/feedback", PROMPT, timeout=600, X_Request_Id="candidate-7.step:3")
    assert answer.headers["x-request-id"] == "candidate-7.step:3"
    wait_until(lambda: _logged(sglang_service, "access", "candidate-7.step:3"), 10, "the line in the access log")
    (line,) = (json.loads(line) for line in _logged(sglang_service, "access", "candidate-7.step:3"))
    assert line["generations"] >= 2  # a small model may be asked once more
    wait_until(
        lambda: len(_logged(sglang_service, "engine", line["engine_id"], "candidate-7.step:3")) >= line["generations"],
        10,
        "each generation in the engine's log",
    )


def test_an_interview_step(sglang_service: Service) -> None:
    answer = sglang_service.post("/api/interview/step", PROMPT, timeout=600)
    assert answer.status_code == 200, answer.text
    InterviewStepResponse.model_validate(answer.json())


def test_a_report(sglang_service: Service) -> None:
    answer = sglang_service.post("/api/report", PROMPT, timeout=600)
    assert answer.status_code == 200, answer.text
    ReportResponse.model_validate(answer.json())


def test_the_engine_listens_on_loopback_only(sglang_service: Service) -> None:
    engine = sglang_service.engine()
    for process in (engine, *engine.children(recursive=True)):
        listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert set(listening) <= {"127.0.0.1", "::1"}


def test_a_killed_engine_comes_back_and_who_has_the_time_waits_for_it(sglang_service: Service) -> None:
    first = sglang_service.engine()
    family = [first, *first.children(recursive=True)]
    first.send_signal(signal.SIGKILL)
    wait_until(lambda: sglang_service.health_status() == 503, 5, "health red")
    assert int(httpx2.get(f"{sglang_service.url}/health").headers["retry-after"]) >= 1
    assert httpx2.get(f"{sglang_service.url}/health/live").status_code == 200
    assert sglang_service.post("/api/feedback", PROMPT).status_code == 200
    sglang_service.wait_healthy(240)
    assert sglang_service.engine().pid != first.pid
    psutil.wait_procs(family, 10)
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    answer = sglang_service.post(
        "/api/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    )
    assert answer.status_code == 200


def test_zz_sigterm_leaves_nothing_behind(sglang_service: Service) -> None:
    engine = sglang_service.engine()
    family = [engine, *engine.children(recursive=True)]
    assert sglang_service.stop(limit=60) == 0
    gone, alive = psutil.wait_procs(family, 10)
    assert not alive
    assert len(gone) == len(family)


def _logged(service: Service, logger: str, *words: str) -> list[str]:
    """Lines of the log that hold all of ``words``."""
    lines = [line for line in service.text().splitlines() if line.startswith("{")]
    ours = [line for line in lines if json.loads(line)["logger"] == logger]
    return [line for line in ours if all(word in line for word in words)]
