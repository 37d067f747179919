"""API keys and quotas on the real service: who is let in, what is told, and rotation under load."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.routing import iter_route_contexts

from app.api.auth import ProtectedRoute
from app.config import load_settings
from app.core.api_keys import make_key
from app.core.key_store import read_keys, write_keys
from app.main import create_app
from tests.simulator.sim_harness import FAST, Simulator
from tests.support.prompts import feedback_prompt
from tests.support.service import Service, wait_until

PUBLIC = {"/health", "/health/ready", "/health/live", "/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"}
PROTECTED = {
    "tasks": ("/api/feedback", "/api/interview/step", "/api/report"),
    "metrics": ("/metrics",),
    "chat": ("/api/chat/completions", "/v1/chat/completions", "/v1/models", "/v1/models/x"),
}
HELLO = {"messages": [{"role": "user", "content": "안녕하세요"}], "max_tokens": 8}


class Locked:
    """A service with keys."""

    def __init__(self, service: Service, path: Path, keys: dict[str, str]) -> None:
        self.service = service
        self.path = path
        self.keys = keys

    def ask(self, path: str, *, body: Any = None, **headers: str) -> httpx2.Response:
        """One call to ``path``."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        method = "GET" if "models" in path or path == "/metrics" else "POST"
        sent = None if method == "GET" else (body or feedback_prompt())
        return httpx2.request(method, self.service.url + path, json=sent, headers=given, timeout=30)


@pytest.fixture(scope="module")
def locked(shared_engine: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Locked]:
    """Keys of each kind: for tasks, for chat, and one that is poor."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    made = {
        "tasks": make_key("tasks", ["tasks"]),
        "chat": make_key("chat", ["chat"]),
        "metrics": make_key("metrics", ["metrics"]),
        "poor": make_key("poor", ["chat"], requests_per_minute=2),
        "old": make_key("old", ["tasks"], expires="2020-01-01T00:00:00Z"),
    }
    write_keys(path, [record for _, record in made.values()])
    environment = {
        "API_KEYS_FILE": str(path),
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(shared_engine.port),
        "MAX_MODEL_LEN": str(FAST["context_length"]),
    }
    with Service(environment=environment) as service:
        yield Locked(service.wait_healthy(), path, {name: key for name, (key, _) in made.items()})


def test_every_route_is_declared_protected_or_public() -> None:
    undeclared: set[str] = set()
    for context in iter_route_contexts(create_app(load_settings()).routes):
        route, path = context.original_route, context.path
        public = path in PUBLIC or str(path).startswith("/static")
        if isinstance(route, ProtectedRoute) == public:
            undeclared.add(str(path))
    assert not undeclared


@pytest.mark.parametrize("path", [path for paths in PROTECTED.values() for path in paths])
def test_a_protected_route_asks_for_a_key_before_it_reads_anything(locked: Locked, path: str) -> None:
    refused = locked.ask(path, body="no body that any route takes")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["x-should-retry"] == "false"
    assert "X-API-Key" in refused.json()["error"]["message"]


@pytest.mark.parametrize("path", ["/health", "/health/ready", "/health/live", "/docs", "/openapi.json"])
def test_public_routes_ask_for_none(locked: Locked, path: str) -> None:
    assert httpx2.get(locked.service.url + path).status_code == 200


def test_both_headers_carry_a_key(locked: Locked) -> None:
    key = locked.keys["tasks"]
    assert locked.ask("/api/feedback", authorization=f"Bearer {key}").status_code == 200
    assert locked.ask("/api/feedback", x_api_key=key).status_code == 200
    assert locked.ask("/api/feedback", x_api_key=key, authorization="Basic eDp5").status_code == 200


def test_two_different_keys_in_one_request_are_refused(locked: Locked) -> None:
    both = {"x_api_key": locked.keys["tasks"], "authorization": f"Bearer {locked.keys['chat']}"}
    assert locked.ask("/api/feedback", **both).status_code == 401


@pytest.mark.parametrize(("path", "key"), [("/api/feedback", "chat"), ("/v1/models", "tasks"), ("/metrics", "chat")])
def test_a_key_without_the_scope_is_told_which_ones_it_has(locked: Locked, path: str, key: str) -> None:
    refused = locked.ask(path, x_api_key=locked.keys[key])
    assert refused.status_code == 403
    assert f"opens {key}" in refused.json()["error"]["message"]


def test_metrics_open_with_a_key_of_their_own(locked: Locked) -> None:
    assert "llm_service" in locked.ask("/metrics", x_api_key=locked.keys["metrics"]).text


def test_an_expired_key_is_refused_and_told_so(locked: Locked) -> None:
    refused = locked.ask("/api/feedback", x_api_key=locked.keys["old"])
    assert refused.status_code == 401
    assert "expired" in refused.json()["error"]["message"]


def test_openai_clients_get_errors_in_their_own_shape(locked: Locked) -> None:
    assert locked.ask("/v1/models").json()["error"]["code"] == "invalid_api_key"


def test_a_used_up_quota_says_when_to_come_back_and_leaves_others_alone(locked: Locked) -> None:
    answers = [locked.ask("/api/chat/completions", body=HELLO, x_api_key=locked.keys["poor"]) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=2;w=60'
    assert answers[0].headers["ratelimit"].startswith('"requests";r=1;t=')
    assert answers[2].headers["ratelimit"].startswith('"requests";r=0;t=')
    assert 1 <= int(answers[2].headers["retry-after"]) <= 30
    assert locked.ask("/api/chat/completions", body=HELLO, x_api_key=locked.keys["chat"]).status_code == 200


def test_answers_are_not_shared_between_keys(locked: Locked) -> None:
    key, record = make_key("second", ["tasks"])
    write_keys(locked.path, [*read_keys(locked.path), record])
    wait_until(lambda: locked.ask("/api/feedback", x_api_key=key).status_code == 200, 10, "a new key opens")
    body = feedback_prompt("같은 요청도 열쇠가 다르면 다른 답을 받습니다. 공유되지 않습니다.")
    first = locked.ask("/api/feedback", body=body, x_api_key=locked.keys["tasks"])
    again = locked.ask("/api/feedback", body=body, authorization=f"Bearer {locked.keys['tasks']}")
    other = locked.ask("/api/feedback", body=body, x_api_key=key)
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in other.headers


def test_keys_are_rotated_without_a_lost_request(locked: Locked) -> None:
    """Old and new are good together; the client changes over; the old one is revoked; no request fails."""
    old, old_record = make_key("rotated", ["chat"])
    new, new_record = make_key("rotated", ["chat"])
    kept = read_keys(locked.path)
    write_keys(locked.path, [*kept, old_record])
    wait_until(lambda: _status(locked, old) == 200, 10, "the old key opens")
    current, done = [old], threading.Event()
    statuses: list[int] = []

    def client() -> None:
        while not done.is_set():
            statuses.append(_status(locked, current[0]))

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    write_keys(locked.path, [*kept, old_record, new_record])
    wait_until(lambda: _status(locked, new) == 200, 10, "the new key opens")
    current[0] = new
    before = len(statuses)
    wait_until(lambda: len(statuses) > before + 8, 10, "every client has changed over")
    write_keys(locked.path, [*kept, old_record.model_copy(update={"revoked": old_record.created}), new_record])
    wait_until(lambda: _status(locked, old) == 401, 10, "the old key is refused")
    wait_until(lambda: len(statuses) > 20, 10, "more than twenty requests")
    done.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}


def _status(locked: Locked, key: str) -> int:
    return locked.ask("/api/chat/completions", body=HELLO, x_api_key=key).status_code


def test_a_file_that_cannot_be_read_leaves_the_old_keys_good(locked: Locked) -> None:
    text = locked.path.read_text()
    locked.path.write_text('{"keys": [')
    wait_until(lambda: "the old ones count" in locked.service.text(), 10, "it is said")
    assert locked.ask("/api/feedback", x_api_key=locked.keys["tasks"]).status_code == 200
    locked.path.write_text(text)


def test_no_key_and_no_hash_is_in_the_log(locked: Locked) -> None:
    output = locked.service.text()
    for secret in (*locked.keys.values(), *json.loads(locked.path.read_text())["keys"]):
        assert (secret if isinstance(secret, str) else secret["hash"]) not in output


def test_the_open_service_needs_no_key_and_warns_only_beyond_loopback(api_service: Service) -> None:
    assert api_service.post("/api/feedback", feedback_prompt(), Authorization="Bearer anything").status_code == 200
    assert "ANYONE WHO REACHES" not in api_service.text()
