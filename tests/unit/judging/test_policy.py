"""Which steps are allowed follows from documented rules, whatever the case looks like."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.core.prompt_builder import LANGUAGES, Language
from app.schemas.interview import Action
from app.tasks.judging.case import Case, Exchange
from app.tasks.judging.gates import gate
from app.tasks.judging.policy import (
    ALIKE,
    FOLLOW_UPS,
    GOOD,
    LENGTHS,
    OPEN,
    Rules,
    asked_before,
    fresh_question,
)
from app.tasks.judging.similar import similarity

ANSWER = "참조되지 않는 객체를 JVM이 자동으로 회수하고, 저는 G1으로 바꿔 일시 정지를 줄였습니다."
TOPICS = [
    *("가비지 컬렉션", "인덱스", "트랜잭션", "캐시", "메시지 큐", "잠금", "샤딩", "로드 밸런서", "도커", "배포"),
    *("모니터링", "테스트", "보안", "로그"),
]
# One shape of a step's grammar for each of these (tests/unit/test_task_shapes.py).
SETS: set[tuple[Action, ...]] = {
    ("NEW_TOPIC",),
    ("NEXT_PHASE",),
    ("FOLLOW_UP", "NEW_TOPIC"),
    ("NEW_TOPIC", "NEXT_PHASE"),
    ("FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE"),
}


def case(asked: int = 4, last: str = ANSWER, **fields: Any) -> Case:
    """A phase in which ``asked`` questions were asked."""
    answers = [*(ANSWER for _ in range(asked - 1)), last] if asked else []
    exchanges = tuple(
        Exchange(f"{topic}란 무엇인가요?", answer) for topic, answer in zip(TOPICS, answers, strict=False)
    )
    return replace(Case(exchanges=exchanges, source="labels", phase="TECHNICAL"), **fields)


def rules(about: Case) -> Rules:
    last = about.last
    return Rules(about, stopped=last is not None and gate(last.question, last.answer) is not None)


def allowed(about: Case, score: float | None = None) -> tuple[Action, ...]:
    return rules(about).decide(score).allowed


texts = (
    st.sampled_from(["", "모르겠습니다.", "패스", "ㅋㅋㅋ", "네", ANSWER, "음 어 그 음", "인덱스는 정렬된 구조입니다."])
    | st.text()
)
cases = st.builds(
    Case,
    exchanges=st.lists(st.builds(Exchange, st.sampled_from(TOPICS) | st.text(), texts), max_size=16).map(tuple),
    follow_up_count=st.none() | st.integers(0, 9),
    follow_up_limit=st.none() | st.integers(0, 9),
    phase=st.none() | st.sampled_from(["OPENING", "TECHNICAL", "PERSONALITY", "CLOSING"]),
)
scores = st.none() | st.floats(0, 10)


@given(cases, scores)
def test_something_is_always_allowed_and_there_is_a_grammar_for_it(about: Case, score: float | None) -> None:
    decision = rules(about).decide(score)
    assert decision.allowed in SETS
    assert len(decision.allowed) == 3 or decision.reasons
    assert rules(about).decide(score) == decision


@given(cases, scores)
def test_an_evasion_is_never_followed_up(about: Case, score: float | None) -> None:
    last = about.last
    if last is None or gate(last.question, last.answer):
        assert "FOLLOW_UP" not in allowed(about, score)


@given(cases, scores)
def test_there_is_no_follow_up_at_the_limit(about: Case, score: float | None) -> None:
    limit = FOLLOW_UPS if about.follow_up_limit is None else about.follow_up_limit
    if (about.follow_up_count or 0) >= limit:
        assert "FOLLOW_UP" not in allowed(about, score)


@given(cases, scores)
def test_a_phase_never_ends_before_its_first_answer(about: Case, score: float | None) -> None:
    if about.last is None:
        assert allowed(about, score) == ("NEW_TOPIC",)


@pytest.mark.parametrize("phase", LENGTHS)
def test_a_phase_ends_at_its_length_and_not_before_its_least(phase: Any) -> None:
    length = LENGTHS[phase]
    for asked in range(1, length.most + 3):
        steps = allowed(case(asked, phase=phase), 9.0)
        assert ("NEXT_PHASE" in steps) == (asked >= length.least), asked
        assert (steps == ("NEXT_PHASE",)) == (asked >= length.most), asked


def test_a_phase_without_a_name_has_the_length_of_a_technical_one() -> None:
    for asked in range(14):
        assert allowed(case(asked, phase=None), 9.0) == allowed(case(asked), 9.0)


@pytest.mark.parametrize(
    ("count", "limit", "may"), [(0, 2, True), (1, 2, True), (2, 2, False), (3, 2, False), (0, 0, False)]
)
def test_follow_ups_are_counted_against_their_limit(count: int, limit: int, may: bool) -> None:  # noqa: FBT001  a table
    about = case(follow_up_count=count, follow_up_limit=limit)
    assert ("FOLLOW_UP" in allowed(about, 5.0)) == may


def test_without_a_stated_limit_the_usual_one_holds() -> None:
    for count in range(5):
        assert ("FOLLOW_UP" in allowed(case(follow_up_count=count), 5.0)) == (count < FOLLOW_UPS)


def test_a_good_answer_to_a_follow_up_ends_the_topic() -> None:
    assert "FOLLOW_UP" in allowed(case(2, follow_up_count=1), GOOD - 0.01)
    assert "FOLLOW_UP" not in allowed(case(2, follow_up_count=1), GOOD)
    assert "FOLLOW_UP" in allowed(case(2, follow_up_count=0), GOOD)


def test_a_good_answer_is_not_followed_up_once_the_phase_has_its_questions() -> None:
    assert "FOLLOW_UP" in allowed(case(3, follow_up_count=0), OPEN - 0.01)
    assert allowed(case(3, follow_up_count=0), GOOD) == ("NEW_TOPIC", "NEXT_PHASE")


def test_an_answer_that_may_be_good_or_not_is_followed_by_a_new_topic_once_the_phase_has_its_questions() -> None:
    for score in (OPEN, GOOD - 0.01):
        assert allowed(case(3, follow_up_count=0), score) == ("NEW_TOPIC",)
        assert allowed(case(2, follow_up_count=0), score) == ("FOLLOW_UP", "NEW_TOPIC")
        assert allowed(case(3, follow_up_count=2), score) == ("NEW_TOPIC", "NEXT_PHASE")


@given(cases, st.floats(0, 10))
def test_a_score_that_does_not_matter_changes_nothing(about: Case, score: float) -> None:
    assume(not rules(about).score_matters)
    assert rules(about).decide(score).allowed == rules(about).decide(5.0).allowed


def test_the_score_of_an_answer_that_may_be_followed_up_matters() -> None:
    assert rules(case(3, follow_up_count=0)).score_matters
    assert not rules(case(0)).score_matters
    assert not rules(case(1, "모르겠습니다.")).score_matters


@given(st.floats(0, 10) | st.sampled_from([2.5, 6.5]))
def test_the_rules_see_the_score_that_the_caller_sees(measured: float) -> None:
    seen = math.floor(measured + 0.5)
    assert allowed(case(), measured) == allowed(case(), float(seen))


def test_an_open_answer_does_not_end_a_phase() -> None:
    assert "NEXT_PHASE" not in allowed(case(), GOOD - 0.01)
    assert "NEXT_PHASE" in allowed(case(), GOOD)
    assert "NEXT_PHASE" in allowed(case(follow_up_count=2), 2.0)  # it cannot be followed up


def test_a_candidate_who_gives_up_may_end_a_phase_earlier() -> None:
    assert allowed(case(1, "모르겠습니다.")) == ("NEW_TOPIC",)
    assert allowed(case(2, "모르겠습니다.")) == ("NEW_TOPIC", "NEXT_PHASE")


def test_what_was_not_measured_rules_nothing_out() -> None:
    assert allowed(case(), None) == ("FOLLOW_UP", "NEW_TOPIC", "NEXT_PHASE")


def test_each_step_that_is_ruled_out_is_named_with_its_reason() -> None:
    decision = rules(case(1, "모르겠습니다.")).decide(None)
    assert {reason.split(":")[0] for reason in decision.reasons} == {"FOLLOW_UP", "NEXT_PHASE"}


# No question is asked twice.
def test_a_question_in_other_polite_words_was_asked_before() -> None:
    about = case(3)
    found = asked_before("인덱스란 무엇인지 말씀해 주시겠어요?", about.exchanges)
    assert found is about.exchanges[1]
    assert asked_before("운영 중에 멈춤 시간이 길어진 적이 있었나요?", about.exchanges) is None
    assert asked_before("아무 질문", ()) is None


@given(cases, st.sampled_from(LANGUAGES))
def test_a_prepared_question_was_not_asked_unless_all_of_them_were(about: Case, language: Language) -> None:
    fresh = fresh_question(about, language)
    assert 5 <= len(fresh) <= 255
    again = Case(exchanges=(*about.exchanges, Exchange(fresh, ANSWER)), phase=about.phase)
    if asked_before(fresh, about.exchanges) is None:
        assert fresh_question(again, language) != fresh or asked_before(
            fresh_question(again, language), again.exchanges
        )


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("phase", LENGTHS)
def test_prepared_questions_are_all_different(language: Language, phase: Any) -> None:
    asked: list[Exchange] = []
    while (fresh := fresh_question(Case(exchanges=tuple(asked), phase=phase), language)) not in {
        x.question for x in asked
    }:
        assert all(similarity(fresh, earlier.question) < ALIKE for earlier in asked)
        asked.append(Exchange(fresh, ANSWER))
    assert len(asked) >= 3
