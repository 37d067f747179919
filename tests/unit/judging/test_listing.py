"""An answer that only lists names is told from one that says something."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tasks.judging.listing import mostly_listed
from tests.support.suite import GradedAnswer, graded, variants

LONG = 100_000
THIN = "데이터를 더 많이 모아서 학습시키면 좋아질 것 같습니다."
NAMES = "드롭아웃, 배치 정규화, 조기 종료, 교차 검증, 앙상블, 전이 학습, 데이터 증강, 경사 하강법이 있습니다."


def label(one: GradedAnswer) -> str:
    return f"{one.id}-{one.kind}"


@pytest.mark.parametrize("answer", [NAMES, f"{THIN} {NAMES}", NAMES.replace(", ", "\n- "), NAMES.replace(", ", "·")])
def test_eight_names_and_little_else_are_a_list(answer: str) -> None:
    assert mostly_listed(answer)


@pytest.mark.parametrize("answer", [answer for _, answer in variants("keyword_stuffing")])
def test_buzzwords_behind_a_thin_answer_are_a_list(answer: str) -> None:
    assert mostly_listed(answer)


@pytest.mark.parametrize("one", graded("excellent", "solid", "thin", "wrong"), ids=label)
def test_an_answer_that_says_something_is_none(one: GradedAnswer) -> None:
    assert not mostly_listed(one.answer)


@pytest.mark.parametrize(
    ("question", "answer"), variants("padded", "hedged", "dialect", "stt_noise", "long_false"), ids=str
)
def test_an_answer_in_another_manner_of_speaking_is_none(question: str, answer: str) -> None:
    assert not mostly_listed(answer), question


@pytest.mark.parametrize(
    "answer",
    [
        "물리, 데이터 링크, 네트워크, 전송, 세션, 표현, 응용 계층이 있습니다.",
        f"{NAMES} " + "저는 그 가운데 드롭아웃을 써서 검증 손실이 다시 오르던 것을 세 번의 실험으로 막았습니다. " * 2,
        "인덱스를 걸면 조회가 빨라지지만, 쓰기마다 트리를 고쳐야 해서, 자주 바뀌는 컬럼에는 걸지 않는 편입니다.",
        "\n".join(
            ["인덱스는 조회를 돕는다", "쓰기는 느려진다", "커버링 인덱스가 있다", "복합 인덱스는 순서가 중요"] * 2
        ),
        "",
    ],
)
def test_seven_names_or_a_list_within_an_answer_are_no_stuffing(answer: str) -> None:
    assert not mostly_listed(answer)


@pytest.mark.parametrize("piece", ["\n", "\n ", " ", "가, ", "\n- ", ".", ". "])
def test_a_very_long_answer_takes_no_long_time(piece: str) -> None:
    text = f"{piece * (LONG // len(piece))}가{',' * 7}"
    started = time.process_time()
    mostly_listed(text)
    assert time.process_time() - started < 2


names = st.lists(st.text(alphabet="가나다 ab", min_size=1, max_size=12).filter(str.strip), min_size=1, max_size=30)


@given(names)
def test_of_names_alone_it_is_their_number_that_counts(listed: list[str]) -> None:
    assert mostly_listed(", ".join(listed)) == (len(listed) > 7)
