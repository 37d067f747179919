"""A chat stream that fails: before its first token a status of its own, after it one terminal event."""

from typing import Any

import pytest

from tests.simulator.sim_harness import Simulator
from tests.support.service import Service

CHAT = "/api/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "안녕하세요"}], "stream": True}


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [
        ({"kind": "error_event", "status": 500}, 502, "engine_failure"),
        ({"kind": "error_event", "status": 503}, 503, "not_ready"),
        ({"kind": "status", "status": 503}, 503, "overloaded"),
        ({"kind": "drop"}, 502, "engine_failure"),
        ({"kind": "abort"}, 502, "engine_failure"),
    ],
)
def test_a_stream_that_fails_before_its_first_token_has_a_status(
    api_service: Service, api_engine: Simulator, fault: dict[str, Any], status: int, kind: str
) -> None:
    api_engine.fault(**fault)
    answer = api_service.post(CHAT, HELLO)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


@pytest.mark.usefixtures("api_engine")
def test_a_stream_of_too_long_a_prompt_is_a_400(api_service: Service) -> None:
    answer = api_service.post(CHAT, HELLO | {"max_tokens": 100_000})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "prompt_too_long")


@pytest.mark.parametrize("fault", ["error_event", "silent_end", "drop", "reset", "abort"])
def test_a_stream_that_fails_later_ends_with_one_error_event(
    api_service: Service, api_engine: Simulator, fault: str
) -> None:
    api_engine.fault(fault, tokens=3)
    *deltas, last = [block for block in api_service.post(CHAT, HELLO).text.split("\n\n") if block]
    assert deltas
    assert all(block.startswith("event: delta\n") for block in deltas)
    assert last.startswith("event: error\n")
    assert '"type":"engine_failure"' in last
