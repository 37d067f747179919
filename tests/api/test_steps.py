"""A step says its first word soon, and always leaves the candidate something to answer."""

from typing import Any

import httpx2
import pytest

from app.tasks.interview_words import FALLBACK
from app.tasks.judging.asks import asks
from app.tasks.judging.policy import PREPARED
from tests.api.judged import MEASURING, asking, choosing, words
from tests.api.test_task_stream import events_of, heard
from tests.simulator.sim_harness import Simulator
from tests.support.prompts import Prompt, step_prompt
from tests.support.service import Service

STEP = "/api/interview/step"
STORED = 255  # characters of a message that the caller's database takes
QUESTION = "페이징은 어떻게 처리하셨나요?"
REST = f'{QUESTION}","evaluation":null,"thought":"더 확인한다."}}'
OPENED: Prompt = step_prompt(2, "잘 모르겠습니다.")  # nothing but a new topic is left
# What a message begins with after one answer.
HEARD = "말씀 감사합니다."
BEFORE = {"FOLLOW_UP": f"{HEARD} 한 가지 더 여쭙겠습니다.", "NEW_TOPIC": f"{HEARD} 다음 질문입니다."}
NOTHING_ASKED = "잘 이해했습니다."
LONG = " ".join(
    f"주문 조회 {number}번은 {word} 캐시로 옮겨 응답 시간을 줄였습니다."
    for number, word in enumerate("가나다라마바사", 3)
)


def begun(call: Any) -> str:
    """What the engine was given as the beginning of its answer."""
    last = call["messages"][-1]
    return str(last["content"]) if last["role"] == "assistant" else ""


def test_of_an_open_action_one_token_is_asked_for_and_the_words_go_on_behind_it(
    api_service: Service, api_engine: Simulator
) -> None:
    api_engine.script("3", "FOLLOW_UP", f" {REST}")
    body = api_service.post(STEP, step_prompt()).json()
    assert (body["action"], body["message"]) == ("FOLLOW_UP", f"{BEFORE['FOLLOW_UP']} {QUESTION}")
    assert body["meta"]["repaired"] == []
    assert [begun(call) for call in choosing(api_engine)] == ['{"action":"']
    assert [begun(call) for call in asking(api_engine)] == [f'{{"action":"FOLLOW_UP","message":"{BEFORE["FOLLOW_UP"]}']
    assert body["meta"]["usage"]["completion_tokens"] > 2


def test_where_one_action_is_left_nobody_asks_which(api_service: Service, api_engine: Simulator) -> None:
    api_service.post(STEP, OPENED).raise_for_status()
    assert choosing(api_engine) == []
    assert [begun(call) for call in asking(api_engine)] == [
        '{"action":"NEW_TOPIC","message":"네, 괜찮습니다. 다음 질문입니다.'
    ]


def test_a_first_token_that_tells_no_action_leaves_it_open(api_service: Service, api_engine: Simulator) -> None:
    whole = words(action="NEW_TOPIC", message=QUESTION, evaluation=None, thought="다른 주제로 간다.")
    api_engine.script("3", "?", whole)
    body = api_service.post(STEP, step_prompt()).json()
    assert (body["action"], body["message"], body["meta"]["repaired"]) == ("NEW_TOPIC", QUESTION, [])
    assert [begun(call) for call in asking(api_engine)] == ['{"action":"']


def test_an_engine_that_fails_at_the_first_token_is_asked_for_all_of_it(
    api_service: Service, api_engine: Simulator
) -> None:
    api_engine.fault("abort", tokens=0, match=MEASURING)
    body = api_service.post(STEP, step_prompt()).json()
    assert body["meta"]["attempts"] == 1
    assert body["message"]
    assert [begun(call) for call in asking(api_engine)] == ['{"action":"']


@pytest.mark.parametrize(
    ("action", "questions"),
    [("FOLLOW_UP", [str(FALLBACK["ko"]["message"])]), ("NEW_TOPIC", [*PREPARED["ko"]["TECHNICAL"]])],
)
@pytest.mark.parametrize("said", [NOTHING_ASKED, LONG], ids=["short", "long"])
def test_behind_a_message_that_asks_nothing_stands_a_prepared_question(
    api_service: Service, api_engine: Simulator, action: str, questions: list[str], said: str
) -> None:
    api_engine.script("3", action, f' {said}","evaluation":null,"thought":"더 확인한다."}}')
    body = api_service.post(STEP, step_prompt()).json()
    assert body["message"].startswith(f"{BEFORE[action]} {said[:10]}")
    assert any(body["message"].endswith(f". {question}") for question in questions)
    assert len(body["message"]) <= STORED
    assert body["meta"]["repaired"] == ["message: it asked nothing; a prepared question was added"]
    assert body["meta"]["attempts"] == 1
    assert 'kind="no_question"' in httpx2.get(f"{api_service.url}/metrics").text


def test_who_hears_a_message_that_asks_nothing_is_told_the_whole_one(
    api_service: Service, api_engine: Simulator
) -> None:
    rest = f' {NOTHING_ASKED}","evaluation":null,"thought":"더 확인한다."}}'
    api_engine.script("3", "NEW_TOPIC", rest)
    events = events_of(api_service.post(f"{STEP}?stream=true", step_prompt()).text)
    result = events[-1][1]
    assert asks(result["message"])
    assert heard(events)["message"] == result["message"]


def test_a_phase_that_ends_needs_no_question(api_service: Service, api_engine: Simulator) -> None:
    past = [{"question": f"{topic}란 무엇인가요?", "answer": "잘 모르겠습니다."} for topic in "가나다"]
    whole = words(action="NEXT_PHASE", message=None, evaluation=None, thought="단계를 끝낸다.")
    api_engine.script("NEXT_PHASE", whole)
    body = api_service.post(STEP, {**step_prompt(), "history": past, "phase": "TECHNICAL"}).json()
    assert (body["action"], body["message"], body["meta"]["repaired"]) == ("NEXT_PHASE", None, [])


def test_the_first_sentence_is_heard_with_the_first_token(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("3", "FOLLOW_UP", f" {REST}")
    events = events_of(api_service.post(f"{STEP}?stream=true", step_prompt()).text)
    spoken = [data for name, data in events if name == "delta" and data["field"] == "message"]
    assert (spoken[0]["text"], spoken[0]["sentence_end"]) == (HEARD, True)
    assert heard(events)["message"] == events[-1][1]["message"] == f"{BEFORE['FOLLOW_UP']} {QUESTION}"


def test_before_the_first_answer_nothing_is_said_to_have_been_heard(
    api_service: Service, api_engine: Simulator
) -> None:
    api_engine.script(f" {REST}")
    body = api_service.post(STEP, {**step_prompt(), "history": []}).json()
    assert body["message"] == f"그럼 시작하겠습니다. 첫 질문입니다. {QUESTION}"
