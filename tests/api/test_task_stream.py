"""The three tasks heard while they are written: the events of a stream, and that they end in the JSON form's body."""

import json
from typing import Any

import httpx2
import pytest

from tests.simulator.sim_harness import Simulator
from tests.support.prompts import GOOD_ANSWER, Prompt, feedback_prompt, report_prompt, step_prompt
from tests.support.service import Service

TASKS = {
    "/api/feedback": feedback_prompt(),
    "/api/interview/step": step_prompt(),
    "/api/report": report_prompt(),
}
STEP = {
    "action": "FOLLOW_UP",
    "message": "좋은 설명이네요. 운영 중에 멈춤 시간이 길어진 적이 있었나요? 3.5초를 넘긴 때가 궁금합니다.",
    "evaluation": "정의는 정확하지만 실제 사례가 없습니다.",
    "thought": "개념은 알고 있으니 실제 운영 경험을 확인한다.",
}


def events_of(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, comments left out."""
    blocks = [block.split("\n", 1) for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(name.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for name, data in blocks]


def heard(events: list[tuple[str, Any]]) -> dict[str, Any]:
    """What a listener knows by the end, without the result, by top-level field."""
    told: dict[str, Any] = {}
    for name, data in events:
        if name == "delta":
            told[data["field"]] = told.get(data["field"], "") + data["text"]
        elif name in {"field", "replace"}:
            told[data["field"]] = data["value"]
    for field in [field for field in told if "." in field]:  # an item of a list, unless the list was told whole
        whole, _, number = field.partition(".")
        items = told.setdefault(whole, [])
        if number == str(len(items)):
            items.append(told[field])
    return told


@pytest.mark.usefixtures("api_engine")
@pytest.mark.parametrize(("path", "prompt"), TASKS.items())
def test_what_was_told_is_what_the_result_says(api_service: Service, path: str, prompt: Prompt) -> None:
    answer = api_service.post(f"{path}?stream=true", prompt)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    assert [events[0][0], events[-1][0]] == ["start", "result"]
    result = events[-1][1]
    told = heard(events)
    for field, value in result.items():
        if field != "meta":
            assert told[field] == value, field
    plain = api_service.post(path, prompt).json()
    assert set(result) == set(plain)


@pytest.mark.usefixtures("api_engine")
def test_what_is_neither_true_nor_false_asks_for_no_stream_and_is_refused(api_service: Service) -> None:
    answer = api_service.post("/api/feedback?stream=perhaps", feedback_prompt())
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("stream: ")
    assert api_service.post("/api/feedback?stream=0", feedback_prompt()).json()["score"] >= 0


@pytest.mark.usefixtures("api_engine")
def test_a_report_tells_each_question_when_it_is_done_and_then_the_summary(api_service: Service) -> None:
    events = events_of(api_service.post("/api/report?stream=true", report_prompt(5)).text)
    assert events[0][1]["fields"][:2] == ["question_feedbacks", "summary"]
    done = [at for at, (_, data) in enumerate(events) if data.get("field", "").startswith("question_feedbacks.")]
    summary = [at for at, (_, data) in enumerate(events) if data.get("field") == "summary"]
    assert max(done) < min(summary)
    told = {events[at][1]["field"]: events[at][1]["value"] for at in done}
    entries = events[-1][1]["question_feedbacks"]
    assert told == {f"question_feedbacks.{number}": entry for number, entry in enumerate(entries)}


@pytest.mark.usefixtures("api_engine")
def test_a_score_is_told_before_the_words_for_it(api_service: Service) -> None:
    events = events_of(api_service.post("/api/feedback?stream=true", feedback_prompt()).text)
    assert events[0][1]["fields"] == ["score", "feedback", "improvement_suggestion"]
    assert events[1] == ("field", {"field": "score", "value": events[-1][1]["score"]})


@pytest.mark.usefixtures("api_engine")
@pytest.mark.parametrize("accept", ["text/event-stream", "text/event-stream, application/json;q=0.5"])
def test_the_accept_header_asks_for_events(api_service: Service, accept: str) -> None:
    answer = httpx2.post(f"{api_service.url}/api/feedback", json=feedback_prompt(), headers={"accept": accept})
    assert answer.headers["content-type"].startswith("text/event-stream")


def test_sentences_of_the_message_are_marked(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script(json.dumps(STEP, ensure_ascii=False, separators=(",", ":")))
    events = events_of(api_service.post("/api/interview/step?stream=true", step_prompt()).text)
    sentences = [""]
    for name, data in events:
        if name == "delta" and data["field"] == "message":
            sentences[-1] += data["text"]
            if data["sentence_end"]:
                sentences.append("")
    assert [sentence.strip() for sentence in sentences if sentence.strip()] == [
        "말씀 감사합니다.",
        "한 가지 더 여쭙겠습니다.",
        "좋은 설명이네요.",
        "운영 중에 멈춤 시간이 길어진 적이 있었나요?",
        "3.5초를 넘긴 때가 궁금합니다.",
    ]


def test_action_comes_whole_and_before_the_message(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script(json.dumps(STEP, ensure_ascii=False, separators=(",", ":")))
    events = events_of(api_service.post("/api/interview/step?stream=true", step_prompt()).text)
    assert events[0][1]["fields"][:2] == ["action", "message"]
    assert events[1] == ("field", {"field": "action", "value": "FOLLOW_UP"})


def test_a_second_attempt_is_told_as_replacements(api_service: Service, api_engine: Simulator) -> None:
    whole = json.dumps(STEP, ensure_ascii=False, separators=(",", ":"))
    broken = '{"action":"NEW_TOPIC","message":"다른 질문을'
    api_engine.script("4", broken, broken, whole)  # the digit, the action, and the words twice
    events = events_of(api_service.post("/api/interview/step?stream=true", step_prompt()).text)
    assert ("replace", {"field": "action", "value": "FOLLOW_UP"}) in events
    assert ("replace", {"field": "message", "value": STEP["message"]}) in events
    assert events[-1][1]["meta"]["attempts"] == 2


def test_a_refusal_before_the_first_event_is_a_status(api_service: Service, api_engine: Simulator) -> None:
    api_engine.fault("status", status=503)
    answer = api_service.post("/api/feedback?stream=true", feedback_prompt())
    assert answer.status_code == 503 or events_of(answer.text)[-1][0] == "error"


def test_the_first_sentence_is_among_the_first_two_fifths_of_what_is_generated(
    api_service: Service, api_engine: Simulator
) -> None:
    text = json.dumps(STEP, ensure_ascii=False, separators=(",", ":"))
    api_engine.script(text)
    events = events_of(api_service.post("/api/interview/step?stream=true", step_prompt()).text)
    spoken = next(i for i, (_, data) in enumerate(events) if data.get("sentence_end") and data["field"] == "message")
    told = [data for name, data in events if name in {"field", "delta"}]
    before = sum(len(str(data.get("text", data.get("value")))) for data in told[:spoken])
    assert before <= 0.4 * sum(len(str(data.get("text", data.get("value")))) for data in told)


def test_a_phase_that_ends_is_one_whole_answer(api_service: Service, api_engine: Simulator) -> None:
    closing = {**STEP, "action": "NEXT_PHASE", "message": None}
    api_engine.script(json.dumps(closing, ensure_ascii=False, separators=(",", ":")))
    asked = [{"question": f"{topic}란 무엇인가요?", "answer": GOOD_ANSWER} for topic in ("캐시", "잠금", "인덱스")]
    prompt = {**step_prompt(), "history": asked, "follow_up_count": 2, "follow_up_limit": 2}
    body = api_service.post("/api/interview/step", prompt).json()
    assert (body["action"], body["message"]) == ("NEXT_PHASE", None)
    assert (body["meta"]["attempts"], body["meta"]["finish"], body["meta"]["repaired"]) == (1, "stop", [])
