"""A feedback is the judge's own words: what only recites the candidate is left out, what speaks about it stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.sentences import sentences_of
from app.tasks.judging.echo import without_echoes

QUESTION = "CAP 정리를 실제 시스템의 저장소 선택에 어떻게 적용하셨나요?"
ANSWER = (
    "두 리전 사이 회선이 9분간 끊겼을 때 잔액 쓰기는 한쪽에서 오류를 냈지만 불일치는 0건이었고, "
    "장바구니는 가용성 99.99%를 지켰습니다. "
    "병합 충돌 31건은 합집합 규칙으로 자동 해소됐습니다."
)
HEARD = (QUESTION, ANSWER)


@pytest.mark.parametrize(
    "echo",
    [
        ANSWER,
        QUESTION,
        "병합 충돌 31건은 합집합 규칙으로 자동 해소됐습니다.",
        "병합 충돌 31건은, 합집합 규칙으로 자동 해소됐습니다!",
        "답변은 병합 충돌 31건은 합집합 규칙으로 자동 해소됐습니다.",
        "가용성은 유지됐고, 병합 충돌 31건은 합집합 규칙으로 자동 해소됐습니다.",
    ],
)
def test_a_recited_sentence_is_left_out_and_the_judgement_beside_it_stays(echo: str) -> None:
    assert (
        without_echoes(f"깊이가 있습니다. {echo} 더 짧게 말해도 됩니다.", HEARD)
        == "깊이가 있습니다. 더 짧게 말해도 됩니다."
    )
    assert without_echoes(echo, HEARD) == ""


@pytest.mark.parametrize(
    "text",
    [
        "병합 충돌 31건은 합집합 규칙으로 자동 해소됐다는 점이 좋습니다.",
        "한쪽에서 오류를 냈지만 불일치는 0건이었다고 수치로 말했습니다.",
        "CAP 정리를 실제 시스템의 저장소 선택에 적용한 경험이 드러납니다.",
        "원인과 결과를 모두 말했고 특히 충돌 31건은 합집합 규칙으로 자동 해소됐습니다.",
        "자동 해소.",
    ],
)
def test_a_sentence_about_the_answer_stays(text: str) -> None:
    assert without_echoes(text, HEARD) == text


def test_nothing_is_an_echo_of_nothing() -> None:
    assert without_echoes(ANSWER, ()) == ANSWER
    assert without_echoes(ANSWER, ("", "?!")) == ANSWER


@given(st.text(alphabet='가나 .?!3…\n"', max_size=40))
def test_sentences_put_together_are_the_text(text: str) -> None:
    assert "".join(sentences_of(text)) == text


@given(st.lists(st.sampled_from([*ANSWER.split(". "), "좋습니다.", "3.5초가 걸렸습니다.", "e.g. 인덱스"]), max_size=6))
def test_what_is_left_out_stays_out(parts: list[str]) -> None:
    once = without_echoes(" ".join(parts), HEARD)
    assert without_echoes(once, HEARD) == once
