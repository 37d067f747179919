"""Closing what broke off: legal whatever was said, nothing lost that was whole, nothing filled in silence."""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.core.partial_json import PartialJson
from app.core.prompt_builder import LANGUAGES, Language
from app.schemas.scoring import ScoreMeta
from app.tasks import feedback, report_parts, report_whole
from app.tasks.closing import end_sentences
from app.tasks.interview_words import LONGEST_OPENING
from app.tasks.structured import Policy
from tests.unit.rulings import CASES, META, ruling, step_task

POLICY = Policy("ko", 10)
FEEDBACK_SAID = {
    "score": 7,
    "feedback": "개념을 정확히 설명했습니다. 다만 사례가 부족합니다.",
    "improvement_suggestion": "실제 경험을 하나 들어 보세요.",
}
STEP_SAID = {
    "action": "NEW_TOPIC",
    "message": "네, 좋습니다. 인덱스는 언제 쓰시나요?",
    "evaluation": None,
    "thought": "주제를 바꾼다.",
}
REPORT_SAID = {
    "question_feedbacks": [
        {"question": f"질문 {i}", "answer_summary": "요약입니다.", "feedback": "사례가 좋습니다.", "score": i}
        for i in (4, 8)
    ],
    "summary": "기본기가 탄탄합니다. 사례를 더 준비하세요.",
    "strengths": ["개념이 정확합니다."],
    "improvements": ["사례가 적습니다."],
    "recommendations": ["로그를 분석해 보세요."],
}
REVIEW_SAID = {"score": 7, "answer_summary": "정의를 말했다.", "feedback": "개념이 정확합니다. 사례가 없습니다."}
POINT_SAID = {"question": 1, "text": "개념이 정확합니다."}
SUMMARY_SAID = {
    "summary": "기본기가 탄탄합니다. 사례를 더 준비하세요.",
    "strengths": [POINT_SAID],
    "improvements": [{"question": 2, "text": "사례가 적습니다."}],
    "recommendations": ["로그를 분석해 보세요."],
}

Closed = tuple[BaseModel, list[str]]
Close = Callable[[Mapping[str, Any], str | None, Language], Closed]


def close_step(said: Mapping[str, Any], cut: str | None, language: Language, order: str, case: str) -> Closed:
    """A step, closed by what was ruled about ``case``, as the endpoint returns it."""
    answer, repaired = ruling(order, case, language).close(said, cut)
    return step_task(order).settle(answer, META, POLICY), repaired


def close_report(said: Mapping[str, Any], cut: str | None, language: Language) -> Closed:
    """A report asked for as a whole, closed, as the endpoint returns it."""
    answer, repaired = report_whole.close_answer(said, cut, language=language)
    return report_whole.settle(answer, META, POLICY), repaired


CLOSERS: Mapping[str, tuple[Mapping[str, Any], Close]] = {
    "feedback": (FEEDBACK_SAID, lambda said, cut, lang: feedback.close_answer(said, cut, score=None, language=lang)),
    "scored feedback": (
        FEEDBACK_SAID,
        lambda said, cut, lang: feedback.close_answer(said, cut, score=7, language=lang),
    ),
    "review": (REVIEW_SAID, lambda said, cut, lang: report_parts.close_review(said, cut, score=7, language=lang)),
    "summary": (SUMMARY_SAID, lambda said, cut, lang: report_parts.close_summary(said, cut, language=lang)),
    "whole report": (REPORT_SAID, close_report),
    "step": (STEP_SAID, partial(close_step, order="message-first", case="short phase")),
    "first step": (STEP_SAID, partial(close_step, order="message-first", case="first question")),
    "last step": (
        {**STEP_SAID, "action": "NEXT_PHASE", "message": None},
        partial(close_step, order="message-first", case="long phase"),
    ),
    "step after thought": (
        {"thought": STEP_SAID["thought"], **STEP_SAID, "evaluation": "정의는 정확하지만 사례가 없습니다."},
        partial(close_step, order="thought-first", case="short phase"),
    ),
}


def checked(closed: Closed) -> dict[str, Any]:
    """What stands in the end, checked against its model."""
    answer, _ = closed
    return type(answer).model_validate_json(answer.model_dump_json()).model_dump()


def feedback_body(said: Mapping[str, Any], cut: str | None = None, *, policy: Policy = POLICY) -> dict[str, Any]:
    """The body that a caller gets for a broken feedback whose score could not be measured."""
    answer, repaired = feedback.close_answer(said, cut, score=None, language="ko")
    return feedback.settle(answer, META.model_copy(update={"repaired": repaired}), policy).model_dump()


def report_body(said: Mapping[str, Any], cut: str | None = None) -> dict[str, Any]:
    """The body that a caller gets for a broken report that was asked for as a whole."""
    answer, repaired = report_whole.close_answer(said, cut, language="ko")
    return report_whole.settle(answer, META.model_copy(update={"repaired": repaired}), POLICY).model_dump()


def known(text: str) -> tuple[dict[str, Any], str | None]:
    """What a reader knows of a text that breaks off here."""
    reader = PartialJson()
    reader.feed(text)
    return reader.value, reader.open_field


@pytest.mark.parametrize("name", CLOSERS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_prefix_of_an_answer_is_closed_and_marked(name: str, language: Language) -> None:
    whole, close = CLOSERS[name]
    text = json.dumps(whole, ensure_ascii=False)
    for end in range(len(text)):
        said, cut = known(text[:end])
        closed = close(said, cut, language)
        checked(closed)
        assert closed[1] or end == len(text) - 1, end


@pytest.mark.parametrize("name", CLOSERS)
def test_an_answer_that_lacks_only_its_last_bracket_is_whole(name: str) -> None:
    whole, close = CLOSERS[name]
    said, cut = known(json.dumps(whole, ensure_ascii=False)[:-1])
    closed = close(said, cut, "ko")
    assert closed[1] == []
    answer = checked(closed)
    assert {key: answer[key] for key in whole} == whole


def test_what_was_whole_is_kept() -> None:
    text = json.dumps(FEEDBACK_SAID, ensure_ascii=False)
    said, cut = known(text[: text.index("실제 경험")])
    body = feedback_body(said, cut)
    assert body["feedback"] == FEEDBACK_SAID["feedback"]
    assert (body["score"], body["is_passed"]) == (7, True)
    assert body["meta"]["repaired"] == ["improvement_suggestion: not given by the model"]


def test_a_score_that_nobody_gave_is_no_pass_and_marked() -> None:
    said = {key: value for key, value in FEEDBACK_SAID.items() if key != "score"}
    body = feedback_body(said)
    assert (body["score"], body["is_passed"]) == (feedback.NOT_JUDGED, False)
    assert body["meta"]["repaired"] == ["score: not given by the model"]


@given(said=st.fixed_dictionaries({}, optional={"score": st.integers(-5, 15) | st.none() | st.text(max_size=3)}))
def test_a_measured_score_stands_whatever_was_said(said: dict[str, Any]) -> None:
    answer, repaired = feedback.close_answer({**FEEDBACK_SAID, **said}, "score", score=3, language="ko")
    assert (answer.score, repaired) == (3, [])


def test_a_text_that_broke_off_ends_with_a_whole_sentence() -> None:
    text = json.dumps(FEEDBACK_SAID, ensure_ascii=False)
    said, cut = known(text[: text.index("사례가 부족")])
    body = feedback_body(said, cut)
    assert body["feedback"] == "개념을 정확히 설명했습니다."
    assert "feedback: cut short" in body["meta"]["repaired"]


def test_an_entry_that_broke_off_is_dropped_and_the_others_count() -> None:
    text = json.dumps(REPORT_SAID, ensure_ascii=False)
    said, cut = known(text[: text.rindex('"score"')])
    body = report_body(said, cut)
    assert ([q["score"] for q in body["question_feedbacks"]], body["overall_score"]) == ([4], 40)
    assert "question_feedbacks: cut short" in body["meta"]["repaired"]


def test_a_point_of_a_summary_that_broke_off_is_dropped() -> None:
    text = json.dumps(SUMMARY_SAID, ensure_ascii=False)
    said, cut = known(text[: text.index("사례가 적")])
    answer, repaired = report_parts.close_summary(said, cut, language="ko")
    assert (len(answer.strengths), answer.improvements) == (1, [])
    assert "improvements: cut short" in repaired


def test_a_phase_that_ends_has_no_message() -> None:
    for said in ({"action": "NEXT_PHASE"}, {"action": "NEXT_PHASE", "message": "더 할 말이 있나요?"}, {}):
        for cut in (None, "action", "message"):
            body, _ = close_step(said, cut, "ko", "message-first", "long phase")
            assert (body.model_dump()["action"], body.model_dump()["message"]) == ("NEXT_PHASE", None)


ACTIONS = st.sampled_from(["FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE", "GENERATE_QUESTION", None])


@given(message=st.text(alphabet="가나다 .?!abc", max_size=600) | st.none(), action=ACTIONS)
def test_a_message_always_fits_its_column_and_is_never_null_while_the_interview_goes_on(
    message: str | None, action: str | None
) -> None:
    said = {**STEP_SAID, "action": action, "message": message}
    body = checked(close_step(said, None, "ko", "message-first", "short phase"))
    assert body["message"]
    assert len(body["message"]) <= 255


@pytest.mark.parametrize("order", ["message-first", "thought-first"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("action", ["FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE"])
def test_a_step_that_the_rules_forbid_is_never_taken_and_the_change_is_told(order: str, case: str, action: str) -> None:
    message = None if action == "NEXT_PHASE" else STEP_SAID["message"]
    said = {**STEP_SAID, "action": action, "message": message}
    body, repaired = close_step(said, None, "ko", order, case)
    allowed = ruling(order, case).marks["decision"].allowed
    taken = body.model_dump()["action"]
    assert taken in allowed
    assert any(repair.startswith("action:") for repair in repaired) == (taken != action)


@given(scores=st.lists(st.integers(0, 10), max_size=20))
def test_the_overall_score_is_on_the_scale_of_a_hundred(scores: list[int]) -> None:
    overall = report_whole.overall_score(scores)
    assert 0 <= overall <= 100
    if scores:
        assert abs(overall - 10 * sum(scores) / len(scores)) <= 0.5


@given(points=st.lists(st.sampled_from(["같은 말입니다.", "같은 말입니다. ", "다른 말입니다."]), max_size=5))
def test_points_are_said_once(points: list[str]) -> None:
    body = report_body({**REPORT_SAID, "strengths": points})
    assert len(body["strengths"]) == len({point.strip() for point in points})


@pytest.mark.parametrize("score", range(11))
@pytest.mark.parametrize("pass_score", [0, 6, 10])
def test_a_pass_follows_from_the_score_and_the_operator_s_bar(score: int, pass_score: int) -> None:
    body = feedback_body({**FEEDBACK_SAID, "score": score}, policy=Policy("ko", 10, pass_score))
    assert body["is_passed"] is (score >= pass_score)


def test_a_score_that_was_not_measured_says_that_it_is_the_model_s_own() -> None:
    unmeasured = ScoreMeta(
        expected=None, distribution={}, entropy=0, method="none", gate=None, rubric="r", review_recommended=True
    )
    answer, _ = feedback.close_answer(FEEDBACK_SAID, None, score=None, language="ko")
    body = feedback.settle(answer, META.model_copy(update={"score": unmeasured}), POLICY)
    assert body.meta.score is not None
    assert body.meta.score.method == "inside the JSON"


@pytest.mark.parametrize("order", ["message-first", "thought-first"])
def test_a_text_that_fills_its_bound_ends_with_its_last_whole_sentence(order: str) -> None:
    task = step_task(order)
    shape = next(one for one in task.shapes if "NEW_TOPIC" in str(one.model.model_json_schema()))
    whole = "네, 잘 들었습니다. 인덱스는 언제 쓰시나요?"
    room = 255 if order == "thought-first" else 255 - LONGEST_OPENING + len("네, 잘 들었습니다.")
    said = {**STEP_SAID, "message": f"{whole} {'그' * room}"[:room]}
    answer = shape.read(json.dumps({name: said[name] for name in shape.fields}, ensure_ascii=False))
    ended, repaired = end_sentences(answer, shape)
    assert (ended.root.message, repaired) == (whole, ["message: cut short"])
    assert end_sentences(ended, shape) == (ended, [])


def test_a_message_at_its_bound_that_ends_a_sentence_stays_whole() -> None:
    shape = next(one for one in step_task("message-first").shapes if one.begun == '{"action":"NEW_TOPIC","message":"')
    whole = f"네, 잘 들었습니다. {'그' * 229}?"
    said = {**STEP_SAID, "message": whole}
    answer = shape.read(json.dumps({name: said[name] for name in shape.fields}, ensure_ascii=False))
    assert end_sentences(answer, shape) == (answer, [])


def test_a_text_within_its_bound_stays_as_it_is_full_stop_or_none() -> None:
    shape = feedback.FREE
    said = {**FEEDBACK_SAID, "feedback": "개념은 맞지만 사례가 없음"}
    answer = shape.read(json.dumps(said, ensure_ascii=False))
    assert end_sentences(answer, shape) == (answer, [])
