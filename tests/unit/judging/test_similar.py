"""How alike two short texts are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.judging.policy import ALIKE
from app.tasks.judging.similar import lies_within, share_within, similarity

QUESTION = "자바의 가비지 컬렉션을 설명해 주세요."
words = st.text(alphabet="가나다라 마바사?.,abc", max_size=40)


@given(words, words)
def test_likeness_is_between_nothing_and_the_same_and_has_no_direction(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, other) == similarity(other, one)


@given(words)
def test_a_text_is_the_same_as_itself(text: str) -> None:
    assert similarity(text, text) == 1


@given(words, words)
def test_a_part_is_wholly_within_what_it_is_a_part_of(part: str, rest: str) -> None:
    assert 0 <= share_within(part, rest) <= 1
    assert share_within("캐시" + "를 쓴다", f"{rest} 캐시를 쓴다") == 1


@given(words, words, st.sampled_from([0.25, 0.5, 1.0]))
def test_whether_a_text_lies_within_another_is_told_by_its_share(part: str, whole: str, least: float) -> None:
    assert lies_within(part, whole, least) == (share_within(part, whole) >= least)


@pytest.mark.parametrize(
    "again",
    [
        "자바의 가비지 컬렉션에 대해 설명해 주시겠어요?",
        "자바의 가비지 컬렉션을 말씀해 주세요",
        "자바 가비지 컬렉션을 설명해 주실 수 있나요?",
    ],
)
def test_the_same_question_in_other_polite_words_is_alike(again: str) -> None:
    assert similarity(QUESTION, again) >= ALIKE


@pytest.mark.parametrize(
    "other",
    [
        "데이터베이스 인덱스를 설명해 주세요.",
        "운영 중에 멈춤 시간이 길어진 적이 있었나요?",
        "스프링의 의존성 주입을 설명해 주실 수 있나요?",
    ],
)
def test_another_question_with_the_same_polite_words_is_not(other: str) -> None:
    assert similarity(QUESTION, other) < ALIKE
