"""A caller that repeats its request, byte for byte, gets the answer that was already being written."""

import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from tests.api.judged import words
from tests.simulator.sim_harness import FAST, Simulator, running
from tests.support.prompts import feedback_prompt, report_prompt
from tests.support.service import Service, wait_until

FEEDBACK = "/api/feedback"


@pytest.fixture(scope="module")
def lone_engine() -> Iterator[Simulator]:
    """An engine whose generations only these tests count."""
    with running(FAST) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def sharing(lone_engine: Simulator) -> Iterator[Service]:
    """The service with its own time for retries, and little time for reports."""
    environment = {
        "SGLANG_HOST": "127.0.0.1",
        "SGLANG_PORT": str(lone_engine.port),
        "MAX_MODEL_LEN": str(FAST["context_length"]),
        "REPORT_TIMEOUT": "2",
        "RETRY_GRACE_SECONDS": "3",
    }
    with Service(environment=environment) as service:
        yield service.wait_healthy()


@pytest.fixture
def counted(lone_engine: Simulator) -> Simulator:
    """The engine at its usual speed, with words that nobody objects to, and nothing counted yet."""
    lone_engine.client.post("/_sim/reset").raise_for_status()
    lone_engine.configure(**FAST)
    lone_engine.script(words(score=1, feedback="질문에 대한 답변이 없습니다.", improvement_suggestion=None))
    return lone_engine


def ask(service: Service, body: Any, path: str = FEEDBACK, **headers: str) -> httpx2.Response:
    """One call as a caller makes it."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.post(f"{service.url}{path}", json=body, headers=given, timeout=30)


def prompt(number: int) -> Any:
    """A prompt that no other test has."""
    return {"system_prompt": "평가하세요.", "user_prompt": f"답변 {number}: 모릅니다."}


def test_identical_requests_at_the_same_time_share_one_generation(sharing: Service, counted: Simulator) -> None:
    counted.configure(ttft=0.5)
    with ThreadPoolExecutor(20) as pool:
        answers = [call.result() for call in [pool.submit(ask, sharing, prompt(1)) for _ in range(20)]]
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert counted.state()["total"] == 1
    assert sum("idempotent-replayed" in answer.headers for answer in answers) == 19


def test_an_answer_just_finished_is_given_again(sharing: Service, counted: Simulator) -> None:
    first, second = ask(sharing, prompt(2)), ask(sharing, prompt(2))
    assert first.json() == second.json()
    assert (first.headers.get("idempotent-replayed"), second.headers["idempotent-replayed"]) == (None, "true")
    assert counted.state()["total"] == 1


def test_another_key_or_another_body_is_another_request(sharing: Service, counted: Simulator) -> None:
    ask(sharing, prompt(3), Authorization="Bearer one")
    ask(sharing, prompt(3), Authorization="Bearer two")
    ask(sharing, prompt(4), Authorization="Bearer one")
    ask(sharing, prompt(3))
    assert counted.state()["total"] == 4


def test_no_store_asks_anew(sharing: Service, counted: Simulator) -> None:
    totals: list[int] = []
    for _ in range(2):
        assert ask(sharing, prompt(5), Cache_Control="no-store").status_code == 200
        totals.append(counted.state()["total"])
    assert totals[1] == 2 * totals[0]


def test_a_client_that_leaves_and_asks_again_finds_its_answer(sharing: Service, counted: Simulator) -> None:
    counted.configure(ttft=1)
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{sharing.url}{FEEDBACK}", json=prompt(6), timeout=0.5)
    assert ask(sharing, prompt(6)).status_code == 200
    assert counted.state()["total"] == 1


def test_a_report_that_outlives_its_caller_is_there_for_the_second_try(sharing: Service, counted: Simulator) -> None:
    counted.script()  # its own words: a report has three kinds of them
    counted.configure(ttft=0.9)  # a measurement, a review and the summary, one after the other: 2.7 s
    first = ask(sharing, report_prompt(8), "/api/report")
    assert first.status_code == 504
    assert "same request gets it" in first.json()["error"]["message"]
    assert first.headers["retry-after"] == "1"
    second = ask(sharing, report_prompt(8), "/api/report")
    assert second.status_code == 200
    assert not [repair for repair in second.json()["meta"]["repaired"] if "not given" in repair]
    assert counted.state()["total"] == 4 + 8 + 1  # one report: four real answers measured, eight reviews, the summary


def test_work_that_nobody_asks_for_again_ends_in_the_engine(sharing: Service, counted: Simulator) -> None:
    counted.configure(ttft=60)
    with pytest.raises(httpx2.TimeoutException):
        httpx2.post(f"{sharing.url}{FEEDBACK}", json=prompt(7), timeout=0.5)
    assert counted.state()["running"] == 1
    left = time.monotonic()
    counted.wait(running=0)
    assert time.monotonic() - left > 1


def test_a_key_makes_it_explicit(sharing: Service, counted: Simulator) -> None:
    counted.script(words(score=1, feedback="질문에 대한 답이 되지 않았습니다.", improvement_suggestion=None))
    first = ask(sharing, prompt(8), Idempotency_Key="a-key")
    again = ask(sharing, prompt(8), Idempotency_Key="a-key")
    assert again.json() == first.json()
    other = ask(sharing, prompt(9), Idempotency_Key="a-key")
    assert (other.status_code, other.json()["error"]["param"]) == (422, "Idempotency-Key")
    assert ask(sharing, prompt(9), Idempotency_Key="b-key").status_code == 200
    assert counted.state()["total"] == 2


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_that_is_none_is_refused(sharing: Service, key: str) -> None:
    answer = ask(sharing, prompt(10), Idempotency_Key=key)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "Idempotency-Key")


def test_a_failure_is_not_kept(sharing: Service, counted: Simulator) -> None:
    counted.fault("drop", tokens=0)
    assert ask(sharing, prompt(11)).status_code in {502, 503}
    counted.client.request("DELETE", "/_sim/faults").raise_for_status()
    assert ask(sharing, prompt(11)).status_code == 200


def test_a_stream_is_cancelled_at_once(sharing: Service, counted: Simulator) -> None:
    counted.configure(ttft=60)
    body = json.dumps(feedback_prompt()).encode()
    head = f"POST {FEEDBACK}?stream=true HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", sharing.port)) as client:
        client.sendall(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        counted.wait(running=1)
    wait_until(lambda: counted.state()["aborted"] == 1, 2, "the generation gone")
