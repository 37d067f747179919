"""The four endpoints on a real model over a real socket."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from app.core.sentences import sentences_of
from app.schemas.chat import ChatResponse
from app.schemas.feedback import FeedbackResponse
from app.schemas.interview import InterviewStepResponse
from tests.support.prompts import feedback_prompt, has_hangul, step_prompt
from tests.support.service import Service, wait_until

pytestmark = pytest.mark.timeout(300)


def test_chat_answers_in_korean_and_counts_its_tokens(korean_service: Service) -> None:
    question = {"messages": [{"role": "user", "content": "면접 첫인사를 한 문장으로 해 줘."}], "maxTokens": 60}
    answer = korean_service.post("/api/chat/completions", question)
    assert answer.status_code == 200
    chat = ChatResponse.model_validate(answer.json())
    assert has_hangul(chat.content)
    assert 0 < chat.usage.completion_tokens <= 60
    assert chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens


def test_a_chat_stream_ends_with_the_whole_answer(korean_service: Service) -> None:
    question = {"messages": [{"role": "user", "content": "안녕하세요?"}], "max_tokens": 30, "stream": True}
    with httpx2.stream("POST", f"{korean_service.url}/api/chat/completions", json=question, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        events = _events("".join(answer.iter_text()))
    deltas = [data["content"] for name, data in events if name == "delta"]
    name, result = events[-1]
    assert name == "result"
    assert "".join(deltas) == ChatResponse.model_validate(result).content


def test_feedback_is_korean_and_passes_by_its_score(korean_service: Service) -> None:
    answer = korean_service.post("/api/feedback", feedback_prompt())
    assert answer.status_code == 200
    feedback = FeedbackResponse.model_validate(answer.json())
    assert has_hangul(feedback.feedback)
    assert feedback.is_passed == (feedback.score >= 6)


def test_a_step_says_something_unless_the_phase_ends(korean_service: Service) -> None:
    answer = korean_service.post("/api/interview/step", step_prompt())
    assert answer.status_code == 200
    step = InterviewStepResponse.model_validate(answer.json())
    assert has_hangul(step.thought)
    assert step.message or step.action == "NEXT_PHASE"
    assert step.message is None or has_hangul(step.message)


def test_an_english_prompt_is_answered_in_english(korean_service: Service) -> None:
    prompt = {
        "system_prompt": "You are an interviewer. Judge the answer.",
        "user_prompt": "Question: What is garbage collection?\nAnswer: It frees memory that nothing refers to.",
    }
    answer = korean_service.post("/api/feedback", prompt)
    assert answer.status_code == 200
    assert not has_hangul(answer.json()["feedback"])


def test_eight_feedback_calls_at_once_overlap_and_all_answer(korean_service: Service) -> None:
    def ask(number: int) -> httpx2.Response:
        return korean_service.post("/api/feedback", feedback_prompt(f"답변 {number}: 객체를 자동으로 지웁니다."))

    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(ask, number) for number in range(8)]
        wait_until(lambda: _busy(korean_service) == 8, 60, "eight busy slots")
        answers = [call.result() for call in calls]
    assert [answer.status_code for answer in answers] == [200] * 8
    said = [FeedbackResponse.model_validate(answer.json()) for answer in answers]
    assert max(len(sentences_of(feedback.feedback)) for feedback in said) <= 2  # by itself this model writes four


@pytest.mark.parametrize("phase", ["before the first token", "in mid-stream"])
def test_a_client_that_leaves_frees_its_engine_slot(korean_service: Service, phase: str) -> None:
    wait_until(lambda: _busy(korean_service) == 0, 30, "an idle engine")
    stream = phase == "in mid-stream"
    path, body = (
        ("/api/chat/completions", {"messages": [{"role": "user", "content": "긴 이야기를 해 줘."}], "stream": True})
        if stream
        else ("/api/feedback", feedback_prompt())  # a report has several generations at once, each a batch late
    )
    client = _send(korean_service, path, body)
    if stream:
        assert b"event: delta" in _receive(client, b"event: delta")
    else:
        wait_until(lambda: _busy(korean_service) == 1, 10, "a busy slot")
    client.close()
    seconds = wait_until(lambda: _busy(korean_service) == 0, 3, "the slot free again")
    print(f"slot free {seconds:.2f} s after the client left ({phase})")  # noqa: T201  a figure for the reader


def _busy(service: Service) -> int:
    return sum(slot["is_processing"] for slot in service.engine_slots())


def _send(service: Service, path: str, body: Any) -> socket.socket:
    """A request whose connection the test can cut at any moment."""
    payload = json.dumps(body).encode()
    client = socket.create_connection(("127.0.0.1", service.port), timeout=60)
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
        f"content-length: {len(payload)}\r\n\r\n"
    )
    client.sendall(head.encode() + payload)
    return client


def _receive(client: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        piece = client.recv(65536)
        assert piece, data
        data += piece
    return data


def _events(text: str) -> list[tuple[str, Any]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]
