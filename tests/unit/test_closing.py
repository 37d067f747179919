"""Closing what broke off: legal whatever was said, nothing lost that was whole, nothing filled in silence."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from app.core.generation import Usage
from app.core.partial_json import PartialJson
from app.core.prompt_builder import LANGUAGES, Language
from app.schemas.common import Meta
from app.tasks import feedback, interview, report
from app.tasks.structured import Task, token_usage

TASKS: list[Task[Any, Any]] = [feedback.FEEDBACK, report.REPORT, interview.MESSAGE_FIRST, interview.THOUGHT_FIRST]
FEEDBACK_SAID = {
    "feedback": "개념을 정확히 설명했습니다. 다만 사례가 부족합니다.",
    "improvement_suggestion": "실제 경험을 하나 들어 보세요.",
    "score": 7,
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
SAID = {"feedback": FEEDBACK_SAID, "report": REPORT_SAID, "interview_step": STEP_SAID}
META = Meta(engine="e", model="m", finish="length", attempts=2, repaired=[], usage=token_usage(Usage()))


def settled(task: Task[Any, Any], said: dict[str, Any], cut: str | None, language: Language) -> dict[str, Any]:
    """The body that a caller gets for a broken answer, checked against its schema."""
    answer, repaired = task.close(said, cut, language)
    body: BaseModel = task.settle(answer, META.model_copy(update={"repaired": repaired}))
    return type(body).model_validate_json(body.model_dump_json()).model_dump()


def partial(text: str) -> tuple[dict[str, Any], str | None]:
    """What a reader knows of a text that breaks off here."""
    reader = PartialJson()
    reader.feed(text)
    return reader.value, reader.open_field


@pytest.mark.parametrize("task", TASKS, ids=lambda task: type(task.answer).__name__ + task.name)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_prefix_of_an_answer_is_closed_and_marked(task: Task[Any, Any], language: Language) -> None:
    text = json.dumps(SAID[task.name], ensure_ascii=False)
    for end in range(len(text)):
        said, cut = partial(text[:end])
        body = settled(task, said, cut, language)
        assert body["meta"]["repaired"] or end == len(text) - 1, end


def test_what_was_whole_is_kept() -> None:
    text = json.dumps(FEEDBACK_SAID, ensure_ascii=False)
    said, cut = partial(text[: text.index("실제 경험")])
    body = settled(feedback.FEEDBACK, said, cut, "ko")
    assert body["feedback"] == FEEDBACK_SAID["feedback"]
    assert (body["score"], body["is_passed"]) == (feedback.NOT_JUDGED, False)
    assert body["meta"]["repaired"] == [
        "improvement_suggestion: not given by the model",
        "score: not given by the model",
    ]


def test_a_text_that_broke_off_ends_with_a_whole_sentence() -> None:
    text = json.dumps(FEEDBACK_SAID, ensure_ascii=False)
    said, cut = partial(text[: text.index("사례가 부족")])
    body = settled(feedback.FEEDBACK, said, cut, "ko")
    assert body["feedback"] == "개념을 정확히 설명했습니다."
    assert "feedback: cut short" in body["meta"]["repaired"]


def test_an_entry_that_broke_off_is_dropped_and_the_others_count() -> None:
    text = json.dumps(REPORT_SAID, ensure_ascii=False)
    said, cut = partial(text[: text.rindex('"score"')])
    body = settled(report.REPORT, said, cut, "ko")
    assert ([q["score"] for q in body["question_feedbacks"]], body["overall_score"]) == ([4], 40)
    assert "question_feedbacks: cut short" in body["meta"]["repaired"]


def test_a_phase_that_ends_has_no_message() -> None:
    for cut in (None, "action"):
        body = settled(interview.MESSAGE_FIRST, {"action": "NEXT_PHASE"}, cut, "ko")
        assert (body["action"], body["message"]) == ("NEXT_PHASE", None)


@given(message=st.text(alphabet="가나다 .?!abc", max_size=600), action=st.sampled_from(["FOLLOW_UP", "NEW_TOPIC"]))
def test_a_message_always_fits_its_column_and_is_never_null_while_the_interview_goes_on(
    message: str, action: str
) -> None:
    body = settled(interview.MESSAGE_FIRST, {**STEP_SAID, "action": action, "message": message}, None, "ko")
    assert body["message"]
    assert len(body["message"]) <= 255


@given(scores=st.lists(st.integers(0, 10), max_size=20))
def test_the_overall_score_is_on_the_scale_of_a_hundred(scores: list[int]) -> None:
    overall = report.overall_score(scores)
    assert 0 <= overall <= 100
    if scores:
        assert abs(overall - 10 * sum(scores) / len(scores)) <= 0.5


@given(points=st.lists(st.sampled_from(["같은 말입니다.", "같은 말입니다. ", "다른 말입니다."]), max_size=5))
def test_points_are_said_once(points: list[str]) -> None:
    body = settled(report.REPORT, {**REPORT_SAID, "strengths": points}, None, "ko")
    assert len(body["strengths"]) == len({point.strip() for point in points})


@pytest.mark.parametrize("score", range(11))
def test_a_pass_follows_from_the_score(score: int) -> None:
    body = settled(feedback.FEEDBACK, {**FEEDBACK_SAID, "score": score}, None, "ko")
    assert body["is_passed"] is (score >= feedback.PASS_SCORE)
