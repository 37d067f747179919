"""Whatever a caller sends, the engine sees only fields that the service chose."""

import httpx2
import pytest

from fuzz.bodies import CHAT, ENGINE_FIELDS, OPENAI, TASKS, good_body
from fuzz.fuzzing import ALLOWED
from tests.simulator.sim_harness import Simulator
from tests.support.service import Service

POISON = dict.fromkeys(ENGINE_FIELDS, "{{7*7}}") | {
    "n": 5_000_000,
    "top_logprobs": 999_999,
    "priority": -9,
    "rid": "x",
}


@pytest.mark.parametrize("path", [*TASKS, CHAT])
def test_fields_of_engines_are_dropped_where_unknown_fields_are_ignored(
    api_service: Service, api_engine: Simulator, path: str
) -> None:
    body = good_body(path, "참조되지 않는 객체를 회수하는 기능입니다.")
    if path == CHAT:
        body["messages"][0] |= POISON
    assert api_service.post(path, POISON | body).status_code == 200
    state = api_engine.state()
    assert {"model", "messages.role", "messages.content"} <= set(state["fields"]) <= ALLOWED
    assert path != CHAT or "continue_final_message" not in state["fields"]
    sent = [request["body"] for request in state["requests"] if request["path"] == "/v1/chat/completions"]
    assert sent
    for name, value in POISON.items():
        assert all(one.get(name) != value for one in sent), name


@pytest.mark.parametrize("name", ENGINE_FIELDS)
def test_fields_of_engines_are_refused_by_name_where_nothing_is_ignored(
    api_service: Service, api_engine: Simulator, name: str
) -> None:
    body = good_body(OPENAI, "안녕하세요") | {"model": "Qwen/Qwen3-32B-Instruct", name: POISON[name]}
    answer: httpx2.Response = api_service.post(OPENAI, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == name
    assert not api_engine.state()["fields"]
