"""Every request has a deadline, counted from its arrival; what cannot be done in it is refused at once."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.simulator.sim_harness import Background, Simulator
from tests.support.prompts import feedback_prompt
from tests.support.service import Service

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "인사해 주세요."}]}
PATHS = [("/api/chat/completions", CHAT), ("/api/feedback", feedback_prompt())]


@pytest.mark.parametrize(("path", "body"), PATHS)
def test_a_caller_gets_its_504_within_the_time_it_allows(
    api_service: Service, api_engine: Simulator, path: str, body: Any
) -> None:
    api_engine.fault("hang")
    started = time.monotonic()
    answer = api_service.post(path, body, X_Request_Timeout="1")
    assert time.monotonic() - started < 2
    error = answer.json()["error"]
    assert answer.status_code == 504
    assert "1 s allowed" in error["message"]
    assert "X-Request-Timeout" in error["message"]


def test_a_deadline_that_ends_a_chat_is_never_taken_for_a_silent_engine(
    api_service: Service, api_engine: Simulator
) -> None:
    """Timers fire up to a millisecond early: one chat in eight was told 502."""

    def status(number: int) -> int:
        body = {"messages": [{"role": "user", "content": f"인사 {number}"}]}
        return api_service.post("/api/chat/completions", body, X_Request_Timeout="0.2").status_code

    api_engine.fault("hang")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(status, range(40))) == {504}


@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "soon", "1e9", "", "0x10"])
def test_a_time_that_is_none_is_refused_by_name(api_service: Service, value: str) -> None:
    answer = api_service.post("/api/feedback", feedback_prompt(), X_Request_Timeout=value)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == (422, "invalid_field", "X-Request-Timeout")


def test_a_caller_that_leaves_too_little_time_is_told_at_once(api_engine: Simulator) -> None:
    api_engine.configure(ttft=0.5)
    environment = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(api_engine.port), "MAX_MODEL_LEN": "8192"}
    with Service(environment=environment) as service:  # one that knows of no faster chats
        service.wait_healthy()
        for number in range(8):  # enough to know how long a chat takes at least
            body = {"messages": [{"role": "user", "content": f"인사 {number}"}]}
            assert service.post("/api/chat/completions", body).status_code == 200
        before = api_engine.state()["total"]
        answer = service.post("/api/chat/completions", CHAT, X_Request_Timeout="0.15")
        assert answer.status_code == 504
        assert "lately" in answer.json()["error"]["message"]
        assert api_engine.state()["total"] == before


def test_a_full_queue_is_refused_at_once_with_the_time_to_come_back(shared_engine: Simulator) -> None:
    environment = {
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(shared_engine.port),
        "MAX_MODEL_LEN": "8192",
        "MAX_CONCURRENCY": "1",
        "MAX_QUEUE": "0",
    }
    with Service(environment=environment) as service:
        service.wait_healthy()
        shared_engine.configure(ttft=60)
        before = shared_engine.state()["running"]
        held = Background(lambda: service.post("/api/chat/completions", CHAT, X_Request_Timeout="3"))
        shared_engine.wait(running=before + 1)
        answer = service.post("/api/feedback", feedback_prompt())
        assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1
        assert held.result().status_code == 504
        shared_engine.configure(ttft=0)
