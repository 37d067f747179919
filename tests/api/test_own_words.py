"""What is told of an answer are the judge's own words, and fit its score; what does not is left out of them."""

import httpx2
import pytest

from tests.api.judged import words
from tests.api.test_task_stream import events_of, heard
from tests.simulator.sim_harness import Simulator
from tests.support.prompts import GOOD_ANSWER, feedback_prompt, report_prompt, step_prompt
from tests.support.service import Service

FEEDBACK, STEP, REPORT = "/api/feedback", "/api/interview/step", "/api/report"
JUDGED = "개념을 바르게 말했습니다."
SUGGESTED = "회수하는 순서를 덧붙이면 좋습니다."
SUMMARY = words(summary="전체적으로 무난한 면접이었습니다.", strengths=[], improvements=[], recommendations=[])
LEFT_OUT = "feedback: what only repeats question, answer or instructions was left out"


def rest(feedback: str, suggestion: str) -> str:
    """What a model writes behind the score."""
    return f'{feedback}","improvement_suggestion":"{suggestion}"}}'


def test_sentences_of_the_candidate_are_left_out_of_a_feedback(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("4", "Yes", rest(f"{JUDGED} {GOOD_ANSWER}", SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert (body["feedback"], body["improvement_suggestion"]) == (JUDGED, SUGGESTED)
    assert body["meta"]["repaired"] == [LEFT_OUT]
    assert 'kind="echo",task="feedback"' in httpx2.get(f"{api_service.url}/metrics").text


def test_a_feedback_of_nothing_else_gives_way_to_a_prepared_one(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("4", "Yes", rest(GOOD_ANSWER, GOOD_ANSWER))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert body["feedback"] == "질문에 맞게 설명한 답변입니다."
    assert body["improvement_suggestion"] is None
    assert body["meta"]["attempts"] == 1
    assert body["meta"]["repaired"] == [
        "feedback: it only repeats question, answer or instructions; a prepared sentence stands in its place",
        "improvement_suggestion: left out, it only repeats question, answer or instructions",
    ]


@pytest.mark.parametrize(
    "recited",
    ["답변을 그대로 되풀이하지 않습니다.", "보충할 것이 없으면 null.", "무엇이 뛰어난지 쓰고, 나무라지 마세요."],
)
def test_what_the_service_asked_for_is_no_feedback(api_service: Service, api_engine: Simulator, recited: str) -> None:
    api_engine.script("5", "Yes", rest(f"{JUDGED} {recited}", SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert (body["feedback"], body["meta"]["repaired"]) == (JUDGED, [LEFT_OUT])


def test_a_word_of_the_candidate_contradicts_no_score(api_service: Service, api_engine: Simulator) -> None:
    answer = "처음에는 이해가 부족했습니다. 지금은 힙을 세대로 나누고 젊은 객체부터 회수한다고 설명할 수 있습니다."
    api_engine.script("5", "Yes", rest(f"{JUDGED} {answer}", SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt(answer)).json()
    assert body["score"] >= 8
    assert (body["feedback"], body["meta"]["attempts"]) == (JUDGED, 1)


def test_a_feedback_that_fills_its_bound_ends_with_its_last_whole_sentence(
    api_service: Service, api_engine: Simulator
) -> None:
    numbers = ("주문", "결제", "배송", "검색", "정산", "알림", "회원", "상품", "재고", "쿠폰", "리뷰", "통계")
    whole = " ".join(
        f"{number}에서 {place}의 순서를 {number * 7}번 바꾼 까닭이 분명합니다."
        for place, number in zip(numbers, range(3, 15), strict=True)
    )
    said = f"{whole} 그리고 나머지 영역에서 순서를 바꾼 까닭은 {GOOD_ANSWER.replace('.', ',') * 4}"[:600]
    api_engine.script("4", "Yes", rest(said, SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert (body["feedback"], body["improvement_suggestion"]) == (whole, SUGGESTED)
    assert body["meta"]["repaired"] == ["feedback: cut short"]


def test_what_contradicts_the_score_is_left_out_without_a_second_try_where_enough_is_left(
    api_service: Service, api_engine: Simulator
) -> None:
    fits = "회수하는 조건과 세대별 영역을 모두 짚었습니다."
    api_engine.script("5", "Yes", rest(f"{fits} 다만 내용이 부족합니다.", SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert body["score"] >= 8
    assert (body["feedback"], body["meta"]["attempts"]) == (fits, 1)
    assert body["meta"]["repaired"] == ["feedback: what contradicts the score was left out"]


def test_where_little_would_be_left_it_is_asked_for_once_more(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("5", "Yes", rest("내용이 부족합니다.", SUGGESTED), rest(JUDGED, SUGGESTED))
    body = api_service.post(FEEDBACK, feedback_prompt()).json()
    assert (body["feedback"], body["meta"]["attempts"], body["meta"]["repaired"]) == (JUDGED, 2, [])


def test_who_hears_a_recital_is_told_what_is_left_of_it(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("4", "Yes", rest(f"{JUDGED} {GOOD_ANSWER}", SUGGESTED))
    events = events_of(api_service.post(f"{FEEDBACK}?stream=true", feedback_prompt()).text)
    assert events[-1][1]["feedback"] == JUDGED
    assert heard(events)["feedback"] == JUDGED


def test_a_step_does_not_tell_the_candidate_what_was_just_said(api_service: Service, api_engine: Simulator) -> None:
    question = "G1은 왜 고르셨나요?"
    said = f' {GOOD_ANSWER} {question}","evaluation":"{GOOD_ANSWER}","thought":"더 확인한다."}}'
    api_engine.script("3", "FOLLOW_UP", said)
    body = api_service.post(STEP, step_prompt()).json()
    assert (body["message"], body["evaluation"]) == (f"말씀 감사합니다. 한 가지 더 여쭙겠습니다. {question}", None)
    assert body["meta"]["repaired"] == [
        "message: what only repeats question or answer was left out",
        "evaluation: what only repeats question or answer was left out",
    ]


def test_a_step_that_only_recites_asks_a_prepared_question(api_service: Service, api_engine: Simulator) -> None:
    api_engine.script("3", "NEW_TOPIC", f' {GOOD_ANSWER}","evaluation":null,"thought":"더 확인한다."}}')
    body = api_service.post(STEP, step_prompt()).json()
    assert body["message"].endswith(("?", "주세요."))
    assert GOOD_ANSWER[:20] not in body["message"]


def test_the_review_of_a_report_fits_its_score(api_service: Service, api_engine: Simulator) -> None:
    review = f'{GOOD_ANSWER[:50]}","feedback":"{JUDGED} 다만 내용이 부족합니다."}}'
    api_engine.script("5", "Yes", review, SUMMARY)
    body = api_service.post(REPORT, report_prompt(1)).json()
    assert body["question_feedbacks"][0]["feedback"] == JUDGED
    assert body["meta"]["repaired"][0] == "question_feedbacks.0.feedback: what contradicts the score was left out"


def test_the_review_of_a_report_is_the_judge_s_own_and_its_summary_may_repeat(
    api_service: Service, api_engine: Simulator
) -> None:
    review = f'{GOOD_ANSWER[:50]}","feedback":"{JUDGED} {GOOD_ANSWER}"}}'
    api_engine.script("4", "Yes", review, SUMMARY)
    (entry,) = (body := api_service.post(REPORT, report_prompt(1)).json())["question_feedbacks"]
    assert (entry["feedback"], entry["answer_summary"]) == (JUDGED, GOOD_ANSWER[:50])
    assert body["meta"]["repaired"][0] == f"question_feedbacks.0.{LEFT_OUT}"
