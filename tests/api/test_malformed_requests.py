"""Every malformed request gets its documented status and a message that names what is wrong."""

import json
from typing import Any, NamedTuple

import httpx2
import pytest

from tests.support.service import Service

CHAT = "/api/chat/completions"
FEEDBACK = "/api/feedback"
STEP = "/api/interview/step"
REPORT = "/api/report"
JSON = {"content-type": "application/json"}
HELLO = [{"role": "user", "content": "안녕하세요"}]


class Case(NamedTuple):
    """A request and what must come back."""

    path: str
    body: bytes | Any
    status: int
    names: str
    headers: dict[str, str] = JSON


def chat(**fields: Any) -> dict[str, Any]:
    """A good chat request but for ``fields``."""
    return {"messages": HELLO} | fields


CASES = {
    # not JSON
    "empty body": Case(FEEDBACK, b"", 422, "body"),
    "white space": Case(FEEDBACK, b"  \n", 400, "body"),
    "broken JSON": Case(FEEDBACK, b'{"system_prompt": "a", ', 400, "body"),
    "plain text": Case(REPORT, "안녕하세요".encode(), 400, "body"),
    "two objects": Case(STEP, b"{}{}", 400, "body"),
    "invalid UTF-8": Case(FEEDBACK, b'{"system_prompt":"\xff\xfe","user_prompt":"b"}', 400, "body"),
    "deep nesting": Case(FEEDBACK, b"[" * 100_000, 400, "body"),
    "an array": Case(FEEDBACK, [], 422, "body"),
    "a string": Case(STEP, "text", 422, "body"),
    "null": Case(REPORT, None, 422, "body"),
    "a number": Case(CHAT, 7, 422, "body"),
    # not declared as JSON, or too large
    "no content type": Case(FEEDBACK, b"{}", 415, "Content-Type", {}),
    "form": Case(STEP, b"system_prompt=a", 415, "Content-Type", {"content-type": "application/x-www-form-urlencoded"}),
    "text/plain": Case(CHAT, b"{}", 415, "Content-Type", {"content-type": "text/plain"}),
    "10 MB": Case(FEEDBACK, b'{"system_prompt":"' + b"a" * 10_000_000 + b'"}', 413, "MAX_BODY_BYTES"),
    # tasks
    "empty object": Case(FEEDBACK, {}, 422, "system_prompt"),
    "missing user_prompt": Case(FEEDBACK, {"system_prompt": "a"}, 422, "user_prompt"),
    "missing system_prompt": Case(STEP, {"user_prompt": "a"}, 422, "system_prompt"),
    "camelCase prompt": Case(REPORT, {"systemPrompt": "a", "userPrompt": "b"}, 422, "system_prompt"),
    "empty system_prompt": Case(FEEDBACK, {"system_prompt": "", "user_prompt": "b"}, 422, "system_prompt"),
    "blank user_prompt": Case(STEP, {"system_prompt": "a", "user_prompt": " \n\t"}, 422, "user_prompt"),
    "null prompt": Case(REPORT, {"system_prompt": None, "user_prompt": "b"}, 422, "system_prompt"),
    "number as prompt": Case(FEEDBACK, {"system_prompt": 1, "user_prompt": "b"}, 422, "system_prompt"),
    "list as prompt": Case(FEEDBACK, {"system_prompt": "a", "user_prompt": ["b"]}, 422, "user_prompt"),
    "too many characters": Case(STEP, {"system_prompt": "a" * 200_001, "user_prompt": "b"}, 422, "system_prompt"),
    "longer than the context": Case(REPORT, {"system_prompt": "a", "user_prompt": "가나다 " * 40_000}, 400, "context"),
    "lone surrogate": Case(FEEDBACK, b'{"system_prompt":"\\ud800","user_prompt":"b"}', 400, "system_prompt"),
    # chat
    "no messages": Case(CHAT, {}, 422, "messages"),
    "empty messages": Case(CHAT, {"messages": []}, 422, "messages"),
    "messages not a list": Case(CHAT, {"messages": "hi"}, 422, "messages"),
    "message not an object": Case(CHAT, {"messages": ["hi"]}, 422, "messages.0"),
    "unknown role": Case(CHAT, {"messages": [{"role": "wizard", "content": "a"}]}, 422, "messages.0.role"),
    "missing role": Case(CHAT, {"messages": [{"content": "a"}]}, 422, "messages.0.role"),
    "missing content": Case(CHAT, {"messages": [*HELLO, {"role": "user"}]}, 422, "messages.1.content"),
    "empty content": Case(CHAT, {"messages": [{"role": "user", "content": ""}]}, 422, "messages.0.content"),
    "content parts": Case(CHAT, {"messages": [{"role": "user", "content": [{}]}]}, 422, "messages.0.content"),
    "513 messages": Case(CHAT, {"messages": HELLO * 513}, 422, "messages"),
    "temperature NaN": Case(
        CHAT, b'{"messages":[{"role":"user","content":"a"}],"temperature":NaN}', 422, "temperature"
    ),
    "temperature infinite": Case(
        CHAT, b'{"messages":[{"role":"user","content":"a"}],"temperature":1e999}', 422, "temperature"
    ),
    "temperature too high": Case(CHAT, chat(temperature=2.1), 422, "temperature"),
    "temperature negative": Case(CHAT, chat(temperature=-0.1), 422, "temperature"),
    "temperature a string": Case(CHAT, chat(temperature="0.5"), 422, "temperature"),
    "max_tokens negative": Case(CHAT, chat(max_tokens=-1), 422, "max_tokens"),
    "max_tokens zero": Case(CHAT, chat(max_tokens=0), 422, "max_tokens"),
    "max_tokens a fraction": Case(CHAT, chat(max_tokens=1.5), 422, "max_tokens"),
    "max_tokens a string": Case(CHAT, chat(max_tokens="10"), 422, "max_tokens"),
    "max_tokens huge": Case(CHAT, chat(max_tokens=10**30), 422, "max_tokens"),
    "maxTokens negative": Case(CHAT, chat(maxTokens=-1), 422, "maxTokens"),
    "max_tokens beyond the context": Case(CHAT, chat(max_tokens=100_000), 400, "context"),
    "stream a string": Case(CHAT, chat(stream="yes"), 422, "stream"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_malformed_request_is_explained(api_service: Service, name: str) -> None:
    case = CASES[name]
    payload = case.body if isinstance(case.body, bytes) else json.dumps(case.body).encode()
    answer = httpx2.post(f"{api_service.url}{case.path}", content=payload, headers=case.headers, timeout=30)
    assert answer.status_code == case.status, answer.text
    error = answer.json()["error"]
    assert case.names in error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert not {"Traceback", "sglang", "pydantic", "input_value"} & set(error["message"].split())


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", FEEDBACK, 405), ("PUT", CHAT, 405), ("POST", "/api/nothing", 404), ("POST", "/health", 405)],
)
def test_a_wrong_path_or_method_is_explained(api_service: Service, method: str, path: str, status: int) -> None:
    answer = httpx2.request(method, f"{api_service.url}{path}", json={})
    assert answer.status_code == status
    assert path in answer.json()["error"]["message"]


def test_after_all_of_it_the_service_still_answers(api_service: Service) -> None:
    assert api_service.health_status() == 200
    assert "Traceback" not in api_service.text()
