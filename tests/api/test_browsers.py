"""What browsers may do with the service: read its documentation, and nothing from elsewhere unless it is allowed."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.simulator.sim_harness import Simulator
from tests.support.prompts import feedback_prompt
from tests.support.service import Service

OURS, OTHER = "https://interview.example", "https://evil.example"


@pytest.fixture(scope="module")
def open_to_one(shared_engine: Simulator) -> Iterator[Service]:
    """A service that pages of one origin may call, with its texts in the log."""
    environment = {"SGLANG_HOST": "127.0.0.1", "SGLANG_PORT": str(shared_engine.port), "MAX_MODEL_LEN": "8192"}
    with Service(environment={**environment, "CORS_ORIGINS": OURS, "LOG_TEXT": "true"}) as service:
        yield service.wait_healthy()


@pytest.mark.parametrize("page", ["/docs", "/redoc"])
def test_html_may_not_be_framed_or_load_anything_foreign(api_service: Service, page: str) -> None:
    headers = httpx2.get(api_service.url + page).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"


def test_a_preflight_from_elsewhere_is_granted_nothing(api_service: Service) -> None:
    asked = {"Origin": OTHER, "Access-Control-Request-Method": "POST"}
    answer = httpx2.options(f"{api_service.url}/api/feedback", headers=asked)
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(("origin", "allowed"), [(OURS, OURS), (OTHER, None)])
def test_only_listed_origins_are_allowed(open_to_one: Service, origin: str, allowed: str | None) -> None:
    asked = {"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    answer = httpx2.options(f"{open_to_one.url}/api/feedback", headers=asked)
    assert answer.headers.get("access-control-allow-origin") == allowed
    assert "access-control-allow-credentials" not in answer.headers


def test_texts_are_logged_only_where_that_is_switched_on_and_it_warns(
    open_to_one: Service, api_service: Service
) -> None:
    for service in (open_to_one, api_service):
        service.post("/api/feedback", feedback_prompt("이 문장은 로그에 남으면 안 됩니다 not-for-logs-7781."))
    assert "candidates' words go into this log" in open_to_one.text()
    assert "not-for-logs" in open_to_one.text()
    assert "not-for-logs" not in api_service.text()
