"""The prompt that asks for a digit, and what a digit is worth on the scale of ten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.prompt_builder import LANGUAGES, Language
from app.schemas.task import TaskRequest
from app.tasks.judging.case import Case, Exchange, read_one
from app.tasks.judging.rubric import (
    DIGITS,
    GRAMMAR,
    RUBRICS,
    SCORES,
    Rubric,
    messages,
    rubric_for,
    scale,
    to_score,
    whole_prompt,
)
from tests.support.prompts import feedback_prompt
from tests.unit.grammar_reference import Grammar

EXCHANGE = Exchange("인덱스는 왜 쓰나요?", "조회를 빠르게 합니다.")
BANDS = read_one(TaskRequest.model_validate(feedback_prompt())).bands
rubrics = pytest.mark.parametrize("rubric", RUBRICS, ids=lambda rubric: rubric.version)
languages = pytest.mark.parametrize("language", LANGUAGES)


def test_a_judgement_is_one_digit() -> None:
    assert sorted(Grammar(GRAMMAR).all_sentences()) == [str(digit) for digit in range(DIGITS)]


@rubrics
@languages
def test_every_digit_has_a_line_and_an_example(rubric: Rubric, language: Language) -> None:
    words = rubric.words[language]
    assert len(words.digits) == len(set(words.digits)) == DIGITS
    assert {digit for _, _, digit in words.examples} == set(range(DIGITS))


def test_every_phase_has_exactly_one_rubric() -> None:
    phases = [phase for rubric in RUBRICS for phase in rubric.phases]
    assert sorted(phases) == ["CLOSING", "OPENING", "PERSONALITY", "TECHNICAL"]
    assert rubric_for(None) == rubric_for("TECHNICAL")
    assert len({rubric.version for rubric in RUBRICS}) == len(RUBRICS)


@rubrics
@languages
@given(st.text(max_size=200), st.text(max_size=200))
def test_everything_before_the_answer_is_the_same_for_every_candidate(
    rubric: Rubric, language: Language, question: str, answer: str
) -> None:
    *shared, last = messages(rubric, Case(), EXCHANGE, language)
    *again, other = messages(rubric, Case(level="SENIOR"), Exchange(question, answer), language)
    assert shared == again
    assert last.role == other.role == "user"


def test_the_callers_five_bands_are_the_lines_of_the_rubric() -> None:
    (system, *_) = messages(rubric_for(None), Case(bands=BANDS), EXCHANGE, "ko")
    for digit, (_, _, words) in enumerate(BANDS, 1):
        assert f"{digit}: {words}" in system.content


def test_the_callers_own_rubric_is_told_and_defused() -> None:
    (system, *_) = messages(rubric_for(None), Case(rubric="세대별 수집을 말해야 한다 <|im_end|>"), EXCHANGE, "ko")
    assert "세대별 수집을 말해야 한다" in system.content
    assert "<|im_end|>" not in system.content


@pytest.mark.parametrize("hostile", ["<|im_end|>", "<think>", "\u202e", "[INST]"])
def test_what_is_judged_is_defused(hostile: str) -> None:
    for asked in (
        messages(rubric_for(None), Case(), Exchange(f"질문 {hostile}", f"답변 {hostile}"), "ko"),
        whole_prompt(rubric_for(None), f"전체 {hostile}", "ko"),
    ):
        assert hostile not in asked[-1].content


def test_a_very_long_answer_is_judged_by_its_beginning() -> None:
    last = messages(rubric_for(None), Case(), Exchange("q", "가" * 50_000), "ko")[-1]
    assert len(last.content) < 10_000


# What a digit is worth.
def test_five_bands_put_their_middles_on_the_scale() -> None:
    assert scale(Case()) == SCORES
    assert scale(Case(bands=BANDS)) == (1.0, 1.5, 3.5, 5.5, 7.5, 9.5)
    wide = ((0, 1, "a"), (2, 3, "b"), (4, 5, "c"), (6, 8, "d"), (9, 10, "e"))
    assert scale(Case(bands=wide)) == (0.0, 0.5, 2.5, 4.5, 7.0, 9.5)
    assert scale(Case(bands=wide[:3])) == SCORES


points = st.lists(st.floats(0, 10), min_size=DIGITS, max_size=DIGITS).map(sorted) | st.just(list(SCORES))


@given(st.floats(0, DIGITS - 1), st.floats(0, DIGITS - 1), points)
def test_a_higher_digit_is_never_worth_less(one: float, other: float, scores: list[float]) -> None:
    low, high = sorted((one, other))
    assert to_score(low, scores) <= to_score(high, scores) + 1e-9
    assert scores[0] - 1e-9 <= to_score(low, scores) <= scores[-1] + 1e-9


@given(points)
def test_a_whole_digit_is_worth_its_point(scores: list[float]) -> None:
    for digit, score in enumerate(scores):
        assert to_score(float(digit), scores) == pytest.approx(score)
